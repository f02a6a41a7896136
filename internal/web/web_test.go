package web

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
)

func sha256Hex(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func TestVendoredFilesAreThoseNamed(t *testing.T) {
	for name, want := range map[string]string{
		"htmx.min.js":              "e209dda5c8235479f3166defc7750e1dbcd5a5c1808b7792fc2e6733768fb447",
		"asciinema-player.min.js":  "752c9b528b664f5b16f27c68ba22fc7973d1d6063a1c3e4795a4c8015943acf6",
		"asciinema-player.css":     "981fe7bc6042048b2a373b6da297f747e324e90a8b6264e833e3a92cec22dfb9",
		"asciinema-player.LICENSE": "63422284ed65be54ab38d8a94e7518d27e222fbb26c9ae4cd984c63926e91c12",
	} {
		data, err := files.ReadFile("static/" + name)
		if err != nil || sha256Hex(string(data)) != want {
			t.Errorf("%s is not that of the package and version in static/README.md (%v)", name, err)
		}
	}
}

const write = "update customers set region = 'x' where id = 7"

func TestApproveAndRun(t *testing.T) {
	w := newWorld(t, nil)
	r := w.wish("asker", write, nil)
	b := w.login("keeper")
	if _, body := b.get("/reviews"); !strings.Contains(body, r.ID) {
		t.Fatal("the request is not in the reviewer's inbox")
	}
	_, body := b.get("/reviews/" + r.ID)
	for _, want := range []string{"asker", "ticket 4711", "claimed, not verified", `<span class="risk">update</span>`, r.Digest, "keepers", "update public.customers"} {
		if !strings.Contains(body, want) {
			t.Errorf("the request's page lacks %q", want)
		}
	}
	res, body := b.post("/reviews/"+r.ID+"/approve", decisionOn(r))
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/reviews/"+r.ID {
		t.Fatalf("approving: %s %s", res.Status, body)
	}
	w.wantState(r.ID, "approved")
	if res, err := w.run("asker", write, nil); err != nil || res.Command != "UPDATE 1" {
		t.Fatalf("the approved statement: %v %v", res, err)
	}
	w.wantState(r.ID, "executed")
	got, _ := w.gw.Review(r.ID)
	v := got.Votes[0]
	if v.Reviewer != "keeper" || v.Channel != "web" || v.Justification != "looked at ticket 4711" || time.Since(v.Authenticated) > time.Minute || v.Proven != "password" {
		t.Errorf("the vote is %+v", v)
	}
	if _, body := b.get("/reviews/" + r.ID); !strings.Contains(body, "executed") || strings.Contains(body, `action="/reviews/`+r.ID+`/approve"`) {
		t.Error("what has ended can still be decided about")
	}
}

func TestDenyTellsWhoAsked(t *testing.T) {
	w := newWorld(t, nil)
	r := w.wish("asker", write, nil)
	if res, body := w.login("keeper").post("/reviews/"+r.ID+"/deny", decisionOn(r)); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("denying: %s %s", res.Status, body)
	}
	w.wantState(r.ID, "denied")
	if _, body := w.login("asker").get("/reviews/" + r.ID); !strings.Contains(body, "looked at ticket 4711") || !strings.Contains(body, "; proven by password, at ") || !strings.Contains(body, "<dt>Proven by</dt><dd>password</dd>") {
		t.Error("who asked does not see why")
	}
}

func TestModes(t *testing.T) {
	w := newWorld(t, nil)
	b := w.login("keeper")
	approve := func(more ...string) *gateway.ReviewRequest {
		t.Helper()
		r := w.wish("asker", "update customers set region = 'm' where id = 3", nil)
		f := decisionOn(r, more...)
		f.Set("mode", more[1])
		if res, body := b.post("/reviews/"+r.ID+"/approve", f); res.StatusCode != http.StatusSeeOther {
			t.Fatalf("%v: %s %s", more, res.Status, body)
		}
		r, _ = w.gw.Review(r.ID)
		return r
	}
	r := approve("mode", "form", "uses", "2", "until", "1h", "range1", "range", "least1", "1", "most1", "9")
	if g := r.Grant; g.Uses != 2 || len(g.Ranges) != 2 || g.Ranges[0].In[0] != "m" || g.Ranges[1].Most != "9" {
		t.Errorf("granted %+v", r.Grant)
	}
	if _, err := w.run("asker", "update customers set region = 'm' where id = 8", nil); err != nil {
		t.Error("within the range:", err)
	}
	if _, err := w.run("asker", "update customers set region = 'm' where id = 10", nil); err == nil {
		t.Error("ran outside of the range")
	}
	w.run("asker", "update customers set region = 'm' where id = 8", nil)
	if r = approve("mode", "window", "until", "15m", "relation", "update public.customers", "relation", "select public.customers"); r.Grant.Mode != "window" || len(r.Grant.Relations) != 2 {
		t.Errorf("granted %+v", r.Grant)
	}
}

func TestFormsComeBackAsTheyWereFilledIn(t *testing.T) {
	w := newWorld(t, nil)
	r := w.wish("asker", write, nil)
	b := w.login("keeper")
	for name, f := range map[string]url.Values{
		"short":    decisionOn(r, "mode", "once"),
		"uses":     decisionOn(r, "uses", "many"),
		"mode":     decisionOn(r),
		"revision": decisionOn(r),
	} {
		switch name {
		case "short":
			f.Set("justification", "ok <i>")
		case "uses":
			f.Set("mode", "form")
		case "mode":
			f.Set("mode", "all")
		case "revision":
			f.Set("revision", "77")
		}
		res, body := b.post("/reviews/"+r.ID+"/approve", f)
		status := 422
		if name == "revision" {
			status = 409
		}
		if res.StatusCode != status || !strings.Contains(body, `role="alert"`) || !strings.Contains(body, plainHTML(f.Get("justification"))) {
			t.Errorf("%s: %s, without an error and what was filled in: %.300s", name, res.Status, body)
		}
	}
	w.wantState(r.ID, "pending")
}

func plainHTML(s string) string { return strings.NewReplacer("<", "&lt;", ">", "&gt;").Replace(s) }

func TestApprovingWantsAFreshPassword(t *testing.T) {
	w := newWorld(t, nil)
	now := time.Now()
	w.srv.now = func() time.Time { return now }
	r := w.wish("asker", write, nil)
	b := w.login("keeper")
	now = now.Add(DefaultStepUp)
	if _, body := b.get("/reviews/" + r.ID); !strings.Contains(body, `name="password"`) {
		t.Fatal("the form does not ask for the password")
	}
	if res, _ := b.post("/reviews/"+r.ID+"/approve", decisionOn(r)); res.StatusCode != 401 {
		t.Fatalf("approved without a password: %s", res.Status)
	}
	if res, _ := b.post("/reviews/"+r.ID+"/approve", decisionOn(r, "password", "pw-keeper2")); res.StatusCode != 401 {
		t.Fatalf("approved with another's password: %s", res.Status)
	}
	w.wantState(r.ID, "pending")
	if res, body := b.post("/reviews/"+r.ID+"/approve", decisionOn(r, "password", "pw-keeper")); res.StatusCode != 303 {
		t.Fatalf("%s %s", res.Status, body)
	}
	got, _ := w.gw.Review(r.ID)
	if at := got.Votes[0].Authenticated; !at.Equal(now) {
		t.Errorf("the vote says that the reviewer proved who they are at %s, want %s", at, now)
	}
	// A denial needs none.
	now = now.Add(DefaultStepUp)
	r = w.wish("asker", write+" and true", nil)
	if res, _ := b.post("/reviews/"+r.ID+"/deny", decisionOn(r)); res.StatusCode != 303 {
		t.Errorf("denying: %s", res.Status)
	}
}

func TestWhoMaySeeAndDecide(t *testing.T) {
	w := newWorld(t, nil)
	r := w.wish("both", write, nil)
	want := map[string]struct{ sees, approves int }{
		"keeper": {200, 303}, "both": {200, 409}, "auditor": {200, 409}, "asker": {404, 404}, "operator": {404, 404}, "stranger": {404, 404},
	}
	for _, name := range []string{"both", "auditor", "asker", "operator", "stranger", "keeper"} {
		b := w.login(name)
		res, body := b.get("/reviews/" + r.ID)
		if res.StatusCode != want[name].sees {
			t.Errorf("%s looks at the request: %s", name, res.Status)
		}
		if form := strings.Contains(body, `/approve"`); form != (name == "keeper") {
			t.Errorf("%s is shown a form to decide: %v", name, form)
		}
		if _, list := b.get("/reviews?state=all"); strings.Contains(list, r.ID) != (res.StatusCode == 200) {
			t.Errorf("%s: list and page disagree", name)
		}
		if res, _ := b.get("/reviews/" + r.ID + "/statement"); res.StatusCode != want[name].sees {
			t.Errorf("%s takes the statement away: %s", name, res.Status)
		}
		if res, _ := b.post("/reviews/"+r.ID+"/approve", decisionOn(r)); res.StatusCode != want[name].approves {
			t.Errorf("%s approves: %s, want %d", name, res.Status, want[name].approves)
		}
		if name != "keeper" {
			w.wantState(r.ID, "pending")
		}
	}
	w.wantState(r.ID, "approved")
}

func TestApprovalsAreTakenBack(t *testing.T) {
	w := newWorld(t, nil)
	r := w.wish("asker", write, nil)
	b := w.login("keeper")
	b.post("/reviews/"+r.ID+"/approve", decisionOn(r))
	w.wantState(r.ID, "approved")
	for name, offered := range map[string]bool{"keeper": true, "asker": false, "auditor": false} {
		if _, body := w.login(name).get("/reviews/" + r.ID); strings.Contains(body, "Take it back") != offered {
			t.Errorf("offered to %s: %v", name, !offered)
		}
	}
	now, _ := w.gw.Review(r.ID)
	if res, body := b.post("/reviews/"+r.ID+"/deny", decisionOn(now)); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("taking it back: %s %s", res.Status, body)
	}
	w.wantState(r.ID, "cancelled")
	if res, err := w.run("asker", write, nil); err == nil {
		t.Fatalf("it runs all the same: %v", res)
	}
}

// Who has approved what waits for another still takes it back.
func TestAnApprovalIsTakenBackWhileOthersDecide(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config, _ *Options) {
		c.Approvals.Groups = map[string]gateway.ReviewNeed{"keepers": {Quorum: 2}}
	})
	r := w.wish("asker", write, nil)
	first, second := w.login("keeper"), w.login("keeper2")
	if res, body := first.post("/reviews/"+r.ID+"/approve", decisionOn(r)); res.StatusCode != 303 {
		t.Fatalf("%s %s", res.Status, body)
	}
	for b, offered := range map[*browser]bool{first: true, second: false} {
		if _, body := b.get("/reviews/" + r.ID); strings.Contains(body, "Take it back") != offered {
			t.Errorf("%s is offered to take it back: %v", b.name, !offered)
		}
	}
	r, _ = w.gw.Review(r.ID)
	if res, body := first.post("/reviews/"+r.ID+"/deny", decisionOn(r)); res.StatusCode != 303 {
		t.Fatalf("%s %s", res.Status, body)
	}
	w.wantState(r.ID, "denied")
}

func TestOnlyWhoAskedWithdraws(t *testing.T) {
	w := newWorld(t, nil)
	r := w.wish("asker", write, nil)
	for name, status := range map[string]int{"keeper": 403, "auditor": 403, "stranger": 404} {
		if res, _ := w.login(name).post("/reviews/"+r.ID+"/cancel", url.Values{}); res.StatusCode != status {
			t.Errorf("%s: %s", name, res.Status)
		}
	}
	w.wantState(r.ID, "pending")
	if res, _ := w.login("asker").post("/reviews/"+r.ID+"/cancel", url.Values{}); res.StatusCode != 303 {
		t.Errorf("asker: %s", res.Status)
	}
	w.wantState(r.ID, "cancelled")
}

func TestBrokenGlassIsLookedAt(t *testing.T) {
	w := newWorld(t, nil)
	if _, err := w.runAt(access.DoorPGWire, "hero", write, func(q *gateway.Query) { q.Reason = "break-glass: the shop is down and on fire" }); err != nil {
		t.Fatal(err)
	}
	b := w.login("keeper")
	_, body := b.get("/reviews?state=glass")
	if !strings.Contains(body, "glass</span>") {
		t.Fatal("broken glass is not listed")
	}
	list, _ := w.gw.Reviews("", 1, nil)
	if _, body := b.get("/reviews/" + list[0].ID); !strings.Contains(body, "on fire") || !strings.Contains(body, "It was justified") {
		t.Error("broken glass cannot be looked at")
	}
	if res, body := b.post("/reviews/"+list[0].ID+"/approve", decisionOn(list[0])); res.StatusCode != 303 {
		t.Fatalf("%s %s", res.Status, body)
	}
	if _, body := b.get("/reviews?state=glass"); strings.Contains(body, list[0].ID) {
		t.Error("what was looked at waits still")
	}
}

func TestNewsArriveWhileSomebodyWaits(t *testing.T) {
	w := newWorld(t, nil)
	b := w.login("keeper")
	_, body := b.get("/reviews")
	live := liveForm.FindStringSubmatch(body)
	if live == nil {
		t.Fatal("the inbox does not renew itself")
	}
	got := make(chan string, 1)
	go func() {
		req, _ := http.NewRequest("GET", w.http.URL+strings.ReplaceAll(live[1], "&amp;", "&"), nil)
		req.Header.Set("HX-Request", "true")
		_, body := b.do(req)
		got <- body
	}()
	time.Sleep(50 * time.Millisecond)
	r := w.wish("asker", write, nil)
	select {
	case body := <-got:
		if !strings.Contains(body, r.ID) {
			t.Errorf("news without the request: %.200s", body)
		}
	case <-time.After(30 * time.Second):
		t.Error("no news")
	}
}

// TestWhoStandsInFindsTheRequest: before the escalation there is none for them, then their inbox has it, and all pages say since when.
func TestWhoStandsInFindsTheRequest(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config, _ *Options) {
		c.Approvals.Groups = map[string]gateway.ReviewNeed{"keepers": {Escalate: []string{"operators"}, After: 5 * time.Second}}
	})
	lead := w.login("operator")
	r := w.wish("asker", write, nil)
	if res, _ := lead.get("/reviews/" + r.ID); res.StatusCode != http.StatusNotFound {
		t.Fatalf("shown to who does not stand in yet: %s", res.Status)
	}
	_, body := lead.get("/reviews")
	live := liveForm.FindStringSubmatch(body)
	if live == nil || strings.Contains(body, r.ID) {
		t.Fatal("the inbox has it before, or does not renew itself")
	}
	req, _ := http.NewRequest("GET", w.http.URL+strings.ReplaceAll(live[1], "&amp;", "&"), nil)
	req.Header.Set("HX-Request", "true")
	if _, body := lead.do(req); !strings.Contains(body, r.ID) { // answers when there is news
		t.Fatalf("news without the request: %.200s", body)
	}
	now, err := w.gw.Review(r.ID)
	if err != nil {
		t.Fatal(err)
	}
	_, body = lead.get("/reviews/" + r.ID)
	for _, want := range []string{"stand in since", "keepers had not decided in 5 s, and <strong>operators</strong>", `/approve"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	// Who had the page open before is told to look again, as with each step.
	if res, _ := w.login("keeper").post("/reviews/"+r.ID+"/approve", decisionOn(r)); res.StatusCode != http.StatusConflict {
		t.Errorf("a page from before the escalation: %s", res.Status)
	}
	if res, body := lead.post("/reviews/"+r.ID+"/approve", decisionOn(now)); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("%s %s", res.Status, body)
	}
	w.wantState(r.ID, "approved")
	if _, body := w.login("asker").get("/reviews/" + r.ID); !strings.Contains(body, "<strong>operator</strong> in the place of keepers") || !strings.Contains(body, "<h3>Escalated</h3>") {
		t.Error("who asked is not told who stood in")
	}
}

func TestWhoWaitsForNewsIsToldThatTheyLoggedOut(t *testing.T) {
	w := newWorld(t, nil)
	b := w.login("keeper")
	_, body := b.get("/reviews")
	path := strings.ReplaceAll(liveForm.FindStringSubmatch(body)[1], "&amp;", "&")
	told := make(chan *http.Response, 1)
	go func() {
		req, _ := http.NewRequest("GET", w.http.URL+path, nil)
		req.Header.Set("HX-Request", "true")
		res, err := b.c.Do(req)
		if err == nil {
			res.Body.Close()
		}
		told <- res
	}()
	time.Sleep(200 * time.Millisecond) // it waits by then; where it does not, it is told all the same
	res, _ := b.post("/logout", url.Values{})
	if res.StatusCode != http.StatusSeeOther {
		t.Errorf("logging out: %s", res.Status)
	}
	select {
	case got := <-told:
		if got == nil || got.StatusCode != http.StatusUnauthorized || got.Header.Get("HX-Redirect") != "/login" {
			t.Errorf("who waits is told %v", got)
		}
	case <-time.After(pollTime / 2):
		t.Error("who waits for news goes on waiting")
	}
}
