package notify

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"sallyport/audit"
	"sallyport/audit/export"
	"sallyport/internal/access"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testID   = "20261126090000" + "00112233445566778899aabbccddeeff"
	testBase = "https://review.example.com"
)

var (
	begun   = time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
	expires = begun.Add(time.Hour)
)

// gateLog is a log as a gateway writes it, and beside it the channels.
type gateLog struct {
	t     *testing.T
	dir   string
	state string
	log   *audit.Log
	seq   uint64
}

func newLog(t *testing.T) *gateLog {
	t.Helper()
	g := &gateLog{t: t, dir: filepath.Join(t.TempDir(), "log"), state: t.TempDir()}
	var err error
	if g.log, err = audit.Open(g.dir, audit.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.log.Close() })
	g.statement() // a log that is older than its channels
	return g
}

func (g *gateLog) add(rec *access.Record) uint64 {
	g.t.Helper()
	g.seq++
	rec.Session, rec.Seq, rec.Time = "s_gate", g.seq, begun.Add(time.Duration(g.seq)*time.Second)
	pos, err := g.log.Append(rec)
	if err != nil {
		g.t.Fatal(err)
	}
	return pos
}

func (g *gateLog) statement() {
	g.add(&access.Record{Kind: access.RecordStatement, Principal: "bob", SQL: "SELECT 1"})
}

// step records a step of the request of ada through an agent; change may make it another.
func (g *gateLog) step(s access.ReviewStep, change ...func(*access.Record)) uint64 {
	g.t.Helper()
	if s.Asked == nil {
		s.Asked = []string{"leads", "privacy"}
	}
	s.Digest, s.Expires, s.Relations, s.Labels = "d1", expires, []string{"update public.customers"}, []access.Label{"pii.email"}
	rec := &access.Record{Kind: access.RecordReview, Door: access.DoorMCP, Connection: "shop", Principal: "ada", Actor: "support-agent", Task: "task_1", Approval: testID}
	rec.Review, _ = json.Marshal(s)
	for _, c := range change {
		c(rec)
	}
	return g.add(rec)
}

func (g *gateLog) asks() uint64 {
	return g.step(access.ReviewStep{To: "pending", Missing: []string{"leads", "privacy"}}, func(r *access.Record) {
		r.SQL, r.Params, r.Reason, r.Ticket = "UPDATE customers SET plan = $1", []string{"s3cret-parameter"}, "a customer moved", "SUP-1"
	})
}

type running struct {
	*export.Set
	t     *testing.T
	notes *os.File // of the operator
}

func (r *running) said() string {
	text, err := os.ReadFile(r.notes.Name())
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

func (g *gateLog) start(channels ...Channel) *running {
	g.t.Helper()
	for i := range channels {
		channels[i].URL = testBase
	}
	n, err := os.CreateTemp(g.t.TempDir(), "notes")
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { n.Close() })
	s, err := Open(g.dir, g.state, channels, export.Options{Log: slog.New(slog.NewTextHandler(n, nil))})
	if err != nil {
		g.t.Fatal(err)
	}
	s.Start()
	return &running{s, g.t, n}
}

func (r *running) finish() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := r.Close(ctx); err != nil || ctx.Err() != nil {
		r.t.Fatalf("%v, %v\n%s", err, ctx.Err(), r.said())
	}
}

// wait waits until all channels have a status.
func (r *running) wait(what string, is func(export.Status) bool) {
	r.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		st, err := r.Status()
		if err != nil {
			r.t.Fatal(err)
		}
		if !slices.ContainsFunc(st, func(st export.Status) bool { return !is(st) }) {
			return
		}
	}
	r.t.Fatalf("a channel is not %s\n%s", what, r.said())
}

func (r *running) waitPosition(pos uint64) {
	r.t.Helper()
	r.wait("there", func(st export.Status) bool { return st.Position >= pos })
}

func TestEventsOfSteps(t *testing.T) {
	for _, tc := range []struct {
		step access.ReviewStep
		want Event
	}{
		{access.ReviewStep{}, ""},
		{access.ReviewStep{To: "pending"}, Requested},
		{access.ReviewStep{To: "claimed", Glass: "the shop is down", Use: true}, Glass},
		{access.ReviewStep{From: "pending", To: "pending", Verdict: "approve"}, Vote},
		{access.ReviewStep{From: "pending", To: "pending", Escalated: &access.Escalated{Group: "leads"}}, Escalated},
		{access.ReviewStep{From: "executed", To: "executed", Glass: "the shop is down", Escalated: &access.Escalated{Group: "leads"}}, Escalated},
		{access.ReviewStep{From: "pending", To: "approved", Verdict: "approve"}, Approved},
		{access.ReviewStep{From: "pending", To: "denied", Verdict: "deny"}, Denied},
		{access.ReviewStep{From: "pending", To: "expired"}, Expired},
		{access.ReviewStep{From: "approved", To: "cancelled"}, Cancelled},
		{access.ReviewStep{From: "approved", To: "claimed", Use: true}, ""},
		{access.ReviewStep{From: "approved", To: "approved", Use: true}, ""},
		{access.ReviewStep{From: "claimed", To: "executed"}, Executed},
		{access.ReviewStep{From: "claimed", To: "failed"}, Failed},
		{access.ReviewStep{From: "claimed", To: "unknown"}, Unknown},
		{access.ReviewStep{From: "executed", To: "executed", Verdict: "approve", Afterwards: true}, Reviewed},
		{access.ReviewStep{From: "pending", To: "somewhere"}, ""},
	} {
		if got := eventOf(&tc.step); got != tc.want {
			t.Errorf("%+v is %q, want %q", tc.step, got, tc.want)
		}
	}
}

func TestMessageHoldsWhatReviewersNeedAndNoMore(t *testing.T) {
	rec := &access.Record{Position: 7, Time: begun, Kind: access.RecordReview, Connection: "shop", Principal: "ada", Actor: "support-agent", Approval: testID,
		SQL: "UPDATE t SET a = $1", Params: []string{"s3cret-parameter"},
		Reason: "see https://evil.example/approve\u202e\nApproved: yes\x1b[2J" + strings.Repeat("x", 1000)}
	step := &access.ReviewStep{From: "claimed", To: "failed", Outcome: "duplicate key (email)=(s3cret-row)", Relations: make([]string, 40)}
	m := newMessage(Failed, "log1", rec, step)
	body, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, no := range []string{"s3cret", "://", "\u202e", `\u202e`, `\n`, "\x1b", `\u001b`} {
		if strings.Contains(string(body), no) {
			t.Errorf("the message holds %q: %s", no, body)
		}
	}
	if n := len([]rune(m.Claimed)); n > mostText+10 || !strings.HasSuffix(m.Claimed, "[…]") {
		t.Errorf("a claimed reason of %d characters: %s", n, m.Claimed)
	}
	if len(m.Relations) != mostList+1 || m.Relations[mostList] != "30 more" {
		t.Errorf("relations %q", m.Relations)
	}
	if m.ID != "log1-7" {
		t.Errorf("id %s", m.ID)
	}
}

// A log-in by break glass is told to every channel that wants it, whatever groups it goes by; other log-ins to none.
func TestLoginsByBreakGlassAreTold(t *testing.T) {
	g, b, quiet := newLog(t), newInbox(t), newInbox(t)
	all, not := hook(b), hook(quiet)
	all.Groups = []string{"leads"}
	not.Name, not.Events = "quiet", []Event{Requested}
	r := g.start(all, not)
	r.wait("ready", func(st export.Status) bool { return st.Position == 1 })
	proof := &access.Proof{Method: access.ByPassword, BreakGlass: true, Expires: expires}
	usual := *proof
	usual.BreakGlass = false
	g.add(&access.Record{Session: "s_gate", Kind: access.RecordLogin, Principal: "ada", Proof: &usual})
	g.add(&access.Record{Session: "s_gate", Kind: access.RecordLogin, Principal: "ada"})
	g.add(&access.Record{Session: "s_gate", Kind: access.RecordOpen, Principal: "envelope", Proof: proof})
	last := g.add(&access.Record{Session: "s_gate", Kind: access.RecordLogin, Principal: "envelope\x1b[2J", Door: access.DoorPGWire, Connection: "shop", Client: "10.0.0.7:4711 http://evil.example", Proof: proof})
	r.waitPosition(last)
	r.finish()
	got := b.messages(t)
	if len(got) != 1 || len(quiet.messages(t)) != 0 {
		t.Fatalf("%+v and %d", got, len(quiet.bodies))
	}
	m := got[0]
	if m.Event != GlassLogin || m.URL != testBase+"/overview" || m.Request != "" || m.Door != "pgwire" || m.Method != "password" || strings.Contains(m.Principal, "\x1b") || strings.Contains(m.Client, "://") || !m.Loud() {
		t.Errorf("%+v", m)
	}
}

func TestFactsSayThatTheReasonIsClaimed(t *testing.T) {
	m := &Message{Event: Requested, Principal: "ada", Actor: "support-agent", Connection: "shop", Claimed: "a customer moved", Missing: []string{"leads", "privacy"}, Expires: expires, Request: testID,
		Relations: []string{"update public.customers"}, Labels: []string{"pii.email"}}
	want := []Fact{{"Who asks", "ada, through support-agent"}, {"Connection", "shop"}, {"Touches", "update public.customers"}, {"Labels", "pii.email"},
		{"Reason (claimed, not verified)", "a customer moved"}, {"Asked", "leads, privacy"}, {"Until", "2026-11-26T10:00:00Z"}, {"Request", testID}}
	if d := cmp.Diff(want, m.Facts()); d != "" {
		t.Error(d)
	}
	for _, glass := range []string{"", "the shop is down"} { // without the words of others it says as much
		m := (&Message{Event: Escalated, Principal: "ada", For: "leads", StandIns: []string{"board"}, Glass: glass}).plain()
		if title := m.Title(); !strings.Contains(title, "others may") || strings.Contains(title, "  ") {
			t.Errorf("the title is %q", title)
		}
	}
	for _, e := range Events() {
		m := &Message{Event: e, Principal: "ada", Reviewer: "bob", Connection: "shop"}
		if title := m.Title(); !strings.Contains(title, "ada") || title == (&Message{Principal: "ada"}).Title() {
			t.Errorf("the title of %s is %q", e, title)
		}
	}
}

func TestChannelsThatLeadNowhereAreRefused(t *testing.T) {
	g := newLog(t)
	for name, c := range map[string]Channel{
		"no_receiver":       {},
		"unknown_event":     {Events: []Event{"escalation"}, Teams: &Teams{URL: "https://x.example"}},
		"short_secret":      {Webhook: &export.Webhook{URL: "https://x.example", Secret: []byte("short")}},
		"slack_without":     {Slack: &Slack{}},
		"slack_with_both":   {Slack: &Slack{Webhook: "https://x.example", Token: "t", Channel: "c"}},
		"slack_no_channel":  {Slack: &Slack{Token: "t"}},
		"teams_url":         {Teams: &Teams{URL: "ftp://x"}},
		"mail_from":         {Mail: &Mail{Address: "x:25", From: "nobody", To: []string{"a@example.com"}}},
		"mail_to":           {Mail: &Mail{Address: "x:25", From: "a@example.com"}},
		"mail_to_injection": {Mail: &Mail{Address: "x:25", From: "a@example.com", To: []string{"a@example.com\r\nBcc: b@example.com"}}},
		"mail_address":      {Mail: &Mail{Address: "x", From: "a@example.com", To: []string{"a@example.com"}}},
		"mail_security":     {Mail: &Mail{Address: "x:25", From: "a@example.com", To: []string{"a@example.com"}, Security: "perhaps"}},
		"password_in_clear": {Mail: &Mail{Address: "x:25", From: "a@example.com", To: []string{"a@example.com"}, Security: Clear, User: "u", Password: "p"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.Name = "c"
			if s, err := Open(g.dir, t.TempDir(), []Channel{c}, export.Options{}); err == nil {
				s.Close(context.Background())
				t.Error("it was taken")
			}
		})
	}
}
