package tlsconf

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/access"
)

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Now()} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// files are a certificate and its key that tests replace.
type files struct {
	t         *testing.T
	cert, key string
	authority *Authority
}

func newFiles(t *testing.T, c *clock) *files {
	t.Helper()
	a, err := OpenAuthority(filepath.Join(t.TempDir(), "theirs"), c.now)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return &files{t: t, cert: filepath.Join(dir, "tls.crt"), key: filepath.Join(dir, "tls.key"), authority: a}
}

// pair makes another certificate, and gives both files' contents.
func (f *files) pair(name string) (cert, key []byte) {
	f.t.Helper()
	c, err := f.authority.Certificate([]string{name})
	if err != nil {
		f.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		f.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func (f *files) put(name string) {
	f.t.Helper()
	cert, key := f.pair(name)
	write(f.t, f.cert, cert)
	write(f.t, f.key, key)
}

func (f *files) open(c *clock, log *bytes.Buffer) (*Source, error) {
	return Open(Options{Door: "pgwire", Cert: f.cert, Key: f.key, Now: c.now, Log: slog.New(slog.NewTextHandler(log, nil))})
}

// shake makes a handshake and gives the name that the server's certificate is for, and the version that was agreed on.
func shake(t *testing.T, server *tls.Config, client *tls.Config) (name string, version uint16, err error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		tls.Server(nc, server).Handshake()
		nc.Close()
	}()
	defer func() { <-done }()
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	c := tls.Client(nc, client)
	if err := c.Handshake(); err != nil {
		return "", 0, err
	}
	leaf := c.ConnectionState().PeerCertificates[0]
	return strings.Join(leaf.DNSNames, " "), c.ConnectionState().Version, nil
}

var anybody = &tls.Config{InsecureSkipVerify: true}

func TestFilesAreTakenWhenTheyChange(t *testing.T) {
	c, log := newClock(), &bytes.Buffer{}
	f := newFiles(t, c)
	f.put("first")
	s, err := f.open(c, log)
	if err != nil {
		t.Fatal(err)
	}
	shows := func(want string) {
		t.Helper()
		if got, _, err := shake(t, s.Config(), anybody); err != nil || got != want {
			t.Errorf("the certificate is of %q, %v; want %q", got, err, want)
		}
	}
	shows("first")
	f.put("second")
	shows("first") // within the same second
	c.pass(lookEvery)
	shows("second")
	f.put("third")
	s.Look() // at once, as with SIGHUP
	shows("third")
	if n := strings.Count(log.String(), "certificate replaced"); n != 2 {
		t.Errorf("%d replacements in the log:\n%s", n, log)
	}

	// Half of a replacement leaves what there was, with one warning, until the other half comes.
	cert, key := f.pair("fourth")
	write(t, f.cert, cert)
	for range 3 {
		c.pass(lookEvery)
		shows("third")
	}
	if n := strings.Count(log.String(), "the one of before stays"); n != 1 {
		t.Errorf("%d warnings in the log:\n%s", n, log)
	}
	write(t, f.key, key)
	c.pass(lookEvery)
	shows("fourth")

	for name, damage := range map[string]func(){
		"gone":    func() { os.Remove(f.key) },
		"garbage": func() { write(t, f.cert, []byte("no certificate")) },
		"empty":   func() { write(t, f.cert, nil) },
	} {
		f.put("fifth")
		s.Look()
		log.Reset()
		damage()
		c.pass(lookEvery)
		if shows("fifth"); !strings.Contains(log.String(), "the one of before stays") {
			t.Errorf("%s: no warning", name)
		}
	}
}

// The files of a Kubernetes secret are links into a folder, which is itself a link that is moved.
func TestLinksThatAreMoved(t *testing.T) {
	c := newClock()
	f := newFiles(t, c)
	dir := t.TempDir()
	same := time.Now().Add(-time.Hour)
	for _, v := range []string{"v1", "v2"} {
		os.Mkdir(filepath.Join(dir, v), 0o700)
		cert, key := f.pair(v)
		for name, text := range map[string][]byte{"tls.crt": cert, "tls.key": key} {
			write(t, filepath.Join(dir, v, name), text)
			os.Chtimes(filepath.Join(dir, v, name), same, same)
		}
	}
	link := func(v string) {
		os.Symlink(v, filepath.Join(dir, "data.new"))
		if err := os.Rename(filepath.Join(dir, "data.new"), filepath.Join(dir, "data")); err != nil {
			t.Fatal(err)
		}
	}
	link("v1")
	f.cert, f.key = filepath.Join(dir, "data", "tls.crt"), filepath.Join(dir, "data", "tls.key")
	s, err := f.open(c, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	link("v2")
	c.pass(lookEvery)
	if name, _, err := shake(t, s.Config(), anybody); err != nil || name != "v2" {
		t.Errorf("got %q, %v", name, err)
	}
}

func TestDoorsDoNotOpenWithoutAUsablePair(t *testing.T) {
	c := newClock()
	f := newFiles(t, c)
	refused := func(why string) {
		t.Helper()
		_, err := f.open(c, &bytes.Buffer{})
		if e := access.AsError(err); err == nil || e.Kind != access.Invalid || e.Hint == "" || !strings.Contains(e.Message, f.cert) {
			t.Errorf("%s: %v", why, err)
		}
	}
	refused("no files")
	f.put("a")
	_, key := f.pair("b")
	write(t, f.key, key)
	refused("a key that does not fit")
}

func TestMinimumVersions(t *testing.T) {
	c := newClock()
	f := newFiles(t, c)
	f.put("a")
	for _, tc := range []struct {
		min    string
		client uint16
		ok     bool
	}{{"", tls.VersionTLS11, false}, {"", tls.VersionTLS12, true}, {"1.2", tls.VersionTLS12, true}, {"1.3", tls.VersionTLS12, false}, {"1.3", tls.VersionTLS13, true}} {
		s, err := Open(Options{Cert: f.cert, Key: f.key, MinVersion: tc.min, Now: c.now})
		if err != nil {
			t.Fatal(err)
		}
		_, version, err := shake(t, s.Config(), &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tc.client})
		if (err == nil) != tc.ok || tc.ok && version != tc.client {
			t.Errorf("min_version %q, client %x: version %x, %v", tc.min, tc.client, version, err)
		}
	}
}

func TestEndsAreWarnedOf(t *testing.T) {
	c, log := newClock(), &bytes.Buffer{}
	f := newFiles(t, c)
	f.put("a")
	s, err := f.open(c, log)
	if err != nil {
		t.Fatal(err)
	}
	warned := func(text string, want int) {
		t.Helper()
		for range 3 {
			c.pass(lookEvery)
			shake(t, s.Config(), anybody)
		}
		if n := strings.Count(log.String(), text); n != want {
			t.Errorf("%q %d times in the log, want %d:\n%s", text, n, want, log)
		}
	}
	warned("expires", 0)
	c.pass(leafLife - soon)
	warned("certificate expires soon", 1)
	c.pass(warnEvery)
	warned("certificate expires soon", 2)
	c.pass(soon)
	warned("certificate has expired", 1)
	day, made := 24*time.Hour, time.Now()
	for _, o := range []struct {
		life, left time.Duration
		want       string
	}{{5 * day, 5 * day, ""}, {5 * day, 2 * day, ""}, {5 * day, day, "certificate expires soon"}, {30 * day, 13 * day, ""}, {30 * day, 9 * day, "certificate expires soon"},
		{400 * day, 15 * day, ""}, {400 * day, 13 * day, "certificate expires soon"}} {
		c := &x509.Certificate{NotBefore: made, NotAfter: made.Add(o.life)}
		if got := Ending(c, made.Add(o.life-o.left)); got != o.want {
			t.Errorf("%s of %s are left: %q", o.left, o.life, got)
		}
	}
	if got := Ending(s.Leaf(), s.Leaf().NotBefore.Add(-time.Hour)); got != "certificate is not valid yet" {
		t.Errorf("before its time: %q", got)
	}
}

func TestOwnCertificates(t *testing.T) {
	c, dir := newClock(), filepath.Join(t.TempDir(), "tls")
	a, err := OpenAuthority(dir, c.now)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(Options{Door: "pgwire", Own: a, Names: []string{"db.example.com", "127.0.0.1", "::1"}, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	root := s.Authority()
	// full is sslmode=verify-full with that root file.
	full := func(root []byte, host string) error {
		t.Helper()
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(root) {
			t.Fatal("no root")
		}
		_, _, err := shake(t, s.Config(), &tls.Config{RootCAs: pool, ServerName: host, Time: c.now})
		return err
	}
	for host, ok := range map[string]bool{"db.example.com": true, "127.0.0.1": true, "::1": true, "other.example.com": false, "127.0.0.2": false} {
		if err := full(root, host); (err == nil) != ok {
			t.Errorf("%s: %v", host, err)
		}
	}
	if st, err := os.Stat(filepath.Join(dir, keyFile)); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v", st.Mode(), err)
	}

	// It is renewed before its end, under the same root.
	serial := s.Leaf().SerialNumber
	c.pass(leafLife * 3 / 4)
	if err := full(root, "db.example.com"); err != nil || s.Leaf().SerialNumber.Cmp(serial) == 0 {
		t.Errorf("after three quarters of its time: %v, serial %v", err, s.Leaf().SerialNumber)
	}

	// So is the authority's, and both roots vouch for what is shown, after a restart too.
	c.pass(authorityLife/2 + time.Hour)
	if err := full(root, "db.example.com"); err != nil {
		t.Errorf("old root: %v", err)
	}
	if a, err = OpenAuthority(dir, c.now); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(a.PEM(), root) {
		t.Error("the authority was not renewed")
	}
	if s, err = Open(Options{Own: a, Names: []string{"db.example.com"}, Now: c.now}); err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string][]byte{"old": root, "new": a.PEM()} {
		if err := full(r, "db.example.com"); err != nil {
			t.Errorf("%s root: %v", name, err)
		}
	}
	other, err := OpenAuthority(t.TempDir(), c.now)
	if err != nil {
		t.Fatal(err)
	}
	if err := full(other.PEM(), "db.example.com"); err == nil {
		t.Error("another gateway's root vouches for this one")
	}
}

// The authority vouches for doors: a client's certificate in its name is none.
func TestTheAuthorityVouchesForNoClient(t *testing.T) {
	a, err := OpenAuthority(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.Certificate([]string{"ada"})
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(a.PEM())
	for usage, ok := range map[x509.ExtKeyUsage]bool{x509.ExtKeyUsageServerAuth: true, x509.ExtKeyUsageClientAuth: false} {
		if _, err := c.Leaf.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{usage}}); (err == nil) != ok {
			t.Errorf("usage %d: %v", usage, err)
		}
	}
}

func TestDamagedAuthorities(t *testing.T) {
	other := t.TempDir()
	if _, err := OpenAuthority(other, nil); err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func(dir string){
		"key_gone":             func(dir string) { os.Remove(filepath.Join(dir, keyFile)) },
		"key_garbage":          func(dir string) { os.WriteFile(filepath.Join(dir, keyFile), []byte("x"), 0o600) },
		"certificate_garbage":  func(dir string) { os.WriteFile(filepath.Join(dir, certFile), []byte("x"), 0o600) },
		"certificate_of_other": func(dir string) { os.Rename(filepath.Join(other, certFile), filepath.Join(dir, certFile)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := OpenAuthority(dir, nil); err != nil {
				t.Fatal(err)
			}
			damage(dir)
			_, err := OpenAuthority(dir, nil)
			if e := access.AsError(err); err == nil || e.Kind != access.Unavailable || !strings.Contains(e.Hint, dir) {
				t.Errorf("got %v", err)
			}
			if err := CheckAuthority(dir); err == nil {
				t.Error("CheckAuthority saw nothing")
			}
		})
	}
	if err := CheckAuthority(filepath.Join(t.TempDir(), "none")); err != nil {
		t.Errorf("without an authority: %v", err)
	}
	t.Run("certificate_gone", func(t *testing.T) { // a crash between the two files
		dir := t.TempDir()
		if _, err := OpenAuthority(dir, nil); err != nil {
			t.Fatal(err)
		}
		os.Remove(filepath.Join(dir, certFile))
		if _, err := OpenAuthority(dir, nil); err != nil {
			t.Error(err)
		}
	})
}

func TestHandshakesBesideReplacements(t *testing.T) {
	c := newClock()
	f := newFiles(t, c)
	f.put("a")
	s, err := f.open(c, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	var tasks sync.WaitGroup
	for range 4 {
		tasks.Go(func() {
			for range 200 {
				c.pass(lookEvery)
				if got := s.certificate(); got == nil || got.Leaf == nil {
					t.Error("no certificate")
				}
			}
		})
	}
	for range 20 {
		f.put("b")
	}
	tasks.Wait()
}
