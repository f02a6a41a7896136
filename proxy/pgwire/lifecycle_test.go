package pgwire

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

type nopListener struct{ net.Listener }

func (nopListener) Close() error { return nil }

// keyOf logs in with that protocol version and gives the BackendKeyData.
func keyOf(w *wire, version uint32) (pid uint32, secret []byte) {
	w.startup(version, nil)
	w.auth(testPassword)
	for {
		if k, ok := w.next().(*pgproto3.BackendKeyData); ok {
			pid, secret = k.ProcessID, append([]byte(nil), k.SecretKey...)
			w.until('Z')
			return pid, secret
		}
	}
}

func cancelPacket(pid uint32, secret []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(12+len(secret)))
	b = binary.BigEndian.AppendUint32(b, codeCancel)
	b = binary.BigEndian.AppendUint32(b, pid)
	return append(b, secret...)
}

func TestCancel(t *testing.T) {
	serverTLS, _ := testTLS()
	for _, d := range []*door{open(t, Options{}), open(t, Options{TLS: serverTLS})} {
		for _, version := range []uint32{version30, version32} {
			w := d.dial(t)
			pid, secret := keyOf(w, version)
			w.send(query("NOTICE"))
			w.until('N') // it runs, and the notice did not wait for its end
			d.dial(t).send(cancelPacket(pid, secret)).expectEnd()
			if got := w.until('Z'); got != "EZ" {
				t.Errorf("got %s", got)
			}
		}
	}
}

func TestCancelTellsNothing(t *testing.T) {
	d := open(t, Options{})
	w := d.dial(t)
	pid, secret := keyOf(w, version30)
	longer := append(append([]byte(nil), secret...), 0, 0, 0, 0)
	wrong := append([]byte(nil), secret...)
	wrong[3] ^= 1
	for name, packet := range map[string][]byte{
		"right":       cancelPacket(pid, secret),
		"wrong_key":   cancelPacket(pid, wrong),
		"longer_key":  cancelPacket(pid, longer),
		"unknown_pid": cancelPacket(pid+1000, secret),
		"no_key":      cancelPacket(pid, nil),
		"300_bytes":   cancelPacket(pid, make([]byte, 300)),
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			d.dial(t).send(packet).expectEnd()
			if took := time.Since(start); took < cancelPause {
				t.Errorf("took %v: an asker can tell", took)
			}
		})
	}
	d.core.mu.Lock()
	defer d.core.mu.Unlock()
	if len(d.core.cancelled) != 1 {
		t.Errorf("the core was asked to cancel %v", d.core.cancelled)
	}
}

func TestCancelKeyEndsWithItsSession(t *testing.T) {
	d := open(t, Options{})
	w := d.dial(t)
	pid, secret := keyOf(w, version30)
	w.send(encode(t, &pgproto3.Terminate{})).expectEnd()
	eventually(t, "the session is forgotten", func() bool { return d.byPID(pid) == nil })
	d.dial(t).send(cancelPacket(pid, secret)).expectEnd()
	d.core.mu.Lock()
	defer d.core.mu.Unlock()
	if len(d.core.cancelled) != 0 {
		t.Error("a dead session was cancelled")
	}
}

func TestClientThatGoesAwayStopsItsStatement(t *testing.T) {
	d := open(t, Options{})
	w := d.dial(t).login(nil)
	w.send(query("NOTICE")).until('N')
	w.send(query("SELECT 1")) // unread input must not hide that it left
	w.Close()
	eventually(t, "the statement is given up", func() bool { return d.core.sessions() == 0 })
}

func TestSlowReaderIsDropped(t *testing.T) {
	d := open(t, Options{WriteStall: 100 * time.Millisecond})
	w := d.dial(t).login(nil)
	w.Conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	w.send(query("BIG 100000")) // 100 MB, of which it reads none
	eventually(t, "the session is dropped", func() bool { return d.core.sessions() == 0 })
}

// A reader that is slow but reads must not be dropped.
func TestSlowReaderThatReadsIsKept(t *testing.T) {
	d := open(t, Options{WriteStall: 300 * time.Millisecond})
	w := d.dial(t).login(nil)
	w.send(query("BIG 3000"))
	buf := make([]byte, 64<<10)
	for got := 0; got < 3000*1000; {
		n, err := w.Read(buf)
		if err != nil {
			t.Fatalf("after %d bytes: %v", got, err)
		}
		got += n
		time.Sleep(5 * time.Millisecond)
	}
}

func TestShutdown(t *testing.T) {
	d := open(t, Options{})
	idle := d.dial(t).login(nil)
	inLogin := d.dial(t)
	inLogin.startup(version30, nil)
	inLogin.next()
	busy := d.dial(t)
	pid, secret := keyOf(busy, version30)
	_ = secret
	busy.send(query("NOTICE")).until('N')

	done := make(chan error, 1)
	go func() { done <- d.Shutdown(context.Background()) }()
	idle.expectFatal("57P01")
	inLogin.expectFatal("57P01")
	if _, err := net.Dial("tcp", d.addr); err == nil {
		t.Error("still accepts")
	}
	select {
	case err := <-done:
		t.Fatalf("Shutdown did not wait for a busy session: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	d.core.Cancel(pid, pid*7) // lets the statement end
	if got := busy.until('Z'); got != "EZ" {
		t.Errorf("the busy session got %s", got)
	}
	busy.expectFatal("57P01")
	if err := <-done; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestShutdownLosesPatience(t *testing.T) {
	d := open(t, Options{})
	w := d.dial(t).login(nil)
	w.send(query("NOTICE")).until('N')
	stuck := d.dial(t).login(nil)
	stuck.send(query("BIG 100000")) // does not read
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if err := d.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
	w.expectFatal("57P01")
}

func TestServeEndsWithItsContext(t *testing.T) {
	core := newFakeCore()
	s := newServer(core, Options{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	d := &door{Server: s, core: core, addr: ln.Addr().String()}
	w := d.dial(t).login(nil)
	w.send(query("SLEEP"))
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Serve: %v", err)
	}
}

func TestShutdownBeforeServe(t *testing.T) {
	s := newServer(newFakeCore(), Options{})
	if err := s.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(context.Background(), ln); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// Notifications come from a goroutine of the core, between bursts.
func TestReleaseBetweenBursts(t *testing.T) {
	d := open(t, Options{})
	w := d.dial(t).login(nil)
	d.mu.Lock()
	var c *conn
	for c = range d.conns {
	}
	d.mu.Unlock()
	note := encode(t, &pgproto3.NotificationResponse{PID: 1, Channel: "c", Payload: "p"})
	if err := c.out.Release(note); err != nil {
		t.Fatal(err)
	}
	if n, ok := w.next().(*pgproto3.NotificationResponse); !ok || n.Channel != "c" {
		t.Errorf("got %+v", n)
	}
}

// The core may end a session between bursts: the client gets the last word and then the end of the connection.
func TestEndBetweenBursts(t *testing.T) {
	for _, opened := range []func(*door) *wire{
		func(d *door) *wire { return d.dial(t).login(nil) },
		func(d *door) *wire {
			w := d.dial(t).login(nil)
			w.send(query("SELECT 1")).until('Z')
			return w
		},
	} {
		d := open(t, Options{})
		w := opened(d)
		d.mu.Lock()
		var c *conn
		for c = range d.conns {
		}
		d.mu.Unlock()
		if err := c.out.Release(encode(t, &pgproto3.ErrorResponse{Severity: "FATAL", Code: "25P03", Message: "idle"})); err != nil {
			t.Fatal(err)
		}
		c.out.Ended()
		if e, ok := w.next().(*pgproto3.ErrorResponse); !ok || e.Code != "25P03" {
			t.Errorf("got %+v", e)
		}
		w.expectEnd()
	}
}
