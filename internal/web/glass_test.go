package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/audit"
	"sallyport/internal/access"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/testidp"
)

// The provider is down: the envelope opens the door, and is shown to auditors and operators until one of them says that they looked.
func TestBreakGlassAtThisDoor(t *testing.T) {
	idp := testidp.New(t)
	w := newWorld(t, func(c *gateway.Config, _ *Options) {
		c.Providers = []access.Provider{{Name: "corp", Issuer: idp.Issuer, ClientID: testidp.ClientID, Prefix: "corp-"}}
		c.Principals = append(c.Principals, access.LocalPrincipal{Name: "envelope", Kind: access.Human, Groups: []string{"operators"}, Secret: identity.HashPassword("pw-envelope"),
			BreakGlass: true, Expires: time.Now().Add(time.Hour).UTC().Format(time.RFC3339)})
	})
	idp.Server.Close()
	if res, _ := w.browser().get("/auth/start?provider=corp&next=/"); res.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("the provider answers: %s", res.Status)
	}
	envelope, auditor, asker := w.login("envelope"), w.login("auditor"), w.login("asker")
	form := regexp.MustCompile(`action="(/glass/[^"]+/looked)"`)
	if _, body := auditor.get("/reviews"); !strings.Contains(body, "1 log-in by break glass") {
		t.Error("an auditor's inbox does not say so")
	}
	_, body := auditor.get("/overview")
	m := form.FindStringSubmatch(body)
	if m == nil || !strings.Contains(body, "envelope") {
		t.Fatalf("the overview does not show it: %s", body)
	}
	if _, body := envelope.get("/overview"); !strings.Contains(body, "by somebody else") || form.MatchString(body) {
		t.Error("who logged in is asked to look at it")
	}
	for _, path := range []string{"/overview", "/reviews"} {
		if _, body := asker.get(path); strings.Contains(body, "envelope") || strings.Contains(body, "break glass") {
			t.Errorf("others see it at %s", path)
		}
	}
	if res, _ := asker.post(m[1], url.Values{}); res.StatusCode != 404 {
		t.Errorf("others look at it: %s", res.Status)
	}
	if res, _ := envelope.post(m[1], url.Values{}); res.StatusCode != 403 {
		t.Errorf("who logged in looks at it: %s", res.Status)
	}
	if res, _ := auditor.post(m[1], url.Values{}); res.StatusCode != 303 {
		t.Errorf("%s", res.Status)
	}
	if _, body := auditor.get("/overview"); strings.Contains(body, "envelope") {
		t.Error("it is still shown")
	}
	if res, _ := auditor.post(m[1], url.Values{}); res.StatusCode != 404 {
		t.Errorf("twice: %s", res.Status)
	}
}

// What an auditor is shown is on record before; what others see of their own is not, and neither is the inbox.
func TestWhatAuditorsLookAtIsRecorded(t *testing.T) {
	var dir string
	w := newWorld(t, func(c *gateway.Config, o *Options) { withArchive(c, o); dir = c.DataDir })
	viewed := func() (out []access.Viewing) {
		err := audit.Read(dir+"/log", func(r *access.Record) error {
			var v access.Viewing
			if r.Kind != access.RecordViewed {
				return nil
			}
			if r.Principal != "auditor" || r.Door != access.DoorWeb || r.Client == "" || json.Unmarshal(r.Viewed, &v) != nil {
				t.Errorf("%+v", r)
			}
			out = append(out, v)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	id := w.wish("asker", "update customers set region = 'x'", nil).ID
	for _, name := range []string{"asker", "keeper", "operator", "stranger"} {
		b := w.login(name)
		for _, path := range []string{"/sessions", "/search?q=update", "/sessions/s_1", "/sessions/s_1/replay", "/reviews/" + id, "/overview"} {
			b.get(path)
		}
	}
	b := w.login("auditor")
	for _, path := range []string{"/reviews", "/reviews/live?state=all&seen=x", "/overview", "/live", "/sessions/s_none"} {
		b.get(path)
	}
	if got := viewed(); len(got) != 0 {
		t.Fatalf("%+v", got)
	}
	for _, path := range []string{"/sessions?principal=asker", "/search?q=mail+ada@example.com&label=pii.email", "/sessions/s_1", "/sessions/s_1/replay", "/sessions/s_1/evidence", "/reviews/" + id,
		"/reviews/" + id + "/statement"} {
		if res, _ := b.get(path); res.StatusCode != 200 {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
	got := viewed()
	want := []access.Viewing{{What: access.ViewSessions, Query: "principal=asker"}, {What: access.ViewSearch}, {What: access.ViewSession, Of: "s_1"}, {What: access.ViewReplay, Of: "s_1"},
		{What: access.ViewEvidence, Of: "s_1"}, {What: access.ViewRequest, Of: id}, {What: access.ViewRequest, Of: id}}
	if len(got) < 2 || strings.Contains(got[1].Query, "ada@example.com") || !strings.HasSuffix(got[1].Query, "label=pii.email") {
		t.Fatalf("%+v", got)
	}
	got[1].Query = ""
	if !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}
