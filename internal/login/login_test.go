package login

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/testgate"
	"sallyport/internal/testidp"
	"sallyport/internal/testidp/forge"
)

func no() *bool  { b := false; return &b }
func yes() *bool { b := true; return &b }

func profile(t *testing.T, gateway string) *Profile {
	t.Helper()
	p, err := Open(filepath.Join(t.TempDir(), "sallyport"), gateway)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// browser goes where it is sent, as a browser of somebody who agrees to everything; change may tamper with the way back.
func browser(t *testing.T, change func(*url.URL)) func(string) error {
	return func(address string) error {
		go func() {
			c := &http.Client{CheckRedirect: func(r *http.Request, _ []*http.Request) error {
				if strings.HasPrefix(r.URL.Path, "/callback/") && change != nil {
					change(r.URL)
				}
				return nil
			}}
			resp, err := c.Get(address)
			if err != nil {
				return // the log-in has ended before its page was read
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}()
		return nil
	}
}

func TestBrowser(t *testing.T) {
	f := testgate.New(t)
	p := profile(t, f.URL)
	var out bytes.Buffer
	c, err := Ensure(t.Context(), p, Options{Browse: browser(t, nil), Headless: no(), Out: &out})
	if err != nil {
		t.Fatal(err)
	}
	if c.Principal != "ada" || c.Secret != "secret1" || !c.Certified || len(f.Nonces) != 1 || f.Nonces[0] == "" {
		t.Errorf("got %+v, nonces %q", c, f.Nonces)
	}
	if c.Refresh != "" {
		t.Error("a refresh token is kept that nobody asked for")
	}
	if _, err := tls.LoadX509KeyPair(p.Cert(), p.Key()); err != nil {
		t.Errorf("key and certificate: %v", err)
	}
	if !strings.Contains(out.String(), "/authorize?") {
		t.Errorf("the address is not printed: %s", &out)
	}
	entries, _ := os.ReadDir(p.Dir)
	for _, e := range entries {
		if info, _ := e.Info(); info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
	}
	if now, err := Current(p.root); err != nil || now != f.URL {
		t.Errorf("current gateway %q, %v", now, err)
	}

	again, err := Ensure(t.Context(), p, Options{Headless: no(), Browse: func(string) error { t.Error("the browser is opened although the log-in holds"); return nil }})
	if err != nil || again.ID != c.ID {
		t.Errorf("second time: %v, %v", again, err)
	}
	fresh, err := Ensure(t.Context(), p, Options{Fresh: true, Browse: browser(t, nil), Headless: no()})
	if err != nil || fresh.ID != "c2" || f.Nonces[1] == f.Nonces[0] {
		t.Errorf("--fresh: %v, %v, nonces %q: the key has to be another", fresh, err, f.Nonces)
	}
}

func TestWayBackIsChecked(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*url.URL)
		user   *testidp.User
		want   string
	}{
		"another_log_in_state":    {change: set("state", "x"), want: "nobody came back"},
		"another_provider":        {change: set("iss", "https://evil.example"), want: "nobody came back"},
		"no_provider_where_said":  {change: set("iss", ""), want: "nobody came back"},
		"made_up_code":            {change: set("code", "x"), want: "no longer knows this log-in"},
		"consent_denied":          {user: &testidp.User{}, want: "denied"},
		"text_of_others_is_inert": {change: func(u *url.URL) { set("error", "access_denied")(u); set("error_description", "\x1b[2Jgone")(u) }, want: `\x1b[2Jgone`},
	} {
		t.Run(name, func(t *testing.T) {
			f := testgate.New(t)
			if tc.user != nil {
				f.IDP.Login(nil)
			}
			patience := 30 * time.Second
			if tc.want == "nobody came back" {
				patience = 300 * time.Millisecond
			}
			_, err := Ensure(t.Context(), profile(t, f.URL), Options{Browse: browser(t, tc.change), Headless: no(), Patience: patience})
			var e *access.Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), tc.want) || e.Hint == "" || strings.Contains(err.Error(), "\x1b") {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if f.Issued != 0 {
				t.Error("a credential was issued")
			}
		})
	}
}

func set(name, value string) func(*url.URL) {
	return func(u *url.URL) {
		q := u.Query()
		if q.Set(name, value); value == "" {
			q.Del(name)
		}
		u.RawQuery = q.Encode()
	}
}

// A request that is not the answer must not end the log-in: any open page can send one.
func TestStrayRequestsEndNothing(t *testing.T) {
	f := testgate.New(t)
	good := browser(t, nil)
	_, err := Ensure(t.Context(), profile(t, f.URL), Options{Headless: no(), Browse: func(address string) error {
		u, _ := url.Parse(address)
		back := u.Query().Get("redirect_uri")
		if b, _ := url.Parse(back); b.Hostname() != "127.0.0.1" || b.Port() == "" || u.Query().Get("code_challenge_method") != "S256" {
			t.Errorf("authorization request %s", u)
		}
		for _, q := range []string{"?state=wrong&code=x", "?error=access_denied", "/../x"} {
			resp, err := http.Get(back + q)
			if err != nil {
				t.Error(err)
				continue
			}
			if resp.StatusCode < 400 || resp.Header.Get("Content-Security-Policy") == "" {
				t.Errorf("%s: %s", q, resp.Status)
			}
			resp.Body.Close()
		}
		req, _ := http.NewRequest("GET", back+"?state="+u.Query().Get("state")+"&code=x", nil)
		req.Host = "evil.example"
		if resp, err := http.DefaultClient.Do(req); err == nil && resp.StatusCode != 404 {
			t.Errorf("another host's name is answered: %s", resp.Status)
		}
		return good(address)
	}})
	if err != nil {
		t.Error(err)
	}
}

func TestTokensAreChecked(t *testing.T) {
	other, err := testidp.NewKey("ES256")
	if err != nil {
		t.Fatal(err)
	}
	for name, claims := range map[string]map[string]any{
		"issuer": {"iss": "https://evil.example"}, "audience": {"aud": "another"}, "nonce": {"nonce": "another"}, "no_nonce": {"nonce": nil}, "expired": {"exp": 1},
		"at_hash": {"at_hash": "AAAA"}, "key": nil,
	} {
		t.Run(name, func(t *testing.T) {
			f := testgate.New(t)
			var nonce string
			f.IDP.Handle("/token", func(w http.ResponseWriter, r *http.Request) {
				var shapes []forge.Shape
				if name == "key" {
					shapes = append(shapes, forge.Shape{Key: other})
				}
				c := f.IDP.IDClaims(nonce)
				for k, v := range claims {
					if c[k] = v; v == nil {
						delete(c, k)
					}
				}
				testgate.Say(w, 200, map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": forge.Mint(f.IDP, c, shapes...)})
			})
			visit := browser(t, nil)
			_, err := Ensure(t.Context(), profile(t, f.URL), Options{Headless: no(), Browse: func(address string) error {
				u, _ := url.Parse(address)
				nonce = u.Query().Get("nonce")
				return visit(address)
			}})
			if err == nil || !strings.Contains(err.Error(), "is not sound") || f.Issued != 0 {
				t.Errorf("got %v, %d issued", err, f.Issued)
			}
		})
	}
}

func TestDevice(t *testing.T) {
	f := testgate.New(t)
	var out bytes.Buffer
	c, err := Ensure(t.Context(), profile(t, f.URL), Options{Headless: yes(), Out: &out, Browse: func(string) error { t.Error("a browser is opened"); return nil }})
	if err != nil || c.Principal != "ada" || f.Nonces[0] != "" {
		t.Errorf("%v, %v, nonces %q", c, err, f.Nonces)
	}
	if !strings.Contains(out.String(), "/activate") {
		t.Errorf("address and code are not shown: %s", &out)
	}
}

func TestDeviceRefused(t *testing.T) {
	for code, want := range map[string]string{"access_denied": "was denied", "expired_token": "has expired", "unauthorized_client": "does not take the client"} {
		f := testgate.New(t)
		slow := 0
		f.IDP.Handle("/token", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(400)
			answer := code
			if slow++; slow == 1 {
				answer = "authorization_pending"
			}
			w.Write([]byte(`{"error":"` + answer + `"}`))
		})
		_, err := Ensure(t.Context(), profile(t, f.URL), Options{Device: true, Headless: no()})
		if err == nil || !strings.Contains(err.Error(), want) || slow != 2 {
			t.Errorf("%s: %v after %d", code, err, slow)
		}
	}
	f := testgate.New(t)
	f.IDP.Discover("device_authorization_endpoint", nil)
	if _, err := Ensure(t.Context(), profile(t, f.URL), Options{Device: true, Headless: no()}); err == nil || !strings.Contains(err.Error(), "no log-in with a code") {
		t.Errorf("without an endpoint: %v", err)
	}
}

func TestStay(t *testing.T) {
	f := testgate.New(t)
	p := profile(t, f.URL)
	first, err := Ensure(t.Context(), p, Options{Stay: true, Browse: browser(t, nil), Headless: no()})
	if err != nil || first.Refresh == "" {
		t.Fatalf("%+v, %v", first, err)
	}
	key, _ := os.ReadFile(p.Key())
	at := func() time.Time { return time.Now().Add(50 * time.Minute) } // less than a quarter is left
	alone := Options{Headless: no(), Now: at, Browse: func(string) error { t.Error("a person is asked"); return nil }}
	f.Lifetime = 2 * time.Hour
	second, err := Ensure(t.Context(), p, alone)
	if err != nil || second.ID != "c2" || second.Refresh == "" || second.Refresh == first.Refresh {
		t.Fatalf("renewed: %+v, %v", second, err)
	}
	if now, _ := os.ReadFile(p.Key()); !bytes.Equal(now, key) {
		t.Error("the key to which the log-in is bound has changed")
	}
	// The provider is down, and what is there holds for a while: it is used.
	f.IDP.Down(true)
	alone.Now = func() time.Time { return time.Now().Add(119*time.Minute - 30*time.Second) }
	if third, err := Ensure(t.Context(), p, alone); err != nil || third.ID != "c2" {
		t.Errorf("%+v, %v", third, err)
	}
	// It has ended: a person has to log in, which cannot be now.
	alone.Now = func() time.Time { return time.Now().Add(3 * time.Hour) }
	if _, err := Ensure(t.Context(), p, alone); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("provider down: %v", err)
	}
}

func TestTwoLogIns(t *testing.T) {
	f := testgate.New(t)
	p := profile(t, f.URL)
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if _, err := Ensure(context.Background(), p, Options{Browse: browser(t, nil), Headless: no()}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if f.Issued != 1 {
		t.Errorf("%d log-ins, want 1", f.Issued)
	}
}

func TestFolderOfOthersIsRefused(t *testing.T) {
	f := testgate.New(t)
	p := profile(t, f.URL)
	if _, err := Ensure(t.Context(), p, Options{Browse: browser(t, nil), Headless: no()}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{p.root, p.Dir, p.Key(), filepath.Join(p.Dir, credentialFile)} {
		info, _ := os.Stat(path)
		os.Chmod(path, info.Mode()|0o040)
		_, err := Open(p.root, f.URL)
		if err == nil {
			_, err = p.Load()
		}
		if err == nil || !strings.Contains(err.Error(), path+" can be read by others") {
			t.Errorf("%s: %v", path, err)
		}
		os.Chmod(path, info.Mode())
	}
}

func TestGatewayTrouble(t *testing.T) {
	try := func(t *testing.T, url string, o Options) error {
		p, err := Open(filepath.Join(t.TempDir(), "s"), url)
		if err == nil {
			o.Headless = no()
			if o.Browse == nil {
				o.Browse = browser(t, nil)
			}
			_, err = Ensure(t.Context(), p, o)
		}
		return err
	}
	want := func(t *testing.T, err error, message, hint string) {
		t.Helper()
		var e *access.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), message) || !strings.Contains(e.Hint, hint) {
			t.Errorf("got %v (%+v), want %q and the hint %q", err, e, message, hint)
		}
	}
	f := testgate.New(t)
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	elsewhere := httptest.NewServer(http.RedirectHandler("https://evil.example/", http.StatusFound))
	defer elsewhere.Close()
	nothing := httptest.NewServer(http.NotFoundHandler())
	nothing.Close()
	want(t, try(t, "http://gateway.example.com", Options{}), "in the clear", "https")
	want(t, try(t, "gateway.example.com", Options{}), "is no address", "https://HOST")
	want(t, try(t, nothing.URL, Options{}), "does not answer", "is it right")
	want(t, try(t, secure.URL, Options{}), "does not know", "--ca-file")
	want(t, try(t, "https"+strings.TrimPrefix(f.URL, "http"), Options{}), "no TLS", "port")
	want(t, try(t, elsewhere.URL, Options{}), "redirect", "--gateway")
	want(t, try(t, f.IDP.Issuer, Options{}), "404", "--gateway")
	want(t, try(t, f.URL, Options{Provider: "none"}), "no provider none", "work")

	f.IDP.Down(true)
	want(t, try(t, f.URL, Options{}), "identity provider work", "does it run")
	f.IDP.Down(false)
	want(t, try(t, f.URL, Options{Now: func() time.Time { return time.Now().Add(3 * time.Hour) }}), "is not sound", "clock is 3h0m0s ahead of the gateway's")
	var out bytes.Buffer
	if err := try(t, f.URL, Options{Out: &out, Now: func() time.Time { return time.Now().Add(-3 * time.Hour) }}); err != nil || !strings.Contains(out.String(), "clock is 3h0m0s behind") {
		t.Errorf("clock behind: %v, %s", err, &out)
	}
	f.Offer["providers"] = []map[string]any{{"name": "work", "issuer": "http://idp.example.com", "client_id": "x"}}
	want(t, try(t, f.URL, Options{}), "is not https", "TLS")
	f.Offer["providers"] = []map[string]any{{"name": "work", "issuer": f.IDP.Issuer, "client_id": "x", "secret": true}}
	want(t, try(t, f.URL, Options{}), "no provider of this gateway lets a command log in", "login_client_id")
	f.Offer["providers"] = []map[string]any{}
	want(t, try(t, f.URL, Options{}), "no identity provider", "passwords of their own")
}

func TestHeadless(t *testing.T) {
	for _, tc := range []struct {
		system string
		env    map[string]string
		want   bool
	}{
		{"linux", nil, true}, {"linux", map[string]string{"DISPLAY": ":0"}, false}, {"linux", map[string]string{"WAYLAND_DISPLAY": "w"}, false},
		{"linux", map[string]string{"DISPLAY": ":0", "SSH_CONNECTION": "x"}, true}, {"darwin", nil, false}, {"darwin", map[string]string{"SSH_CONNECTION": "x"}, true},
	} {
		if got := headless(func(k string) string { return tc.env[k] }, tc.system); got != tc.want {
			t.Errorf("%s %v: %v", tc.system, tc.env, got)
		}
	}
}

// What is handed to a gateway is signed to be for it, so that it is of no use to it elsewhere.
func TestTheRequestSaysForWhichGateway(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, request, err := bind(key, "https://gate.example:8443")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(request)
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || csr.CheckSignature() != nil || len(csr.URIs) != 1 || csr.URIs[0].String() != "https://gate.example:8443" {
		t.Errorf("%v, %v", csr, err)
	}
}

func TestADemoIsFoundWhileItRuns(t *testing.T) {
	root := filepath.Join(t.TempDir(), "sallyport")
	const here, there = "http://127.0.0.1:1", "http://127.0.0.1:2"
	kept := func(gateway string) *Credential {
		p, err := Open(root, gateway)
		if err != nil {
			t.Fatal(err)
		}
		c, err := p.Load()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	keep := func(gateway string) {
		p, err := Open(root, gateway)
		if err == nil {
			err = p.save(&Credential{Gateway: p.Gateway}, []byte("key"), nil, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	is := func(what string, read func(string) (string, error), want string) {
		t.Helper()
		if got, err := read(root); got != want || err != nil {
			t.Errorf("%s: %q, %v; not %q", what, got, err, want)
		}
	}
	is("before", Announced, "")
	keep(there)
	keep(here) // of an earlier demo
	end, err := Announce(root, here+"/")
	if err != nil {
		t.Fatal(err)
	}
	is("announced", Announced, here)
	is("last", Current, "")
	if kept(here) != nil || kept(there) == nil {
		t.Error("not the log-ins of the earlier demo alone are gone")
	}
	keep(here)
	is("last", Current, here)
	second, err := Announce(root, there)
	if err != nil {
		t.Fatal(err)
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	is("the second", Announced, there)
	is("last", Current, "")
	if kept(here) != nil {
		t.Error("its log-ins are there after its end")
	}
	if err := second(); err != nil {
		t.Fatal(err)
	}
	is("after", Announced, "")
}
