package web

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport/internal/gateway"
)

func TestNotesAndPreviewOnThePage(t *testing.T) {
	w := newWorld(t, nil)
	r := w.wish("asker", "update customers set region = 'x' where id between 3 and 9", func(q *gateway.Query) { q.Reason = "" })
	b := w.login("keeper")
	if _, body := b.get("/reviews/" + r.ID); !strings.Contains(body, "Worth a second look") {
		t.Error("a request without a reason has no note")
	}
	res, body := b.post("/reviews/"+r.ID+"/preview", url.Values{})
	if res.StatusCode != 200 || !strings.Contains(body, "<strong>7 rows</strong>") || !strings.Contains(body, "/approve\"") {
		t.Errorf("preview: %s, without the rows that it would change", res.Status)
	}
	w.wantState(r.ID, "pending")
	if _, body := w.login("asker").get("/reviews/" + r.ID); strings.Contains(body, "Worth a second look") || strings.Contains(body, "/preview") {
		t.Error("who asked is shown what the reviewer is told")
	}
	for name, status := range map[string]int{"asker": 403, "stranger": 404} {
		if res, _ := w.login(name).post("/reviews/"+r.ID+"/preview", url.Values{}); res.StatusCode != status {
			t.Errorf("%s looks at a preview: %s", name, res.Status)
		}
	}
}

// TestMostRowsOfARequest: a limit on what is changed is one, where nothing is said of what is released.
func TestMostRowsOfARequest(t *testing.T) {
	for policy, want := range map[string]string{"": "no limit", `@affected("<=3")`: "3 changed", `@rows("5") @affected("<=3")`: "5 released, 3 changed", `@rows("5")`: "5 released"} {
		w := newWorld(t, func(c *gateway.Config, _ *Options) {
			c.Policies = append(c.Policies, gateway.PolicyFile{Name: "few.cedar", Text: `@id("few") ` + policy + ` permit (principal in Group::"askers", action == Action::"write", resource in Connection::"shop");`})
		})
		r := w.wish("asker", write, nil)
		if _, body := w.login("keeper").get("/reviews/" + r.ID); !strings.Contains(body, "<dt>Most rows</dt><dd>"+want+"</dd>") {
			t.Errorf("%s: the page does not say %q", policy, want)
		}
	}
}

// TestAPreviewByItselfIsOnThePage, and in the interface for programs, for who decides.
func TestAPreviewByItselfIsOnThePage(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config, _ *Options) {
		c.Policies = append(c.Policies, gateway.PolicyFile{Name: "try.cedar", Text: `@id("try") @preview("auto") permit (principal in Group::"askers", action == Action::"write", resource in Connection::"shop");`})
	})
	r := w.wish("asker", "update customers set region = 'x' where id between 3 and 9", nil)
	var shown Review
	for end := time.Now().Add(30 * time.Second); shown.Look == nil || shown.Preview == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no preview is made")
		}
		w.program("GET", "/api/v1/reviews/"+r.ID, "keeper", &shown)
	}
	if shown.Preview.Rows == nil || *shown.Preview.Rows != 7 || !strings.Contains(shown.Preview.Plan, "customers") {
		t.Errorf("%+v", shown.Preview)
	}
	if _, body := w.login("keeper").get("/reviews/" + r.ID); !strings.Contains(body, "<strong>7 rows</strong>") || !strings.Contains(body, ">Look again<") {
		t.Error("the page does not show it")
	}
	for _, who := range []string{"asker", "auditor"} {
		var shown Review
		w.program("GET", "/api/v1/reviews/"+r.ID, who, &shown)
		if _, body := w.login(who).get("/reviews/" + r.ID); strings.Contains(body, "7 rows") || shown.Look != nil && shown.Preview != nil {
			t.Errorf("%s is shown it", who)
		}
	}
	w.wantState(r.ID, "pending")
}

func TestAPolicyWithoutPreviewIsNamedInItsPlace(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config, _ *Options) {
		c.Policies = append(c.Policies, gateway.PolicyFile{Name: "quiet.cedar", Text: `@id("quiet") @preview("off") permit (principal in Group::"askers", action == Action::"write", resource in Connection::"shop");`})
	})
	r := w.wish("asker", write, nil)
	b := w.login("keeper")
	if _, body := b.get("/reviews/" + r.ID); !strings.Contains(body, `What it would do is not tried out: policy <code>quiet</code>`) || strings.Contains(body, "/preview\"") {
		t.Error("the page of a request without preview does not say so, or has a button for one")
	}
	res, body := b.post("/reviews/"+r.ID+"/preview", url.Values{})
	if res.StatusCode != 403 || !strings.Contains(body, "there is no preview of this: quiet has @preview") {
		t.Errorf("asked for all the same: %s", res.Status)
	}
}
