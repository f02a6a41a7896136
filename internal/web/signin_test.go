package web

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
	"sallyport/internal/testidp"
	"sallyport/internal/testidp/forge"
)

// providerWorld is a world whose people also log in at a provider.
func providerWorld(t *testing.T) (*world, *testidp.Provider) {
	t.Helper()
	idp := testidp.New(t)
	return newWorld(t, func(c *gateway.Config, _ *Options) {
		c.Providers = []access.Provider{{Name: "corp", Issuer: idp.Issuer, ClientID: testidp.ClientID, UserClaim: "preferred_username", Prefix: "corp-", GroupsClaim: "groups"}}
	}), idp
}

// leave has a browser begin a log-in, and gives where it is sent.
func (b *browser) leave(next string) *url.URL {
	b.w.t.Helper()
	res, body := b.get("/auth/start?" + url.Values{"provider": {"corp"}, "next": {next}}.Encode())
	to, err := url.Parse(res.Header.Get("Location"))
	if res.StatusCode != http.StatusSeeOther || err != nil {
		b.w.t.Fatalf("%s %v %s", res.Status, err, body)
	}
	return to
}

// comeBack is what the provider sends the browser back to, without its going there.
func (b *browser) comeBack(to *url.URL) string {
	b.w.t.Helper()
	res, body := b.do(&http.Request{Method: "GET", URL: to, Header: http.Header{}})
	back, err := url.Parse(res.Header.Get("Location"))
	if err != nil || !strings.HasPrefix(back.Path, "/auth/callback") {
		b.w.t.Fatalf("%s %s", res.Status, body)
	}
	return back.RequestURI()
}

func TestLogInPageOffersProviders(t *testing.T) {
	w, _ := providerWorld(t)
	if _, body := w.browser().get("/login?next=/reviews"); !strings.Contains(body, "Log in with corp") || !strings.Contains(body, `name="password"`) {
		t.Errorf("%s", body)
	}
	to := w.browser().leave("/reviews").Query()
	if to.Get("redirect_uri") != w.srv.base+"/auth/callback" || to.Get("code_challenge_method") != "S256" || len(to.Get("state")) < 40 || len(to.Get("nonce")) < 40 || to.Get("state") == to.Get("nonce") {
		t.Errorf("%v", to)
	}
}

// Each ends before the provider is asked for a token: a code is worth something to the browser that began, in time, once.
func TestAnswersOfOthersAreRefused(t *testing.T) {
	w, idp := providerWorld(t)
	now := time.Now()
	w.srv.now = func() time.Time { return now }
	asked := func() (n int) {
		for _, r := range idp.Requests() {
			if r == "POST /token" {
				n++
			}
		}
		return n
	}
	refused := func(name string, b *browser, path string) {
		t.Helper()
		before := asked()
		res, body := b.get(path)
		if res.StatusCode != http.StatusBadRequest || asked() != before {
			t.Errorf("%s: %s, and the provider was asked for %d tokens: %.200s", name, res.Status, asked()-before, body)
		}
		for _, c := range res.Cookies() {
			if c.Name == w.srv.sessions.name {
				t.Errorf("%s: a session was begun", name)
			}
		}
	}
	mine, theirs := w.browser(), w.browser()
	attackers := theirs.comeBack(theirs.leave("/"))
	refused("log-in of another, in a browser that began none", w.browser(), attackers)
	mine.leave("/")
	refused("log-in of another, in a browser that began one", mine, attackers)
	refused("no state", mine, "/auth/callback?code=x")
	back := mine.comeBack(mine.leave("/"))
	now = now.Add(flowTime)
	refused("late", mine, back)
	now = now.Add(-flowTime)

	b := w.browser()
	back = b.comeBack(b.leave("/"))
	jar, _ := url.Parse(w.http.URL)
	sealed := b.c.Jar.Cookies(jar)
	bent := *sealed[0]
	bent.Value = "A" + bent.Value[1:]
	if bent.Value == sealed[0].Value {
		bent.Value = "B" + bent.Value[1:]
	}
	b.c.Jar.SetCookies(jar, []*http.Cookie{&bent})
	refused("changed seal", b, back)

	b.c.Jar.SetCookies(jar, sealed)
	b.get(strings.ReplaceAll(back, "code=", "code=forged"))
	b.c.Jar.SetCookies(jar, sealed) // an attacker who kept it
	refused("second time", b, back)
}

func TestAnswerOfAnotherProviderIsRefused(t *testing.T) {
	w, idp := providerWorld(t)
	for name, change := range map[string]func(url.Values){
		"other issuer": func(q url.Values) { q.Set("iss", "https://evil.example") },
		"no issuer":    func(q url.Values) { q.Del("iss") },
	} {
		b := w.browser()
		back, _ := url.Parse(b.comeBack(b.leave("/")))
		q := back.Query()
		change(q)
		if res, _ := b.get("/auth/callback?" + q.Encode()); res.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", name, res.Status)
		}
	}
	for _, r := range idp.Requests() {
		if r == "POST /token" {
			t.Error("the code was taken to the provider")
		}
	}
	b := w.browser()
	q := b.leave("/").Query()
	res, body := b.get("/auth/callback?" + url.Values{"state": {q.Get("state")}, "error": {"access_denied"}, "error_description": {"<b>\u202eno\x1b[31m"}}.Encode())
	if res.StatusCode != http.StatusUnauthorized || strings.ContainsAny(body, "\u202e\x1b") || strings.Contains(body, "<b>") || !strings.Contains(body, "access_denied") {
		t.Errorf("%s %s", res.Status, body)
	}
}

func TestFlowsLeadNowhereElse(t *testing.T) {
	w, _ := providerWorld(t)
	now := time.Now()
	for _, next := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "javascript:alert(1)", "/login", "/" + strings.Repeat("a", mostNext)} {
		b := w.browser()
		state := b.leave(next).Query().Get("state")
		jar, _ := url.Parse(w.http.URL)
		r := &http.Request{Header: http.Header{}}
		for _, c := range b.c.Jar.Cookies(jar) {
			r.AddCookie(c)
		}
		if f, err := w.srv.flows.open(r, state, now.Add(time.Second)); err != nil || f.Next != "/" {
			t.Errorf("%q leads to %+v, %v", next, f, err)
		}
	}
	req, _ := http.NewRequest("GET", w.http.URL+"/auth/start?provider=corp", nil)
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	if res, _ := w.browser().do(req); !strings.HasPrefix(res.Header.Get("Location"), "/login") || len(res.Cookies()) > 0 {
		t.Errorf("another site begins a log-in: %s to %s", res.Status, res.Header.Get("Location"))
	}
}

func TestForgedLogoutTokensAreRefused(t *testing.T) {
	w, idp := providerWorld(t)
	send := func(token string, change func(*http.Request)) *http.Response {
		req := w.browser().request("/auth/backchannel-logout", url.Values{"logout_token": {token}})
		if change != nil {
			change(req)
		}
		res, _ := w.browser().do(req)
		if res.Header.Get("Cache-Control") != "no-store" || len(res.Cookies()) > 0 {
			t.Errorf("%v", res.Header)
		}
		return res
	}
	key, err := testidp.NewKey("ES256")
	if err != nil {
		t.Fatal(err)
	}
	good, _ := testidp.Claims(idp.LogoutToken())
	for name, token := range map[string]string{
		"ID token": idp.IDToken("n"), "nonce": idp.LogoutToken(map[string]any{"nonce": "n"}), "other audience": idp.LogoutToken(map[string]any{"aud": "other"}),
		"no event": idp.LogoutToken(map[string]any{"events": nil}), "unsigned": forge.Mint(idp, good, forge.Shape{Alg: "none"}), "other key": forge.Mint(idp, good, forge.Shape{Key: key}),
		"empty": "", "long": strings.Repeat("a", mostLogoutToken+1), "nothing": "a.b.c",
	} {
		if res := send(token, nil); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %s", name, res.Status)
		}
	}
	if res := send(idp.LogoutToken(), func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }); res.StatusCode != http.StatusBadRequest {
		t.Errorf("from a page: %s", res.Status)
	}
}

// back has somebody at an address come back from a provider, in a browser that was sent there.
func (w *world) back(ctx context.Context, provider, address string, change func(url.Values)) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.browser().back(ctx, provider, address, change)
}

// back is world.back for a browser of somebody's.
func (b *browser) back(ctx context.Context, provider, address string, change func(url.Values)) *httptest.ResponseRecorder {
	w := b.w
	w.t.Helper()
	res, _ := b.get("/auth/start?" + url.Values{"provider": {provider}}.Encode())
	to, err := url.Parse(res.Header.Get("Location"))
	if err != nil {
		w.t.Fatal(err)
	}
	path, _ := url.Parse(b.comeBack(to))
	q := path.Query()
	if change != nil {
		change(q)
	}
	return b.from(ctx, address, path.Path+"?"+q.Encode())
}

// from has the browser get a page from an address, and keep the cookies that come.
func (b *browser) from(ctx context.Context, address, page string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", page, nil).WithContext(ctx)
	r.Host, r.RemoteAddr = "127.0.0.1", address
	jar, _ := url.Parse(b.w.http.URL)
	for _, c := range b.c.Jar.Cookies(jar) {
		r.AddCookie(c)
	}
	rec := httptest.NewRecorder()
	b.w.srv.Handler().ServeHTTP(rec, r)
	b.c.Jar.SetCookies(jar, rec.Result().Cookies())
	return rec
}

func TestASlowProviderHoldsUpItsOwnPeople(t *testing.T) {
	slow, quick := testidp.New(t), testidp.New(t)
	w := newWorld(t, func(c *gateway.Config, _ *Options) {
		c.Providers = []access.Provider{{Name: "slow", Issuer: slow.Issuer, ClientID: testidp.ClientID, Prefix: "slow-"}, {Name: "quick", Issuer: quick.Issuer, ClientID: testidp.ClientID, Prefix: "quick-"}}
	})
	var stuck atomic.Int32
	free := make(chan struct{})
	slow.Handle("/token", func(http.ResponseWriter, *http.Request) { stuck.Add(1); <-free })
	ctx, cancel := context.WithCancel(context.Background())
	var waiting sync.WaitGroup
	defer waiting.Wait()
	defer close(free)
	defer cancel()
	for i := range 2 * loginsAtOnce {
		waiting.Go(func() { w.back(ctx, "slow", fmt.Sprintf("10.0.0.%d:1", i), nil) })
	}
	for end := time.Now().Add(20 * time.Second); stuck.Load() < loginsAtOnce; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d wait for the provider", stuck.Load())
		}
	}
	hurry, stop := context.WithTimeout(context.Background(), 30*time.Second)
	defer stop()
	rec := w.back(hurry, "quick", "10.0.1.1:1", nil)
	if !slices.ContainsFunc(rec.Result().Cookies(), func(c *http.Cookie) bool { return c.Name == w.srv.sessions.name && c.Value != "" }) {
		t.Errorf("people of another provider cannot log in: %d %s", rec.Code, rec.Body)
	}
}

// What was used has to be kept for a while: whoever makes up log-ins cannot fill the place for it.
func TestMadeUpLogInsUseUpNothing(t *testing.T) {
	w, _ := providerWorld(t)
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 5*loginDelay)
	defer cancel()
	var sent atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for first := true; first || ctx.Err() == nil; first = false {
				w.back(ctx, "corp", "10.0.0.1:1", func(q url.Values) { q.Set("code", "made up") })
				sent.Add(1)
			}
		})
	}
	all.Wait()
	most := 1 + int(time.Since(began)/loginDelay) // one after the other
	w.srv.flows.mu.Lock()
	defer w.srv.flows.mu.Unlock()
	if n := len(w.srv.flows.used); n == 0 || n > most || sent.Load() < 20 {
		t.Errorf("%d log-ins of one address were noted, of %d", n, sent.Load())
	}
}

// A provider that is sent somebody sends them on to another, at which they are logged in, with the challenge and nonce of a log-in of its own: were the
// code that comes back taken to it, it could end that log-in as them.
func TestAProviderGetsNoCodeOfAnother(t *testing.T) {
	house, evil := testidp.New(t), testidp.New(t)
	w := newWorld(t, func(c *gateway.Config, _ *Options) {
		c.Providers = []access.Provider{{Name: "house", Issuer: house.Issuer, ClientID: testidp.ClientID, Prefix: "house-"}, {Name: "evil", Issuer: evil.Issuer, ClientID: testidp.ClientID, Prefix: "evil-"}}
	})
	var stolen string
	for _, p := range []*testidp.Provider{house, evil} {
		p.Discover("authorization_response_iss_parameter_supported", nil)
	}
	evil.Handle("/token", func(rw http.ResponseWriter, r *http.Request) {
		stolen = r.PostFormValue("code")
		http.Error(rw, "{}", http.StatusBadRequest)
	})
	begin := func(b *browser, provider string) *url.URL {
		res, _ := b.get("/auth/start?" + url.Values{"provider": {provider}}.Encode())
		to, err := url.Parse(res.Header.Get("Location"))
		if err != nil || res.StatusCode != http.StatusSeeOther {
			t.Fatal(res.Status, err)
		}
		return to
	}
	back := func(b *browser, to *url.URL) string { // what the house sends a browser back to; it does not say that it is the house
		path, _ := url.Parse(b.comeBack(to))
		q := path.Query()
		q.Del("iss")
		return path.Path + "?" + q.Encode()
	}
	victim, thief := w.browser(), w.browser()
	theirs, mine := begin(victim, "evil"), begin(thief, "house")
	q := mine.Query()
	q.Set("state", theirs.Query().Get("state"))
	sent := *mine
	sent.RawQuery = q.Encode()
	victim.get(back(victim, &sent))
	if stolen != "" {
		res, _ := thief.get("/auth/callback?" + url.Values{"state": {mine.Query().Get("state")}, "code": {stolen}}.Encode())
		t.Errorf("the provider got the code of another; with it somebody else comes in: %s, %d cookies", res.Status, len(res.Cookies()))
	}
	// Each still logs its own people in.
	evil.Handle("/token", nil)
	for _, name := range []string{"house", "evil"} {
		b := w.browser()
		b.get(back(b, begin(b, name)))
		if _, body := b.get("/reviews"); !strings.Contains(body, name+"-ada") {
			t.Errorf("%s: %.300s", name, body)
		}
	}
}

// A gateway that somebody has logged in at has their identity token and their certificate request. Handed on to another, both would be good for a
// secret there.
func TestALogInAtAnotherGatewayIsWorthNothing(t *testing.T) {
	w, idp := providerWorld(t)
	own := w.srv.base
	for name, c := range map[string]struct {
		gateways []string
		taken    bool
	}{
		"this one":             {[]string{own}, true},
		"by another name":      {[]string{strings.Replace(own, "127.0.0.1", "LOCALHOST", 1) + "/"}, true},
		"does not say":         {nil, false},
		"says a name only":     {[]string{"sallyport"}, false},
		"this one twice":       {[]string{own, own}, false},
		"another":              {[]string{"https://evil.example"}, false},
		"another by address":   {[]string{"https://203.0.113.7:8443"}, false},
		"this one and another": {[]string{own, "https://evil.example"}, false},
	} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.CertificateRequest{}
		for _, g := range c.gateways {
			u, _ := url.Parse(g)
			template.URIs = append(template.URIs, u)
		}
		der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
		if err != nil {
			t.Fatal(err)
		}
		spki, _ := x509.MarshalPKIXPublicKey(&key.PublicKey)
		sum := sha256.Sum256(spki)
		nonce := base64.RawURLEncoding.EncodeToString(sum[:])
		body, _ := json.Marshal(CredentialRequest{Provider: "corp", IDToken: idp.IDToken(nonce), Nonce: nonce, Request: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))})
		req, _ := http.NewRequest("POST", own+"/api/v1/credential", bytes.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		res, answer := w.browser().do(req)
		if got := res.StatusCode == http.StatusOK && strings.Contains(answer, `"secret":"sps_`); got != c.taken {
			t.Errorf("%s: %s %s", name, res.Status, answer)
		}
	}
}
