package web

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
	"sallyport/internal/testidp"
)

// ask sends a request as `sallyport login` and `sallyport review` do, and reads the answer into out.
func (w *world) ask(method, path string, in, out any, user, secret string) (status int, text string) {
	w.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		w.t.Fatal(err)
	}
	req, err := http.NewRequest(method, w.http.URL+path, bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if user != "" {
		req.SetBasicAuth(user, secret)
	}
	res, text := w.browser().do(req)
	if out != nil && res.StatusCode == http.StatusOK {
		if err := json.Unmarshal([]byte(text), out); err != nil {
			w.t.Fatalf("%s %s: %v in %s", method, path, err, text)
		}
	}
	return res.StatusCode, text
}

// keyAndRequest makes a key, a certificate request for it at a gateway, and the nonce that binds a log-in to it.
func keyAndRequest(t *testing.T, gateway string) (key *ecdsa.PrivateKey, request, nonce string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	request = requestAt(t, key, gateway)
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(spki)
	return key, request, base64.RawURLEncoding.EncodeToString(sum[:])
}

func requestAt(t *testing.T, key *ecdsa.PrivateKey, gateway string) string {
	t.Helper()
	at, err := url.Parse(gateway)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{URIs: []*url.URL{at}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// issue logs ada in as the command does.
func (w *world) issue(idp *testidp.Provider) Credential {
	w.t.Helper()
	_, request, nonce := keyAndRequest(w.t, w.http.URL)
	var c Credential
	if status, text := w.ask("POST", "/api/v1/credential", CredentialRequest{"corp", idp.IDToken(nonce), nonce, request}, &c, "", ""); status != http.StatusOK {
		w.t.Fatalf("%d %s", status, text)
	}
	return c
}

func TestLogInByCommand(t *testing.T) {
	authority := func() []byte { return []byte("PEM") }
	w, idp := corpWorld(t, func(_ *gateway.Config, o *Options) {
		o.PGWire, o.MCP, o.Authority = &PGWireAddress{"0.0.0.0:6543", true}, &MCPAddress{"https://gw.example/mcp"}, authority
	})
	var offer LoginOffer
	if status, text := w.ask("GET", "/api/v1/login", nil, &offer, "", ""); status != 200 || len(offer.Providers) != 1 || offer.Providers[0].ClientID != testidp.ClientID || offer.Providers[0].Issuer != idp.Issuer ||
		offer.PGWire.Address != "127.0.0.1:6543" || offer.MCP.URL != "https://gw.example/mcp" {
		t.Fatalf("%d %s", status, text)
	}
	key, request, nonce := keyAndRequest(t, w.http.URL)
	_, otherRequest, _ := keyAndRequest(t, w.http.URL)
	token := idp.IDToken(nonce)
	for name, in := range map[string]CredentialRequest{
		"for another key":    {"corp", token, nonce, otherRequest},
		"at another gateway": {"corp", token, nonce, requestAt(t, key, "https://gate.elsewhere.example")},
		"other nonce":        {"corp", idp.IDToken("x"), "x", request},
		"nonce left out":     {"corp", token, "", request},
		"old, without nonce": {"corp", idp.IDToken("", map[string]any{"iat": time.Now().Add(-3 * time.Minute).Unix()}), "", request},
		"access token":       {"corp", idp.AccessToken(testidp.ClientID), "", request},
		"no provider":        {"other", token, nonce, request},
	} {
		if status, text := w.ask("POST", "/api/v1/credential", in, nil, "", ""); status != http.StatusForbidden || strings.Contains(text, "sps_") {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
	var c Credential
	if status, text := w.ask("POST", "/api/v1/credential", CredentialRequest{"corp", token, nonce, request}, &c, "", ""); status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	block, _ := pem.Decode([]byte(c.Certificate))
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil || !key.PublicKey.Equal(cert.PublicKey) || c.Principal != "corp-ada" || strings.Join(c.Groups, " ") != "keepers" || c.Authority != "PEM" || time.Until(c.Expires) > time.Hour {
		t.Errorf("%+v, %v", c, err)
	}
	if status, text := w.ask("POST", "/api/v1/credential", CredentialRequest{"corp", token, nonce, request}, nil, "", ""); status != http.StatusForbidden || !strings.Contains(text, "used before") {
		t.Errorf("the same token again: %d %s", status, text)
	}

	// The secret says who one is to programs, and is no way into the pages.
	var s Standing
	if status, text := w.ask("GET", "/api/v1/credential", nil, &s, c.Principal, c.Secret); status != 200 || s.Principal != "corp-ada" || s.Credential != c.Credential || !s.Expires.Equal(c.Expires) {
		t.Errorf("%d %s", status, text)
	}
	var me Me
	if status, text := w.ask("GET", "/api/v1/me", nil, &me, c.Principal, c.Secret); status != 200 || me.Name != "corp-ada" {
		t.Errorf("%d %s", status, text)
	}
	if status, _ := w.ask("GET", "/api/v1/credential", nil, nil, "keeper", "pw-keeper"); status != http.StatusUnprocessableEntity {
		t.Errorf("a password of the configuration is taken for a credential: %d", status)
	}
	for name, secret := range map[string]string{"wrong": "sps_x", "certificate": c.Certificate} {
		if status, _ := w.ask("GET", "/api/v1/credential", nil, nil, c.Principal, secret); status != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, status)
		}
	}
	b := w.browser()
	if res, body := b.post("/login", url.Values{"user": {c.Principal}, "password": {c.Secret}}); res.StatusCode != http.StatusUnauthorized || b.loggedIn() {
		t.Errorf("the secret of a program logs a browser in: %s %s", res.Status, body)
	}
	// A page in a browser asks for nothing here.
	req, _ := http.NewRequest("POST", w.http.URL+"/api/v1/credential", strings.NewReader("{}"))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Origin", w.http.URL)
	if res, _ := b.do(req); res.StatusCode != http.StatusForbidden {
		t.Errorf("from a page: %s", res.Status)
	}

	// Its log-out ends it, and a session that rests on it.
	ended, stop := w.gw.Watch(mustVerify(t, w, c))
	defer stop()
	if status, text := w.ask("DELETE", "/api/v1/credential", nil, nil, c.Principal, c.Secret); status != http.StatusNoContent {
		t.Fatalf("%d %s", status, text)
	}
	select {
	case cause := <-ended:
		if cause != "logged out" {
			t.Errorf("the cause is %q", cause)
		}
	case <-time.After(20 * time.Second):
		t.Error("what rests on the credential goes on")
	}
	if status, _ := w.ask("GET", "/api/v1/credential", nil, nil, c.Principal, c.Secret); status != http.StatusUnauthorized {
		t.Errorf("after the log-out: %d", status)
	}
}

func mustVerify(t *testing.T, w *world, c Credential) access.Principal {
	t.Helper()
	p, err := w.gw.Verify(t.Context(), access.Password{User: c.Principal, Secret: c.Secret})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestProgramsApproveByAFreshLogIn(t *testing.T) {
	w, idp := corpWorld(t, nil)
	r := w.wish("asker", write, nil)
	verdict := Verdict{Revision: r.Revision, Justification: "looked at ticket 4711"}
	approve := "/api/v1/reviews/" + r.ID + "/approve"
	claims := corpUser("ada", "vault-keepers").Claims
	for name, u := range map[string]*testidp.User{
		"an hour ago":      {Subject: "u-ada", Claims: claims, ACR: strong, Authenticated: time.Now().Add(-time.Hour)},
		"just now, weakly": {Subject: "u-ada", Claims: claims, ACR: "pwd"},
	} {
		idp.Login(u)
		c := w.issue(idp)
		if status, text := w.ask("POST", approve, verdict, nil, c.Principal, c.Secret); status != http.StatusForbidden || !strings.Contains(text, "login --fresh") {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
	w.wantState(r.ID, "pending")
	idp.Login(&testidp.User{Subject: "u-ada", Claims: claims, ACR: strong})
	c := w.issue(idp)
	if status, text := w.ask("POST", approve, verdict, nil, c.Principal, c.Secret); status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	got, err := w.gw.Review(r.ID)
	if err != nil || got.State != "approved" || got.Votes[0].ACR != strong || got.Votes[0].Channel != "cli" || time.Since(got.Votes[0].Authenticated) > time.Minute {
		t.Errorf("%+v, %v", got, err)
	}
}
