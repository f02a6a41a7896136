package oidc

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/testidp"
	"sallyport/internal/testidp/forge"
)

var ctx = context.Background()

func TestWithdrawnKeyStopsVerifyingWithinRefresh(t *testing.T) {
	b := newBench(t)
	b.idp.Lifetime(24 * time.Hour)
	old := b.idp.Key()
	token := b.idp.AccessToken(door)
	b.good(token)
	b.idp.SetKeys(newKey(t, "ES256")) // old is withdrawn, and nobody is told
	b.pass(defaultRefresh - time.Second)
	b.ps.Access(ctx, token) // may be taken still, and has the keys fetched ahead
	b.ps.list[0].keys.wait.Wait()
	b.pass(time.Second)
	_, err := b.ps.Access(ctx, token)
	failed(t, err, Signature)
	b.good(b.idp.AccessToken(door))

	// Without anything that asks before, too.
	b.idp.SetKeys(old)
	b.pass(defaultRefresh)
	b.good(token)
	b.idp.SetKeys(newKey(t, "ES256"))
	b.pass(defaultRefresh)
	_, err = b.ps.Access(ctx, token)
	failed(t, err, Signature)
}

func TestFloodOfUnknownKeys(t *testing.T) {
	b := newBench(t)
	b.good(b.idp.AccessToken(door))
	const n, lanes = 10_000, 8
	start := b.idp.Fetches()
	var wg sync.WaitGroup
	for lane := range lanes {
		wg.Go(func() {
			for i := range n / lanes {
				raw := b.idp.AccessToken(door)
				_, rest, _ := strings.Cut(raw, ".")
				raw = b64(fmt.Sprintf(`{"alg":"ES256","typ":"at+jwt","kid":"x-%d-%d"}`, lane, i)) + "." + rest
				if _, err := b.ps.Access(ctx, raw); err == nil {
					t.Error("taken")
					return
				}
			}
		})
	}
	wg.Wait()
	if got := b.idp.Fetches(); start != 1 || got > 2 {
		t.Fatalf("%d fetches within a minute for %d tokens with unknown key ids", got, n)
	}
	b.good(b.idp.AccessToken(door)) // nobody else suffers
	b.idp.SetKeys(newKey(t, "ES256"), b.idp.Key())
	b.pass(fetchWindow)
	b.good(b.idp.AccessToken(door)) // and a new key is found within the minute
	if got := b.idp.Fetches(); got > 4 {
		t.Errorf("%d fetches in two minutes", got)
	}
	if len(b.ps.list[0].keys.unknown) > maxUnknown {
		t.Error("unknown key ids are remembered without end")
	}
}

// An id that the provider does not publish is asked for once, not twice a minute for ever.
func TestUnknownKeyIsRemembered(t *testing.T) {
	b := newBench(t)
	b.good(b.idp.AccessToken(door))
	bad := forge.Mint(b.idp, b.idp.AccessClaims(door), forge.Shape{Header: claims{"typ": "at+jwt", "kid": "gone"}})
	for range 5 {
		_, err := b.ps.Access(ctx, bad)
		failed(t, err, Signature)
		b.pass(fetchWindow)
	}
	if got := b.idp.Fetches(); got != 2 {
		t.Errorf("%d fetches", got)
	}
}

func TestNewKeyIsFoundAtOnce(t *testing.T) {
	b := newBench(t)
	b.good(b.idp.AccessToken(door))
	b.idp.SetKeys(newKey(t, "EdDSA"), b.idp.Key())
	b.good(b.idp.AccessToken(door))
}

func TestProviderDown(t *testing.T) {
	b := newBench(t)
	b.idp.Lifetime(24 * time.Hour)
	b.idp.Down(true) // from the start: Open has not minded
	token := b.idp.AccessToken(door)
	for range 10 {
		_, err := b.ps.Access(ctx, token)
		failed(t, err, Keys)
	}
	if !strings.Contains(b.log.String(), "503") {
		t.Errorf("the operator is told %q", b.log)
	}
	b.idp.Down(false)
	b.pass(fetchWindow)
	b.good(token)
	b.idp.Down(true)
	b.pass(defaultRefresh + Grace)
	b.good(token) // what is known verifies for a while longer
	b.pass(time.Second)
	for range 10 {
		_, err := b.ps.Access(ctx, token)
		failed(t, err, Keys) // and then nothing does
	}
	b.idp.Down(false)
	b.pass(fetchWindow)
	b.good(token)
}

func TestManyAtOnceFetchOnce(t *testing.T) {
	b := newBench(t)
	raw := b.idp.AccessToken(door)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := b.ps.Access(ctx, raw); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := b.idp.Fetches(); got != 1 {
		t.Errorf("%d fetches", got)
	}
}

func TestWhichKeysAreTaken(t *testing.T) {
	rsaKey := func(bits int) *testidp.Key {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		return &testidp.Key{ID: "rsa", Alg: "RS256", Signer: k}
	}
	with := func(k *testidp.Key, jwk claims) *testidp.Key { k.JWK = jwk; return k }
	ec := func(jwk claims) []*testidp.Key { return []*testidp.Key{with(newKey(t, "ES256"), jwk)} }
	one, two := newKey(t, "ES256"), newKey(t, "ES256")
	two.ID = one.ID
	for name, c := range map[string]struct {
		keys []*testidp.Key
		ok   bool
	}{
		"ec":                    {ec(nil), true},
		"ed25519":               {[]*testidp.Key{newKey(t, "EdDSA")}, true},
		"rsa_2048":              {[]*testidp.Key{rsaKey(2048)}, true},
		"rsa_1024":              {[]*testidp.Key{rsaKey(1024)}, false},
		"rsa_for_pss_only":      {[]*testidp.Key{with(rsaKey(2048), claims{"alg": "PS256"})}, false},
		"for_encryption":        {ec(claims{"use": "enc"}), false},
		"use_unknown":           {ec(claims{"use": "SIG"}), false},
		"use_absent":            {ec(claims{"use": nil}), true},
		"alg_absent":            {ec(claims{"alg": nil}), true},
		"alg_of_another":        {ec(claims{"alg": "ES384"}), false},
		"operations_of_another": {ec(claims{"key_ops": []string{"encrypt"}}), false},
		"operations":            {ec(claims{"key_ops": []string{"verify"}}), true},
		"private":               {ec(claims{"d": b64("0123456789abcdef0123456789abcdef")}), false},
		"symmetric":             {ec(claims{"kty": "oct", "k": "AAAA"}), false},
		"kty_unknown_beside":    {append(ec(nil), ec(claims{"kty": "PQ"})...), true},
		"same_id_first":         {[]*testidp.Key{one, two}, true},
		"same_id_second":        {[]*testidp.Key{two, one}, true},
		"id_absent_on_both":     {[]*testidp.Key{with(&testidp.Key{Alg: "ES256", Signer: newKey(t, "ES256").Signer}, claims{"kid": nil})}, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.idp.SetKeys(c.keys...)
			_, err := b.ps.Access(ctx, b.idp.AccessToken(door))
			if c.ok && err != nil {
				t.Error(err)
			} else if !c.ok {
				failed(t, err, Signature)
			}
		})
	}
}

func TestHostileProvider(t *testing.T) {
	write := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(body)) }
	}
	for name, edit := range map[string]func(*testidp.Provider){
		"issuer_of_another": func(p *testidp.Provider) { p.Discover("issuer", "https://evil.example") },
		"issuer_with_slash": func(p *testidp.Provider) { p.Discover("issuer", p.Issuer+"/") },
		"keys_without_tls":  func(p *testidp.Provider) { p.Discover("jwks_uri", "http://keys.example/jwks") },
		"keys_in_a_file":    func(p *testidp.Provider) { p.Discover("jwks_uri", "file:///etc/passwd") },
		"no_place_of_keys":  func(p *testidp.Provider) { p.Discover("jwks_uri", nil) },
		"discovery_endless": func(p *testidp.Provider) {
			p.Handle("/.well-known/openid-configuration", write(strings.Repeat(" ", maxBody+1)+"{}"))
		},
		"keys_endless":  func(p *testidp.Provider) { p.Handle("/jwks", write(strings.Repeat(" ", maxBody+1)+`{"keys":[]}`)) },
		"keys_too_many": func(p *testidp.Provider) { p.Handle("/jwks", write(`{"keys":[`+strings.Repeat("{},", maxKeys)+`{}]}`)) },
		"keys_no_json":  func(p *testidp.Provider) { p.Handle("/jwks", write("<html>")) },
		"keys_null":     func(p *testidp.Provider) { p.Handle("/jwks", write("null")) },
		"keys_moved": func(p *testidp.Provider) {
			p.Handle("/jwks", http.RedirectHandler("/other", http.StatusFound).ServeHTTP)
		},
		"discovery_moved": func(p *testidp.Provider) {
			p.Handle("/.well-known/openid-configuration", http.RedirectHandler("/other", http.StatusFound).ServeHTTP)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			edit(b.idp)
			_, err := b.ps.Access(ctx, b.idp.AccessToken(door))
			failed(t, err, Keys)
		})
	}
}

// What hangs does not hold whoever logs in for longer than they wait.
func TestSlowProvider(t *testing.T) {
	b := newBench(t)
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	b.idp.Handle("/jwks", func(http.ResponseWriter, *http.Request) { <-hold })
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err := b.ps.Access(short, b.idp.AccessToken(door))
	failed(t, err, Keys)
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("%s", took)
	}
}

func TestTLSIsChecked(t *testing.T) {
	idp := testidp.NewTLS(t)
	b := &bench{T: t, idp: idp, clock: &clock{at: time.Now()}}
	b.log = newBench(t).log
	b.open(conf(idp))
	_, err := b.ps.Access(ctx, idp.AccessToken(door))
	failed(t, err, Keys)
	c := conf(idp)
	c.CAFile = t.TempDir() + "/ca.pem"
	writeFile(t, c.CAFile, idp.CA())
	b.open(c)
	b.good(idp.AccessToken(door))
}

func TestWhatOpenRefuses(t *testing.T) {
	good := access.Provider{Name: "corp", Issuer: "https://id.example.com", ClientID: "sallyport"}
	if ps, err := Open(Options{Providers: []access.Provider{good}, Audience: door}); err != nil || ps.list[0].Name != "corp" {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*access.Provider){
		"is not an https URL":     func(p *access.Provider) { p.Issuer = "http://id.example.com" },
		"no client_id":            func(p *access.Provider) { p.ClientID = "" },
		"client's id":             func(p *access.Provider) { p.Audiences = []string{"sallyport"} },
		"is not possible":         func(p *access.Provider) { p.Skew = time.Hour },
		"cannot be fetched every": func(p *access.Provider) { p.Refresh = time.Second },
		`signatures by "HS256"`:   func(p *access.Provider) { p.Algorithms = []string{"HS256"} },
		`signatures by "none"`:    func(p *access.Provider) { p.Algorithms = []string{"none"} },
		"user claim":              func(p *access.Provider) { p.UserClaim = "a..b" },
		"groups claim":            func(p *access.Provider) { p.GroupsClaim = `"a` },
		"attribute x":             func(p *access.Provider) { p.Attributes = map[string]string{"x": "https://x"} },
		"ca_file":                 func(p *access.Provider) { p.CAFile = "/nowhere/ca.pem" },
	} {
		p := good
		edit(&p)
		if _, err := Open(Options{Providers: []access.Provider{p}}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, edit := range map[string]func(*access.Provider){
		"name is given twice": func(p *access.Provider) { p.Issuer, p.Prefix = "https://b.example", "b." },
		"has the issuer of":   func(p *access.Provider) { p.Name, p.Prefix = "b", "b." },
		"has the prefix of":   func(p *access.Provider) { p.Name, p.Issuer = "b", "https://b.example" },
	} {
		p := good
		edit(&p)
		if _, err := Open(Options{Providers: []access.Provider{good, p}}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Two prefixes that differ in case name people whom a person, approvals and the names of the configuration take for one.
func TestPrefixesThatDifferInCase(t *testing.T) {
	open := func(other string) error {
		ps, err := Open(Options{Providers: []access.Provider{{Name: "corp", Issuer: "https://corp.example", ClientID: "a", Prefix: "corp-"},
			{Name: "partner", Issuer: "https://partner.example", ClientID: "b", Prefix: other}}})
		if err == nil {
			ps.Close()
		}
		return err
	}
	if err := open("Corp-"); err == nil || !strings.Contains(err.Error(), `has the prefix of "corp"`) {
		t.Error(err)
	}
	if err := open("corps-"); err != nil {
		t.Error(err)
	}
}
