package identity

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/identity/credential"
)

// issuing is a Store with what the gateway issues.
func issuing(t *testing.T, dir string, list ...access.LocalPrincipal) (*Store, *credential.Store) {
	t.Helper()
	c, err := credential.Open(credential.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	s, err := New(list)
	if err == nil {
		err = s.With(c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func issue(t *testing.T, s *Store, name string) credential.Issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	p := access.Principal{Name: name, Kind: access.Human, Groups: []string{"eng"}, Proof: access.Proof{Issuer: "https://idp.example", Token: hex.EncodeToString(sum[:]), Issued: time.Now(), Expires: time.Now().Add(time.Minute)}}
	got, err := s.Issue(p, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestSecretsStandInForPasswords(t *testing.T) {
	s, c := issuing(t, t.TempDir(), access.LocalPrincipal{Name: "ada", Kind: access.Human, Secret: HashPassword(password)})
	a, b := issue(t, s, "https://idp#eve"), issue(t, s, "https://idp#eve")
	for _, secret := range []string{a.Secret, b.Secret} {
		x, _, err := converse(t, s, "https://idp#eve", secret)
		if err != nil {
			t.Fatal(err)
		}
		p, err := s.Verify(context.Background(), x)
		if err != nil || p.Name != "https://idp#eve" || p.Proof.Method != access.BySecret || p.Proof.Expires.IsZero() {
			t.Errorf("%+v, %v", p, err)
		}
		if p, err := s.Verify(context.Background(), access.Password{User: "https://idp#eve", Secret: secret}); err != nil || p.Groups[0] != "eng" {
			t.Errorf("%+v, %v", p, err)
		}
		if _, _, err := converse(t, s, "ada", secret); code(err) != "28P01" {
			t.Errorf("somebody else's secret: %v", err)
		}
	}
	if a.Secret == b.Secret {
		t.Error("two secrets are one")
	}
	x, _, err := converse(t, s, "https://idp#eve", a.Secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Revoke(access.Revocation{Credential: a.ID, Cause: "logged out"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Verify(context.Background(), x); code(err) != "28000" {
		t.Errorf("withdrawn between proof and use: %v", err)
	}
	if _, _, err := converse(t, s, "https://idp#eve", a.Secret); code(err) != "28P01" {
		t.Errorf("withdrawn: %v", err)
	}
	if _, _, err := converse(t, s, "https://idp#eve", b.Secret); err != nil {
		t.Errorf("the other: %v", err)
	}
	if x, _, err := converse(t, s, "ada", password); err != nil {
		t.Error(err)
	} else if p, err := s.Verify(context.Background(), x); err != nil || p.Proof.Method != access.ByPassword || time.Since(p.Proof.Issued) > time.Minute {
		t.Errorf("%+v, %v", p, err)
	}
}

// What a client is shown before it proves anything is the same for a name before it has a secret, while it has some, after
// they are gone, after a restart, and with another configuration.
func TestSecretsDoNotShow(t *testing.T) {
	dir := t.TempDir()
	s, c := issuing(t, dir, access.LocalPrincipal{Name: "ada", Kind: access.Human, Secret: HashPassword(password)})
	shown := func(s *Store, name string) string {
		_, first, err := converse(t, s, name, "wrong")
		if code(err) != "28P01" {
			t.Fatal(err)
		}
		return first[strings.Index(first, ","):]
	}
	before, mock := shown(s, "eve"), shown(s, "mallory")
	got := issue(t, s, "eve")
	if now := shown(s, "eve"); now != before {
		t.Errorf("%s, and with a secret %s", before, now)
	}
	n := len(s.candidates("mallory"))
	if len(s.candidates("eve")) != n || len(s.candidates("ada")) != n || n != credential.Most {
		t.Error("some names take more work than others")
	}
	if err := c.Revoke(access.Revocation{Credential: got.ID, Cause: "x"}); err != nil {
		t.Fatal(err)
	}
	if now := shown(s, "eve"); now != before {
		t.Errorf("%s, and after a secret %s", before, now)
	}
	c.Close()
	s, _ = issuing(t, dir, access.LocalPrincipal{Name: "bob", Kind: access.Human, Secret: HashPassword("x")})
	if shown(s, "eve") != before || shown(s, "mallory") != mock {
		t.Error("a restart with other principals tells mock salts from real ones")
	}
}

func TestWithdrawnTokensOfTheConfiguration(t *testing.T) {
	old, oldHash := NewToken()
	fresh, freshHash := NewToken()
	dir := t.TempDir()
	s, c := issuing(t, dir, access.LocalPrincipal{Name: "bot", Kind: access.Agent, Tokens: []access.LocalToken{{SHA256: oldHash}}})
	p, err := s.Verify(context.Background(), access.Bearer(old))
	if err != nil || p.Proof.Method != access.ByToken || p.Proof.Token != oldHash || p.Proof.Issued.IsZero() {
		t.Fatalf("%+v, %v", p, err)
	}
	if err := c.Revoke(access.Revocation{Principal: "bot", Before: time.Now(), Cause: "lost"}); err != nil {
		t.Fatal(err)
	}
	c.Close()
	s, _ = issuing(t, dir, access.LocalPrincipal{Name: "bot", Kind: access.Agent, Tokens: []access.LocalToken{{SHA256: oldHash}, {SHA256: freshHash}}})
	if _, err := s.Verify(context.Background(), access.Bearer(old)); err == nil || !strings.Contains(err.Error(), "lost") {
		t.Errorf("withdrawn, after a restart: %v", err)
	}
	if _, err := s.Verify(context.Background(), access.Bearer(fresh)); err != nil {
		t.Errorf("made after that: %v", err)
	}
}

func TestWhatAReloadChanges(t *testing.T) {
	tok, hash := NewToken()
	verifier := HashPassword(password)
	base := access.LocalPrincipal{Name: "ada", Kind: access.Human, Groups: []string{"a"}, Attributes: map[string]string{"t": "1"}, Secret: verifier, Tokens: []access.LocalToken{{SHA256: hash}}}
	with := func(f func(*access.LocalPrincipal)) access.LocalPrincipal { p := base; f(&p); return p }
	before, err := New([]access.LocalPrincipal{base})
	if err != nil {
		t.Fatal(err)
	}
	byPassword, err := before.Verify(context.Background(), access.Password{User: "ada", Secret: password})
	if err != nil {
		t.Fatal(err)
	}
	byToken, err := before.Verify(context.Background(), access.Bearer(tok))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		list            []access.LocalPrincipal
		password, token bool
	}{
		"nothing":        {[]access.LocalPrincipal{base}, true, true},
		"gone":           {nil, false, false},
		"groups":         {[]access.LocalPrincipal{with(func(p *access.LocalPrincipal) { p.Groups = []string{"a", "b"} })}, false, false},
		"attributes":     {[]access.LocalPrincipal{with(func(p *access.LocalPrincipal) { p.Attributes = nil })}, false, false},
		"kind":           {[]access.LocalPrincipal{with(func(p *access.LocalPrincipal) { p.Kind = access.Agent })}, false, false},
		"other_password": {[]access.LocalPrincipal{with(func(p *access.LocalPrincipal) { p.Secret = HashPassword(password) })}, false, true},
		"no_password":    {[]access.LocalPrincipal{with(func(p *access.LocalPrincipal) { p.Secret = "" })}, false, true},
		"other_token":    {[]access.LocalPrincipal{with(func(p *access.LocalPrincipal) { p.Tokens = nil })}, true, false},
		"token_ends": {[]access.LocalPrincipal{with(func(p *access.LocalPrincipal) {
			p.Tokens = []access.LocalToken{{SHA256: hash, Expires: "2099-01-01T00:00:00Z"}}
		})}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			now, err := New(c.list)
			if err != nil {
				t.Fatal(err)
			}
			if got := now.Holds(byPassword); got != c.password {
				t.Errorf("by password: %v", got)
			}
			if got := now.Holds(byToken); got != c.token {
				t.Errorf("by token: %v", got)
			}
		})
	}
}

// Who logged in by a provider before the configuration declared somebody of that name is not that principal.
func TestNamesThatTheConfigurationTakesLater(t *testing.T) {
	dir := t.TempDir()
	s, c := issuing(t, dir)
	got := issue(t, s, "grace")
	var chain [][]byte
	for block, rest := pem.Decode(got.Certificate); block != nil; block, rest = pem.Decode(rest) {
		chain = append(chain, block.Bytes)
	}
	was, err := s.Verify(context.Background(), access.Certificate{User: "grace", Chain: chain})
	if err != nil || was.Name != "grace" {
		t.Fatalf("%+v, %v", was, err)
	}
	for _, name := range []string{"grace", "Grace"} {
		now, err := New([]access.LocalPrincipal{{Name: name, Kind: access.Human}}) // one without a password of their own
		if err == nil {
			err = now.With(c)
		}
		if err != nil {
			t.Fatal(err)
		}
		if p, err := now.Verify(context.Background(), access.Certificate{User: "grace", Chain: chain}); err == nil {
			t.Errorf("%s, by certificate: %+v", name, p)
		}
		if p, err := now.Verify(context.Background(), access.Password{User: "grace", Secret: got.Secret}); err == nil {
			t.Errorf("%s, by secret: %+v", name, p)
		}
		if now.Holds(was) {
			t.Errorf("%s: a session goes on", name)
		}
	}
}
