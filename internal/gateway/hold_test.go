package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/audit"
	"sallyport/internal/access"
	"sallyport/internal/approval"
	"sallyport/internal/identity"
	"sallyport/internal/testdb"
)

const heldPolicy = `
@id("read") permit (principal in Group::"askers", action in [Action::"connect", Action::"read"], resource in Connection::"shop");
@id("raw") permit (principal in Group::"askers", action == Action::"reveal", resource in Connection::"shop");
@id("held") @review("keepers") permit (principal in Group::"askers", action == Action::"write", resource in Connection::"shop");
@id("held-read") @review("keepers,officers") permit (principal in Group::"askers", action == Action::"read", resource in Table::"shop.public.secrets");
`

// heldWorld is a gateway of which writes are held for keepers, and reads of secrets for keepers and officers.
func heldWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), dsn: testdb.Shared(t).NewDatabase(t, testSchema+"insert into secrets values (1, 'x'), (2, 'y');")}
	w.openHeld(change)
	t.Cleanup(func() { w.gw.Close() })
	return w
}

func (w *world) openHeld(change func(*Config)) {
	w.t.Helper()
	c := w.config()
	for name, p := range map[string]access.LocalPrincipal{"asker": {Groups: []string{"askers"}}, "hero": {Groups: []string{"askers", "oncall"}}, "keeper": {Groups: []string{"keepers"}},
		"officer": {Groups: []string{"officers"}}, "self": {Groups: []string{"askers", "keepers", "officers"}}, "robot": {Groups: []string{"askers"}, Kind: access.Agent},
		"robotkeeper": {Groups: []string{"keepers"}, Kind: access.Agent}} {
		p.Name, p.Secret = name, identity.HashPassword("pw-"+name)
		if p.Kind == "" {
			p.Kind = access.Human
		}
		c.Principals = append(c.Principals, p)
	}
	c.Policies = []PolicyFile{{Name: "held.cedar", Text: heldPolicy}}
	c.Labels = nil
	c.Approvals.BreakGlass = []string{"oncall"}
	c.Approvals.URL = "https://gate.example"
	if change != nil {
		change(&c)
	}
	gw, err := Open(context.Background(), c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.gw = gw
}

func (w *world) loginAt(door access.Door, name string) *Session {
	w.t.Helper()
	s, err := w.gw.Connect(context.Background(), Login{Door: door, Connection: "shop", Credentials: access.Password{User: name, Secret: "pw-" + name}})
	if err != nil {
		w.t.Fatalf("%s cannot connect: %v", name, err)
	}
	w.t.Cleanup(func() { s.Close() })
	return s
}

// pendingOne waits for the one request that is pending.
func (w *world) pendingOne() *ReviewRequest {
	w.t.Helper()
	for range 3000 {
		for _, r := range w.gw.LiveReviews() {
			if r.State == approval.Pending {
				return r
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.t.Fatal("nothing is pending")
	return nil
}

func (w *world) decide(who, id string, v ReviewVote) error {
	w.t.Helper()
	p, err := w.gw.Verify(context.Background(), access.Password{User: who, Secret: "pw-" + who})
	if err != nil {
		w.t.Fatal(err)
	}
	v.Justification = "looked at the ticket"
	r, err := w.gw.Review(id)
	if err != nil {
		return err
	}
	_, err = w.gw.Decide(context.Background(), p, id, r.Revision, v)
	return err
}

func (w *world) approve(who, id string) {
	w.t.Helper()
	if err := w.decide(who, id, ReviewVote{Verdict: approval.Approve}); err != nil {
		w.t.Fatal(err)
	}
}

// waiting runs ops in the background.
func (w *world) waiting(s *Session, ops ...Op) <-chan *answer {
	_, done := w.telling(s, ops...)
	return done
}

// telling is waiting that passes on each notice when it comes.
func (w *world) telling(s *Session, ops ...Op) (told <-chan string, done <-chan *answer) {
	t, d := teller{told: make(chan string, 1000)}, make(chan *answer, 1)
	go func() {
		s.Do(context.Background(), ops, &t)
		d <- &t.answer
	}()
	return t.told, d
}

type teller struct {
	answer
	told chan string
}

func (t *teller) Release(frames []byte) error {
	n := len(t.notices)
	err := t.answer.Release(frames)
	for _, m := range t.notices[n:] {
		t.told <- m
	}
	return err
}

// next is the next notice to who waits.
func (w *world) next(told <-chan string) string {
	w.t.Helper()
	select {
	case m := <-told:
		return m
	case <-time.After(20 * time.Second):
		w.t.Fatal("nothing more is told")
		return ""
	}
}

func (w *world) wantState(id string, want approval.State) {
	w.t.Helper()
	r, err := w.gw.Review(id)
	if err != nil || r.State != want {
		w.t.Fatalf("request is %v, want %s (%v)", r, want, err)
	}
}

// regionOf reads behind the gateway.
func (w *world) regionOf(id int) string {
	w.t.Helper()
	return w.behind(fmt.Sprintf("select region from customers where id = %d", id))
}

// behind runs a query past the gateway and gives its first value.
func (w *world) behind(sql string) string {
	w.t.Helper()
	conn := w.direct()
	defer conn.Close(context.Background())
	res := conn.ExecParams(context.Background(), sql, nil, nil, nil, nil).Read()
	if res.Err != nil || len(res.Rows) == 0 {
		w.t.Fatalf("%s: %v %v", sql, res.Err, res.Rows)
	}
	return string(res.Rows[0][0])
}

const heldWrite = "update customers set region = 'held' where id = 7"

func TestAHeldStatementRunsOnceItIsApproved(t *testing.T) {
	w := heldWorld(t, func(c *Config) { c.Approvals.Heartbeat = 50 * time.Millisecond })
	s := w.loginAt(access.DoorPGWire, "asker")
	told, done := w.telling(s, Op{Kind: OpQuery, SQL: heldWrite})
	r := w.pendingOne()
	if r.Binding.SQL != heldWrite || r.Binding.Principal != "asker" || !slices.Contains(r.Subject.Relations, "update public.customers") || r.Subject.Tag != "UPDATE" {
		t.Errorf("the reviewer sees %+v", r)
	}
	for range 3 { // at once, and at each beat
		if m := w.next(told); !strings.Contains(m, r.ID) || !strings.Contains(m, "keepers") {
			t.Errorf("who waits is told %q", m)
		}
	}
	if w.regionOf(7) != "r3" {
		t.Fatal("it ran before")
	}
	for _, who := range []string{"asker", "officer", "robotkeeper"} {
		if err := w.decide(who, r.ID, ReviewVote{Verdict: approval.Approve}); err == nil {
			t.Errorf("%s has approved", who)
		}
	}
	w.approve("keeper", r.ID)
	a := <-done
	wantNoError(t, a)
	if !slices.Equal(a.tags, []string{"UPDATE 1"}) || w.regionOf(7) != "held" {
		t.Fatalf("%v %v", a.tags, w.regionOf(7))
	}
	if last := a.notices[len(a.notices)-1]; last != "keeper approved request "+r.ID+": looked at the ticket" {
		t.Errorf("the requester is told %q", last)
	}
	w.wantState(r.ID, approval.Executed)
	// The record has each step before it, and the statement names its approval.
	var steps []string
	for _, rec := range w.records() {
		if rec.Kind == access.RecordReview {
			var step access.ReviewStep
			if err := json.Unmarshal(rec.Review, &step); err != nil {
				t.Fatal(err)
			}
			steps = append(steps, step.To+" "+step.Reviewer)
			if rec.Approval != r.ID || step.Digest != r.Digest || step.Session != s.id {
				t.Errorf("a step of another request: %+v", rec)
			}
		}
		if rec.Kind == access.RecordIntent {
			steps = append(steps, "intent "+rec.Approval)
		}
	}
	if want := []string{"pending ", "approved keeper", "claimed ", "intent " + r.ID, "executed "}; !slices.Equal(steps, want) {
		t.Errorf("recorded %q, want %q", steps, want)
	}
	if report, err := audit.Check(w.dir + "/log"); err != nil || len(report.Problems) > 0 {
		t.Errorf("the record is not sound: %v %v", report.Problems, err)
	}
	// Used up.
	done = w.waiting(s, Op{Kind: OpQuery, SQL: heldWrite})
	if again := w.pendingOne(); again.ID == r.ID {
		t.Error("the approval was used again")
	} else {
		w.decide("keeper", again.ID, ReviewVote{Verdict: approval.Refuse})
	}
	a = <-done
	wantError(t, a, "42501 keeper denied request")
	if !strings.Contains(a.errs[0], "looked at the ticket") {
		t.Errorf("the requester is not told why: %q", a.errs)
	}
}

// TestWhatAWindowHasToName: what leaves something behind beside the relations of a statement.
func TestWhatAWindowHasToName(t *testing.T) {
	w := heldWorld(t, func(c *Config) { c.Approvals.Wait = -1 })
	conn := w.direct()
	if _, err := conn.Exec(context.Background(), "create sequence counter").ReadAll(); err != nil {
		t.Fatal(err)
	}
	w.gw.dbs["shop"].stale()
	s := w.loginAt(access.DoorPGWire, "asker")
	for sql, want := range map[string][]string{
		"update customers set region = lower(now()::text) where id = 7":   {"select public.customers", "update public.customers"},
		"update customers set region = 'x' where id = nextval('counter')": {"call pg_catalog.nextval", "select public.customers", "update public.customers"},
	} {
		wantError(t, w.query(s, sql), "42501 this statement needs approval")
		r := w.pendingOne()
		slices.Sort(r.Subject.Relations)
		if !slices.Equal(r.Subject.Relations, want) {
			t.Errorf("%s does %q, want %q", sql, r.Subject.Relations, want)
		}
		w.gw.approvals.Cancel(context.Background(), r.ID, "next")
	}
}

func TestHeldStatementsOfTheExtendedProtocol(t *testing.T) {
	w := heldWorld(t, nil)
	s := w.loginAt(access.DoorPGWire, "asker")
	const sql = "update customers set region = $1 where id = $2"
	done := w.waiting(s, pipeline(sql, "held", "7")...)
	r := w.pendingOne()
	if want := []approval.Param{{Text: "held", Type: 25, Named: "text"}, {Text: "7", Type: 23, Named: "integer"}}; !reflect.DeepEqual(r.Binding.Params, want) {
		t.Fatalf("params %+v", r.Binding.Params)
	}
	w.approve("keeper", r.ID)
	a := <-done
	wantNoError(t, a)
	if w.regionOf(7) != "held" || a.types != "NN12nCZ" /* it waits; it was approved */ {
		t.Fatalf("%s %s", w.regionOf(7), a.types)
	}
}

// TestOneApprovalOneStatement tries to use an approval for something else, in each way that a client has.
func TestOneApprovalOneStatement(t *testing.T) {
	w := heldWorld(t, func(c *Config) { c.Approvals.Wait = -1 })
	text := func(sql string) []Op { return []Op{{Kind: OpQuery, SQL: sql}} }
	param := "update customers set region = 'held' where id = $1"
	intTyped := pipeline(param, "7")
	intTyped[0].ParamOIDs = []uint32{20}
	for _, c := range []struct {
		name          string
		before        []string // in the session, before asking
		ask           []Op
		between       []string
		use           []Op
		sql           string
		other, passes bool // in another session
	}{
		{name: "the same", ask: text(heldWrite), use: text(heldWrite), passes: true},
		{name: "a space more", ask: text(heldWrite), use: text(heldWrite + " ")},
		{name: "another row", ask: text(heldWrite), use: text(strings.Replace(heldWrite, "7", "8", 1))},
		{name: "another session", ask: text(heldWrite), use: text(heldWrite), other: true},
		{name: "the other protocol", ask: text(heldWrite), use: pipeline(heldWrite), passes: false},
		{name: "another parameter", ask: pipeline(param, "7"), use: pipeline(param, "8")},
		{name: "the same parameter", ask: pipeline(param, "7"), use: pipeline(param, "7"), passes: true},
		{name: "the parameter of another type", ask: pipeline(param, "7"), use: intTyped},
		{name: "another search_path", ask: text("update customers set region = 'held' where id = 7"), between: []string{"set search_path = pg_catalog, public"}, use: text(heldWrite)},
		{name: "the same prepared", before: []string{"prepare p as " + heldWrite}, ask: text("execute p"), use: text("execute p"), passes: true},
		{name: "prepared anew", before: []string{"prepare p as " + heldWrite}, ask: text("execute p"), between: []string{"deallocate p", "prepare p as update customers set region = 'held' where id > 0"},
			use: text("execute p")},
		{name: "statements added", ask: text(heldWrite), use: text(heldWrite + "; update customers set region = 'held' where id = 9")},
		{name: "a comment", ask: text(heldWrite), use: text(heldWrite + " -- and more")},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.behind("update customers set region = 'r' || id % 4 returning 1")
			s := w.loginAt(access.DoorPGWire, "asker")
			for _, q := range c.before {
				wantNoError(t, w.query(s, q))
			}
			a := w.do(s, c.ask...)
			wantError(t, a, "42501 this statement needs approval by keepers")
			r := w.pendingOne()
			w.approve("keeper", r.ID)
			for _, q := range c.between {
				wantNoError(t, w.query(s, q))
			}
			if c.other {
				s = w.loginAt(access.DoorPGWire, "asker")
			}
			a = w.do(s, c.use...)
			if c.passes {
				wantNoError(t, a)
				w.wantState(r.ID, approval.Executed)
			} else {
				wantError(t, a, "42501 this statement needs approval by keepers")
				w.wantState(r.ID, approval.Approved)
			}
			if n := w.behind("select count(*)::text from customers where region = 'held'"); (n == "1") != c.passes || !c.passes && n != "0" {
				t.Errorf("%s rows were changed", n)
			}
			for _, r := range w.gw.LiveReviews() {
				w.gw.approvals.Cancel(context.Background(), r.ID, "next")
			}
		})
	}
}

func TestWithdrawing(t *testing.T) {
	w := heldWorld(t, nil)
	s := w.loginAt(access.DoorPGWire, "asker")
	done := w.waiting(s, Op{Kind: OpQuery, SQL: heldWrite})
	r := w.pendingOne()
	w.gw.Cancel(s.pid, s.key)
	wantError(t, <-done, "57014 canceled while waiting for approval")
	w.wantState(r.ID, approval.Cancelled)
	if err := w.decide("keeper", r.ID, ReviewVote{Verdict: approval.Approve}); err == nil {
		t.Fatal("approved after it was withdrawn")
	}
	// A client that goes away.
	ctx, gone := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Do(ctx, []Op{{Kind: OpQuery, SQL: heldWrite}}, &answer{}) }()
	r = w.pendingOne()
	gone()
	<-ended
	w.wantState(r.ID, approval.Cancelled)
	if w.regionOf(7) != "r3" {
		t.Fatal("it ran")
	}
}

func TestAfterTheWaitItIsRunAgain(t *testing.T) {
	w := heldWorld(t, func(c *Config) { c.Approvals.Wait = 50 * time.Millisecond })
	s := w.loginAt(access.DoorPGWire, "asker")
	a := w.query(s, heldWrite)
	wantError(t, a, "42501 this statement needs approval by keepers: request")
	r := w.pendingOne()
	w.approve("keeper", r.ID)
	wantNoError(t, w.query(s, heldWrite))
	w.wantState(r.ID, approval.Executed)
}

func TestNothingWaitsInATransaction(t *testing.T) {
	w := heldWorld(t, nil)
	s := w.loginAt(access.DoorPGWire, "asker")
	wantNoError(t, w.query(s, "begin"))
	wantNoError(t, w.query(s, "select 1 from customers where id = 1"))
	a := w.query(s, heldWrite) // comes back, or the test hangs
	wantError(t, a, "42501 this statement needs approval")
	if a.tx != 'E' {
		t.Errorf("transaction is %c", a.tx)
	}
	wantNoError(t, w.query(s, "rollback"))
	r := w.pendingOne()
	w.approve("keeper", r.ID)
	wantNoError(t, w.query(s, "begin"))
	wantNoError(t, w.query(s, heldWrite))
	wantNoError(t, w.query(s, "commit"))
	if w.regionOf(7) != "held" {
		t.Fatal("it did not run")
	}
	// In an implicit one that has begun: the first statement of the burst holds locks.
	ops := append(pipeline("select count(*) from customers")[:4], Op{Kind: OpFlush})
	ops = append(ops, pipeline("update customers set region = 'again' where id = 8")...)
	a = w.do(s, ops...)
	wantError(t, a, "42501 this statement needs approval")
}

func TestCursorsAreHeldWhereTheyAreOpened(t *testing.T) {
	w := heldWorld(t, func(c *Config) { c.Approvals.Wait = -1 })
	s := w.loginAt(access.DoorPGWire, "asker")
	const secret = "select v from secrets order by id"
	both := func(r *ReviewRequest) {
		t.Helper()
		w.approve("keeper", r.ID)
		w.wantState(r.ID, approval.Pending)
		w.approve("officer", r.ID)
	}
	// A portal that is bound and not executed is no way around.
	bound := []Op{{Kind: OpParse, SQL: secret}, {Kind: OpBind, Portal: "p", Raw: bindPortal("p", "")}, {Kind: OpParse, Name: "f", SQL: "fetch 1 from p"},
		{Kind: OpBind, Portal: "q", Name: "f", Raw: bindPortal("q", "f")}, {Kind: OpExecute, Portal: "q"}, {Kind: OpSync}}
	a := w.do(s, bound...)
	if len(a.rows) > 0 || len(a.errs) != 1 {
		t.Fatalf("read past the review: %v %v", a.rows, a.errs)
	}
	for _, r := range w.gw.LiveReviews() {
		w.gw.approvals.Cancel(context.Background(), r.ID, "next")
	}
	wantNoError(t, w.query(s, "begin"))
	wantError(t, w.query(s, "declare c cursor for "+secret), "42501 this statement needs approval by keepers and officers")
	wantNoError(t, w.query(s, "rollback"))
	both(w.pendingOne())
	wantNoError(t, w.query(s, "begin"))
	wantNoError(t, w.query(s, "declare c cursor for "+secret))
	for _, want := range []string{"x", "y"} {
		a = w.query(s, "fetch 1 from c")
		wantNoError(t, a)
		if len(a.rows) != 1 || a.rows[0][0] != want {
			t.Fatalf("%v", a.rows)
		}
	}
	wantNoError(t, w.query(s, "commit"))
	// Parts of a portal are one use.
	ops := []Op{{Kind: OpParse, SQL: secret}, {Kind: OpBind, Raw: bindText(nil)}, {Kind: OpExecute, MaxRows: 1}, {Kind: OpExecute, MaxRows: 1}, {Kind: OpSync}}
	wantError(t, w.do(s, ops...), "42501 this statement needs approval")
	both(w.pendingOne())
	a = w.do(s, ops...)
	wantNoError(t, a)
	if len(a.rows) != 2 {
		t.Fatalf("%v", a.rows)
	}
}

func TestTextsOfSeveralStatements(t *testing.T) {
	w := heldWorld(t, func(c *Config) { c.Approvals.Wait = -1 })
	s := w.loginAt(access.DoorPGWire, "asker")
	const good = "update customers set region = 'held' where id = 1; select 1; update customers set region = 'held' where id = 2"
	const bad = "update customers set region = 'held' where id = 3; update customers set id = 1 where id = 4"
	for _, c := range []struct {
		sql  string
		want approval.State
	}{{good, approval.Executed}, {bad, approval.Failed}} {
		wantError(t, w.query(s, c.sql), "42501 this statement needs approval")
		r := w.pendingOne()
		w.approve("keeper", r.ID)
		a := w.query(s, c.sql)
		if (len(a.errs) == 0) != (c.want == approval.Executed) {
			t.Errorf("%q", a.errs)
		}
		w.wantState(r.ID, c.want)
	}
	if n := w.behind("select count(*)::text from customers where region = 'held'"); n != "2" {
		t.Errorf("%s rows", n)
	}
}
