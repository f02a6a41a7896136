package pgwire

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
	"sallyport/internal/loop"
)

// canned answers every burst with the same bytes at once, so that what is measured is the door.
type canned struct{ answer []byte }

func (c canned) SCRAM(user string) gateway.Exchange { return (*fakeCore)(nil).SCRAM(user) }
func (c canned) Connect(context.Context, gateway.Login) (session, error) {
	return c, nil
}
func (c canned) Cancel(uint32, uint32) {}
func (c canned) Do(_ context.Context, ops []gateway.Op, sink gateway.Sink) error {
	return sink.Release(c.answer)
}
func (c canned) Providers() []access.Provider { return nil }
func (c canned) Verify(context.Context, access.Credentials) (access.Principal, error) {
	return access.Principal{}, errors.New("nobody asks")
}
func (c canned) Run(_ *loop.Conn, serve func() error) error { return serve() }
func (c canned) Params() gateway.SessionParams              { return gateway.SessionParams{PID: 1, TxStatus: 'I'} }
func (c canned) Attend(gateway.Sink)                        {}
func (c canned) Close() error                               { return nil }

// serveCanned starts a door on the canned core and logs a client in.
func serveCanned(b testing.TB, opt Options, answer []byte) (addr string) {
	s := newServer(canned{answer}, opt)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(context.Background(), ln) }()
	b.Cleanup(func() {
		s.Shutdown(context.Background())
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
	return ln.Addr().String()
}

func connect(b testing.TB, addr string) *wire {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	w := wrap(b, nc).login(nil)
	w.SetDeadline(time.Time{})
	return w
}

var selectAnswer = func() []byte {
	s := &fakeSession{tx: 'I', core: newFakeCore()}
	s.describe()
	s.data([]byte("12345"))
	s.complete("SELECT 1")
	s.ready()
	return s.out
}()

// BenchmarkRoundTrip is a query and its answer through the door; BenchmarkEcho is the floor, a server that
// only reads and writes the same bytes. The difference is what the door costs.
func BenchmarkRoundTrip(b *testing.B) {
	extended := encode(b, &pgproto3.Parse{Query: "SELECT $1"}, &pgproto3.Bind{Parameters: [][]byte{[]byte("1")}},
		&pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, &pgproto3.Sync{})
	for name, request := range map[string][]byte{"simple": query("SELECT abalance FROM pgbench_accounts WHERE aid = 1"), "extended": extended} {
		b.Run(name, func(b *testing.B) {
			w := connect(b, serveCanned(b, Options{}, selectAnswer))
			roundTrips(b, w, request, len(selectAnswer))
			w.Close()
		})
	}
	b.Run("simple_tls", func(b *testing.B) {
		serverTLS, clientTLS := testTLS()
		nc, err := net.Dial("tcp", serveCanned(b, Options{TLS: serverTLS}, selectAnswer))
		if err != nil {
			b.Fatal(err)
		}
		cfg := clientTLS.Clone()
		cfg.NextProtos = []string{alpn}
		w := wrap(b, tls.Client(nc, cfg)).login(nil)
		w.SetDeadline(time.Time{})
		roundTrips(b, w, query("SELECT abalance FROM pgbench_accounts WHERE aid = 1"), len(selectAnswer))
		w.Close()
	})
}

func BenchmarkEcho(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		buf := make([]byte, bufferSize)
		for {
			if _, err := nc.Read(buf); err != nil {
				return
			}
			nc.Write(selectAnswer)
		}
	}()
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	roundTrips(b, nc, query("SELECT abalance FROM pgbench_accounts WHERE aid = 1"), len(selectAnswer))
	nc.Close()
	<-done
	ln.Close()
}

func roundTrips(b *testing.B, rw io.ReadWriter, request []byte, answer int) {
	buf := make([]byte, answer)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rw.Write(request); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(rw, buf); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBurst is the door's own part, without a socket: cut, decode, hand over, release.
func BenchmarkBurst(b *testing.B) {
	for name, request := range map[string][]byte{
		"simple":   query("SELECT abalance FROM pgbench_accounts WHERE aid = 1"),
		"extended": encode(b, &pgproto3.Parse{Query: "SELECT $1"}, &pgproto3.Bind{}, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, &pgproto3.Sync{}),
	} {
		b.Run(name, func(b *testing.B) {
			c := newConn(newServer(canned{selectAnswer}, Options{}), discardConn{})
			c.sess = canned{selectAnswer}
			c.in.take()
			b.ReportAllocs()
			for b.Loop() {
				c.in.r, c.in.w = 0, copy(c.in.buf, request)
				burst := c.cut()
				if err := c.do(); err != nil || burst.size != len(request) {
					b.Fatal(err)
				}
				c.in.discard(burst.size)
			}
		})
	}
}

type discardConn struct{ net.Conn }

func (discardConn) Write(b []byte) (int, error) { return len(b), nil }
func (discardConn) RemoteAddr() net.Addr        { return &net.TCPAddr{} }

// BenchmarkLargeResult is the way back of 1 KiB rows, released 64 KiB at a time.
func BenchmarkLargeResult(b *testing.B) {
	s := &fakeSession{}
	for len(s.out) < 64<<10 {
		s.data(make([]byte, 1000))
	}
	w := connect(b, serveCanned(b, Options{}, s.out))
	b.SetBytes(int64(len(s.out)))
	roundTrips(b, w, encode(b, &pgproto3.Flush{}), len(s.out))
	w.Close()
}

// The steady state of a client that repeats itself allocates nothing.
func TestBurstAllocatesNothing(t *testing.T) {
	c := newConn(newServer(canned{selectAnswer}, Options{}), discardConn{})
	defer c.cancel()
	c.sess = canned{selectAnswer}
	c.in.take()
	request := append(query("SELECT 1"), encode(t, &pgproto3.Bind{PreparedStatement: "s"}, &pgproto3.Execute{}, &pgproto3.Sync{})...)
	if n := testing.AllocsPerRun(100, func() {
		c.in.r, c.in.w = 0, copy(c.in.buf, request)
		b := c.cut()
		c.do()
		c.in.discard(b.size)
	}); n != 0 {
		t.Errorf("%v allocations a burst", n)
	}
}

// An idle client keeps no read buffer. The bound is generous: what counts is that it is far below bufferSize.
func TestIdleClientsAreSmall(t *testing.T) {
	const clients = 200
	addr := serveCanned(t, Options{}, selectAnswer)
	measure := func() uint64 {
		for range 3 {
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	before := measure()
	conns := make([]net.Conn, clients)
	for i := range conns {
		w := connect(t, addr)
		w.send(query("SELECT 1")).until('Z')
		conns[i] = w.Conn // the test's own reader goes
		w.fe = nil
	}
	each := (measure() - before) / clients
	t.Logf("%d bytes an idle client, this test's side included", each)
	if each > bufferSize {
		t.Errorf("%d bytes an idle client", each)
	}
	for _, nc := range conns {
		nc.Close()
	}
}
