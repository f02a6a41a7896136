package web

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
	"sallyport/internal/testidp"
)

// asks has somebody whom a provider has logged in ask for approval over a session that stays open, and gives their credential too.
func (w *world) asks(idp *testidp.Provider) (c Credential, request, session string) {
	w.t.Helper()
	c = w.issue(idp)
	s, err := w.gw.Connect(w.t.Context(), gateway.Login{Door: access.DoorMCP, Connection: "shop", Credentials: access.Password{User: c.Principal, Secret: c.Secret}, Client: "c"})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { s.Close() })
	_, err = s.Query(w.t.Context(), gateway.Query{SQL: write, Reason: "a reason of their own"})
	var e *access.Error
	if !errors.As(err, &e) || e.Review == "" {
		w.t.Fatal(err)
	}
	return c, e.Review, w.gw.LiveSessions()[0].ID
}

// Who has a name next, by another account of the same provider or by another provider, is shown nothing of who had it before.
func TestWhoHasANameNextSeesNothingOfTheOneBefore(t *testing.T) {
	var m memory
	w, idp := corpWorld(t, func(c *gateway.Config, o *Options) {
		c.Providers[0].Groups["ask"] = "askers"
		o.Archive = memory{}.archive()
	})
	idp.Login(corpUser("ada", "ask"))
	first, made, live := w.asks(idp)
	ada := w.corp()
	m = recorded()
	for _, r := range m[:7] {
		r.Principal = "corp-ada"
	}
	m[0].Proof = &access.Proof{Method: access.ByIDToken, Issuer: idp.Issuer, Subject: "u-ada"}
	*w.srv.opt.Archive = *m.archive()
	see := func(who string, b *browser, c Credential, want bool) {
		t.Helper()
		shows := func(path, text string) {
			t.Helper()
			if res, body := b.get(path); (res.StatusCode == http.StatusOK && strings.Contains(body, text)) != want {
				t.Errorf("%s at %s: %s, wants it to have %q: %v", who, path, res.Status, text, want)
			}
		}
		shows("/reviews?state=all", made)
		shows("/reviews?state=mine", made)
		shows("/reviews/"+made, "a reason of their own")
		shows("/reviews/"+made+"/statement", "update")
		shows("/search", "drop table x")
		shows("/sessions", "s_1")
		shows("/sessions/s_1", "drop table x")
		shows("/sessions/s_1/replay", "cast of s_1")
		shows("/overview", "pii.email")
		if !strings.HasSuffix(who, "another provider") { // reloading has ended the session
			shows("/live", live)
		}
		status, text := w.ask("GET", "/api/v1/reviews?state=all", nil, nil, c.Principal, c.Secret)
		if status != http.StatusOK || strings.Contains(text, made) != want {
			t.Errorf("%s is listed by the interface for programs: %d %.200s", who, status, text)
		}
		if status, _ := w.ask("GET", "/api/v1/reviews/"+made, nil, nil, c.Principal, c.Secret); (status == http.StatusOK) != want {
			t.Errorf("%s is shown by the interface for programs: %d", who, status)
		}
	}
	see("who asked", ada, first, true)

	idp.Login(&testidp.User{Subject: "u-other", Claims: corpUser("ada", "ask").Claims, Authenticated: time.Now().Add(-time.Hour)})
	other := w.corp()
	see("another account", other, w.issue(idp), false)
	if res, _ := other.post("/reviews/"+made+"/cancel", url.Values{}); res.StatusCode != http.StatusNotFound {
		t.Errorf("another account withdraws it: %s", res.Status)
	}

	elsewhere := testidp.New(t)
	elsewhere.Login(&testidp.User{Subject: "u-ada", Claims: corpUser("ada", "ask").Claims, Authenticated: time.Now().Add(-time.Hour)})
	if _, err := w.gw.LoadPrincipals(nil, []access.Provider{{Name: "corp", Issuer: elsewhere.Issuer, ClientID: testidp.ClientID, UserClaim: "preferred_username", Prefix: "corp-", GroupsClaim: "groups",
		Groups: map[string]string{"ask": "askers"}, ACR: []string{strong}}}); err != nil {
		t.Fatal(err)
	}
	see("another provider", w.corp(), w.issue(elsewhere), false)
}
