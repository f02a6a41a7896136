package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"sallyport/internal/access"
	"sallyport/internal/config"
	"sallyport/internal/gateway"
	"sallyport/internal/notify/slack"
	"sallyport/internal/web"
)

// pending VAR waits until a request is pending, and sets VAR to its id.
func pending(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: pending VAR")
	}
	reviewed(ts, "no request is pending", []string{"list", "--json"}, func(text []byte) bool {
		var list web.ReviewList
		ts.Check(json.Unmarshal(text, &list))
		if len(list.Reviews) > 0 {
			ts.Setenv(args[0], list.Reviews[0].ID)
		}
		return len(list.Reviews) > 0
	})
}

// becomes ID STATE waits until a request is in a state.
func becomes(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: becomes ID STATE")
	}
	reviewed(ts, "request "+args[0]+" is not "+args[1], []string{"show", args[0], "--json"}, func(text []byte) bool {
		var r web.Review
		ts.Check(json.Unmarshal(text, &r))
		return string(r.State) == args[1]
	})
}

// inbox VAR FILE starts a receiver of webhooks, sets VAR to its URL, and appends what it is sent to FILE, a line each.
func inbox(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: inbox VAR FILE")
	}
	f, err := os.OpenFile(ts.MkAbs(args[1]), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	ts.Check(err)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		f.Write(append(body, '\n'))
	}))
	ts.Defer(func() { srv.Close(); f.Close() })
	ts.Setenv(args[0], srv.URL)
}

func reviewed(ts *testscript.TestScript, why string, args []string, done func([]byte) bool) {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		ts.Check(ts.Exec("sallyport", append([]string{"review"}, args...)...))
		if done([]byte(ts.ReadFile("stdout"))) {
			return
		}
	}
	ts.Fatalf("%s: waited in vain", why)
}

const (
	stubID    = "20261126090000" + "00112233445566778899aabbccddeeff"
	stubOther = "20261126090000" + "00ffffffffffffffffffffffffffffff"
)

// stub is a web door that knows one request and writes down what is sent.
type stub struct {
	*httptest.Server
	review web.Review
	status int // of a word; 0 is 200
	sent   []string
	words  []web.Verdict
}

func newStub(t *testing.T) *stub {
	t.Setenv("SALLYPORT_PASSWORD", "pa55word")
	s := &stub{review: web.Review{MayDecide: true, Missing: []string{"keepers"}, ReviewRequest: &gateway.ReviewRequest{ID: stubID, Revision: 3, State: "pending", Digest: strings.Repeat("d", 64),
		Created: time.Now().Add(-2 * time.Minute), Expires: time.Now().Add(time.Hour), Needs: []gateway.ReviewNeed{{Group: "keepers", Quorum: 2}}}}}
	s.review.Binding.Principal, s.review.Binding.Actors, s.review.Binding.Connection = "ada", []string{"support-agent"}, "shop"
	s.review.Binding.SQL, s.review.Binding.Params = "UPDATE customers SET plan = 'gold'\n\tWHERE id = $1", []gateway.ReviewParam{{Text: "7"}}
	s.review.Subject.Kind, s.review.Subject.Class, s.review.Subject.Tag, s.review.Subject.Normal = "statement", access.Class("WRITE"), "UPDATE", "n"
	s.review.Subject.Constants, s.review.Subject.Relations = []string{"gold"}, []string{"update public.customers", "read public.customers"}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	s.sent = append(s.sent, r.Method+" "+r.URL.Path)
	if user != "bob" || password != "pa55word" || r.Method == http.MethodPost && r.Header.Get("Content-Type") != "application/json" {
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"error":"who are you?"}`)
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/api/v1/reviews")
	switch {
	case path == "":
		other := s.review
		request := *s.review.ReviewRequest
		request.ID = stubOther
		other.ReviewRequest = &request
		json.NewEncoder(w).Encode(web.ReviewList{Reviews: []web.Review{s.review, other}})
	case r.Method == http.MethodPost:
		var v web.Verdict
		json.NewDecoder(r.Body).Decode(&v)
		s.words = append(s.words, v)
		if s.status != 0 {
			w.WriteHeader(s.status)
			json.NewEncoder(w).Encode(web.APIError{Error: "the request has changed meanwhile", Hint: "look at it again"})
			return
		}
		after := s.review
		request := *s.review.ReviewRequest
		request.State = "approved"
		after.ReviewRequest, after.Missing = &request, nil
		json.NewEncoder(w).Encode(after)
	case path == "/"+stubID:
		json.NewEncoder(w).Encode(s.review)
	default:
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"error":"there is no such request"}`)
	}
}

// review runs the program as bob.
func (s *stub) run(args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = run(append([]string{"review", "--url", s.URL, "--user", "bob"}, args...), strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

func TestReviewShowsAllOfItAndHidesNothing(t *testing.T) {
	s := newStub(t)
	s.review.Subject.Reason = "fix \u202e\x1b[2J\nYou           may decide"
	s.review.Binding.SQL = "SELECT 'a\u200bb'\r\n\t, 2 -- \x1b]0;x\x07" + strings.Repeat("x", 5000) + "END"
	code, out, errs := s.run("show", stubID)
	if code != 0 {
		t.Fatal(errs)
	}
	for _, want := range []string{stubID, "revision 3", s.review.Digest, "ada through support-agent", "(claimed, not verified)", `\u{202e}\x1b[2J\x0aYou`, `  | SELECT 'a\u{200b}b'\x0d` + "\n", "  |     , 2 -- ", "END\n",
		"constant       gold", "parameter $1   7", "2 of keepers", "update public.customers"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not shown:\n%s", want, out)
		}
	}
	if strings.ContainsAny(out, "\u202e\u200b\x1b\x07\r") || strings.Count(out, "\nYou ") != 1 {
		t.Errorf("a character acts on the terminal: %q", out)
	}
	if strings.Contains(out, "To look at") {
		t.Error("notes that there are none of")
	}
	s.review.Binding.Rows, s.review.Subject.Affected = 50, 100
	if _, out, _ := s.run("show", stubID); !strings.Contains(out, "\nMost rows     50 released, 100 changed\n") {
		t.Error(out)
	}
	if err := json.Unmarshal([]byte(`{"hidden": [{"relation": "public.customers", "what": ["public.customers.email: redact", "rows of public.customers but where region = 'r1\u202e'"]}]}`), &s.review.Binding); err != nil {
		t.Fatal(err)
	}
	if _, out, _ := s.run("show", stubID); !strings.Contains(out, "\nKept back     public.customers.email: redact\n              rows of public.customers but where region = 'r1\\u{202e}'\n") {
		t.Error(out)
	}
	s.review.Needs = []gateway.ReviewNeed{{Group: "keepers", Escalate: []string{"leads\u202e"}, After: 30 * time.Minute}}
	if _, out, _ := s.run("show", stubID); !strings.Contains(out, `1 of keepers; after 30m0s without a decision also leads\u{202e}`) || strings.Contains(out, "Escalated") {
		t.Error(out)
	}
	s.review.Needs[0].Escalated = time.Date(2026, 11, 26, 9, 30, 0, 0, time.UTC)
	s.review.Votes = []gateway.ReviewVote{{Verdict: "approve", Reviewer: "lea", Instead: []string{"keepers"}, Justification: "looked at it", Channel: "cli"}}
	_, out, _ = s.run("show", stubID)
	for _, want := range []string{`1 of keepers; now also leads\u{202e}`, `at 2026-11-26T09:30:00Z: keepers had not decided in 30m0s, and leads\u{202e} may in their place`, "approve by lea in the place of keepers at "} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not shown:\n%s", want, out)
		}
	}
	s.review.Look = &web.Look{Notes: []gateway.ReviewNote{{Text: "the text of a row \x1b[2J", Serious: true}}, Similar: []web.Like{{ID: stubOther, State: "denied", Asked: time.Now().Add(-time.Hour), Reason: "please\u202e", Outcome: "no"}}}
	_, out, _ = s.run("show", stubID)
	for _, want := range []string{"To look at\n  ! the text of a row \\x1b[2J\n", "Alike, before\n  " + stubOther[:20] + "  denied  1h ago  please\\u{202e}   (claimed, not verified)  no\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not shown:\n%s", want, out)
		}
	}
	rows := int64(2)
	s.review.Look.Preview = &web.Preview{Plan: "Update on customers \x1b[2J\n", Rows: &rows, At: time.Date(2026, 11, 26, 9, 30, 0, 0, time.UTC)}
	if _, out, _ = s.run("show", stubID); !strings.Contains(out, "\nPreview, made by itself\n  | Update on customers \\x1b[2J\nit would change 2 rows (found at 2026-11-26T09:30:00Z in a transaction that was rolled back)\n") {
		t.Error(out)
	}
	s.review.Subject.Reason = "\u202e"
	if _, out, _ = s.run("show", stubID, "--json"); strings.Contains(out, "\u202e") || !strings.Contains(out, `\u202e`) {
		t.Errorf("JSON: %s", out)
	}
}

func TestReviewIDsCanBeShort(t *testing.T) {
	s := newStub(t)
	if code, out, errs := s.run("show", stubID[:20]); code != 0 || !strings.Contains(out, stubID) {
		t.Errorf("%d %s%s", code, out, errs)
	}
	if code, _, errs := s.run("show", stubID[:15]); code != exitUsage || !strings.Contains(errs, "2 requests begin with") {
		t.Errorf("%d %s", code, errs)
	}
	for _, args := range [][]string{{"show", "1999"}, {"approve", "1999", "--justification", "looked at it", "--yes"}} {
		if code, _, errs := s.run(args...); code != exitFailed || !strings.Contains(errs, `no request that you have made or may decide about begins with "1999"`) || !strings.Contains(errs, "review list --state all") {
			t.Errorf("%d %s", code, errs)
		}
	}
	if len(s.words) > 0 {
		t.Errorf("sent %+v", s.words)
	}
	_, out, _ := s.run("list")
	if !strings.Contains(out, stubID[:20]+"  pending  2m   ada through support-agent  shop") || !strings.Contains(out, "keepers (you)") {
		t.Errorf("list: %s", out)
	}
}

func TestReviewSaysWhatItTakes(t *testing.T) {
	s := newStub(t)
	t.Setenv("SALLYPORT_CONFIG", "")
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"approve", "--justification", "looked at it"}, "name the request: its ID is missing; `sallyport review list` has those that wait\n  hint: `sallyport review approve --help`"},
		{[]string{"deny"}, "hint: `sallyport review deny --help`"},
		{[]string{"show", "a", "b"}, `one request at a time: "a" is an ID, and "b" is too much`},
		{[]string{"approve", stubID, "--yes", "--justification", "looked at it", "--mode", "form", "--range", "9=any"}, "hint: `sallyport review approve --help` says what it takes"},
		{[]string{"approve", stubID, "--yes", "--justification", "looked at it", "--mode", "form", "--until", "tomorrow"}, "hint: `sallyport review approve --help` says what it takes"},
		{[]string{"list", "--nope"}, "hint: `sallyport review list --help`"},
	} {
		if code, _, errs := s.run(tc.args...); code != exitUsage || !strings.Contains(errs, tc.want) {
			t.Errorf("%q: %d %s", tc.args, code, errs)
		}
	}
	if len(s.words) > 0 {
		t.Errorf("sent %+v", s.words)
	}
	if code, out, errs := s.run("cancel", stubID, "--yes"); code != 0 {
		t.Errorf("%d %s%s", code, out, errs)
	}
	t.Chdir(t.TempDir())
	var o, e bytes.Buffer
	if code := run([]string{"review", "list", "--user", "bob"}, strings.NewReader(""), &o, &e); code != exitFailed || !strings.Contains(e.String(), "no configuration at sallyport.yaml") || !strings.Contains(e.String(), "hint: --url https://HOST") {
		t.Errorf("%d %s", code, e.String())
	}
}

func TestReviewSaysHowMuchOfAGrantIsLeft(t *testing.T) {
	s := newStub(t)
	s.review.State, s.review.Uses, s.review.Grant = "approved", 2, &gateway.ReviewGrant{Mode: "form", Uses: 3, Until: time.Now().Add(time.Hour)}
	if _, out, _ := s.run("list"); !strings.Contains(out, "  approved, used 2 of 3  ") {
		t.Error(out)
	}
	if _, out, _ := s.run("show", stubID); !strings.Contains(out, "2 of 3\n") || strings.Contains(out, "nothing is allowed any more") {
		t.Error(out)
	}
	s.review.State = "cancelled"
	if _, out, _ := s.run("show", stubID); !strings.Contains(out, "(it has ended: nothing is allowed any more)") {
		t.Error(out)
	}
}

func TestNoChannelsAreSaidToBeNone(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("SALLYPORT_CONFIG", "")
	var o, e bytes.Buffer
	if code := run([]string{"init"}, strings.NewReader(""), &o, &e); code != 0 {
		t.Fatal(e.String())
	}
	if code := run([]string{"review", "channels"}, strings.NewReader(""), &o, &e); code != 0 || !strings.Contains(e.String(), "none: notify in the configuration names no channel") || strings.Contains(o.String(), "CHANNEL") {
		t.Errorf("%d %s%s", code, o.String(), e.String())
	}
}

func TestReviewSendsWhatWasShown(t *testing.T) {
	s := newStub(t)
	if code, _, errs := s.run("approve", stubID, "--justification", "looked at it"); code != exitUsage || len(s.sent) != 0 {
		t.Errorf("without a yes: %d %s, sent %q", code, errs, s.sent)
	}
	code, out, errs := s.run("approve", stubID, "--justification", "looked at it", "--purpose", "support", "--yes")
	if code != 0 || out != "request "+stubID+" is approved\n" {
		t.Errorf("%d %s%s", code, out, errs)
	}
	want := []web.Verdict{{Revision: 3, Justification: "looked at it", Purpose: "support"}}
	if d := cmp.Diff(want, s.words); d != "" {
		t.Error(d)
	}
	s.status = http.StatusConflict
	if code, _, errs := s.run("deny", stubID, "--justification", "looked at it", "--yes"); code != exitFailed || !strings.Contains(errs, "has changed meanwhile\n  hint: look at it again") || s.words[1].Grant != nil {
		t.Errorf("%d %s", code, errs)
	}
	if strings.Contains(out+errs, "pa55word") {
		t.Error("the password is shown")
	}
}

func TestReviewPasswordGoesNowhereElse(t *testing.T) {
	s := newStub(t)
	elsewhere := newStub(t)
	redirect := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer redirect.Close()
	for url, want := range map[string]int{"http://review.example.com": exitUsage, "ftp://x": exitUsage, "https://bob:pw@x": exitUsage, redirect.URL: exitFailed, "http://127.0.0.1:1": exitFailed} {
		if code, _, errs := s.run("list", "--url", url); code != want {
			t.Errorf("%s: %d %s", url, code, errs)
		}
	}
	if len(elsewhere.sent) > 0 {
		t.Errorf("a redirect was followed: %q", elsewhere.sent)
	}
	t.Setenv("SALLYPORT_PASSWORD", "")
	if code, _, errs := s.run("list"); code != exitUsage || !strings.Contains(errs, "no password given") {
		t.Errorf("%d %s", code, errs)
	}
}

func TestReviewGrants(t *testing.T) {
	s := newStub(t)
	now := time.Date(2026, 11, 26, 9, 0, 0, 5, time.UTC)
	until := time.Date(2026, 11, 26, 11, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name string
		o    reviewDecideOptions
		want *gateway.ReviewGrant
		err  string
	}{
		{"nothing_said", reviewDecideOptions{}, nil, ""},
		{"once", reviewDecideOptions{mode: "once"}, &gateway.ReviewGrant{Mode: "once"}, ""},
		{"once_with_uses", reviewDecideOptions{mode: "once", uses: 2}, nil, "--uses means nothing"},
		{"uses_without_mode", reviewDecideOptions{uses: 2}, nil, "--uses means nothing"},
		{"form", reviewDecideOptions{mode: "form", uses: 5, until: "2h", ranges: []string{"1=in:gold", "1=in:silver", "2=1..500"}},
			&gateway.ReviewGrant{Mode: "form", Uses: 5, Until: until, Ranges: []gateway.ReviewRange{{In: []string{"gold", "silver"}}, {Least: "1", Most: "500"}}}, ""},
		{"form_with_one_free", reviewDecideOptions{mode: "form", uses: 5, until: "2026-11-26T12:00:00+01:00", ranges: []string{"2=any"}},
			&gateway.ReviewGrant{Mode: "form", Uses: 5, Until: until, Ranges: []gateway.ReviewRange{{In: []string{"gold"}}, {Any: true}}}, ""},
		{"form_as_it_is", reviewDecideOptions{mode: "form", uses: 5, until: "2h"}, &gateway.ReviewGrant{Mode: "form", Uses: 5, Until: until}, ""},
		{"range_of_no_value", reviewDecideOptions{mode: "form", ranges: []string{"3=any"}}, nil, "N from 1 to 2"},
		{"range_of_nothing", reviewDecideOptions{mode: "form", ranges: []string{"1=.."}}, nil, "is no range"},
		{"two_ranges", reviewDecideOptions{mode: "form", ranges: []string{"1=any", "1=1..2"}}, nil, "two ranges"},
		{"range_and_list", reviewDecideOptions{mode: "form", ranges: []string{"1=any", "1=in:x"}}, nil, "two ranges"},
		{"window", reviewDecideOptions{mode: "window", until: "2h"}, &gateway.ReviewGrant{Mode: "window", Until: until, Classes: []access.Class{"WRITE"}, Relations: s.review.Subject.Relations}, ""},
		{"window_of_one", reviewDecideOptions{mode: "window", until: "2h", relations: []string{"read public.customers"}},
			&gateway.ReviewGrant{Mode: "window", Until: until, Classes: []access.Class{"WRITE"}, Relations: []string{"read public.customers"}}, ""},
		{"unknown", reviewDecideOptions{mode: "forever"}, nil, "--mode is"},
		{"no_time", reviewDecideOptions{mode: "window", until: "tomorrow"}, nil, "--until is"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := tc.o.grant(&s.review, now)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("%v, want %s", err, tc.err)
				}
				return
			}
			if d := cmp.Diff(tc.want, got); d != "" || err != nil {
				t.Errorf("%v %s", err, d)
			}
		})
	}
}

func TestGrantsAreSaidInFull(t *testing.T) {
	until := time.Date(2026, 11, 26, 11, 0, 0, 0, time.UTC)
	for want, g := range map[string]gateway.ReviewGrant{
		"this statement, once": {Mode: "once"},
		`statements of this form, 5 times until 2026-11-26T11:00:00Z; value 1: "a" or "b"; value 2: any but NULL; value 3: 1 to …`: {Mode: "form", Uses: 5, Until: until, Ranges: []gateway.ReviewRange{{In: []string{"a", "b"}}, {Any: true}, {Least: "1"}}},
		"any WRITE of these until 2026-11-26T11:00:00Z: update a.b":                                                                {Mode: "window", Until: until, Classes: []access.Class{"WRITE"}, Relations: []string{"update a.b"}},
		"to see unmasked until 2026-11-26T11:00:00Z: a.b.c":                                                                        {Mode: "reveal", Until: until, Columns: []string{"a.b.c"}},
		`nothing that is known: "all"`:                                                                                             {Mode: "all"},
	} {
		if got := grantText(&g); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestReviewURLOfTheConfiguration(t *testing.T) {
	for want, w := range map[string]*config.Web{
		"http://127.0.0.1:6545":      {Address: "127.0.0.1:6545"},
		"https://localhost:6545":     {Address: "0.0.0.0:6545", TLS: &config.TLS{}},
		"http://localhost:6545":      {Address: ":6545"},
		"https://review.example.com": {Address: "0.0.0.0:6545", PublicURL: "https://review.example.com/"},
		"error":                      nil,
	} {
		cfg := &config.Config{}
		cfg.File.Listen.Web = w
		got, err := reviewURL(cfg)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s %v, want %s", got, err, want)
		}
	}
}

func TestSlackIsAnsweredBesideThePages(t *testing.T) {
	pages := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	cfg := &config.Config{Channels: []config.Notify{{To: "slack", Secret: "s"}, {To: "webhook", Secret: "other"}}}
	get := func(path string) int {
		w := httptest.NewRecorder()
		besideSlack(slack.New(slackSecrets(cfg), "http://127.0.0.1:1"), pages).ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, nil))
		return w.Code
	}
	if a, b := get("/slack"), get("/reviews"); a != http.StatusUnauthorized || b != http.StatusTeapot {
		t.Errorf("answers %d and %d", a, b)
	}
	cfg.Channels = cfg.Channels[1:]
	if a := get("/slack"); a != http.StatusTeapot {
		t.Errorf("without a secret it answers %d", a)
	}
}

// TestReviewOfABrokenGlass: what was looked at is said to be, for its state is none of that.
func TestReviewOfABrokenGlass(t *testing.T) {
	s := newStub(t)
	if err := json.Unmarshal([]byte(`{"glass": {"reason": "the shop is down"}}`), s.review.ReviewRequest); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{"list": "  to be looked at (you)\n", "show": "\nYou           have not looked at it: approve or deny, with a justification, says that you have\n"} {
		if _, out, _ := s.run(append([]string{args}, map[string][]string{"show": {stubID}}[args]...)...); !strings.Contains(out, want) {
			t.Errorf("%s: %s", args, out)
		}
	}
	if err := json.Unmarshal([]byte(`{"glass": {"reason": "the shop is down", "reviewed": true}}`), s.review.ReviewRequest); err != nil {
		t.Fatal(err)
	}
	code, out, errs := s.run("approve", stubID, "--yes", "--justification", "looked at the incident")
	if code != 0 || !strings.Contains(out, "you have looked at the broken glass of request "+stubID+", which is approved\n") {
		t.Errorf("%d %s%s", code, out, errs)
	}
}
