package pgwire

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
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

// choose goes to where a client chooses a mechanism, and checks what it is offered.
func (w *wire) choose(want ...string) *wire {
	w.t.Helper()
	m, ok := w.next().(*pgproto3.AuthenticationSASL)
	if !ok || !slices.Equal(m.AuthMechanisms, want) {
		w.t.Fatalf("offered %+v, want %q", m, want)
	}
	return w
}

func bearer(data string) *pgproto3.SASLInitialResponse {
	return &pgproto3.SASLInitialResponse{AuthMechanism: oauthMechanism, Data: []byte(data)}
}

func TestTokens(t *testing.T) {
	p := newTokens(t)
	d := identified(t, p)
	token := p.tokens[testUser]
	for name, msg := range map[string]string{
		"plain":            "n,,\x01auth=Bearer " + token + "\x01\x01",
		"with_host":        "n,,\x01host=db\x01port=5432\x01auth=Bearer " + token + "\x01\x01",
		"key_behind":       "n,,\x01auth=Bearer " + token + "\x01x=\x01\x01",
		"y":                "y,,\x01auth=Bearer " + token + "\x01\x01",
		"lower_case":       "n,,\x01auth=bearer " + token + "\x01\x01",
		"some_more_blanks": "n,,\x01auth=Bearer   " + token + "\x01\x01",
	} {
		t.Run(name, func(t *testing.T) {
			w := d.secure(t, tls.Certificate{})
			w.startup(version30, nil)
			w.choose(mechanism, oauthMechanism).send(encode(t, bearer(msg)))
			if seen := w.until('Z'); !strings.HasPrefix(seen, "RS") {
				t.Errorf("messages %s", seen)
			}
			if l := d.core.lastLogin(); l.Credentials != access.Bearer(token) || l.User != testUser {
				t.Error("another proof reached the core")
			}
		})
	}
	t.Run("response_of_its_own", func(t *testing.T) {
		w := d.secure(t, tls.Certificate{})
		w.startup(version30, nil)
		w.choose(mechanism, oauthMechanism).send([]byte{'p', 0, 0, 0, 20}, []byte("OAUTHBEARER\x00\xff\xff\xff\xff"))
		if m, ok := w.next().(*pgproto3.AuthenticationSASLContinue); !ok || len(m.Data) != 0 {
			t.Fatalf("got %+v", m)
		}
		w.send(encode(t, &pgproto3.SASLResponse{Data: []byte("n,,\x01auth=Bearer " + token + "\x01\x01")})).until('Z')
	})
	t.Run("on_loopback_without_tls", func(t *testing.T) {
		w := d.dial(t)
		w.startup(version30, nil)
		w.choose(mechanism, oauthMechanism).send(encode(t, bearer("n,,\x01auth=Bearer "+token+"\x01\x01"))).until('Z')
	})
	t.Run("pgx", func(t *testing.T) {
		ctx := testContext(t)
		cfg, err := pgx.ParseConfig(d.dsn("sslmode=require"))
		if err != nil {
			t.Fatal(err)
		}
		cfg.Password, cfg.OAuthTokenProvider = "", func(context.Context) (string, error) { return token, nil }
		c, err := pgx.ConnectConfig(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(ctx)
		var v string
		if err := c.QueryRow(ctx, "ECHO abc").Scan(&v); err != nil || v != "abc" {
			t.Errorf("got %q, %v", v, err)
		}
	})
}

// discovered reads the challenge that ends a failed exchange, and answers it.
func (w *wire) discovered(answer string) map[string]string {
	w.t.Helper()
	m, ok := w.next().(*pgproto3.AuthenticationSASLContinue)
	if !ok {
		w.t.Fatalf("got %+v", m)
	}
	got := map[string]string{}
	if err := json.Unmarshal(m.Data, &got); err != nil {
		w.t.Fatal(err)
	}
	w.send(encode(w.t, &pgproto3.SASLResponse{Data: []byte(answer)}))
	return got
}

func TestDiscovery(t *testing.T) {
	d := identified(t, newPeople(t))
	for name, c := range map[string]struct {
		options       string
		offered       []string
		document, ask string
	}{
		"first_provider": {"", []string{mechanism, oauthMechanism}, "https://other.example/.well-known/openid-configuration", "openid"},
		"named_provider": {"-c sallyport.provider=corp", []string{oauthMechanism}, "https://idp.example/realm/.well-known/openid-configuration", "openid db"},
	} {
		t.Run(name, func(t *testing.T) {
			w := d.secure(t, tls.Certificate{})
			w.startup(version30, map[string]string{"options": c.options})
			w.choose(c.offered...).send(encode(t, bearer("n,,\x01auth=\x01\x01")))
			got := w.discovered("\x01")
			if len(got) != 3 || got["status"] != "invalid_token" || got["openid-configuration"] != c.document || got["scope"] != c.ask {
				t.Errorf("got %v", got)
			}
			w.expectFatal("28000")
		})
	}
	if n := d.core.refused.Load(); n != 0 {
		t.Errorf("%d questions are on record as log-ins", n)
	}
	t.Run("unknown_provider", func(t *testing.T) {
		w := d.secure(t, tls.Certificate{})
		w.startup(version30, map[string]string{"options": "-c sallyport.provider=cor\x1bp"})
		if e := w.expectFatal("22023"); !strings.Contains(e.Hint, "other, corp") || strings.Contains(e.Message, "\x1b") {
			t.Errorf("got %+v", e)
		}
	})
}

func TestTokensThatAreRefused(t *testing.T) {
	p := newTokens(t)
	d := identified(t, p)
	token := p.tokens[testUser]
	for name, auth := range map[string]string{
		"unknown":            "Bearer sp_unknown",
		"of_another_user":    "Bearer " + p.tokens["bob"],
		"of_another_scheme":  "Basic " + token,
		"without_a_scheme":   token,
		"empty":              "Bearer ",
		"only_padding":       "Bearer ==",
		"padding_inside":     "Bearer a=b",
		"blank_behind":       "Bearer " + token + " ",
		"two_in_one":         "Bearer " + token + " " + token,
		"tab_for_a_blank":    "Bearer\t" + token,
		"of_60_KB":           "Bearer " + strings.Repeat("a", 60000),
		"quoted":             `Bearer "` + token + `"`,
		"beyond_the_charset": "Bearer " + token + "%",
	} {
		t.Run(name, func(t *testing.T) {
			before, logins := d.core.refused.Load(), len(d.core.logins)
			w := d.secure(t, tls.Certificate{})
			w.startup(version30, nil)
			w.choose(mechanism, oauthMechanism).send(encode(t, bearer("n,,\x01auth="+auth+"\x01\x01")))
			if got := w.discovered("\x01"); got["status"] != "invalid_token" {
				t.Errorf("got %v", got)
			}
			w.expectFatal("28000")
			if d.core.refused.Load() != before+1 || len(d.core.logins) != logins {
				t.Errorf("the core heard of %d refusals and %d log-ins", d.core.refused.Load()-before, len(d.core.logins)-logins)
			}
		})
	}
	if strings.Contains(d.logs.String(), token) {
		t.Error("a token is in the log")
	}
}

func TestMalformedTokenMessages(t *testing.T) {
	p := newTokens(t)
	d := identified(t, p)
	auth := "auth=Bearer " + p.tokens[testUser] + "\x01"
	for name, c := range map[string]struct{ msg, code string }{
		"empty":                     {"", "08P01"},
		"channel_binding":           {"p=tls-server-end-point,,\x01" + auth + "\x01", "08P01"},
		"no_header":                 {"\x01" + auth + "\x01", "08P01"},
		"half_a_header":             {"n,\x01" + auth + "\x01", "08P01"},
		"authorization_identity":    {"n,a=bob,\x01" + auth + "\x01", "0A000"},
		"header_alone":              {"n,,", "08P01"},
		"no_separator":              {"n,," + auth + "\x01", "08P01"},
		"no_pair":                   {"n,,\x01\x01", "08P01"},
		"no_end":                    {"n,,\x01" + auth, "08P01"},
		"pair_without_end":          {"n,,\x01" + auth[:len(auth)-1], "08P01"},
		"two_tokens":                {"n,,\x01" + auth + auth + "\x01", "08P01"},
		"an_empty_one_and_a_token":  {"n,,\x01auth=\x01" + auth + "\x01", "08P01"},
		"bytes_behind_the_end":      {"n,,\x01" + auth + "\x01x", "08P01"},
		"another_end":               {"n,,\x01" + auth + "\x01\x01", "08P01"},
		"key_without_value":         {"n,,\x01host\x01" + auth + "\x01", "08P01"},
		"key_of_digits":             {"n,,\x01h0st=x\x01" + auth + "\x01", "08P01"},
		"value_without_key":         {"n,,\x01=x\x01" + auth + "\x01", "08P01"},
		"control_byte_in_the_token": {"n,,\x01auth=Bearer a\x02b\x01\x01", "08P01"},
		"nul_in_the_token":          {"n,,\x01auth=Bearer a\x00b\x01\x01", "08P01"},
		"nul_behind":                {"n,,\x01" + auth + "\x01\x00", "08P01"},
		"8_bits":                    {"n,,\x01auth=Bearer \xc3\xa4\x01\x01", "08P01"},
		"only_the_answer":           {"\x01", "08P01"},
	} {
		t.Run(name, func(t *testing.T) {
			w := d.secure(t, tls.Certificate{})
			w.startup(version30, nil)
			w.choose(mechanism, oauthMechanism).send(encode(t, bearer(c.msg)))
			w.expectFatal(c.code)
		})
	}
	for name, msg := range map[string][]byte{
		"too_long":                  {'p', 0, 1, 0, 4},
		"scram_as_long_as_a_token":  encode(t, &pgproto3.SASLInitialResponse{AuthMechanism: mechanism, Data: make([]byte, 2000)}),
		"no_length":                 []byte("p\x00\x00\x00\x10OAUTHBEARER\x00"),
		"length_below_none":         []byte("p\x00\x00\x00\x14OAUTHBEARER\x00\xff\xff\xff\xfe"),
		"none_with_bytes_behind":    []byte("p\x00\x00\x00\x15OAUTHBEARER\x00\xff\xff\xff\xffn"),
		"mechanism_of_another_case": encode(t, &pgproto3.SASLInitialResponse{AuthMechanism: "oauthbearer", Data: []byte("n,,\x01" + auth + "\x01")}),
	} {
		t.Run(name, func(t *testing.T) {
			w := d.secure(t, tls.Certificate{})
			w.startup(version30, nil)
			w.choose(mechanism, oauthMechanism).send(msg)
			w.expectFatal("08P01")
		})
	}
	t.Run("another_token_after_the_first", func(t *testing.T) {
		w := d.secure(t, tls.Certificate{})
		w.startup(version30, nil)
		w.choose(mechanism, oauthMechanism).send(encode(t, bearer("n,,\x01auth=\x01\x01")))
		w.discovered("n,,\x01" + auth + "\x01")
		w.expectFatal("08P01")
	})
	t.Run("scram_after_a_token", func(t *testing.T) {
		w := d.secure(t, tls.Certificate{})
		w.startup(version30, map[string]string{"options": "-c sallyport.provider=corp"})
		w.choose(oauthMechanism).send(encode(t, &pgproto3.SASLInitialResponse{AuthMechanism: mechanism, Data: []byte("n,,n=,r=abcdefgh")}))
		w.expectFatal("08P01")
	})
	if n := len(d.core.logins) + int(d.core.refused.Load()); n != 0 {
		t.Errorf("%d log-ins reached the core", n)
	}
}

// farAway is a connection whose client is another machine.
type farAway struct{ net.Conn }

func (farAway) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(203, 0, 113, 9), Port: 1} }

func TestTokensDoNotTravelInTheClear(t *testing.T) {
	core := newFakeCore()
	core.providers = []access.Provider{testProvider}
	srv := newServer(core, Options{})
	ours, theirs := net.Pipe()
	defer theirs.Close()
	defer ours.Close()
	c := newConn(srv, farAway{ours})
	defer c.cancel()
	c.startup = &startup{user: testUser}
	if o, err := c.offer(); err != nil || o.oauth || !o.scram {
		t.Errorf("offer %+v, %v", o, err)
	}
	c.startup.provider = testProvider.Name
	if o, err := c.offer(); err == nil || o.oauth || stateOf(access.AsError(err)) != "28000" {
		t.Errorf("offer %+v, %v", o, err)
	}
	c.io = tls.Server(ours, &tls.Config{})
	if o, err := c.offer(); err != nil || !o.oauth {
		t.Errorf("within TLS: offer %+v, %v", o, err)
	}
}
