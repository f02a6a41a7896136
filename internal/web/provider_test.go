package web

import (
	"context"
	"html"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
	"sallyport/internal/testidp"
	"sallyport/internal/testidp/forge"
)

// strong is the acr that corp's configuration wants for approving.
const strong = "phr"

// corpWorld is a world whose people log in at a provider that is there: ada is a keeper by its groups. Asking for approvals is local people's.
func corpWorld(t *testing.T, change func(*gateway.Config, *Options)) (*world, *testidp.Provider) {
	t.Helper()
	idp := testidp.New(t)
	idp.Login(corpUser("ada", "vault-keepers"))
	return newWorld(t, func(c *gateway.Config, o *Options) {
		c.Providers = []access.Provider{{Name: "corp", Issuer: idp.Issuer, ClientID: testidp.ClientID, UserClaim: "preferred_username", Prefix: "corp-", GroupsClaim: "groups",
			Groups: map[string]string{"vault-keepers": "keepers", "see-all": "auditors", "ops": "operators"}, ACR: []string{strong}}}
		if change != nil {
			change(c, o)
		}
	}), idp
}

// corpUser is somebody who proved who they are an hour ago, by a password.
func corpUser(name string, groups ...string) *testidp.User {
	return &testidp.User{Subject: "u-" + name, Claims: map[string]any{"preferred_username": name, "groups": groups}, ACR: "pwd", Authenticated: time.Now().Add(-time.Hour)}
}

var onwardTo = regexp.MustCompile(`content="0; url=([^"]+)"`)

// onward is where a page leads by itself.
func onward(body string) string {
	m := onwardTo.FindStringSubmatch(body)
	if m == nil {
		return ""
	}
	return html.UnescapeString(m[1])
}

// enter logs a browser in at corp, and gives the answer that it got there.
func (b *browser) enter() (*http.Response, string) {
	b.w.t.Helper()
	return b.get(b.comeBack(b.leave("/reviews")))
}

// corp opens a browser of whoever is logged in at the provider.
func (w *world) corp() *browser {
	w.t.Helper()
	b := w.browser()
	if res, body := b.enter(); res.StatusCode != http.StatusOK || onward(body) != "/reviews" {
		w.t.Fatalf("%s %s", res.Status, body)
	}
	b.takeCSRF()
	return b
}

func (b *browser) takeCSRF() {
	b.w.t.Helper()
	res, body := b.get("/reviews")
	m := csrfForm.FindStringSubmatch(body)
	if m == nil {
		b.w.t.Fatalf("nobody is logged in: %s %.300s", res.Status, body)
	}
	b.csrf = m[1]
}

func (b *browser) loggedIn() bool {
	res, _ := b.get("/reviews")
	return res.StatusCode == http.StatusOK
}

// gone waits until the browser's session has ended, and says whether it did.
func (b *browser) gone() bool {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		req, _ := http.NewRequest("GET", b.w.http.URL+"/reviews/live", nil)
		req.Header.Set("HX-Request", "true") // what a page asks for by itself
		if res, _ := b.do(req); res.StatusCode == http.StatusUnauthorized {
			return true
		}
	}
	return false
}

// says has the provider's token endpoint give an ID token with other claims than it would, and an access token beside it.
func says(idp *testidp.Provider, nonce string, claims map[string]any) {
	idp.Handle("/token", func(w http.ResponseWriter, _ *http.Request) {
		c := idp.IDClaims(nonce)
		maps.Copy(c, claims)
		maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"access_token":"an.access.token","token_type":"Bearer","id_token":"` + forge.Mint(idp, c) + `"}`))
	})
}

func TestPeopleOfAProviderLogInAndSeeWhatTheirGroupsLet(t *testing.T) {
	w, idp := corpWorld(t, nil)
	r := w.wish("asker", write, nil)
	pages := map[string]string{"/reviews/" + r.ID: "request", "/live": "live", "/connections": "holdings", "/people": "people"}
	for name, c := range map[string]struct {
		groups []string
		see    []string
	}{
		"keeper":  {[]string{"vault-keepers"}, []string{"/reviews/" + r.ID, "/live", "/people"}},
		"auditor": {[]string{"see-all"}, []string{"/reviews/" + r.ID, "/live", "/connections", "/people"}},
		// Names of the configuration's groups are not the provider's to give.
		"pretender": {[]string{"keepers", "auditors", "operators"}, []string{"/live", "/people"}},
	} {
		idp.Login(corpUser(name, c.groups...))
		b := w.corp()
		if _, body := b.get("/people"); !strings.Contains(body, "corp-"+name) {
			t.Errorf("%s is not who the page says: %.300s", name, body)
		}
		for page := range pages {
			if res, _ := b.get(page); (res.StatusCode == http.StatusOK) != slices.Contains(c.see, page) {
				t.Errorf("%s at %s: %s", name, page, res.Status)
			}
		}
		s, err := w.gw.Connect(context.Background(), gateway.Login{Door: access.DoorMCP, Connection: "shop", Credentials: access.Password{User: "asker", Secret: "pw-asker"}, Client: "c"})
		if err != nil {
			t.Fatal(err)
		}
		id := w.gw.LiveSessions()[0].ID
		if res, _ := b.post("/live/"+id+"/end", url.Values{}); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s ends sessions: %s", name, res.Status)
		}
		s.Close()
	}
	idp.Login(corpUser("op", "ops"))
	s, err := w.gw.Connect(context.Background(), gateway.Login{Door: access.DoorMCP, Connection: "shop", Credentials: access.Password{User: "asker", Secret: "pw-asker"}, Client: "c"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if res, body := w.corp().post("/live/"+w.gw.LiveSessions()[0].ID+"/end", url.Values{}); res.StatusCode != http.StatusSeeOther || len(w.gw.LiveSessions()) != 0 {
		t.Errorf("an operator by the provider's groups ends no session: %s %.300s", res.Status, body)
	}
}

// Where no proof is ever fresh, one is good for the request that it was made for, once.
func TestAProofIsGoodForOneDecision(t *testing.T) {
	w, idp := corpWorld(t, func(_ *gateway.Config, o *Options) { o.StepUp = -1 })
	now := testidp.User{Subject: "u-ada", Claims: corpUser("ada", "vault-keepers").Claims, ACR: strong}
	idp.Login(&now)
	one, two := w.wish("asker", write, nil), w.wish("asker0", write, nil)
	b := w.corp()
	try := func(r *gateway.ReviewRequest) int {
		t.Helper()
		res, _ := b.post("/reviews/"+r.ID+"/approve", decisionOn(r))
		return res.StatusCode
	}
	if status := try(one); status != http.StatusUnauthorized {
		t.Errorf("approved by the log-in itself: %d", status)
	}
	if res, body := b.get(b.comeBack(b.stepUp(one))); res.StatusCode != http.StatusOK {
		t.Fatalf("%s %s", res.Status, body)
	}
	b.takeCSRF()
	if status := try(two); status != http.StatusUnauthorized {
		t.Errorf("approved by a proof for another request: %d", status)
	}
	if status := try(one); status != http.StatusSeeOther {
		t.Errorf("not approved: %d", status)
	}
	if status := try(two); status != http.StatusUnauthorized {
		t.Errorf("approved by a proof that was used: %d", status)
	}
	w.wantState(one.ID, "approved")
	w.wantState(two.ID, "pending")
	// What programs send is never fresh then.
	c := w.issue(idp)
	if status, text := w.ask("POST", "/api/v1/reviews/"+two.ID+"/approve", Verdict{Revision: two.Revision, Justification: "looked at ticket 4711"}, nil, c.Principal, c.Secret); status != http.StatusForbidden {
		t.Errorf("%d %s", status, text)
	}
}

func TestLogInsThatAreNotWhatWasAskedFor(t *testing.T) {
	w, idp := corpWorld(t, nil)
	for name, c := range map[string]struct {
		nonce  string // "" is that of the log-in
		claims map[string]any
	}{
		"nonce of another log-in":    {"other", nil},
		"no nonce":                   {"", map[string]any{"nonce": nil}},
		"other access token":         {"", map[string]any{"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}},
		"for another client":         {"", map[string]any{"aud": "other", "azp": nil}},
		"expired":                    {"", map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}},
		"a name of the gateway's":    {"", map[string]any{"preferred_username": "../keeper"}},
		"an actor":                   {"", map[string]any{"act": map[string]any{"sub": "bot"}}},
		"issued before it was asked": {"", map[string]any{"iat": time.Now().Add(-time.Hour).Unix()}},
	} {
		b := w.browser()
		to := b.leave("/reviews")
		nonce := c.nonce
		if nonce == "" {
			nonce = to.Query().Get("nonce")
		}
		says(idp, nonce, c.claims)
		res, body := b.get(b.comeBack(to))
		if res.StatusCode != http.StatusForbidden || b.loggedIn() {
			t.Errorf("%s: %s %.300s", name, res.Status, body)
		}
	}
	// The same way with nothing changed: what was refused was refused for that.
	b := w.browser()
	to := b.leave("/reviews")
	says(idp, to.Query().Get("nonce"), nil)
	if res, body := b.get(b.comeBack(to)); res.StatusCode != http.StatusOK || !b.loggedIn() {
		t.Errorf("%s %s", res.Status, body)
	}
}

// stepUp sends a reviewer to the provider from the form of a request, and gives where.
func (b *browser) stepUp(r *gateway.ReviewRequest) *url.URL {
	b.w.t.Helper()
	res, body := b.post("/reviews/"+r.ID+"/step-up", decisionOn(r))
	to, err := url.Parse(onward(body))
	if res.StatusCode != http.StatusOK || err != nil || to.Query().Get("prompt") != "login" || to.Query().Get("max_age") != "0" || to.Query().Get("acr_values") != strong {
		b.w.t.Fatalf("%s, to %v: %s", res.Status, to, body)
	}
	return to
}

func TestApprovingWantsAProofAtTheProvider(t *testing.T) {
	w, idp := corpWorld(t, nil)
	r := w.wish("asker", write, nil)
	b := w.corp()
	if res, body := b.post("/reviews/"+r.ID+"/approve", decisionOn(r)); res.StatusCode != http.StatusUnauthorized || !strings.Contains(body, "prove at corp") {
		t.Fatalf("approved by a log-in of an hour ago: %s %.300s", res.Status, body)
	}
	w.wantState(r.ID, "pending")
	jar, _ := url.Parse(w.http.URL)
	before := b.c.Jar.Cookies(jar)

	to := b.stepUp(r)
	idp.Login(&testidp.User{Subject: "u-ada", Claims: corpUser("ada", "vault-keepers").Claims, ACR: strong})
	res, body := b.get(b.comeBack(to))
	if res.StatusCode != http.StatusOK || onward(body) != "/reviews/"+r.ID {
		t.Fatalf("%s %s", res.Status, body)
	}
	w.wantState(r.ID, "pending") // coming back approves nothing
	b.takeCSRF()
	if _, page := b.get("/reviews/" + r.ID); !strings.Contains(page, "looked at ticket 4711") {
		t.Errorf("the form is not as it was filled in: %s", page)
	}
	// The cookie from before opens nothing any more.
	old := w.browser()
	old.c.Jar.SetCookies(jar, before)
	if old.loggedIn() {
		t.Error("the session from before the proof goes on")
	}
	if res, body := b.post("/reviews/"+r.ID+"/approve", decisionOn(r)); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("%s %s", res.Status, body)
	}
	got, err := w.gw.Review(r.ID)
	if err != nil || got.State != "approved" {
		t.Fatalf("%+v, %v", got, err)
	}
	if v := got.Votes[0]; v.Reviewer != "corp-ada" || !strings.HasPrefix(v.Proven, "id token of http://127.0.0.1:") || !strings.HasSuffix(v.Proven, " (sub u-ada)") || v.ACR != strong || time.Since(v.Authenticated) > time.Minute || v.Channel != "web" {
		t.Errorf("the vote says %+v", v)
	}
}

func TestProofsThatApproveNothing(t *testing.T) {
	w, idp := corpWorld(t, nil)
	r := w.wish("asker", write, nil)
	ada := corpUser("ada", "vault-keepers")
	now := func() int64 { return time.Now().Unix() }
	for name, c := range map[string]struct {
		claims func() map[string]any
		nonce  string
		want   string
	}{
		"another person": {func() map[string]any {
			return map[string]any{"sub": "u-bob", "preferred_username": "bob", "acr": strong, "auth_time": now()}
		}, "", "came back from corp as corp-bob"},
		"another subject": {func() map[string]any { return map[string]any{"sub": "u-2", "acr": strong, "auth_time": now()} }, "", "came back from corp as corp-ada"},
		"stale auth_time": {func() map[string]any { return map[string]any{"acr": strong, "auth_time": now() - 3600} }, "", "not valid"},
		"no auth_time":    {func() map[string]any { return map[string]any{"acr": strong, "auth_time": nil} }, "", "not valid"},
		"missing acr":     {func() map[string]any { return map[string]any{"acr": nil, "auth_time": now()} }, "", "(acr)"},
		"weaker acr":      {func() map[string]any { return map[string]any{"acr": "pwd", "auth_time": now()} }, "", "(acr)"},
		"other nonce":     {func() map[string]any { return map[string]any{"acr": strong, "auth_time": now()} }, "other", "not valid"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			idp.Login(ada)
			idp.Handle("/token", nil)
			b := w.corp()
			to := b.stepUp(r)
			nonce := c.nonce
			if nonce == "" {
				nonce = to.Query().Get("nonce")
			}
			says(idp, nonce, c.claims())
			res, body := b.get(b.comeBack(to))
			if res.StatusCode != http.StatusForbidden || !strings.Contains(html.UnescapeString(body), c.want) {
				t.Errorf("%s, without %q: %s", res.Status, c.want, body)
			}
			if res, _ := b.post("/reviews/"+r.ID+"/approve", decisionOn(r)); res.StatusCode == http.StatusSeeOther {
				t.Error("approved")
			}
			w.wantState(r.ID, "pending")
		})
	}
}

// A proof for a session that has ended in between makes no other.
func TestAProofForAnEndedSessionIsWorthNothing(t *testing.T) {
	w, idp := corpWorld(t, nil)
	r := w.wish("asker", write, nil)
	b := w.corp()
	to := b.stepUp(r)
	idp.Login(&testidp.User{Subject: "u-ada", Claims: corpUser("ada", "vault-keepers").Claims, ACR: strong})
	back := b.comeBack(to)
	if _, err := w.gw.Revoke(context.Background(), access.Principal{Name: "root"}, access.Revocation{Principal: "corp-ada", Before: time.Now(), Cause: "stolen"}); err != nil {
		t.Fatal(err)
	}
	if !b.gone() {
		t.Error("the session goes on")
	}
	if res, _ := b.get(back); res.StatusCode != http.StatusUnauthorized || b.loggedIn() {
		t.Errorf("%s", res.Status)
	}
}

// Who logs out while the provider is asked about a proof of theirs is logged out: what it says then is for a log-in that has ended.
func TestAProofIsNoLogIn(t *testing.T) {
	w, idp := corpWorld(t, nil)
	r := w.wish("asker", write, nil)
	b := w.corp()
	to := b.stepUp(r)
	idp.Login(&testidp.User{Subject: "u-ada", Claims: corpUser("ada", "vault-keepers").Claims, ACR: strong})
	back := b.comeBack(to)
	jar, _ := url.Parse(w.http.URL)
	other := w.browser() // another window of the same
	other.c.Jar.SetCookies(jar, b.c.Jar.Cookies(jar))
	other.csrf = b.csrf
	nonce := to.Query().Get("nonce")
	idp.Handle("/token", func(rw http.ResponseWriter, _ *http.Request) {
		other.post("/logout", url.Values{})
		c := idp.IDClaims(nonce)
		rw.Header().Set("Content-Type", "application/json")
		rw.Write([]byte(`{"access_token":"an.access.token","token_type":"Bearer","id_token":"` + forge.Mint(idp, c) + `"}`))
	})
	if res, body := b.get(back); res.StatusCode != http.StatusUnauthorized || b.loggedIn() {
		t.Errorf("logged in again by a proof: %s %.300s", res.Status, body)
	}
}

func TestLoggingOutLeadsToTheProvider(t *testing.T) {
	w, idp := corpWorld(t, nil)
	b := w.corp()
	jar, _ := url.Parse(w.http.URL)
	stolen := w.browser()
	stolen.c.Jar.SetCookies(jar, b.c.Jar.Cookies(jar))
	if !stolen.loggedIn() {
		t.Fatal("the copy of the cookie is none")
	}
	res, body := b.post("/logout", url.Values{})
	to, err := url.Parse(onward(body))
	if res.StatusCode != http.StatusOK || err != nil || !strings.HasPrefix(to.String(), idp.Issuer+"/end_session?") {
		t.Fatalf("%s %s", res.Status, body)
	}
	hint, ok := testidp.Claims(to.Query().Get("id_token_hint"))
	if !ok || hint["sub"] != "u-ada" || to.Query().Get("client_id") != testidp.ClientID {
		t.Errorf("%v", to)
	}
	if stolen.loggedIn() {
		t.Error("a stolen cookie outlives the log-out")
	}
	res, _ = b.do(&http.Request{Method: "GET", URL: to, Header: http.Header{}})
	if got := res.Header.Get("Location"); got != w.srv.base+"/login" {
		t.Errorf("the provider sends the browser back to %q", got)
	}
	// Nobody is logged in there either: the way in ends at the provider.
	if res, _ := b.enter(); res.StatusCode != http.StatusUnauthorized || b.loggedIn() {
		t.Errorf("%s", res.Status)
	}
}

// Where it waits, it is for the next second: what a provider says of time has no parts of one.
func TestSessionsEndWhenTheirProofDoes(t *testing.T) {
	w, idp := corpWorld(t, nil)
	sendLogout := func(token string) int {
		t.Helper()
		res, _ := w.browser().do(w.browser().request("/auth/backchannel-logout", url.Values{"logout_token": {token}}))
		return res.StatusCode
	}
	idp.Login(corpUser("bob", "vault-keepers"))
	other := w.corp()
	idp.Login(corpUser("ada", "vault-keepers"))

	b := w.corp()
	if _, err := w.gw.Revoke(context.Background(), access.Principal{Name: "root"}, access.Revocation{Principal: "corp-ada", Before: time.Now().Add(time.Second), Cause: "stolen laptop"}); err != nil || !b.gone() {
		t.Errorf("a revocation ends no session (%v)", err)
	}
	time.Sleep(2100 * time.Millisecond)

	for name, claims := range map[string]map[string]any{"by subject": {"sid": nil}, "by session": {"sub": nil}} {
		b := w.corp()
		token := idp.LogoutToken(claims)
		if status := sendLogout(token); status != http.StatusOK || !b.gone() {
			t.Fatalf("%s: %d, and the session goes on: %v", name, status, b.loggedIn())
		}
		time.Sleep(1100 * time.Millisecond)
		b = w.corp()
		if status := sendLogout(token); status != http.StatusBadRequest || !b.loggedIn() {
			t.Errorf("%s: the logout token was taken twice: %d", name, status)
		}
		if _, err := w.gw.Revoke(context.Background(), access.Principal{Name: "root"}, access.Revocation{Principal: "corp-ada", Before: time.Now().Add(time.Second), Cause: "next"}); err != nil || !b.gone() {
			t.Fatal("not ended", err)
		}
		time.Sleep(2100 * time.Millisecond)
	}

	// In other groups, by another log-in of theirs: what rests on the older words ends.
	b = w.corp()
	time.Sleep(1100 * time.Millisecond)
	idp.Login(corpUser("ada", "see-all"))
	newer := w.corp()
	if !b.gone() || !newer.loggedIn() {
		t.Errorf("the session in the groups of before goes on: %v", b.loggedIn())
	}
	if !other.loggedIn() {
		t.Error("somebody else's session was ended")
	}
}

// Providers, their buttons, and the form for passwords are those of the configuration in force.
func TestLogInPageFollowsAReload(t *testing.T) {
	var conf gateway.Config
	w, idp := corpWorld(t, func(c *gateway.Config, _ *Options) { conf = *c })
	b := w.corp()
	reload := func(principals []access.LocalPrincipal, providers []access.Provider) string {
		t.Helper()
		if _, err := w.gw.LoadPrincipals(principals, providers); err != nil {
			t.Fatal(err)
		}
		_, body := w.browser().get("/login")
		return body
	}
	named := slices.Clone(conf.Providers)
	named[0].Name = "intranet"
	if body := reload(nil, named); !strings.Contains(body, "Log in with intranet") || strings.Contains(body, "Log in with corp") || strings.Contains(body, `name="password"`) {
		t.Errorf("%s", body)
	}
	if !b.gone() {
		t.Error("the session by a provider that was defined anew goes on")
	}
	if res, _ := w.browser().get("/auth/start?provider=corp"); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a provider that is gone: %s", res.Status)
	}
	if body := reload(conf.Principals, nil); strings.Contains(body, "Log in with") || !strings.Contains(body, `name="password"`) {
		t.Errorf("%s", body)
	}
	if body := reload(conf.Principals, conf.Providers); !strings.Contains(body, "Log in with corp") {
		t.Errorf("%s", body)
	}
	if !w.corp().loggedIn() {
		t.Error("nobody comes in by a provider that came back")
	}
	if n := len(idp.Requests()); n == 0 {
		t.Error("the provider was not asked")
	}
}

func TestADoorWithoutAnAddressSendsNobodyAway(t *testing.T) {
	w := newWorld(t, func(_ *gateway.Config, o *Options) { o.Address = "0.0.0.0:1" })
	if _, err := w.gw.LoadPrincipals(nil, []access.Provider{{Name: "corp", Issuer: "http://127.0.0.1:1", ClientID: "x"}}); err != nil {
		t.Fatal(err)
	}
	if res, body := w.browser().get("/auth/start?provider=corp"); res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "public_url") {
		t.Errorf("%s %s", res.Status, body)
	}
}
