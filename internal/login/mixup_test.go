package login

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/testgate"
	"sallyport/internal/testidp"
)

// A provider that a gateway names sends the browser on to another, at which the person is known, and hopes for its code (RFC 9700, 4.4).
func TestNoProviderGetsTheCodeOfAnother(t *testing.T) {
	const said = "authorization_response_iss_parameter_supported"
	path := func(p *testidp.Provider) string { return "/callback/" + strings.TrimPrefix(p.Issuer, "http://") }
	registered := func(house, _ *testidp.Provider) { house.Redirects("http://127.0.0.1" + path(house)) }
	for name, c := range map[string]struct {
		set     func(house, evil *testidp.Provider)
		rewrite bool // the redirect URI, to the one that the house knows
	}{
		"the house knows its own redirect alone": {registered, false},
		"it is asked for that one":               {registered, true},
		"the house says who it is":               {func(house, _ *testidp.Provider) { house.Discover(said, true) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			house := testidp.New(t)
			house.Discover(said, nil)
			f := testgate.New(t) // with the evil one, of the same name
			evil := f.IDP
			evil.Discover(said, nil)
			c.set(house, evil)
			evil.Handle("/authorize", func(w http.ResponseWriter, r *http.Request) {
				q := r.URL.Query()
				if c.rewrite {
					back, _ := url.Parse(q.Get("redirect_uri"))
					back.Path = path(house)
					q.Set("redirect_uri", back.String())
				}
				http.Redirect(w, r, house.Issuer+"/authorize?"+q.Encode(), http.StatusFound)
			})
			var mu sync.Mutex
			var stolen string
			evil.Handle("/token", func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				stolen = r.PostFormValue("code")
				http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
			})
			_, err := Ensure(t.Context(), profile(t, f.URL), Options{Browse: browser(t, nil), Headless: no(), Patience: 2 * time.Second})
			if err == nil || !strings.Contains(err.Error(), "nobody came back") {
				t.Errorf("%v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			if stolen != "" {
				t.Error("the provider was brought the code of another")
			}
			if !asked(house, "GET /authorize") {
				t.Error("nobody was sent on")
			}
		})
	}
}

func asked(p *testidp.Provider, what string) bool {
	for _, r := range p.Requests() {
		if r == what {
			return true
		}
	}
	return false
}

// One that knows the command's redirect as docs/identity.md has it lets people log in, at whatever port.
func TestTheRedirectIsTheProvidersOwn(t *testing.T) {
	f := testgate.New(t)
	f.IDP.Redirects("http://127.0.0.1/callback/" + strings.TrimPrefix(f.IDP.Issuer, "http://"))
	if _, err := Ensure(t.Context(), profile(t, f.URL), Options{Browse: browser(t, nil), Headless: no(), Patience: 30 * time.Second}); err != nil {
		t.Error(err)
	}
	for _, other := range []string{"/callback", "/callback/", "/callback/id.example.com"} {
		resp, err := http.Get(f.IDP.Issuer + "/authorize?" + url.Values{"client_id": {testidp.ClientID}, "response_type": {"code"}, "scope": {"openid"}, "redirect_uri": {"http://127.0.0.1:1" + other}}.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %s %s", other, resp.Status, text)
		}
		resp.Body.Close()
	}
}
