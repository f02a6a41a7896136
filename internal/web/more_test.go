package web

import (
	"fmt"
	"math"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
)

func TestPurposesAndSecondReviewers(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config, o *Options) {
		c.Approvals.Purposes, c.Approvals.NeedPurpose = map[string]string{"support": "contract"}, true
		c.Approvals.Groups = map[string]gateway.ReviewNeed{"keepers": {Quorum: 2}}
		o.Purposes, o.NeedPurpose = []access.Purpose{{ID: "support", Text: "answering <b>customers</b>", LawfulBasis: "contract"}}, true
	})
	r := w.wish("asker", write, nil)
	first, second := w.login("keeper"), w.login("keeper2")
	if _, body := first.get("/reviews/" + r.ID); !strings.Contains(body, `<option value="support">support: answering &lt;b&gt;customers&lt;/b&gt; (contract)</option>`) || !strings.Contains(body, "2 missing") {
		t.Error("the form does not offer the purpose")
	}
	if res, _ := first.post("/reviews/"+r.ID+"/approve", decisionOn(r)); res.StatusCode != 422 {
		t.Errorf("approved without a purpose: %s", res.Status)
	}
	f := decisionOn(r, "purpose", "support", "uses", "3", "until", "1h")
	f.Set("mode", "form")
	if res, body := first.post("/reviews/"+r.ID+"/approve", f); res.StatusCode != 303 {
		t.Fatalf("%s %s", res.Status, body)
	}
	w.wantState(r.ID, "pending")
	if _, body := first.get("/reviews/" + r.ID); strings.Contains(body, "/approve\"") || !strings.Contains(body, "Take it back") {
		t.Error("one reviewer is asked twice")
	}
	if _, body := second.get("/reviews/" + r.ID); !strings.Contains(body, "keeper has approved: this form, 3 times") || strings.Contains(body, `name="mode"`) {
		t.Error("the second reviewer is not told what the first has granted")
	}
	// A form of before the first word changes nothing.
	if res, body := second.post("/reviews/"+r.ID+"/approve", decisionOn(r, "purpose", "support")); res.StatusCode != 409 || !strings.Contains(body, "has changed meanwhile") {
		t.Errorf("an overtaken form: %s", res.Status)
	}
	r, _ = w.gw.Review(r.ID)
	if res, body := second.post("/reviews/"+r.ID+"/approve", decisionOn(r, "purpose", "support")); res.StatusCode != 303 {
		t.Fatalf("%s %s", res.Status, body)
	}
	w.wantState(r.ID, "approved")
	r, _ = w.gw.Review(r.ID)
	if v := r.Votes[1]; v.LawfulBasis != "contract" || r.Grant.Uses != 3 {
		t.Errorf("%+v, granted %+v", v, r.Grant)
	}
	if _, body := first.get("/reviews/" + r.ID); !strings.Contains(body, "lawful basis: contract") || !strings.Contains(body, "used 0 of 3") || !strings.Contains(body, "<h3>What is allowed</h3>") {
		t.Errorf("the lawful basis or the uses are not shown: %s", body)
	}
	if res, body := second.post("/reviews/"+r.ID+"/cancel", url.Values{}); res.StatusCode != 403 || !strings.Contains(body, "only asker can withdraw this request") {
		t.Errorf("a reviewer withdraws: %s %s", res.Status, body)
	}
	asker := w.login("asker")
	if res, body := asker.post("/reviews/"+r.ID+"/cancel", url.Values{}); res.StatusCode != 303 {
		t.Fatalf("%s %s", res.Status, body)
	}
	if _, body := asker.get("/reviews/" + r.ID); strings.Contains(body, "What is allowed") || !strings.Contains(body, "<h3>What was allowed, and is no more</h3>") {
		t.Errorf("what was withdrawn is said to be allowed: %s", body)
	}
}

func TestColumnsAreRevealedFromTheBrowser(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config, _ *Options) {
		c.Policies[0].Text += `@id("raw") @review("keepers") permit (principal in Group::"askers", action == Action::"reveal", resource in Connection::"shop");`
	})
	s, err := w.gw.Connect(t.Context(), gateway.Login{Door: access.DoorPGWire, Connection: "shop", Credentials: access.Password{User: "asker", Secret: "pw-asker"}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Do(t.Context(), []gateway.Op{{Kind: gateway.OpQuery, SQL: "set sallyport.reveal = 'customers.email'"}}, nothing{})
	list := w.gw.LiveReviews()
	if len(list) != 1 {
		t.Fatal("nothing was asked for")
	}
	r := list[0]
	b := w.login("keeper")
	_, body := b.get("/reviews/" + r.ID)
	if !strings.Contains(body, "public.customers.email</code></label>") || strings.Contains(body, `value="once"`) || !strings.Contains(body, `name="until"`) {
		t.Fatalf("the page of a reveal: %s", body)
	}
	if !strings.Contains(body, "<dt>Kind</dt><dd>reveal</dd>") {
		t.Error("the page does not say of which kind the request is")
	}
	if _, body := b.get("/reviews"); !strings.Contains(body, "public.customers.email") {
		t.Error("the list does not say which columns")
	}
	f := decisionOn(r, "column", "public.customers.email", "until", "15m")
	f.Set("mode", "reveal")
	if res, body := b.post("/reviews/"+r.ID+"/approve", f); res.StatusCode != 303 {
		t.Fatalf("%s %s", res.Status, body)
	}
	w.wantState(r.ID, "approved")
}

var (
	controls = regexp.MustCompile(`<(input|select|textarea)\b[^>]*>`)
	attr     = func(tag, name string) string {
		if m := regexp.MustCompile(`\b` + name + `="([^"]*)"`).FindStringSubmatch(tag); m != nil {
			return m[1]
		}
		return ""
	}
)

// TestPagesCanBeUsedWithoutSeeing looks at what a screen reader needs: names of controls, headings, ids that are there once, table heads.
func TestPagesCanBeUsedWithoutSeeing(t *testing.T) {
	w := newWorld(t, withArchive)
	r := w.wish("asker", "update customers set region = 'x' where id in (7, 8)", nil)
	w.wish("asker", write, nil)
	b, auditor := w.login("keeper"), w.login("auditor")
	check := func(path, body string) {
		t.Helper()
		seen := map[string]bool{}
		for _, m := range regexp.MustCompile(`\bid="([^"]*)"`).FindAllStringSubmatch(body, -1) {
			if seen[m[1]] {
				t.Errorf("%s: id %s twice", path, m[1])
			}
			seen[m[1]] = true
		}
		for _, tag := range controls.FindAllString(body, -1) {
			kind := attr(tag, "type")
			if kind == "hidden" {
				continue
			}
			id := attr(tag, "id")
			if kind == "radio" || kind == "checkbox" {
				if !strings.Contains(body, "<label>"+tag) {
					t.Errorf("%s: %s is in no label", path, tag)
				}
				continue
			}
			if id == "" || !strings.Contains(body, `<label for="`+id+`">`) {
				t.Errorf("%s: %s has no label", path, tag)
			}
		}
		for _, m := range regexp.MustCompile(`aria-(?:labelledby|describedby)="([^"]*)"`).FindAllStringSubmatch(body, -1) {
			if !seen[m[1]] {
				t.Errorf("%s: %s points nowhere", path, m[0])
			}
		}
		if strings.Contains(body, "<th>") {
			t.Errorf("%s: a table head without scope", path)
		}
		if strings.Count(body, "<img ") != strings.Count(body, " alt=") {
			t.Errorf("%s: an image without alt", path)
		}
		level := 1
		for _, m := range regexp.MustCompile(`<h([1-6])\b`).FindAllStringSubmatch(body, -1) {
			n, _ := strconv.Atoi(m[1])
			if n > level+1 {
				t.Errorf("%s: h%d after h%d", path, n, level)
			}
			level = n
		}
		for _, want := range []string{`<a class="skip" href="#main">`, `<main id="main"`, "width=device-width", "<title>"} {
			if !strings.Contains(body, want) {
				t.Errorf("%s lacks %s", path, want)
			}
		}
	}
	_, body := w.browser().get("/login")
	check("/login", body)
	for _, path := range []string{"/reviews", "/reviews/" + r.ID, "/overview", "/live", "/people"} {
		_, body := b.get(path)
		check(path, body)
	}
	for _, path := range []string{"/sessions", "/search", "/sessions/s_1", "/people/asker", "/connections", "/policy", "/record"} {
		_, body := auditor.get(path)
		check(path, body)
	}
	_, body = b.post("/reviews/"+r.ID+"/approve", url.Values{})
	check("an error", body)
	_, body = auditor.post("/policy", url.Values{"cases": {"- name: one"}})
	check("tested policies", body)
}

// TestContrast computes the contrast of what is written in each colour with what is behind it (WCAG 2.2, 1.4.3: 4.5 to 1; 1.4.11: 3 to 1
// for the focus), in both schemes.
func TestContrast(t *testing.T) {
	css, _ := files.ReadFile("static/style.css")
	schemes := strings.SplitN(string(css), "prefers-color-scheme: dark", 2)
	light, dark := schemes[0], strings.SplitN(schemes[1], "* { box-sizing", 2)[0]
	colour := func(scheme, name string) float64 {
		m := regexp.MustCompile(`--` + name + `: #([0-9a-f]{3,6});`).FindStringSubmatch(scheme)
		if m == nil {
			t.Fatalf("no colour --%s", name)
		}
		hex := m[1]
		if len(hex) == 3 {
			hex = fmt.Sprintf("%c%c%c%c%c%c", hex[0], hex[0], hex[1], hex[1], hex[2], hex[2])
		}
		lum := 0.0
		for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
			n, _ := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
			c := float64(n) / 255
			if c <= 0.04045 {
				c /= 12.92
			} else {
				c = math.Pow((c+0.055)/1.055, 2.4)
			}
			lum += weight * c
		}
		return lum
	}
	for name, scheme := range map[string]string{"light": light, "dark": dark} {
		for _, pair := range [][3]string{{"text", "page", "4.5"}, {"text", "card", "4.5"}, {"text", "code", "4.5"}, {"dim", "page", "4.5"}, {"dim", "card", "4.5"}, {"link", "page", "4.5"}, {"link", "card", "4.5"},
			{"on-accent", "accent", "4.5"}, {"bad", "bad-bg", "4.5"}, {"warn", "warn-bg", "4.5"}, {"good", "good-bg", "4.5"}, {"info", "info-bg", "4.5"}, {"bad", "card", "4.5"}, {"card", "bad", "4.5"},
			{"info", "code", "4.5"}, {"good", "code", "4.5"}, {"warn", "code", "4.5"}, {"bad", "page", "4.5"}, {"focus", "page", "3"}, {"focus", "card", "3"}, {"dim", "code", "4.5"}} {
			a, b := colour(scheme, pair[0]), colour(scheme, pair[1])
			least, _ := strconv.ParseFloat(pair[2], 64)
			if got := (max(a, b) + 0.05) / (min(a, b) + 0.05); got < least {
				t.Errorf("%s: %s on %s is %.2f to 1, want %s", name, pair[0], pair[1], got, pair[2])
			}
		}
	}
}
