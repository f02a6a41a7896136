package pgwire

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"sallyport/internal/access"
	"sallyport/internal/identity"
	"sallyport/internal/identity/credential"
)

// people are what proves somebody other than a password: the real store, with a clock that tests move.
type people struct {
	t      testing.TB
	store  *identity.Store
	issued *credential.Store
	ahead  atomic.Int64 // of the real time
	n      byte
	tokens map[string]string // by principal
}

func newPeople(t testing.TB) *people { return newPeopleOf(t) }

// newTokens has people of the configuration, with a token each.
func newTokens(t testing.TB) *people { return newPeopleOf(t, testUser, "bob") }

func newPeopleOf(t testing.TB, names ...string) *people {
	t.Helper()
	p := &people{t: t, tokens: map[string]string{}}
	var list []access.LocalPrincipal
	for _, name := range names {
		token, hash := identity.NewToken()
		p.tokens[name] = token
		list = append(list, access.LocalPrincipal{Name: name, Kind: access.Human, Tokens: []access.LocalToken{{SHA256: hash}}})
	}
	var err error
	if p.store, err = identity.New(list); err != nil {
		t.Fatal(err)
	}
	if p.issued, err = credential.Open(credential.Options{Dir: t.TempDir(), Now: func() time.Time { return time.Now().Add(time.Duration(p.ahead.Load())) }}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.issued.Close() })
	if err := p.store.With(p.issued); err != nil {
		t.Fatal(err)
	}
	return p
}

// issue gives what a log-in gives: a certificate, and whom it is for.
func (p *people) issue(name string) (tls.Certificate, access.Principal) {
	p.t.Helper()
	key := newKey(p.t)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		p.t.Fatal(err)
	}
	p.n++
	now := time.Now()
	who := access.Principal{Name: name, Kind: access.Human, Proof: access.Proof{Method: access.ByIDToken, Issuer: "https://idp.example", Subject: name,
		Token: fmt.Sprintf("%064x", p.n), Issued: now, Authenticated: now, Expires: now.Add(5 * time.Minute)}}
	got, err := p.store.Issue(who, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), time.Hour)
	if err != nil {
		p.t.Fatal(err)
	}
	out := tls.Certificate{PrivateKey: key}
	for block, rest := pem.Decode(got.Certificate); block != nil; block, rest = pem.Decode(rest) {
		out.Certificate = append(out.Certificate, block.Bytes)
	}
	return out, who
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

var testProvider = access.Provider{Name: "corp", Issuer: "https://idp.example/realm/", LoginScopes: []string{"openid", "db"}}

// identified is a door with TLS and an identity provider.
func identified(t testing.TB, p *people) *door {
	serverTLS, _ := testTLS()
	core := newFakeCore()
	core.people, core.providers = p.store, []access.Provider{{Name: "other", Issuer: "https://other.example"}, testProvider}
	return openCore(t, core, Options{TLS: serverTLS})
}

// secure dials with TLS, showing cert where it is not empty.
func (d *door) secure(t testing.TB, cert tls.Certificate) *wire {
	t.Helper()
	_, clientTLS := testTLS()
	cfg := clientTLS.Clone()
	if cert.Certificate != nil {
		// Whatever the server says that it takes.
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
	}
	w := d.dial(t).send(sslRequest)
	if b := w.readByte(); b != 'S' {
		t.Fatalf("answer %q", b)
	}
	return wrap(t, tls.Client(w.Conn, cfg))
}

func TestCertificatesOfOurs(t *testing.T) {
	p := newPeople(t)
	d := identified(t, p)
	cert, _ := p.issue(testUser)
	w := d.secure(t, cert)
	w.startup(version30, nil)
	if seen := w.until('Z'); !strings.HasPrefix(seen, "RS") || strings.Count(seen, "R") != 1 {
		t.Errorf("messages %s: AuthenticationOk alone was to come first", seen)
	}
	l := d.core.lastLogin()
	if c, ok := l.Credentials.(access.Certificate); !ok || c.User != testUser || l.User != testUser || len(c.Chain) != 2 || string(c.Chain[0]) != string(cert.Certificate[0]) {
		t.Errorf("login %+v", l)
	}
}

// forged is a self-signed certificate for a name, or one that a forged authority signed, as far as its names go.
func forged(t testing.TB, name string, issuer *x509.Certificate) tls.Certificate {
	t.Helper()
	key, fake := newKey(t), newKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(5), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	parent, signer := template, crypto.Signer(key)
	if issuer != nil {
		parent, signer = &x509.Certificate{Subject: issuer.Subject, RawSubject: issuer.RawSubject, SubjectKeyId: issuer.SubjectKeyId, PublicKey: fake.Public()}, fake
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	out := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	if issuer != nil {
		out.Certificate = append(out.Certificate, issuer.Raw)
	}
	return out
}

// Who shows a certificate that proves nothing is asked for a password, as if there were none.
func TestCertificatesOfOthers(t *testing.T) {
	p := newPeople(t)
	d := identified(t, p)
	ada, _ := p.issue(testUser)
	bob, _ := p.issue("bob")
	foreign, _ := newPeople(t).issue(testUser)
	serverTLS, _ := testTLS()
	authority, err := x509.ParseCertificate(ada.Certificate[1])
	if err != nil {
		t.Fatal(err)
	}
	for name, cert := range map[string]tls.Certificate{
		"none":                        {},
		"of_another_user":             bob,
		"of_another_gateway":          foreign,
		"self_signed":                 forged(t, testUser, nil),
		"of_our_authority's_name":     forged(t, testUser, authority),
		"of_a_server":                 serverTLS.Certificates[0],
		"authority_before_the_client": {Certificate: append(forged(t, testUser, nil).Certificate, ada.Certificate...), PrivateKey: nil},
	} {
		t.Run(name, func(t *testing.T) {
			if cert.Certificate != nil && cert.PrivateKey == nil {
				own := forged(t, testUser, nil)
				cert = tls.Certificate{Certificate: append(own.Certificate, ada.Certificate...), PrivateKey: own.PrivateKey}
			}
			d.secure(t, cert).login(nil)
			if l := d.core.lastLogin(); l.User != testUser {
				t.Errorf("login %+v", l)
			} else if _, ok := l.Credentials.(*fakeExchange); !ok {
				t.Errorf("proved by %T", l.Credentials)
			}
			w := d.secure(t, cert)
			w.startup(version30, nil)
			w.auth("wrong")
			w.expectFatal("28P01")
		})
	}
}

// A certificate is public: without its key it is worth nothing.
func TestCertificatesWithoutTheirKey(t *testing.T) {
	p := newPeople(t)
	d := identified(t, p)
	cert, _ := p.issue(testUser)
	cert.PrivateKey = newKey(t)
	w := d.secure(t, cert)
	b, _ := (&pgproto3.StartupMessage{ProtocolVersion: version30, Parameters: map[string]string{"user": testUser, "database": testConn}}).Encode(nil)
	w.Write(b) // with TLS 1.3 a client has done its part before the server checks
	var one [1]byte
	if n, err := w.Read(one[:]); n != 0 || err == nil {
		t.Errorf("read %q, %v", one[:n], err)
	}
	if n := len(d.core.logins) + int(d.core.refused.Load()); n != 0 {
		t.Errorf("%d log-ins reached the core", n)
	}
}

func TestCertificatesThatHaveEnded(t *testing.T) {
	p := newPeople(t)
	d := identified(t, p)
	ended := func(cert tls.Certificate, words string) {
		t.Helper()
		before := d.core.refused.Load()
		w := d.secure(t, cert)
		w.startup(version30, nil)
		if e := w.expectFatal("28000"); !strings.Contains(e.Message, words) || !strings.Contains(e.Hint, "log in again") {
			t.Errorf("got %q, %q", e.Message, e.Hint)
		}
		if d.core.refused.Load() != before+1 {
			t.Error("the core did not hear of it")
		}
	}
	cert, who := p.issue(testUser)
	if err := p.issued.Revoke(access.Revocation{Token: who.Proof.Token, Cause: "logged out"}); err != nil {
		t.Fatal(err)
	}
	ended(cert, "withdrawn")
	cert, _ = p.issue(testUser)
	p.ahead.Store(int64(2 * time.Hour))
	ended(cert, "has expired")
	w := d.secure(t, cert) // that somebody else's has ended is nothing to this one
	w.startup(version30, map[string]string{"user": "bob"})
	w.auth("wrong")
	w.expectFatal("28P01")
}

// Without a provider there are no certificates of ours, and clients are not asked for theirs.
func TestNoProviderNoCertificates(t *testing.T) {
	serverTLS, _ := testTLS()
	d := open(t, Options{TLS: serverTLS})
	_, clientTLS := testTLS()
	cfg, asked := clientTLS.Clone(), false
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		asked = true
		return &tls.Certificate{}, nil
	}
	w := d.dial(t).send(sslRequest)
	w.readByte()
	w = wrap(t, tls.Client(w.Conn, cfg))
	w.startup(version30, nil)
	if m, ok := w.next().(*pgproto3.AuthenticationSASL); !ok || !slices.Equal(m.AuthMechanisms, []string{mechanism}) || asked {
		t.Errorf("%+v, asked for a certificate: %t", m, asked)
	}
}

// Providers come and go with a reload of the configuration.
func TestProvidersOfALaterConfiguration(t *testing.T) {
	p := newPeople(t)
	d := identified(t, p)
	cert, _ := p.issue(testUser)
	for _, providers := range [][]access.Provider{nil, {testProvider}, nil} {
		d.core.mu.Lock()
		d.core.providers = providers
		d.core.mu.Unlock()
		w := d.secure(t, cert)
		w.startup(version30, nil)
		if len(providers) > 0 {
			w.until('Z')
		} else {
			w.choose(mechanism)
		}
	}
}

func TestPsqlWithACertificate(t *testing.T) {
	p := newPeople(t)
	d := identified(t, p)
	dir := t.TempDir()
	serverTLS, _ := testTLS()
	write := func(name, kind string, ders ...[]byte) string {
		var text []byte
		for _, der := range ders {
			text = append(text, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	root := write("root.pem", "CERTIFICATE", serverTLS.Certificates[0].Certificate[0])
	psql := func(cert tls.Certificate, password string) (string, error) {
		t.Helper()
		key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		host, port, _ := strings.Cut(d.addr, ":")
		cmd := exec.CommandContext(testContext(t), "psql", "-XAt", "-w", "-c", "ECHO abc", fmt.Sprintf("host=%s port=%s user=%s dbname=%s sslmode=verify-full sslrootcert=%s sslcert=%s sslkey=%s",
			host, port, testUser, testConn, root, write("cert.pem", "CERTIFICATE", cert.Certificate...), write("key.pem", "PRIVATE KEY", key)))
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "PGPASSWORD=" + password}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	cert, _ := p.issue(testUser)
	if out, err := psql(cert, ""); err != nil || out != "abc\n" {
		t.Errorf("with a certificate of ours: %q, %v", out, err)
	}
	foreign, _ := newPeople(t).issue(testUser)
	if out, err := psql(foreign, ""); err == nil || !strings.Contains(out, "no password supplied") {
		t.Errorf("with another's: %q, %v", out, err)
	}
	if out, err := psql(foreign, testPassword); err != nil || out != "abc\n" {
		t.Errorf("with another's, and a password: %q, %v", out, err)
	}
	p.ahead.Store(int64(2 * time.Hour))
	if out, err := psql(cert, testPassword); err == nil || !strings.Contains(out, "the client certificate has expired") {
		t.Errorf("with one that has expired: %q, %v", out, err)
	}
}
