package upstream

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/testdb"
)

// authority signs certificates for a server.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	file string
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	a.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	form := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	a.cert, _ = x509.ParseCertificate(der)
	a.file = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// issue certifies an address, or the name of a client.
func (a *authority) issue(address string, until time.Time) (cert, key []byte) {
	a.t.Helper()
	k, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	form := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: address}, NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: until}
	if ip := net.ParseIP(address); ip != nil {
		form.IPAddresses = []net.IP{ip}
	}
	der, err := x509.CreateCertificate(rand.Reader, form, a.cert, &k.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

// secureServer is a real server whose certificate and rules can be changed.
type secureServer struct {
	*testdb.Server
	t *testing.T
}

func (s secureServer) run(sql string) {
	s.t.Helper()
	if err := s.Exec(context.Background(), "postgres", sql); err != nil {
		s.t.Fatal(err)
	}
}

// put writes a file into the server's folder, as the server's user.
func (s secureServer) put(file string, data []byte) {
	s.t.Helper()
	s.run("copy (select '" + base64.StdEncoding.EncodeToString(data) + "') to program 'umask 077; base64 -d > " + file + "'")
}

// show gives the server another certificate.
func (s secureServer) show(by *authority, address string, until time.Time) {
	s.t.Helper()
	cert, key := by.issue(address, until)
	s.put("server.crt", cert)
	s.put("server.key", key)
	s.run("alter system set ssl = on")
	s.run("select pg_reload_conf()")
}

// dial tries until the outcome is the one that is waited for, for the server reloads when it comes to it: the message, or "" for success.
func dial(t *testing.T, what, dsn, message string) *Conn {
	t.Helper()
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		c, err := Dial(context.Background(), dsn, nil)
		if err == nil && message == "" {
			t.Cleanup(func() { c.Close() })
			return c
		}
		if err == nil {
			c.Close()
		}
		if e := access.AsError(err); err != nil && e.Message == message {
			if e.Unwrap() == nil || e.Hint == "" || strings.Contains(e.Message+e.Hint, "127.0.0.1") {
				t.Errorf("%s: %v, hint %q", what, err, e.Hint)
			}
			return nil
		}
		if time.Since(began) > 30*time.Second {
			t.Errorf("%s: %v", what, err)
			return nil
		}
	}
}

// A real server with another certificate each time: what cannot be verified is refused before a password goes, and it is said what is wrong.
func TestCertificatesOfAServer(t *testing.T) {
	server := secureServer{testdb.Run(t, testdb.Options{}), t}
	ours, other := newAuthority(t), newAuthority(t)
	dsn := strings.Replace(server.DSN("postgres"), "sslmode=disable", "sslmode=verify-full&sslrootcert="+ours.file, 1)
	dial(t, "no TLS", dsn, "the database does not speak TLS")
	later := time.Now().Add(time.Hour)
	for _, c := range []struct {
		name    string
		by      *authority
		address string
		until   time.Time
		message string
	}{{"good", ours, "127.0.0.1", later, ""}, {"wrong name", ours, "192.0.2.1", later, "the database's certificate is for another name"},
		{"wrong authority", other, "127.0.0.1", later, "the database's certificate is of an authority that is not trusted"},
		{"expired", ours, "127.0.0.1", time.Now().Add(-time.Hour), "the database's certificate is not valid"}, {"good again", ours, "127.0.0.1", later, ""}} {
		server.show(c.by, c.address, c.until)
		dial(t, c.name, dsn, c.message)
	}
}

// A server that wants a certificate of its clients: the DSN's files are shown, and new ones are used without a restart.
func TestClientCertificates(t *testing.T) {
	server := secureServer{testdb.Run(t, testdb.Options{}), t}
	ours, first, second := newAuthority(t), newAuthority(t), newAuthority(t)
	dir, later := t.TempDir(), time.Now().Add(time.Hour)
	certFile, keyFile := filepath.Join(dir, "client.crt"), filepath.Join(dir, "client.key")
	write := func(file string, data []byte) {
		t.Helper()
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	trust := func(a *authority) {
		t.Helper()
		pem, err := os.ReadFile(a.file)
		if err != nil {
			t.Fatal(err)
		}
		server.put("clients.crt", pem)
		server.run("select pg_reload_conf()")
	}
	server.run("create role app login")
	trust(first)
	server.run("alter system set ssl_ca_file = 'clients.crt'")
	server.put("pg_hba.conf", []byte("hostssl all app 127.0.0.1/32 cert\nhost all postgres 127.0.0.1/32 trust\n"))
	server.show(ours, "127.0.0.1", later)

	plain := strings.Replace(strings.Replace(server.DSN("postgres"), "postgres@", "app@", 1), "sslmode=disable", "sslmode=verify-full&sslrootcert="+ours.file, 1)
	dsn := plain + "&sslcert=" + certFile + "&sslkey=" + keyFile
	cert, key := first.issue("app", later)
	write(certFile, cert)
	write(keyFile, key)
	shown := func(c *Conn) {
		t.Helper()
		if c != nil {
			server.run(fmt.Sprintf("do $$ begin if (select client_dn || ' by ' || issuer_dn from pg_stat_ssl where pid = %d) is distinct from '/CN=app by /CN=test authority' then raise 'another one is shown'; end if; end $$", c.PID))
		}
	}
	before := dial(t, "good", dsn, "")
	shown(before)
	const refused = "the database refused the gateway's log-in (28000)"
	dial(t, "none shown", plain, refused)
	const notTaken = "the database does not take the gateway's client certificate"

	trust(second)
	dial(t, "of an authority that was withdrawn", dsn, notTaken)
	cert, key = second.issue("app", later)
	write(certFile, cert)
	if _, err := Dial(context.Background(), dsn, nil); err == nil || !strings.Contains(access.AsError(err).Message, "private key does not match public key") {
		t.Errorf("half a pair: %v", err)
	}
	write(keyFile, key)
	shown(dial(t, "new files", dsn, ""))
	if err := roundTrip(before); err != nil {
		t.Errorf("the connection of before: %v", err)
	}

	ended, key := second.issue("app", time.Now().Add(-time.Hour))
	write(certFile, ended)
	write(keyFile, key)
	dial(t, "ended", dsn, notTaken)
	another, key := second.issue("somebody", later)
	write(certFile, another)
	write(keyFile, key)
	dial(t, "of another role", dsn, refused)
}

func roundTrip(c *Conn) error {
	if err := c.Write([]byte("Q\x00\x00\x00\x0dSELECT 1\x00")); err != nil {
		return err
	}
	for {
		f, err := c.Next()
		if err != nil || f.Type == 'Z' {
			return err
		}
	}
}

// A cancel request holds a key by which whoever reads it could cancel too: it is encrypted where the connection is.
func TestCancelRequestsAreEncrypted(t *testing.T) {
	server := secureServer{testdb.Run(t, testdb.Options{}), t}
	ours := newAuthority(t)
	server.show(ours, "127.0.0.1", time.Now().Add(time.Hour))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var mu sync.Mutex
	var sent []*bytes.Buffer // by connection
	relayed := make(chan struct{})
	go func() {
		defer close(relayed)
		var all sync.WaitGroup
		defer all.Wait()
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", server.Port))
			if err != nil {
				client.Close()
				continue
			}
			mu.Lock()
			seen := new(bytes.Buffer)
			sent = append(sent, seen)
			mu.Unlock()
			all.Go(func() { io.Copy(client, up); client.Close() })
			all.Go(func() { io.Copy(io.MultiWriter(up, lockedWriter{&mu, seen}), client); up.Close() })
		}
	}()
	dsn := strings.Replace(server.DSN("postgres"), "sslmode=disable", "sslmode=verify-full&sslrootcert="+ours.file, 1)
	dsn = strings.Replace(dsn, fmt.Sprintf(":%d", server.Port), ln.Addr().String()[len("127.0.0.1"):], 1)
	c := dial(t, "through the relay", dsn, "")
	if c == nil {
		return
	}
	if err := c.Write([]byte("Q\x00\x00\x00\x18SELECT pg_sleep(30)\x00")); err != nil {
		t.Fatal(err)
	}
	running := fmt.Sprintf("do $$ begin if not exists (select from pg_stat_activity where pid = %d and state = 'active') then raise 'not yet'; end if; end $$", c.PID)
	for end := time.Now().Add(30 * time.Second); server.Exec(context.Background(), "postgres", running) != nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the statement does not run")
		}
	}
	if err := c.Cancel(context.Background()); err != nil {
		t.Fatal(err)
	}
	cancelled := false
	for f, err := c.Next(); f.Type != 'Z'; f, err = c.Next() {
		if err != nil {
			t.Fatal(err)
		}
		cancelled = cancelled || f.Type == 'E' && bytes.Contains(f.Raw, []byte("57014"))
	}
	if !cancelled {
		t.Error("it was not cancelled")
	}
	c.Close()
	ln.Close()
	<-relayed
	for _, b := range sent {
		if bytes.Contains(b.Bytes(), c.key) {
			t.Error("the key is there for everybody to read")
		}
	}
	if len(sent) < 2 || !bytes.HasPrefix(sent[len(sent)-1].Bytes(), []byte{0, 0, 0, 8, 4, 210, 22, 47}) {
		t.Errorf("%d connections: the last asks for no TLS", len(sent))
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	to *bytes.Buffer
}

func (w lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}
