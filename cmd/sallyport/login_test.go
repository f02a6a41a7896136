package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/rogpeppe/go-internal/testscript"

	"sallyport/internal/login"
	"sallyport/internal/testdb"
	"sallyport/internal/testgate"
)

// gateway URLVAR [none] starts a web door at which people can log in, and before a PostgreSQL a door with TLS that takes the certificates
// and secrets that it gives. none: it has no provider.
func gatewayFor(ts *testscript.TestScript, neg bool, args []string) {
	tb := scriptTB{ts}
	gate, _ := provided(tb)
	if len(args) > 1 {
		gate.Offer["providers"] = []any{}
	}
	ts.Setenv(args[0], gate.URL)
	ts.Setenv("ISSUER", gate.IDP.Issuer)
	home(ts, neg, nil)
}

// home makes the script's folder somebody's home, with psql in the path, and has SCRIPTS name those of the repository.
func home(ts *testscript.TestScript, _ bool, _ []string) {
	psql, err := testdb.LookPath("psql")
	ts.Check(err)
	scripts, err := filepath.Abs("../../scripts")
	ts.Check(err)
	ts.Setenv("PATH", ts.Getenv("PATH")+string(os.PathListSeparator)+filepath.Dir(psql))
	ts.Setenv("HOME", ts.MkAbs("."))
	ts.Setenv("SCRIPTS", scripts)
	ts.Check(os.Chmod(ts.MkAbs("."), 0o700))
}

// provided is a web door at which people can log in, and the address of its pgwire door.
func provided(tb testdb.TB) (*testgate.Gate, string) {
	gate := testgate.New(tb)
	server := testdb.Run(tb, testdb.Options{Password: "its superuser's"})
	must := func(err error) {
		if err != nil {
			tb.Fatalf("%v", err)
		}
	}
	must(server.Exec(context.Background(), "postgres", "CREATE ROLE ada LOGIN; CREATE ROLE bob LOGIN"))
	must(server.Exec(context.Background(), "postgres", "CREATE DATABASE shop"))
	d := &tlsDoor{tb: tb, server: fmt.Sprintf("127.0.0.1:%d", server.Port)}
	gate.OnIssue = func(principal, secret string) {
		d.mu.Lock()
		d.secret = secret
		d.mu.Unlock()
		must(server.Exec(context.Background(), "postgres", "ALTER ROLE "+principal+" PASSWORD '"+secret+"'"))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	der, err := gate.Sign(&x509.Certificate{SerialNumber: big.NewInt(9), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}, &key.PublicKey)
	must(err)
	pool := x509.NewCertPool()
	pool.AddCert(gate.CA)
	d.conf = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, ClientCAs: pool, ClientAuth: tls.VerifyClientCertIfGiven}
	gate.Authority = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: gate.CA.Raw}))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	go d.serve(ln)
	tb.Cleanup(func() { ln.Close(); d.all.Wait() })
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	gate.Offer["pgwire"] = map[string]any{"address": "localhost:" + port, "tls": true}
	return gate, "localhost:" + port
}

// tlsDoor lets in whom a certificate names, and leaves others to the server, which asks for their password.
type tlsDoor struct {
	tb     testdb.TB
	server string
	conf   *tls.Config
	all    sync.WaitGroup
	mu     sync.Mutex
	secret string
}

func (d *tlsDoor) serve(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		d.all.Go(func() {
			defer conn.Close()
			if err := d.client(conn); err != nil {
				d.tb.Logf("door: %v", err)
			}
		})
	}
}

func (d *tlsDoor) client(conn net.Conn) error {
	if _, err := io.ReadFull(conn, make([]byte, 8)); err != nil {
		return err
	}
	conn.Write([]byte{'S'})
	secure := tls.Server(conn, d.conf)
	head := make([]byte, 4)
	if _, err := io.ReadFull(secure, head); err != nil {
		return err
	}
	body := make([]byte, binary.BigEndian.Uint32(head)-4)
	if _, err := io.ReadFull(secure, body); err != nil {
		return err
	}
	var st pgproto3.StartupMessage
	shown := secure.ConnectionState().PeerCertificates
	if len(shown) == 0 || st.Decode(body) != nil { // a password is asked for, or it is a request to cancel
		up, err := net.Dial("tcp", d.server)
		if err != nil {
			return err
		}
		up.Write(append(head, body...))
		return both(secure, up)
	}
	if shown[0].Subject.CommonName != st.Parameters["user"] {
		return fmt.Errorf("%s comes as %s", shown[0].Subject.CommonName, st.Parameters["user"])
	}
	d.mu.Lock()
	secret := d.secret
	d.mu.Unlock()
	c, err := pgconn.Connect(context.Background(), fmt.Sprintf("postgres://%s:%s@%s/%s?application_name=%s", st.Parameters["user"], secret, d.server, st.Parameters["database"], st.Parameters["application_name"]))
	if err != nil {
		return err
	}
	h, err := c.Hijack()
	if err != nil {
		return err
	}
	out, _ := (&pgproto3.AuthenticationOk{}).Encode(nil)
	for k, v := range h.ParameterStatuses {
		out, _ = (&pgproto3.ParameterStatus{Name: k, Value: v}).Encode(out)
	}
	out, _ = (&pgproto3.BackendKeyData{ProcessID: h.PID, SecretKey: h.SecretKey}).Encode(out)
	out, _ = (&pgproto3.ReadyForQuery{TxStatus: h.TxStatus}).Encode(out)
	secure.Write(out)
	return both(secure, h.Conn)
}

func both(a, b net.Conn) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(b, a)
		b.Close()
	}()
	_, err := io.Copy(a, b)
	a.Close()
	<-done
	return err
}

// Each line of docs/clients.md that is marked as tested is run as it stands there, with the example's names replaced.
func TestRecipes(t *testing.T) {
	text, err := os.ReadFile("../../docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	gate, door := provided(t)
	host, port, _ := net.SplitHostPort(door)
	bin, home := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "sallyport"), []byte("#!/bin/sh\nSALLYPORT_TEST_MAIN=1 exec "+testBinary(t)+" \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	psql, err := testdb.LookPath("psql")
	if err != nil {
		t.Fatal(err)
	}
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "PG") || strings.HasPrefix(kv, "XDG_") })
	env = append(env, "HOME="+home, "PATH="+bin+":"+filepath.Dir(psql)+":"+os.Getenv("PATH"), "DISPLAY=", "WAYLAND_DISPLAY=")
	names := strings.NewReplacer("https://sallyport.example.com", gate.URL, "host=sallyport.example.com port=6543", "host="+host+" port="+port, "sallyport.example.com", "127.0.0.1")
	blocks := regexp.MustCompile("(?s)<!-- tested: ([^\n]*) -->\n+```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 5 {
		t.Fatalf("%d recipes are marked as tested", len(blocks))
	}
	for _, b := range blocks {
		t.Run(b[1], func(t *testing.T) {
			cmd := exec.Command("sh", "-euc", names.Replace(b[2]))
			cmd.Dir, cmd.Env = home, env
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			if strings.Contains(b[2], "SELECT current_user") && !strings.Contains(string(out), "ada") {
				t.Errorf("it is not ada who comes in:\n%s", out)
			}
		})
	}
}

// testBinary is this program, which runs main where SALLYPORT_TEST_MAIN is set.
func testBinary(t *testing.T) string {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestClientSettings(t *testing.T) {
	p, err := login.Open(filepath.Join(t.TempDir(), "s"), "https://gate.example.com:8443")
	if err != nil {
		t.Fatal(err)
	}
	c := &login.Credential{Gateway: p.Gateway, Principal: `a:d\a`, Secret: "s:1", Certified: true, Authority: true, PGWire: login.PGWire{Address: "0.0.0.0:6543", TLS: true}}
	s, err := clientSettings(p, c, "shop")
	if err != nil {
		t.Fatal(err)
	}
	env := environment([]string{"PGSERVICE=x", "PGHOSTADDR=1.2.3.4", "PGSSLMODE=disable", "PGPASSWORD=old", "PGAPPNAME=mine", "PGOPTIONS=-c a=b", "HOME=/h"}, s)
	want := []string{"PGAPPNAME=mine", "PGOPTIONS=-c a=b", "HOME=/h", "PGHOST=gate.example.com", "PGPORT=6543", `PGUSER=a:d\a`, "PGDATABASE=shop", "PGGSSENCMODE=disable",
		"PGSSLMODE=verify-full", "PGSSLROOTCERT=" + p.Authority(), "PGSSLCERT=" + p.Cert(), "PGSSLKEY=" + p.Key()}
	if !slices.Equal(env, want) {
		t.Errorf("environment\n%q, want\n%q", env, want)
	}
	if got, want := pgpassLine(c, s), `gate.example.com:6543:shop:a\:d\\a:s\:1`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	c.Certified = false // a door that takes no certificates
	s, _ = clientSettings(p, c, "it's")
	if got := shellLines(s); strings.Contains(got, "PGSSLCERT") || !strings.Contains(got, "export PGPASSWORD='s:1'\n") || !strings.Contains(got, `export PGDATABASE='it'\''s'`) {
		t.Errorf("without certificate:\n%s", got)
	}
	for name, change := range map[string]func(*login.Credential){
		"no TLS on the way":  func(c *login.Credential) { c.PGWire.TLS = false },
		"no door":            func(c *login.Credential) { c.PGWire.Address = "" },
		"line in a name":     func(c *login.Credential) { c.Principal = "ada\nhost=evil" },
		"line in an address": func(c *login.Credential) { c.PGWire.Address = "evil\nhost=x:1" },
	} {
		bad := *c
		change(&bad)
		if s, err := clientSettings(p, &bad, "shop"); err == nil {
			t.Errorf("%s: %v", name, s)
		}
	}
	c.PGWire = login.PGWire{Address: "127.0.0.1:6543"}
	if s, err := clientSettings(p, c, "shop"); err != nil || !slices.Contains(s, setting{"PGSSLMODE", "sslmode", "disable"}) {
		t.Errorf("on this machine: %v, %v", s, err)
	}
}
