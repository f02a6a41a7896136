package gateway

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/approval"
)

func TestPoliciesThatChangeMeanwhile(t *testing.T) {
	w := heldWorld(t, nil)
	s := w.loginAt(access.DoorPGWire, "asker")
	done := w.waiting(s, Op{Kind: OpQuery, SQL: heldWrite})
	r := w.pendingOne()
	stricter := heldPolicy + `@id("no") forbid (principal, action == Action::"write", resource == Table::"shop.public.customers");`
	if err := w.gw.LoadPolicies([]PolicyFile{{Name: "held.cedar", Text: stricter}}); err != nil {
		t.Fatal(err)
	}
	w.approve("keeper", r.ID)
	wantError(t, <-done, "42501 writing public.customers is not permitted")
	// Other policies that allow the same are not those it was approved under.
	w.gw.approvals.Cancel(context.Background(), r.ID, "next")
	if err := w.gw.LoadPolicies([]PolicyFile{{Name: "held.cedar", Text: heldPolicy}}); err != nil {
		t.Fatal(err)
	}
	done = w.waiting(s, Op{Kind: OpQuery, SQL: heldWrite})
	r = w.pendingOne()
	if err := w.gw.LoadPolicies([]PolicyFile{{Name: "held.cedar", Text: heldPolicy + "// another version\n"}}); err != nil {
		t.Fatal(err)
	}
	w.approve("keeper", r.ID)
	wantError(t, <-done, "42501 what was approved is not what would run now")
	if w.regionOf(7) != "r3" {
		t.Fatal("it ran")
	}
}

func TestBrokenGlass(t *testing.T) {
	w := heldWorld(t, func(c *Config) { c.Approvals.Wait = -1 })
	for _, c := range []struct {
		who, reason string
		breaks      bool
	}{{"hero", "break-glass: the shop is down, incident 12", true}, {"hero", "Break-Glass: the shop is down, incident 12", true}, {"hero", "break-glass: short", false},
		{"hero", "BREAK-GLASS:", false}, {"hero", "break-glass:                  short", false}, {"hero", "the shop is down, incident 12", false},
		{"asker", "break-glass: the shop is down, incident 12", false}} {
		s := w.loginAt(access.DoorPGWire, c.who)
		wantNoError(t, w.query(s, "set sallyport.reason = '"+c.reason+"'"))
		a := w.query(s, heldWrite)
		if !c.breaks {
			wantError(t, a, "42501 this statement needs approval")
			rule := map[bool]string{true: "after `break-glass:` the reason has to be 20 characters at least", false: "you are not of those who may break it"}[c.who == "hero"]
			if _, meant := glassReason(c.reason); strings.Contains(strings.Join(a.hints, " "), "the glass is not broken: "+rule) != meant {
				t.Errorf("%s, %q: %q", c.who, c.reason, a.hints)
			}
			continue
		}
		wantNoError(t, a)
		list, err := w.gw.Reviews("", 2, func(r *ReviewRequest) bool { return r.Glass != nil && !r.Glass.Reviewed })
		if err != nil || len(list) != 1 || list[0].State != approval.Executed {
			t.Fatalf("%+v %v", list, err)
		}
		if len(a.notices) != 1 || !strings.Contains(a.notices[0], "the glass was broken") {
			t.Errorf("notices %q", a.notices)
		}
		if err := w.decide("hero", list[0].ID, ReviewVote{Verdict: approval.Approve}); err == nil {
			t.Error("looked at by who broke it")
		}
		w.approve("keeper", list[0].ID)
	}
}

// TestNoProgramBreaksTheGlass: a reason at the agents' door is a program's word, and whoever is acted for is not there.
func TestNoProgramBreaksTheGlass(t *testing.T) {
	w := heldWorld(t, func(c *Config) { c.Approvals.Wait, c.Approvals.BreakGlass = -1, []string{"oncall", "askers"} })
	const reason = "break-glass: the shop is down, incident 12"
	for _, who := range []string{"hero", "asker", "robot"} {
		s := w.loginAt(access.DoorMCP, who)
		_, err := s.Query(context.Background(), Query{SQL: heldWrite, Task: Task{ID: "task_1"}, Reason: reason})
		if ae := access.AsError(err); err == nil || ae.Kind != access.ReviewPending {
			t.Errorf("%s broke the glass: %v", who, err)
		}
	}
	s := w.loginAt(access.DoorPGWire, "hero")
	if s.reason = reason; !s.breaks() {
		t.Error("who may break it cannot")
	}
	for _, door := range []access.Door{access.DoorMCP, access.DoorWeb, ""} {
		if s.door = door; s.breaks() {
			t.Errorf("broken at door %q", door)
		}
	}
	s.door = access.DoorPGWire
	if s.principal.Actor = "robot"; s.breaks() {
		t.Error("broken by who acts for somebody")
	}
	s.principal.Actor, s.principal.Kind = "", access.Agent
	if s.breaks() {
		t.Error("broken by a program")
	}
	s.principal.Kind, s.door = access.Human, access.DoorPGWire
	if n := w.behind("select count(*)::text from customers where region = 'held'"); n != "0" {
		t.Errorf("%s rows were changed", n)
	}
	if broken := w.gw.approvals.Broken(); len(broken) != 0 {
		t.Errorf("%+v", broken)
	}
}

// TestErrorsOfTheFileStayHere: a client is not told of files, nor in whose words they fail.
func TestErrorsOfTheFileStayHere(t *testing.T) {
	w := heldWorld(t, func(c *Config) { c.Approvals.Wait = -1 })
	s := w.loginAt(access.DoorPGWire, "asker")
	wantError(t, w.query(s, heldWrite), "42501 this statement needs approval")
	r := w.pendingOne()
	if err := w.gw.approvals.Close(); err != nil {
		t.Fatal(err)
	}
	asker := access.Password{User: "asker", Secret: "pw-asker"}
	_, gone := w.gw.Withdraw(context.Background(), asker, r.ID)
	for name, err := range map[string]error{"withdraw": gone, "held": notHeld(fmt.Errorf("/srv/approvals.db: %w", errors.New("database not open")))} {
		e := access.AsError(err)
		if err == nil || e.Err == nil || strings.Contains(e.Message+e.Hint, "database not open") || strings.Contains(e.Message+e.Hint, "/") {
			t.Errorf("%s: the client is told %q (%v)", name, e.Message, err)
		}
	}
	wantError(t, w.query(s, strings.Replace(heldWrite, "7", "8", 1)), "57P01 the gateway is being stopped")
	if e := notHeld(approval.ErrEnded); e.Kind != access.Unavailable || !strings.Contains(e.Message, "the request has ended") {
		t.Errorf("what is refused is hidden: %+v", e)
	}
}

func TestRequestsSurviveARestart(t *testing.T) {
	short := func(c *Config) { c.Approvals.Wait = 50 * time.Millisecond }
	w := heldWorld(t, short)
	s := w.loginAt(access.DoorPGWire, "asker")
	wantError(t, w.query(s, heldWrite), "42501 this statement needs approval")
	r := w.pendingOne()
	w.gw.Drain()
	w.gw.Close()
	w.openHeld(short)
	w.wantState(r.ID, approval.Pending)
	w.approve("keeper", r.ID)
	s = w.loginAt(access.DoorPGWire, "asker")
	wantNoError(t, w.query(s, heldWrite))
	w.wantState(r.ID, approval.Executed)
	if w.regionOf(7) != "held" {
		t.Fatal("it did not run")
	}
}

func TestStoppingTheGatewayKeepsWhatWaits(t *testing.T) {
	w := heldWorld(t, nil)
	s := w.loginAt(access.DoorPGWire, "asker")
	done := w.waiting(s, Op{Kind: OpQuery, SQL: heldWrite})
	r := w.pendingOne()
	w.gw.Drain()
	wantError(t, <-done, "57P01 the gateway is being stopped")
	w.gw.Close()
	w.openHeld(nil)
	w.wantState(r.ID, approval.Pending)
}

func TestAgentsGetAHandle(t *testing.T) {
	w := heldWorld(t, nil)
	task := Task{ID: "task_1", Goal: "tidy up"}
	q := Query{SQL: "update customers set region = $1 where id = 7", Args: []string{"held"}, Task: task, Reason: "the region of customer 7 is wrong"}
	run := func() error {
		s := w.loginAt(access.DoorMCP, "robot") // each call may be a session of its own
		_, err := s.Query(context.Background(), q)
		return err
	}
	err := run()
	ae := access.AsError(err)
	if err == nil || ae.Kind != access.ReviewPending || ae.Review == "" || !strings.Contains(ae.Hint, "check_approval") {
		t.Fatalf("%+v", ae)
	}
	if again := access.AsError(run()); again.Review != ae.Review {
		t.Errorf("asking twice makes two requests: %q and %q", again.Review, ae.Review)
	}
	w.approve("keeper", ae.Review)
	other := q
	other.Task = Task{ID: "task_2"}
	s := w.loginAt(access.DoorMCP, "robot")
	if _, err := s.Query(context.Background(), other); access.AsError(err).Kind != access.ReviewPending {
		t.Errorf("used for another task: %v", err)
	}
	if err := run(); err != nil {
		t.Fatal(err)
	}
	if w.regionOf(7) != "held" {
		t.Fatal("it did not run")
	}
	w.wantState(ae.Review, approval.Executed)
	held := 0
	for _, rec := range w.records() {
		if rec.Kind == access.RecordRefused && rec.Approval == ae.Review {
			held++
		}
	}
	if held != 2 {
		t.Errorf("%d refusals in the record name the request that they wait for, want 2", held)
	}
}

// TestGuessesPastABudget holds a statement because of what it would tell, and counts it once it was approved.
func TestGuessesPastABudget(t *testing.T) {
	w := heldWorld(t, func(c *Config) {
		c.Approvals.Wait, c.Approvals.Guesses = -1, []string{"keepers"}
		c.Labels = []access.LabelRule{{Label: "pii.email", Columns: []string{"*.*.email"}}}
		c.Policies = []PolicyFile{{Name: "held.cedar", Text: `
@id("read") permit (principal in Group::"askers", action in [Action::"connect", Action::"read"], resource in Connection::"shop");
@id("guess") @probes("2/1h") permit (principal in Group::"askers", action == Action::"predicate", resource in Label::"pii.email");`}}
	})
	s := w.loginAt(access.DoorPGWire, "asker")
	guess := func(n int) *answer {
		return w.query(s, fmt.Sprintf("select id from customers where email = 'u%d@example.com'", n))
	}
	wantNoError(t, guess(1))
	wantNoError(t, guess(2))
	wantError(t, guess(3), "42501 this statement needs approval by keepers")
	r := w.pendingOne()
	if !strings.Contains(r.Subject.Why, "guess") {
		t.Errorf("the reviewer is not told why: %q", r.Subject.Why)
	}
	w.approve("keeper", r.ID)
	a := guess(3)
	wantNoError(t, a)
	if len(a.rows) != 1 {
		t.Fatalf("%v", a.rows)
	}
	wantError(t, guess(3), "42501 this statement needs approval by keepers")
}

func TestCopyIsHeldBeforeItsData(t *testing.T) {
	w := heldWorld(t, func(c *Config) { c.Approvals.Wait = -1 })
	s := w.loginAt(access.DoorPGWire, "asker")
	const sql = "copy secrets from stdin"
	data := []Op{{Kind: OpCopyData, Raw: []byte("d\x00\x00\x00\x08" + "9\tz\n")}, {Kind: OpCopyDone, Raw: []byte("c\x00\x00\x00\x04")}}
	a := w.query(s, sql)
	wantError(t, a, "42501 this statement needs approval")
	r := w.pendingOne()
	if notes := approval.Notes(r, nil); !slices.ContainsFunc(notes, func(n approval.Note) bool { return n.Kind == approval.NoteData }) {
		t.Errorf("reviewers are not told that its rows are to come: %v", notes)
	}
	w.approve("keeper", r.ID)
	for _, who := range r.Missing() {
		if who == "officers" {
			w.approve("officer", r.ID)
		}
	}
	wantNoError(t, w.query(s, sql))
	wantNoError(t, w.do(s, data...))
	w.wantState(r.ID, approval.Executed)
	if n := w.behind("select v from secrets where id = 9"); n != "z" {
		t.Fatal(n)
	}
}

// TestNoRunWithoutAnApproval says that a way to addRun which has forgotten to ask sends nothing.
func TestNoRunWithoutAnApproval(t *testing.T) {
	w := heldWorld(t, nil)
	s := w.loginAt(access.DoorPGWire, "asker")
	list, err := s.judge(heldWrite, &answer{})
	if err != nil {
		t.Fatal(err)
	}
	s.addRun(list[0], nil, nil, heldWrite)
	s.out = append(s.out, "never"...)
	if err := s.send(); err == nil {
		t.Fatal("sent")
	}
}

// TestACancelCountsFromTheFirstMoment on, and before an approval that comes after it.
func TestACancelCountsFromTheFirstMoment(t *testing.T) {
	w := heldWorld(t, nil)
	s := w.loginAt(access.DoorPGWire, "asker")
	for range 20 {
		done := w.waiting(s, Op{Kind: OpQuery, SQL: heldWrite})
		for len(w.gw.LiveReviews()) == 0 { // no later than that
			runtime.Gosched()
		}
		r := w.pendingOne()
		s.cancelRunning()
		w.decide("keeper", r.ID, ReviewVote{Verdict: approval.Approve}) // it may be withdrawn already
		wantError(t, <-done, "57014 canceled while waiting for approval: request "+r.ID+" is withdrawn")
		w.wantState(r.ID, approval.Cancelled)
	}
	if w.regionOf(7) != "r3" {
		t.Error("it ran")
	}
}
