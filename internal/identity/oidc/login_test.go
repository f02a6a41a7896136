package oidc

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/testidp"
)

const loginBack = "http://127.0.0.1:1/auth/callback"

// goLogIn follows a browser to the provider and gives what it comes back with.
func goLogIn(t *testing.T, to string) url.Values {
	t.Helper()
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Get(to)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	at, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || !strings.HasPrefix(at.String(), loginBack) {
		t.Fatalf("the provider sends the browser to %v (%s)", at, resp.Status)
	}
	return at.Query()
}

func newLogin(t *testing.T, p access.Provider) *Login {
	t.Helper()
	l, err := NewLogin(p, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func TestCodeIsExchangedByWhoAskedForIt(t *testing.T) {
	ctx, idp := context.Background(), testidp.New(t)
	idp.Client("web", "s3cret")
	l := newLogin(t, access.Provider{Name: "corp", Issuer: idp.Issuer, ClientID: "web", ClientSecret: "s3cret", LoginScopes: []string{"profile"}})
	verifier := strings.Repeat("v", 43)
	begin := func() url.Values {
		to, err := l.URL(ctx, access.LoginRequest{Redirect: loginBack, State: "st", Nonce: "n1", Verifier: verifier})
		if err != nil {
			t.Fatal(err)
		}
		q, _ := url.Parse(to)
		if q.Query().Get("code_challenge_method") != "S256" || q.Query().Get("scope") != "openid profile" || strings.Contains(to, verifier) || strings.Contains(to, "s3cret") {
			t.Fatalf("the browser is sent to %s", to)
		}
		return goLogIn(t, to)
	}
	q := begin()
	token, err := l.Exchange(ctx, access.LoginResponse{Redirect: loginBack, Verifier: verifier, Code: q.Get("code"), Issuer: q.Get("iss")})
	if claims, ok := testidp.Claims(token.AccessToken); !ok || claims["sub"] != "ada" || token.Provider != "corp" {
		t.Errorf("%+v", token)
	}
	if claims, ok := testidp.Claims(token.Token); err != nil || !ok || claims["nonce"] != "n1" || claims["aud"] != "web" {
		t.Fatalf("%v, %v", claims, err)
	}
	for name, change := range map[string]func(*access.LoginResponse){
		"again":           func(r *access.LoginResponse) { r.Code = q.Get("code") },
		"other verifier":  func(r *access.LoginResponse) { r.Verifier = strings.Repeat("w", 43) },
		"other redirect":  func(r *access.LoginResponse) { r.Redirect = "http://127.0.0.1:2/" },
		"other issuer":    func(r *access.LoginResponse) { r.Issuer = "https://evil.example" },
		"issuer left out": func(r *access.LoginResponse) { r.Issuer = "" },
	} {
		q := begin()
		r := access.LoginResponse{Redirect: loginBack, Verifier: verifier, Code: q.Get("code"), Issuer: q.Get("iss")}
		change(&r)
		if token, err := l.Exchange(ctx, r); err == nil || token.Token != "" || access.AsError(err).Kind != access.Denied {
			t.Errorf("%s: %+v, %v", name, token, err)
		}
	}
}

func TestStepUpAsksForALogInOfNow(t *testing.T) {
	idp := testidp.New(t)
	idp.Discover("claims_parameter_supported", true)
	l := newLogin(t, access.Provider{Name: "corp", Issuer: idp.Issuer, ClientID: testidp.ClientID, ACR: []string{"phr", "mfa"}})
	to, err := l.URL(context.Background(), access.LoginRequest{Redirect: loginBack, State: "st", Nonce: "n1", Verifier: strings.Repeat("v", 43), StepUp: true})
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(to)
	q := u.Query()
	if q.Get("max_age") != "0" || q.Get("prompt") != "login" || q.Get("acr_values") != "phr mfa" || q.Get("claims") != `{"id_token":{"acr":{"essential":true,"values":["phr","mfa"]}}}` {
		t.Errorf("%v", q)
	}
}

// That nothing a provider answers takes memory, time, the code or the secret elsewhere.
func TestAnswersOfAProviderAreBounded(t *testing.T) {
	ctx := context.Background()
	elsewhere := 0
	other := testidp.New(t)
	other.Handle("/token", func(http.ResponseWriter, *http.Request) { elsewhere++ })
	for name, h := range map[string]http.HandlerFunc{
		"long": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			for range 64 {
				if _, err := w.Write([]byte(strings.Repeat(" ", 64<<10))); err != nil {
					return
				}
			}
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.Issuer+"/token", http.StatusTemporaryRedirect)
		},
		"no ID token": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Write([]byte(`{"access_token":"a","token_type":"Bearer"}`))
		},
		"failing": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
	} {
		idp := testidp.New(t)
		l := newLogin(t, access.Provider{Name: "corp", Issuer: idp.Issuer, ClientID: testidp.ClientID})
		idp.Handle("/token", h)
		_, err := l.Exchange(ctx, access.LoginResponse{Redirect: loginBack, Code: "c", Issuer: idp.Issuer})
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if elsewhere > 0 {
		t.Error("the code was taken to where a redirect led")
	}
	idp := testidp.New(t)
	l := newLogin(t, access.Provider{Name: "corp", Issuer: idp.Issuer, ClientID: testidp.ClientID})
	idp.Down(true)
	for range 20 {
		if _, err := l.URL(ctx, access.LoginRequest{}); err == nil || access.AsError(err).Kind != access.Unavailable {
			t.Fatalf("%v", err)
		}
	}
	if n := len(idp.Requests()); n != 1 {
		t.Errorf("a provider that is down was asked %d times in a moment", n)
	}
	for at, field := range map[string]string{"https://evil.example": "issuer", "javascript:alert(1)": "authorization_endpoint", "file:///etc/passwd": "token_endpoint",
		"http://evil.example/authorize": "authorization_endpoint", "http://evil.example/token": "token_endpoint", "http://evil.example/end": "end_session_endpoint"} {
		idp := testidp.New(t) // on this machine, without TLS
		idp.Discover(field, at)
		if _, err := newLogin(t, access.Provider{Name: "corp", Issuer: idp.Issuer, ClientID: testidp.ClientID}).URL(ctx, access.LoginRequest{}); err == nil {
			t.Errorf("%s %s was taken", field, at)
		}
	}
}

func TestLogOutOfTheProvider(t *testing.T) {
	idp := testidp.New(t)
	l := newLogin(t, access.Provider{Name: "corp", Issuer: idp.Issuer, ClientID: testidp.ClientID})
	to, err := l.LogoutURL(context.Background(), "the.id.token", "http://127.0.0.1:1/login")
	u, _ := url.Parse(to)
	if err != nil || !strings.HasPrefix(to, idp.Issuer+"/end_session?") || u.Query().Get("id_token_hint") != "the.id.token" || u.Query().Get("post_logout_redirect_uri") != "http://127.0.0.1:1/login" {
		t.Errorf("%s, %v", to, err)
	}
	without := testidp.New(t)
	without.Discover("end_session_endpoint", nil)
	if to, err := newLogin(t, access.Provider{Name: "corp", Issuer: without.Issuer, ClientID: testidp.ClientID}).LogoutURL(context.Background(), "x", "y"); to != "" || err != nil {
		t.Errorf("%s, %v", to, err)
	}
}
