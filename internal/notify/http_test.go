package notify

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"sallyport/audit/export"
	"sallyport/internal/access"
)

var testSecret = []byte("0123456789abcdef0123456789abcdef")

// inbox is a receiver on this machine. answer may answer in its place; what it gives nothing for is taken.
type inbox struct {
	*httptest.Server
	mu     sync.Mutex
	answer func(w http.ResponseWriter, n int, body []byte) (done bool)
	calls  int
	heads  []http.Header
	bodies []string
}

func newInbox(t *testing.T) *inbox {
	b := &inbox{}
	b.Server = httptest.NewServer(b)
	t.Cleanup(func() { b.CloseClientConnections(); b.Close() })
	return b
}

func (b *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	if b.answer != nil && b.answer(w, b.calls, body) {
		return
	}
	b.heads, b.bodies = append(b.heads, r.Header), append(b.bodies, string(body))
}

func (b *inbox) messages(t *testing.T) (out []Message) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, body := range b.bodies {
		verifier, err := standardwebhooks.NewWebhookRaw(testSecret)
		if err == nil {
			err = verifier.Verify([]byte(body), b.heads[i])
		}
		var m Message
		if err == nil {
			err = json.Unmarshal([]byte(body), &m)
		}
		if err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		if m.ID != b.heads[i].Get("webhook-id") {
			t.Errorf("the header says %s, the body %s", b.heads[i].Get("webhook-id"), m.ID)
		}
		out = append(out, m)
	}
	return out
}

func events(all []Message) (out []Event) {
	for _, m := range all {
		out = append(out, m.Event)
	}
	return out
}

func hook(b *inbox) Channel {
	return Channel{Name: "hook", Webhook: &export.Webhook{URL: b.URL + "/s3cret-path", Secret: testSecret}}
}

func TestWebhookTellsEachEventOnceInOrder(t *testing.T) {
	g, b := newLog(t), newInbox(t)
	r := g.start(hook(b))
	r.wait("ready", func(st export.Status) bool { return st.Position == 1 })
	g.asks()
	g.statement()
	g.step(access.ReviewStep{From: "pending", To: "pending", Verdict: "approve", Reviewer: "carol", Missing: []string{"privacy"}, Justification: "checked the ticket"})
	g.step(access.ReviewStep{From: "pending", To: "approved", Verdict: "approve", Reviewer: "dan"})
	g.step(access.ReviewStep{From: "approved", To: "claimed", Use: true})
	last := g.step(access.ReviewStep{From: "claimed", To: "executed", Outcome: "UPDATE 1"})
	r.waitPosition(last)
	st, _ := r.Status()
	r.finish()
	got := b.messages(t)
	if want := []Event{Requested, Vote, Approved, Executed}; !slices.Equal(events(got), want) {
		t.Fatalf("events %q, want %q", events(got), want)
	}
	if m := got[0]; m.Request != testID || m.URL != testBase+"/reviews/"+testID || m.Claimed != "a customer moved" || m.Principal != "ada" || m.Actor != "support-agent" ||
		!slices.Equal(m.Asked, []string{"leads", "privacy"}) || !m.Expires.Equal(expires) || m.SQL != "" {
		t.Errorf("%+v", m)
	}
	if m := got[3]; m.Outcome != "UPDATE 1" || !slices.Equal(m.Relations, []string{"update public.customers"}) {
		t.Errorf("%+v", m)
	}
	if strings.Contains(strings.Join(b.bodies, ""), "s3cret") {
		t.Error("a parameter was told")
	}
	if strings.Contains(st[0].To+r.said(), "s3cret") {
		t.Errorf("the path of the webhook is shown: %s", st[0].To)
	}
}

func TestNothingIsLostOverARestart(t *testing.T) {
	g, b := newLog(t), newInbox(t)
	r := g.start(hook(b))
	r.wait("ready", func(st export.Status) bool { return st.Position == 1 })
	down := true
	b.answer = func(w http.ResponseWriter, _ int, _ []byte) bool {
		if down {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return down
	}
	g.asks()
	r.wait("in trouble", func(st export.Status) bool { return st.State == export.Retrying })
	r.finish() // the gateway ends, and the receiver is down
	g.step(access.ReviewStep{From: "pending", To: "expired"})

	b.mu.Lock()
	down = false
	b.mu.Unlock()
	r = g.start(hook(b))
	r.waitPosition(3)
	r.finish()
	if got := events(b.messages(t)); !slices.Equal(got, []Event{Requested, Expired}) {
		t.Errorf("events %q", got)
	}
}

func TestReceiverThatAsksForPatience(t *testing.T) {
	g, b := newLog(t), newInbox(t)
	var times []string
	b.answer = func(w http.ResponseWriter, n int, body []byte) bool {
		var m Message
		json.Unmarshal(body, &m)
		times = append(times, m.ID)
		if n == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		}
		return n == 1
	}
	r := g.start(hook(b))
	r.wait("ready", func(st export.Status) bool { return st.Position == 1 })
	g.asks()
	r.waitPosition(2)
	r.finish()
	if len(b.messages(t)) != 1 || len(times) != 2 || times[0] != times[1] {
		t.Errorf("sent %q", times)
	}
}

// TestWhatComesTwiceHasTheSameID is what a receiver relies on that took a message and whose answer was lost.
func TestWhatComesTwiceHasTheSameID(t *testing.T) {
	g, b := newLog(t), newInbox(t)
	r := g.start(hook(b))
	r.wait("ready", func(st export.Status) bool { return st.Position == 1 })
	b.answer = func(w http.ResponseWriter, n int, _ []byte) bool {
		if n == 1 {
			defer w.WriteHeader(http.StatusBadGateway)
		}
		return false
	}
	g.asks()
	r.waitPosition(2)
	r.finish()
	got := b.messages(t)
	if len(got) != 2 || got[0].ID != got[1].ID {
		t.Errorf("%+v", got)
	}
}

func TestChannelsOfGroupsAndEvents(t *testing.T) {
	g, b := newLog(t), newInbox(t)
	c := hook(b)
	c.Groups, c.Events, c.SQL = []string{"privacy"}, []Event{Requested, Glass}, true
	r := g.start(c)
	r.wait("ready", func(st export.Status) bool { return st.Position == 1 })
	g.step(access.ReviewStep{To: "pending", Asked: []string{"leads"}})
	g.asks()
	g.step(access.ReviewStep{From: "pending", To: "expired"})
	r.waitPosition(4)
	r.finish()
	got := b.messages(t)
	if len(got) != 1 || got[0].Event != Requested || got[0].SQL != "UPDATE customers SET plan = $1" {
		t.Errorf("%+v", got)
	}
}

func TestWhatIsNotTakenIsToldWithoutTheWordsOfOthers(t *testing.T) {
	g, b := newLog(t), newInbox(t)
	b.answer = func(w http.ResponseWriter, _ int, body []byte) bool {
		bad := strings.Contains(string(body), "a customer moved")
		if bad {
			w.WriteHeader(http.StatusBadRequest)
		}
		return bad
	}
	r := g.start(hook(b))
	r.wait("ready", func(st export.Status) bool { return st.Position == 1 })
	g.asks()
	r.waitPosition(2)
	r.finish()
	got := b.messages(t)
	if len(got) != 1 || got[0].Request != testID || got[0].URL == "" || got[0].Principal != "somebody" {
		t.Errorf("%+v", got)
	}
}

func TestSlackMessage(t *testing.T) {
	g, b := newLog(t), newInbox(t)
	b.answer = func(w http.ResponseWriter, n int, _ []byte) bool {
		switch n {
		case 1:
			io.WriteString(w, `{"ok":false,"error":"internal_error"}`)
			return true
		}
		io.WriteString(w, `{"ok":true}`)
		return false
	}
	r := g.start(Channel{Name: "slack", Slack: &Slack{Token: "xoxb-1", Channel: "#reviews", API: b.URL}})
	r.wait("ready", func(st export.Status) bool { return st.Position == 1 })
	g.step(access.ReviewStep{To: "pending", Missing: []string{"leads"}}, func(rec *access.Record) {
		rec.Principal, rec.Reason = "<!channel>", "<!channel> *now* <https://evil.example|approve>"
	})
	r.waitPosition(2)
	r.finish()
	if b.heads[0].Get("Authorization") != "Bearer xoxb-1" {
		t.Error("no token")
	}
	var m slackMessage
	if err := json.Unmarshal([]byte(b.bodies[0]), &m); err != nil {
		t.Fatal(err)
	}
	if m.Channel != "#reviews" || strings.Contains(m.Text, "<") {
		t.Errorf("%+v", m)
	}
	buttons := 0
	for _, block := range m.Blocks {
		if block.Text != nil && (block.Text.Type != "plain_text" || len(block.Text.Text) > 3000) {
			t.Errorf("text that Slack formats: %+v", block.Text)
		}
		for _, e := range block.Elements {
			buttons++
			if e.URL != testBase+"/reviews/"+testID || e.Value != testID {
				t.Errorf("a button that leads to %s", e.URL)
			}
		}
	}
	if buttons != 1 {
		t.Errorf("%d buttons", buttons)
	}
}

func TestSlackAnswersThatAreErrors(t *testing.T) {
	for _, tc := range []struct {
		answer   string
		rejected bool
	}{{`{"ok":false,"error":"invalid_blocks"}`, true}, {`{"ok":false,"error":"invalid_auth"}`, false}, {`<html>`, false}} {
		b := newInbox(t)
		b.answer = func(w http.ResponseWriter, _ int, _ []byte) bool { io.WriteString(w, tc.answer); return true }
		s, err := newSlack(&Slack{Token: "t", Channel: "c", API: b.URL})
		if err != nil {
			t.Fatal(err)
		}
		err = s.send(t.Context(), &Message{Event: Requested})
		if err == nil || export.IsRejected(err) != tc.rejected {
			t.Errorf("%s: %v", tc.answer, err)
		}
		s.close()
	}
}

// A channel of those who stand in is told what they were not asked at first, and of what follows.
func TestWhoStandsInIsTold(t *testing.T) {
	g, all, theirs, teams := newLog(t), newInbox(t), newInbox(t), newInbox(t)
	board := hook(theirs)
	board.Name, board.Groups, board.SQL = "board", []string{"board"}, true
	r := g.start(hook(all), board, Channel{Name: "teams", Groups: []string{"board"}, Teams: &Teams{URL: teams.URL + "/workflows/1"}})
	r.wait("ready", func(st export.Status) bool { return st.Position == 1 })
	g.asks()
	now := []string{"board", "leads", "privacy"}
	g.step(access.ReviewStep{From: "pending", To: "pending", Asked: now, Missing: []string{"leads", "privacy"}, Escalated: &access.Escalated{Group: "leads", Quorum: 1, AfterMS: 90 * 60_000, To: []string{"board"}}},
		func(rec *access.Record) { rec.SQL, rec.Reason = "UPDATE customers SET plan = $1", "a customer moved" })
	last := g.step(access.ReviewStep{From: "pending", To: "denied", Asked: now, Verdict: "deny", Reviewer: "bea", Justification: "not before the audit"})
	r.waitPosition(last)
	r.finish()
	if got := events(all.messages(t)); !slices.Equal(got, []Event{Requested, Escalated, Denied}) {
		t.Errorf("events %q", got)
	}
	got := theirs.messages(t)
	if !slices.Equal(events(got), []Event{Escalated, Denied}) {
		t.Fatalf("events %q", events(got))
	}
	if m := got[0]; m.For != "leads" || !slices.Equal(m.StandIns, []string{"board"}) || m.After != "1h30m" || m.State != "pending" || m.Claimed != "a customer moved" ||
		m.SQL != "UPDATE customers SET plan = $1" || !slices.Equal(m.Missing, []string{"leads", "privacy"}) || m.URL == "" ||
		m.Title() != "A request of support-agent for ada waits for leads still: board may decide in their place now" {
		t.Errorf("%q %+v", m.Title(), m)
	}
	if theirs.heads[0].Get("Sallyport-Event") != "escalated" {
		t.Errorf("head %q", theirs.heads[0])
	}
	teams.mu.Lock()
	defer teams.mu.Unlock()
	if len(teams.bodies) != 2 || !strings.Contains(teams.bodies[0], "board may decide in their place now") || !strings.Contains(teams.bodies[0], "Standing in for leads: ") {
		t.Errorf("%q", teams.bodies)
	}
}

func TestTeamsCard(t *testing.T) {
	g, b := newLog(t), newInbox(t)
	b.answer = func(w http.ResponseWriter, _ int, _ []byte) bool { w.WriteHeader(http.StatusAccepted); return false }
	r := g.start(Channel{Name: "teams", Teams: &Teams{URL: b.URL + "/workflows/1"}})
	r.wait("ready", func(st export.Status) bool { return st.Position == 1 })
	g.step(access.ReviewStep{To: "claimed", Glass: "[approve](https://evil.example)", Use: true})
	r.waitPosition(2)
	r.finish()
	var m struct {
		Type        string
		Attachments []struct {
			ContentType string
			Content     struct {
				Type, Version string
				Body          []struct {
					Type    string
					Inlines []struct{ Type, Text, Color string }
				}
				Actions []struct{ Type, URL string }
			}
		}
	}
	if err := json.Unmarshal([]byte(b.bodies[0]), &m); err != nil {
		t.Fatal(err)
	}
	c := m.Attachments[0].Content
	if m.Type != "message" || m.Attachments[0].ContentType != "application/vnd.microsoft.card.adaptive" || c.Type != "AdaptiveCard" || c.Version != "1.4" {
		t.Errorf("%s", b.bodies[0])
	}
	if len(c.Actions) != 1 || c.Actions[0].Type != "Action.OpenUrl" || c.Actions[0].URL != testBase+"/reviews/"+testID {
		t.Errorf("actions %+v", c.Actions)
	}
	for _, block := range c.Body {
		if block.Type != "RichTextBlock" { // a TextBlock would take Markdown
			t.Errorf("a block that is %s", block.Type)
		}
	}
	if title := c.Body[0].Inlines[0]; !strings.HasPrefix(title.Text, "BREAK GLASS") || title.Color != "attention" {
		t.Errorf("a broken glass is told as %+v", title)
	}
}
