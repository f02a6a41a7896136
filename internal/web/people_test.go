package web

import (
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
)

// Who logged in by a provider sees what they may do and why; those who watch see whom the gateway has met, as their proofs say.
func TestPeopleOfAProviderAreOnThePage(t *testing.T) {
	w, idp := corpWorld(t, func(c *gateway.Config, _ *Options) { c.Providers[0].Groups["ask"] = "askers" })
	idp.Login(corpUser("eva", "see-all"))
	auditor := w.corp()
	shown := func(b *browser, name string) bool {
		_, body := b.get("/people")
		return strings.Contains(body, `aria-label="`+name+`"`)
	}
	if shown(auditor, "corp-ada") || !shown(auditor, "corp-eva") || !shown(auditor, "asker") {
		t.Error("the auditor sees not the configuration's, or not themselves, or whom nobody has met")
	}
	idp.Login(corpUser("ada", "ask"))
	ada := w.corp()
	link := regexp.MustCompile(`href="(/people/corp-ada[^"]*)"`)
	_, body := ada.get("/people")
	m := link.FindStringSubmatch(body)
	if m == nil || !strings.Contains(body, "askers") || !strings.Contains(body, "by the word of corp") || strings.Contains(body, `aria-label="asker"`) || strings.Contains(body, "corp-eva\"") {
		t.Fatalf("ada is shown %s", body)
	}
	res, body := ada.post(m[1], url.Values{"connection": {"shop"}, "door": {"pgwire"}, "sql": {write}})
	if res.StatusCode != http.StatusOK || !strings.Contains(body, `class="state s-review"`) || !strings.Contains(body, "keepers") || !strings.Contains(body, "1 column") && !strings.Contains(body, "public.customers") {
		t.Errorf("her own page: %s %s", res.Status, body)
	}
	if _, body := auditor.get("/people"); link.FindString(body) == "" || !strings.Contains(body, "askers") {
		t.Errorf("the auditor is not shown ada: %s", body)
	}
	if res, body := auditor.get(m[1]); res.StatusCode != http.StatusOK || !strings.Contains(body, "by the word of corp") {
		t.Errorf("%s %.300s", res.Status, body)
	}
	// Another account of the name is another page, and neither's is the other's.
	idp.Login(&testidp.User{Subject: "u-other", Claims: corpUser("ada", "ask").Claims, Authenticated: time.Now()})
	other := w.corp()
	if res, _ := other.get(m[1]); res.StatusCode != http.StatusNotFound {
		t.Errorf("another account of the name at ada's page: %s", res.Status)
	}
	_, body = auditor.get("/people")
	if n := len(link.FindAllString(body, -1)); n != 2 {
		t.Errorf("%d accounts of the name are listed", n)
	}
	// Who has logged out with nothing left is known while the proof would hold; who is withdrawn, by the account too, is not met any more.
	c := w.issue(idp)
	ada.post("/logout", url.Values{})
	if _, body := auditor.get("/people"); link.FindString(body) == "" {
		t.Error("a recent log-in is forgotten")
	}
	if p := w.gw.Known(); len(p) == 0 || p[0].Name != c.Principal || p[0].Proof.Credential != c.Credential && p[0].Proof.Subject != "u-other" {
		t.Errorf("%+v", p)
	}
	for _, p := range w.gw.Known() {
		if p.Proof.Issuer != idp.Issuer || p.Actor != "" {
			t.Errorf("%+v is of nobody's provider", p)
		}
	}
	for _, r := range []access.Revocation{{Credential: c.Credential}, {Issuer: idp.Issuer, Subject: "u-ada"}, {Issuer: idp.Issuer, Subject: "u-other"}} {
		r.Cause = "in foreign hands"
		if _, err := w.gw.Revoke(t.Context(), access.Principal{Name: "root"}, r); err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(w.gw.Known(), func(p access.Principal) bool {
			return r.Subject != "" && p.Proof.Subject == r.Subject || r.Credential != "" && p.Proof.Credential == r.Credential
		}) {
			t.Errorf("%+v is withdrawn, and known", r)
		}
	}
	if _, body := auditor.get("/people"); link.FindString(body) != "" || !strings.Contains(body, `aria-label="corp-eva"`) {
		t.Errorf("withdrawn accounts are met, or others are not: %s", body)
	}
	if p := w.gw.Known(); len(p) != 1 || p[0].Name != "corp-eva" {
		t.Errorf("%+v", p)
	}
	// What a provider's word came to under its definition of before says nothing of now.
	corp := access.Provider{Name: "corp", Issuer: idp.Issuer, ClientID: testidp.ClientID, UserClaim: "email", Prefix: "corp-"}
	if _, err := w.gw.LoadPrincipals(nil, []access.Provider{corp}); err != nil {
		t.Fatal(err)
	}
	if p := w.gw.Known(); len(p) != 0 {
		t.Errorf("by a definition that is gone: %+v", p)
	}
	if _, err := w.gw.LoadPrincipals(nil, []access.Provider{{Name: "new", Issuer: testidp.New(t).Issuer, ClientID: testidp.ClientID, Prefix: "new-"}}); err != nil {
		t.Fatal(err)
	}
	if p := w.gw.Known(); len(p) != 0 {
		t.Errorf("a provider that is gone speaks for %+v", p)
	}
}
