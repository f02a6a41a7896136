package pgwire

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/xdg-go/scram"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// door is a running server with a fake core behind it.
type door struct {
	*Server
	core *fakeCore
	addr string
	logs *syncBuffer
	done chan error
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// open starts a door; it is stopped, with all its goroutines, when the test ends.
func open(t testing.TB, opt Options, tune ...func(*Server)) *door {
	t.Helper()
	return openCore(t, newFakeCore(), opt, tune...)
}

func openCore(t testing.TB, core *fakeCore, opt Options, tune ...func(*Server)) *door {
	t.Helper()
	d := &door{core: core, logs: &syncBuffer{}, done: make(chan error, 1)}
	opt.Log = slog.New(slog.NewTextHandler(d.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	d.Server = newServer(d.core, opt)
	d.authDelay = 10 * time.Millisecond
	d.period = 20 * time.Millisecond
	for _, f := range tune {
		f(d.Server)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d.addr = ln.Addr().String()
	go func() { d.done <- d.Serve(context.Background(), ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		d.Shutdown(ctx)
		if err := <-d.done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if n := d.core.sessions(); n != 0 {
			t.Errorf("%d sessions left open", n)
		}
		if got := d.budget.Load(); got != d.opt.MaxBuffered {
			t.Errorf("%d bytes of the budget were not given back", d.opt.MaxBuffered-got)
		}
	})
	return d
}

// wire is a client that writes bytes as a test wants them, and reads with pgproto3.
type wire struct {
	net.Conn
	t  testing.TB
	fe *pgproto3.Frontend
}

func (d *door) dial(t testing.TB) *wire {
	t.Helper()
	nc, err := net.Dial("tcp", d.addr)
	if err != nil {
		t.Fatal(err)
	}
	return wrap(t, nc)
}

func wrap(t testing.TB, nc net.Conn) *wire {
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(time.Minute))
	return &wire{Conn: nc, t: t, fe: pgproto3.NewFrontend(nc, nc)}
}

func (w *wire) send(parts ...[]byte) *wire {
	w.t.Helper()
	if _, err := w.Write(bytes.Join(parts, nil)); err != nil {
		w.t.Fatalf("send: %v", err)
	}
	return w
}

// next reads one message. The result is only good until the next call.
func (w *wire) next() pgproto3.BackendMessage {
	w.t.Helper()
	m, err := w.fe.Receive()
	if err != nil {
		w.t.Fatalf("receive: %v", err)
	}
	return m
}

// expectFatal reads up to an ErrorResponse of severity FATAL with that code and then the end.
func (w *wire) expectFatal(code string) *pgproto3.ErrorResponse {
	w.t.Helper()
	for {
		m, err := w.fe.Receive()
		if err != nil {
			w.t.Fatalf("no FATAL %s before %v", code, err)
		}
		e, ok := m.(*pgproto3.ErrorResponse)
		if !ok || e.Severity != "FATAL" {
			continue
		}
		e = &pgproto3.ErrorResponse{Severity: e.Severity, SeverityUnlocalized: e.SeverityUnlocalized, Code: e.Code, Message: e.Message, Hint: e.Hint}
		if e.Code != code || e.Message == "" || e.SeverityUnlocalized != "FATAL" {
			w.t.Fatalf("got %+v, want FATAL %s", e, code)
		}
		w.expectEnd()
		return e
	}
}

// expectEnd checks that the connection ends without another byte.
func (w *wire) expectEnd() {
	w.t.Helper()
	rest, err := io.ReadAll(w.Conn)
	if len(rest) > 0 {
		w.t.Fatalf("%d bytes after the end: %q", len(rest), rest[:min(len(rest), 80)])
	}
	if t := (net.Error)(nil); errors.As(err, &t) && t.Timeout() {
		w.t.Fatal("connection was not closed")
	}
}

// login goes through startup and SCRAM with the given parameters and reads up to ReadyForQuery.
func (w *wire) login(params map[string]string) *wire {
	w.t.Helper()
	w.startup(pgproto3.ProtocolVersion30, params)
	w.auth(testPassword)
	w.until('Z')
	return w
}

func (w *wire) startup(version uint32, params map[string]string) {
	w.t.Helper()
	all := map[string]string{"user": testUser, "database": testConn}
	for k, v := range params {
		all[k] = v
	}
	b, err := (&pgproto3.StartupMessage{ProtocolVersion: version, Parameters: all}).Encode(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.send(b)
}

func (w *wire) auth(password string) {
	w.t.Helper()
	c, _ := scram.SHA256.NewClient("", password, "")
	conv := c.NewConversation()
	for {
		switch m := w.next().(type) {
		case *pgproto3.NegotiateProtocolVersion:
		case *pgproto3.AuthenticationSASL:
			if m.AuthMechanisms[0] != "SCRAM-SHA-256" { // libpq takes the first
				w.t.Fatalf("mechanisms %q", m.AuthMechanisms)
			}
			first, _ := conv.Step("")
			w.send(encode(w.t, &pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256", Data: []byte(first)}))
		case *pgproto3.AuthenticationSASLContinue:
			final, err := conv.Step(string(m.Data))
			if err != nil {
				w.t.Fatal(err)
			}
			w.send(encode(w.t, &pgproto3.SASLResponse{Data: []byte(final)}))
			return
		default:
			w.t.Fatalf("unexpected %T %+v", m, m)
		}
	}
}

// until reads up to a message of that type and gives the types seen, in order.
func (w *wire) until(typ byte) string {
	w.t.Helper()
	var seen []byte
	for {
		b, err := w.next().Encode(nil)
		if err != nil {
			w.t.Fatal(err)
		}
		seen = append(seen, b[0])
		if b[0] == typ {
			return string(seen)
		}
	}
}

func encode(t testing.TB, msgs ...interface{ Encode([]byte) ([]byte, error) }) (b []byte) {
	t.Helper()
	for _, m := range msgs {
		var err error
		if b, err = m.Encode(b); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func query(sql string) []byte { b, _ := (&pgproto3.Query{String: sql}).Encode(nil); return b }

// testTLS makes a certificate for 127.0.0.1, with the client's side of it.
var testTLS = sync.OnceValues(func() (server, client *tls.Config) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "door"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, _ := x509.ParseCertificate(der)
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		&tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}
})

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never happened: %s", what)
		}
	}
}
