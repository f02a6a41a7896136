package demo

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"sallyport/internal/testidp"
)

func demoProvider(t *testing.T) (*Demo, *provider) {
	t.Helper()
	d := &Demo{Logins: logins(), Clients: clients()}
	t.Cleanup(d.Close)
	p, err := d.openProvider("127.0.0.1:0", Doors{MCP: "http://127.0.0.1:1/mcp", Web: "http://127.0.0.1:2"})
	if err != nil {
		t.Fatal(err)
	}
	return d, p
}

// ask sends a request as a browser or another program does, and gives the answer without following it.
func ask(t *testing.T, method, to string, form url.Values, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, to, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(header); i += 2 {
		if req.Header.Set(header[i], header[i+1]); header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

const notice = "This is a demo's identity provider. It approves everybody"

func TestBrowsersChooseAndOthersAreApprovedAtOnce(t *testing.T) {
	_, p := demoProvider(t)
	start := p.Issuer + "/authorize?" + url.Values{"client_id": {"sallyport"}, "response_type": {"code"}, "scope": {"openid"}, "redirect_uri": {"http://127.0.0.1:9/callback"}, "state": {"s"}}.Encode()
	resp, body := ask(t, http.MethodGet, start, nil, "Accept", "text/html")
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, notice) {
		t.Fatalf("%s: %s", resp.Status, body)
	}
	for _, who := range []string{"grace", "simon", "alma"} {
		if !strings.Contains(body, "login_hint="+who) {
			t.Errorf("%s cannot be chosen", who)
		}
	}
	for _, who := range []string{"ada", "dora"} { // their passwords are theirs
		if strings.Contains(body, "login_hint="+who) {
			t.Errorf("%s can be chosen", who)
		}
	}
	for _, c := range []struct{ to, accept string }{{start + "&login_hint=simon", "text/html"}, {start, "*/*"}} {
		resp, _ = ask(t, http.MethodGet, c.to, nil, "Accept", c.accept)
		if to := resp.Header.Get("Location"); resp.StatusCode != http.StatusFound || !strings.HasPrefix(to, "http://127.0.0.1:9/callback?code=") {
			t.Errorf("%s: %s", resp.Status, to)
		}
	}
	if csp := resp.Header.Get("Content-Security-Policy"); csp != "" {
		t.Errorf("a redirect has %s", csp)
	}
}

func TestWithoutABrowserWhoWasChosenIsApproved(t *testing.T) {
	d, p := demoProvider(t)
	for _, who := range []string{"", "alma"} {
		if who != "" {
			if resp, body := ask(t, http.MethodPost, p.Issuer+"/choose", url.Values{"name": {who}}); resp.StatusCode != http.StatusOK || !strings.Contains(body, notice) {
				t.Fatalf("%s: %s", resp.Status, body)
			}
		} else {
			who = "grace"
		}
		_, body := ask(t, http.MethodPost, p.Issuer+"/device_authorization", url.Values{"client_id": {"sallyport"}, "scope": {"openid"}})
		var da struct {
			Device   string `json:"device_code"`
			Complete string `json:"verification_uri_complete"`
		}
		if err := json.Unmarshal([]byte(body), &da); err != nil {
			t.Fatal(err)
		}
		if _, page := ask(t, http.MethodGet, da.Complete, nil, "Accept", "text/html"); !strings.Contains(page, notice) || !strings.Contains(page, "approved the log-in already") {
			t.Errorf("%s", page)
		}
		_, body = ask(t, http.MethodPost, p.Issuer+"/token", url.Values{"client_id": {"sallyport"}, "grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {da.Device}})
		if got := claimsIn(t, body, "id_token"); got["preferred_username"] != who {
			t.Errorf("%v, not %s", got, who)
		}
	}
	for _, bad := range []struct {
		form   url.Values
		header []string
	}{{url.Values{"name": {"dora"}}, nil}, {url.Values{"name": {"grace"}}, []string{"Sec-Fetch-Site", "cross-site"}}, {url.Values{"name": {"grace"}}, []string{"Host", "rebound.example"}}} {
		if resp, _ := ask(t, http.MethodPost, p.Issuer+"/choose", bad.form, bad.header...); resp.StatusCode < 400 {
			t.Errorf("%v: %s", bad, resp.Status)
		}
	}
	own, _ := ask(t, http.MethodPost, p.Issuer+"/token", url.Values{"client_id": {nightly}, "client_secret": {"guessed"}, "grant_type": {"client_credentials"}})
	if own.StatusCode != http.StatusUnauthorized {
		t.Errorf("an agent without its secret: %s", own.Status)
	}
	_, body := ask(t, http.MethodPost, p.Issuer+"/token", url.Values{"client_id": {nightly}, "client_secret": {d.Clients[0].Secret}, "grant_type": {"client_credentials"}})
	if got := claimsIn(t, body, "access_token"); got["sub"] != nightly || got["aud"] != "http://127.0.0.1:1/mcp" || got["groups"] == nil {
		t.Errorf("%v", got)
	}
}

func TestLogOutLeadsBackToTheGatewayOnly(t *testing.T) {
	_, p := demoProvider(t)
	for to, want := range map[string]string{"http://127.0.0.1:2/login": "http://127.0.0.1:2/login?state=s", "http://127.0.0.1:2.example/login": "", "": ""} {
		resp, body := ask(t, http.MethodGet, p.Issuer+"/end_session?"+url.Values{"post_logout_redirect_uri": {to}, "state": {"s"}}.Encode(), nil)
		if got := resp.Header.Get("Location"); got != want || want == "" && !strings.Contains(body, notice) {
			t.Errorf("%s leads to %q", to, got)
		}
	}
}

func claimsIn(t *testing.T, answer, name string) map[string]any {
	t.Helper()
	var tokens map[string]any
	if err := json.Unmarshal([]byte(answer), &tokens); err != nil {
		t.Fatal(err)
	}
	raw, _ := tokens[name].(string)
	claims, ok := testidp.Claims(raw)
	if !ok {
		t.Fatalf("no %s in %s", name, answer)
	}
	return claims
}
