package connect

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/testdb"
)

// helper is a running Server.
type helper struct {
	*Server
	host, port string
	calls      atomic.Int32 // of Way
	stop       func()

	mu       sync.Mutex
	reported []string
}

func (h *helper) reports() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.reported, "\n")
}

func start(t *testing.T, connection string, way func() (Way, error)) *helper {
	t.Helper()
	ln, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &helper{}
	h.host, h.port, _ = net.SplitHostPort(ln.Addr().String())
	h.Server = &Server{Connection: connection, Password: NewPassword(),
		Way: func(context.Context) (Way, error) { h.calls.Add(1); return way() },
		Report: func(err error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.reported = append(h.reported, err.Error())
		}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Serve(ctx, ln) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(30 * time.Second):
			t.Error("it does not end")
		}
	})
	t.Cleanup(h.stop)
	return h
}

// psql runs the real one through the helper. Whoever it says it is and wherever it wants to go, the helper decides.
func (h *helper) psql(t *testing.T, password string, args ...string) (string, error) {
	t.Helper()
	path, err := testdb.LookPath("psql")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, append([]string{"-XAt", "-v", "ON_ERROR_STOP=1"}, args...)...)
	cmd.Env = append(os.Environ(), "PGHOST="+h.host, "PGPORT="+h.port, "PGUSER=anybody", "PGDATABASE=anything", "PGPASSWORD="+password, "PGPASSFILE=/nonexistent", "PGAPPNAME=a gui")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// upstream is a database that stands in for the gateway's door, and how to come in there.
func upstream(t *testing.T) (database string, w Way) {
	t.Helper()
	u, err := url.Parse(testdb.Shared(t).NewDatabase(t, "CREATE TABLE t (n int); INSERT INTO t SELECT generate_series(1, 100000)"))
	if err != nil {
		t.Fatal(err)
	}
	secret, _ := u.User.Password()
	return strings.TrimPrefix(u.Path, "/"), Way{Address: u.Host, User: u.User.Username(), Secret: secret}
}

func TestCertificate(t *testing.T) {
	database, w := upstream(t)
	front, conf := tlsFront(t, w.Address)
	way := Way{Address: front, User: w.User, TLS: conf}
	h := start(t, database, func() (Way, error) { return way, nil })
	out, err := h.psql(t, h.Password, "-c", "SELECT current_database() = '"+database+"', current_setting('application_name'), count(*) FROM t", "-c", "COPY t TO STDOUT")
	if lines := strings.Split(out, "\n"); err != nil || lines[0] != "t|a gui|100000" || len(lines) != 100001 {
		t.Errorf("%v, %d lines: %.200s", err, len(lines), out)
	}
	// What the gateway refuses reaches the client in the gateway's words.
	way.User = "nobody_there"
	if out, err := h.psql(t, h.Password, "-c", "SELECT 1"); err == nil || !strings.Contains(out, `role "nobody_there" does not exist`) {
		t.Errorf("%v: %s", err, out)
	}
	// A door without a certificate that is known gets nothing.
	way = Way{Address: front, User: w.User, TLS: &tls.Config{ServerName: "127.0.0.1", Certificates: conf.Certificates}}
	if out, err := h.psql(t, h.Password, "-c", "SELECT 1"); err == nil || !strings.Contains(out, "cannot be trusted") {
		t.Errorf("%v: %s", err, out)
	}
	way = Way{Address: w.Address, User: w.User, TLS: conf}
	if out, err := h.psql(t, h.Password, "-c", "SELECT 1"); err == nil || !strings.Contains(out, "cannot be trusted") {
		t.Errorf("a door without TLS: %v: %s", err, out)
	}
	// One that lets in without proof is none that was meant.
	way = w
	way.Secret = "x"
	if out, err := h.psql(t, h.Password, "-c", "SELECT 1"); err == nil || !strings.Contains(out, "is not to be had") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestPasswordOfTheRun(t *testing.T) {
	h := start(t, "x", func() (Way, error) { return Way{}, errors.New("not to be asked") })
	for _, password := range []string{"wrong", h.Password + "x"} {
		if out, err := h.psql(t, password, "-c", "SELECT 1"); err == nil || !strings.Contains(out, "is not that of this run") {
			t.Errorf("%v: %s", err, out)
		}
	}
	if h.calls.Load() != 0 {
		t.Error("who does not know the password makes somebody log in")
	}
	if a, b := NewPassword(), NewPassword(); a == b || len(a) < 24 {
		t.Errorf("passwords %q, %q", a, b)
	}
	if _, err := h.psql(t, h.Password, "-c", "SELECT 1"); err == nil || h.calls.Load() != 1 || !strings.Contains(h.reports(), "not to be asked") {
		t.Errorf("%v, %d, %s", err, h.calls.Load(), h.reports())
	}
}

func TestSecret(t *testing.T) {
	server := testdb.Run(t, testdb.Options{Password: "the gateway's secret"})
	u, _ := url.Parse(server.DSN("postgres"))
	w := Way{Address: u.Host, User: u.User.Username(), Secret: "the gateway's secret"}
	h := start(t, "postgres", func() (Way, error) { return w, nil })
	if out, err := h.psql(t, h.Password, "-c", "SELECT 7"); err != nil || out != "7" {
		t.Errorf("%v: %s", err, out)
	}
	w.Secret = "another"
	if out, err := h.psql(t, h.Password, "-c", "SELECT 7"); err == nil || !strings.Contains(out, "password authentication failed") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestCancelAndEnd(t *testing.T) {
	database, w := upstream(t)
	front, conf := tlsFront(t, w.Address)
	h := start(t, database, func() (Way, error) { return Way{Address: front, User: w.User, TLS: conf}, nil })
	path, err := testdb.LookPath("psql")
	if err != nil {
		t.Fatal(err)
	}
	run := func() (*exec.Cmd, *strings.Builder) {
		cmd := exec.Command(path, "-X", "-c", "SELECT pg_sleep(60)")
		cmd.Env = append(os.Environ(), "PGHOST="+h.host, "PGPORT="+h.port, "PGUSER=x", "PGDATABASE=x", "PGPASSWORD="+h.Password)
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd, &out
	}
	sleeping := func() {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			if out, _ := h.psql(t, h.Password, "-c", "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active' AND datname = current_database()"); out == "1" {
				return
			}
		}
		t.Fatal("the statement does not run")
	}
	cmd, out := run()
	sleeping()
	cmd.Process.Signal(os.Interrupt)
	if cmd.Wait(); !strings.Contains(out.String(), "canceling statement due to user request") {
		t.Errorf("cancelled: %s", out)
	}
	cmd, out = run()
	sleeping()
	h.stop()
	if err := cmd.Wait(); err == nil {
		t.Errorf("goes on after the end: %s", out)
	}
}

func TestStartup(t *testing.T) {
	pack := func(version uint32, kv ...string) []byte {
		b := binary.BigEndian.AppendUint32(make([]byte, 4), version)
		for _, s := range kv {
			b = append(append(b, s...), 0)
		}
		b = append(b, 0)
		binary.BigEndian.PutUint32(b, uint32(len(b)))
		return b
	}
	st, neg, err := readStartup(pack(version32, "user", "gui", "database", "x", "options", "-c a=b"))
	if err != nil || neg != nil || st.version != version32 {
		t.Fatalf("%+v %q %v", st, neg, err)
	}
	if got, want := string(st.packet("ada", "shop")), string(pack(version32, "user", "ada", "database", "shop", "options", "-c a=b")); got != want {
		t.Errorf("packet %q, want %q", got, want)
	}
	st, neg, err = readStartup(pack(3<<16|9999, "_pq_.grease", "", "user", "gui"))
	if err != nil || st.version != version32 || string(neg) != "v\x00\x00\x00\x18\x00\x03\x00\x02\x00\x00\x00\x01_pq_.grease\x00" {
		t.Errorf("%+v %q %v", st, neg, err)
	}
	for _, bad := range [][]byte{pack(2 << 16), append(pack(version30)[:8], "user"...)} {
		if _, _, err := readStartup(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func FuzzStartup(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x10\x00\x03\x00\x00user\x00x\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 8 {
			return
		}
		if st, _, err := readStartup(b); err == nil {
			again, _, err := readStartup(st.packet("ada", "shop"))
			if err != nil || string(again.rest) != string(st.rest) {
				t.Errorf("%q, then %q: %v", st.rest, again.rest, err)
			}
		}
	})
}

func TestListenOnThisMachineOnly(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:5432", "5432", "db.example.com:1"} {
		if ln, err := Listen(address); err == nil {
			ln.Close()
			t.Errorf("%s is taken", address)
		}
	}
	ln, err := Listen("localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var e *access.Error
	if _, err := Listen(ln.Addr().String()); !errors.As(err, &e) || !strings.Contains(e.Hint, "in use") {
		t.Errorf("port in use: %v", err)
	}
}

// tlsFront is a door that takes TLS with a client certificate only and passes what is in it to a server that trusts everybody.
func tlsFront(t *testing.T, to string) (address string, client *tls.Config) {
	t.Helper()
	pool := x509.NewCertPool()
	make1 := func(usage x509.ExtKeyUsage) tls.Certificate {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		tmpl := &x509.Certificate{SerialNumber: big.NewInt(int64(usage) + 1), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{usage}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
		der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		cert, _ := x509.ParseCertificate(der)
		pool.AddCert(cert)
		return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	}
	server, mine := make1(x509.ExtKeyUsageServerAuth), make1(x509.ExtKeyUsageClientAuth)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { ln.Close(); all.Wait() })
	all.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				if _, err := io.ReadFull(conn, make([]byte, 8)); err != nil {
					return
				}
				conn.Write([]byte{'S'})
				secure := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{server}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert})
				up, err := net.Dial("tcp", to)
				if err != nil {
					t.Error(err)
					return
				}
				splice(context.Background(), secure, up)
			})
		}
	})
	return ln.Addr().String(), &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", Certificates: []tls.Certificate{mine}}
}
