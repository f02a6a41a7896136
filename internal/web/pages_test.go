package web

import (
	"context"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
)

// memory is an archive of records that a test has made.
type memory []*access.Record

func (m memory) archive() *Archive {
	return &Archive{
		Find: func(_ context.Context, q RecordQuery) (RecordPage, error) {
			p := RecordPage{Through: uint64(len(m))}
			for _, r := range slices.Backward(m) {
				if q.Of != nil && !m.own(*q.Of, r) {
					continue
				}
				is := func(want, have string) bool { return want == "" || want == have }
				if is(q.Principal, r.Principal) && is(q.Session, r.Session) && is(q.Task, r.Task) && is(q.Kind, string(r.Kind)) && is(q.Connection, r.Connection) && is(q.Door, string(r.Door)) {
					p.Records = append(p.Records, r)
				}
			}
			return p, nil
		},
		Replay: func(_ context.Context, w io.Writer, id string, of *access.Principal) error {
			name := ""
			if of != nil {
				name = of.Name
			}
			_, err := io.WriteString(w, "cast of "+id+" for "+name)
			return err
		},
		Evidence: func(_ context.Context, w io.Writer, id string) error {
			_, err := io.WriteString(w, "zip of "+id)
			return err
		},
		Status: func(context.Context) ([]StatusLine, error) {
			return []StatusLine{{Key: "records", Text: "7"}, {Key: "PROBLEM", Text: "forked", Problem: true}}, nil
		},
		OnDisk: func(context.Context) ([]gateway.PolicyFile, error) {
			return []gateway.PolicyFile{{Name: "test.cedar", Text: testPolicy + "// more"}}, nil
		},
		Judge: func(context.Context, string, Judging) ([]CaseResult, error) { return []CaseResult{{Name: "one"}}, nil },
	}
}

// own is what the archive of a gateway knows by what stands where a session begins.
func (m memory) own(p access.Principal, r *access.Record) bool {
	i := slices.IndexFunc(m, func(o *access.Record) bool { return o.Session == r.Session && o.Kind == access.RecordOpen })
	who := access.Principal{Name: r.Principal}
	if m[i].Proof != nil {
		who.Proof = *m[i].Proof
	}
	return p.Same(who)
}

// rows are two values as DataRow has them, one of them NULL.
func dataRow(v string) []byte {
	body := append([]byte{0, 2, 0, 0, 0, byte(len(v))}, v...)
	body = append(body, 255, 255, 255, 255)
	return append([]byte{'D', 0, 0, 0, byte(len(body) + 4)}, body...)
}

func recorded() memory {
	at := time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)
	plan := `{"class":"READ","effect":"allow","policies":["read ` + `<b>"],"labels":["pii.email"],"masks":[{"column":"public.customers.email","label":"pii.email","transform":"token"}]}`
	m := memory{
		{Session: "s_1", Seq: 1, Kind: access.RecordOpen, Principal: "asker", Connection: "shop", Door: "pgwire", Client: "psql " + canary, Groups: []string{"askers"},
			Proof: &access.Proof{Method: access.ByPassword, ACR: "pwd<"}},
		{Session: "s_1", Seq: 2, Kind: access.RecordIntent, Principal: "asker", Connection: "shop", Door: "pgwire", SQL: "update customers set region = '" + canary + "'", Reason: "reason " + canary, Goal: "goal " + canary, Ticket: "ticket " + canary, Params: []string{canary}, Plan: []byte(plan)},
		{Session: "s_1", Seq: 3, Kind: access.RecordRelease, Intent: 2},
		{Session: "s_1", Seq: 4, Kind: access.RecordOutcome, Intent: 2, Rows: 3, Columns: []string{"c " + canary, "d"}, Result: dataRow("value " + canary), Command: "UPDATE 3"},
		{Session: "s_1", Seq: 5, Kind: access.RecordRefused, Principal: "asker", SQL: "drop table x", Code: "42501", Error: "error " + canary, Hint: "hint " + canary},
		{Session: "s_1", Seq: 6, Kind: access.RecordReview, Principal: "asker", Approval: "20260101", Review: []byte(`{"to":"denied","reviewer":"keeper","justification":"because <i>"}`)},
		{Session: "s_1", Seq: 7, Kind: access.RecordIntent, Principal: "asker", SQL: "lost"},
		{Session: "s_2", Seq: 1, Kind: access.RecordOpen, Principal: "stranger", Connection: "shop", Door: "mcp"},
	}
	for i, r := range m {
		r.Position, r.Time = uint64(i+1), at.Add(time.Duration(i)*time.Minute)
		if r.Principal == "" {
			r.Principal = "asker"
		}
	}
	return m
}

func withArchive(_ *gateway.Config, o *Options) { o.Archive = recorded().archive() }

func TestPagesByRole(t *testing.T) {
	w := newWorld(t, withArchive)
	want := map[string]map[string]int{ // keeper, asker, auditor, operator, stranger
		"/overview":              {"keeper": 200, "asker": 200, "auditor": 200, "operator": 200, "stranger": 200},
		"/sessions":              {"keeper": 200, "asker": 200, "auditor": 200, "operator": 200, "stranger": 200},
		"/search?q=update":       {"keeper": 200, "asker": 200, "auditor": 200, "operator": 200, "stranger": 200},
		"/sessions/s_1":          {"keeper": 404, "asker": 200, "auditor": 200, "operator": 404, "stranger": 404},
		"/sessions/s_2":          {"keeper": 404, "asker": 404, "auditor": 200, "operator": 404, "stranger": 200},
		"/sessions/s_1/replay":   {"keeper": 404, "asker": 200, "auditor": 200, "operator": 404, "stranger": 404},
		"/sessions/s_1/evidence": {"keeper": 404, "asker": 404, "auditor": 200, "operator": 404, "stranger": 404},
		"/sessions/s_none":       {"keeper": 404, "asker": 404, "auditor": 404, "operator": 404, "stranger": 404},
		"/live":                  {"keeper": 200, "asker": 200, "auditor": 200, "operator": 200, "stranger": 200},
		"/people":                {"keeper": 200, "asker": 200, "auditor": 200, "operator": 200, "stranger": 200},
		"/people/asker":          {"keeper": 404, "asker": 200, "auditor": 200, "operator": 200, "stranger": 404},
		"/people/nobody":         {"keeper": 404, "asker": 404, "auditor": 404, "operator": 404, "stranger": 404},
		"/connections":           {"keeper": 404, "asker": 404, "auditor": 200, "operator": 200, "stranger": 404},
		"/policy":                {"keeper": 404, "asker": 404, "auditor": 200, "operator": 200, "stranger": 404},
		"/record":                {"keeper": 404, "asker": 404, "auditor": 200, "operator": 200, "stranger": 404},
		"/reviews":               {"keeper": 200, "asker": 200, "auditor": 200, "operator": 200, "stranger": 200},
		"/none":                  {"keeper": 404, "asker": 404, "auditor": 404, "operator": 404, "stranger": 404},
	}
	for _, name := range []string{"keeper", "asker", "auditor", "operator", "stranger"} {
		b := w.login(name)
		for path, by := range want {
			res, body := b.get(path)
			if res.StatusCode != by[name] {
				t.Errorf("%s at %s: %s, want %d", name, path, res.Status, by[name])
			}
			if name == "keeper" && (strings.Contains(body, "drop table x") || strings.Contains(body, "s_1")) {
				t.Errorf("%s sees others' records at %s", name, path)
			}
			if h1 := strings.Count(body, "<h1"); res.Header.Get("Content-Type") == "text/html; charset=utf-8" && (h1 != 1 || !strings.Contains(body, `<html lang="en">`) || !strings.Contains(body, "</html>")) {
				t.Errorf("%s at %s: the page is not whole", name, path)
			}
		}
	}
}

func TestTracePage(t *testing.T) {
	w := newWorld(t, withArchive)
	b := w.login("auditor")
	_, body := b.get("/sessions/s_1")
	for _, want := range []string{"<dt>Proven by</dt><dd>password, acr pwd&lt;</dd>", "UPDATE 3", "<code>public.customers.email</code> token", "pii.email", "because &lt;i&gt;", `class="state s-unknown"`, `class="state s-deny"`, `href="/reviews/20260101"`, "and 2 more", "NULL", "3 rows"} {
		if !strings.Contains(body, want) {
			t.Errorf("the trace lacks %s", want)
		}
	}
	_, list := b.get("/search")
	_, sessions := b.get("/sessions")
	for name, page := range map[string]string{"trace": body, "search": list, "sessions": sessions} {
		for _, bad := range []string{"<script>alert", "<img src=x", "\u202e", "\u200b", "\x1b", "ZgotmplZ"} {
			if strings.Contains(page, bad) {
				t.Errorf("%s has %q", name, bad)
			}
		}
	}
	for _, field := range []string{"reason ", "goal ", "ticket ", "value ", "error ", "hint ", "c ", "psql "} {
		if !strings.Contains(body, field+"&#34;&gt;&lt;script&gt;") {
			t.Errorf("the trace does not show the %s", field)
		}
	}
	if res, body := b.get("/sessions/s_1/evidence"); body != "zip of s_1" || res.Header.Get("Content-Disposition") != `attachment; filename="s_1.zip"` {
		t.Errorf("evidence: %s %q", res.Header, body)
	}
	if _, body := b.get("/record"); !strings.Contains(body, `<dd class="error" role="alert">forked</dd>`) {
		t.Error("a problem of the log does not stand out")
	}
	if _, body := b.get("/overview"); strings.Count(body, "<svg") < 2 || !strings.Contains(body, `class="bar c-deny"`) || !strings.Contains(body, "pii.email") {
		t.Errorf("charts are missing: %s", body)
	}
}

func TestOperatorsEndSessions(t *testing.T) {
	w := newWorld(t, withArchive)
	s, err := w.gw.Connect(t.Context(), gateway.Login{Door: access.DoorPGWire, Connection: "shop", Credentials: access.Password{User: "asker", Secret: "pw-asker"}, Client: "psql <b>"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id := w.gw.LiveSessions()[0].ID
	for _, name := range []string{"keeper", "asker", "auditor", "stranger"} {
		b := w.login(name)
		if res, _ := b.post("/live/"+id+"/end", url.Values{}); res.StatusCode != 404 {
			t.Errorf("%s ends a session: %s", name, res.Status)
		}
		if _, body := b.get("/live"); strings.Contains(body, id) != (name == "asker" || name == "auditor") || strings.Contains(body, "/end\"") {
			t.Errorf("%s is shown %.2000s", name, body)
		}
	}
	b := w.login("operator")
	if _, body := b.get("/live"); !strings.Contains(body, "/live/"+id+"/end") || !strings.Contains(body, "psql &lt;b&gt;") {
		t.Error("an operator cannot end it")
	}
	if res, body := b.post("/live/"+id+"/end", url.Values{}); res.StatusCode != 303 {
		t.Fatalf("%s %s", res.Status, body)
	}
	if _, err := s.Query(t.Context(), gateway.Query{SQL: "select 1"}); err == nil {
		t.Error("the session goes on")
	}
	if n := len(w.gw.LiveSessions()); n != 0 {
		t.Errorf("%d sessions are live", n)
	}
	if res, _ := b.post("/live/"+id+"/end", url.Values{}); res.StatusCode != 404 {
		t.Errorf("ended twice: %s", res.Status)
	}
}

func TestEndingASessionCancelsWhatRunsAndWhatWaits(t *testing.T) {
	w := newWorld(t, nil)
	operator, err := w.gw.Admit(t.Context(), gateway.Login{Door: access.DoorWeb, Credentials: access.Password{User: "operator", Secret: "pw-operator"}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := w.gw.Connect(t.Context(), gateway.Login{Door: access.DoorPGWire, Connection: "shop", Credentials: access.Password{User: "asker", Secret: "pw-asker"}})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Do(context.Background(), []gateway.Op{{Kind: gateway.OpQuery, SQL: write}}, nothing{})
	}()
	for i := 0; len(w.gw.LiveReviews()) == 0; i++ {
		if i > 3000 {
			t.Fatal("nothing waits")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if l := w.gw.LiveSessions(); !l[0].Waiting { // from before its request is seen
		t.Error("it is not shown as waiting")
	}
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	if !w.gw.EndSession(ctx, operator, w.gw.LiveSessions()[0].ID) || ctx.Err() != nil {
		t.Fatal("the session did not end")
	}
	<-ended
	if list, _ := w.gw.Reviews("", 1, nil); list[0].State != "cancelled" {
		t.Errorf("what waited is %s", list[0].State)
	}
}

type nothing struct{}

func (nothing) Release([]byte) error { return nil }

func TestPeopleAndPolicies(t *testing.T) {
	w := newWorld(t, nil)
	b := w.login("auditor")
	if _, body := b.get("/people"); !strings.Contains(body, `href="/people/robot"`) || !strings.Contains(body, "1 column") {
		t.Error("people are not listed with what they see masked")
	}
	_, body := b.post("/people/asker", url.Values{"connection": {"shop"}, "door": {"pgwire"}, "sql": {"update customers set region = 'x' where id = 1"}})
	for _, want := range []string{`class="state s-review"`, "keepers", "held"} {
		if !strings.Contains(body, want) {
			t.Errorf("the explanation lacks %s", want)
		}
	}
	if _, body := b.post("/people/stranger", url.Values{"connection": {"shop"}, "door": {"pgwire"}, "sql": {"select * from customers"}}); !strings.Contains(body, "refused") {
		t.Error("a refusal is not explained")
	}
	if _, body := b.get("/connections"); !strings.Contains(body, "public.customers.email") || !strings.Contains(body, "pii.email") || !strings.Contains(body, "PostgreSQL") {
		t.Error("labels are not shown")
	}
	if _, body := b.get("/policy"); !strings.Contains(body, w.gw.PolicyVersion()) || !strings.Contains(body, "@id(&#34;held&#34;)") {
		t.Error("policies are not shown")
	}
	if _, body := w.login("asker").get("/people"); strings.Contains(body, "robot") || !strings.Contains(body, `/people/asker`) {
		t.Error("somebody sees others")
	}
}

func TestWaitingChart(t *testing.T) {
	r := &gateway.ReviewRequest{State: "approved", Created: time.Unix(0, 0)}
	r.Votes = []gateway.ReviewVote{{At: time.Unix(400, 0)}}
	c := waiting([]*gateway.ReviewRequest{r, {State: "pending"}})
	if len(c.Bars) != len(waits) || c.Bars[2].Parts[0].Value != 1 || c.Bars[2].Parts[0].W != chartWidth || c.Bars[0].Parts[0].W != 0 {
		t.Errorf("%+v", c)
	}
	if c := waiting(nil); len(c.Bars) != 0 {
		t.Error("bars of nothing")
	}
}
