package gateway

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/approval"
)

// allPending are the ids of what waits, the oldest first.
func (w *world) allPending() (ids []string) {
	for _, r := range slices.Backward(w.gw.LiveReviews()) {
		if r.State == approval.Pending {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// approveFirst has a statement asked for in a transaction of its own, and approved.
func (w *world) approveFirst(s *Session, ops ...Op) string {
	w.t.Helper()
	wantError(w.t, w.do(s, ops...), "42501 this statement needs approval")
	ids := w.allPending()
	if len(ids) != 1 {
		w.t.Fatalf("%d wait", len(ids))
	}
	w.approve("keeper", ids[0])
	return ids[0]
}

func text(sql string) Op { return Op{Kind: OpQuery, SQL: sql} }

// TestAnApprovalEndsWithItsTransaction: what was rolled back is not shown as executed, and what was read is.
func TestAnApprovalEndsWithItsTransaction(t *testing.T) {
	w := heldWorld(t, func(c *Config) {
		c.Approvals.Wait = -1
		c.Policies = []PolicyFile{{Name: "held.cedar", Text: heldPolicy + `@id("ddl") @review("keepers") permit (principal in Group::"askers", action == Action::"ddl", resource in Connection::"shop");`}}
	})
	conn := w.direct()
	if _, err := conn.Exec(t.Context(), "create table parts (id int primary key, customer int not null references customers (id) deferrable initially deferred)").ReadAll(); err != nil {
		t.Fatal(err)
	}
	w.gw.dbs["shop"].stale()
	const (
		none   = "insert into parts values (1, -1)" // until COMMIT
		given  = "update customers set region = 'held' where id = 7 returning region"
		undone = "rolled back with its transaction, after "
	)
	gone := func(s *Session) { s.Close() }
	for _, c := range []struct {
		name    string
		held    string
		before  []string
		after   []string // each a text of its own
		with    string   // with %s for what is held: in one text
		piped   []Op     // after it, without Sync in between
		then    func(*Session)
		open    bool // between what is before after it
		state   approval.State
		outcome string
	}{
		{name: "alone", state: approval.Executed, outcome: "UPDATE 1"},
		{name: "commit", before: []string{"begin"}, after: []string{"commit"}, open: true, state: approval.Executed, outcome: "UPDATE 1"},
		{name: "rollback", before: []string{"begin"}, after: []string{"rollback"}, open: true, state: approval.Failed, outcome: undone + "UPDATE 1"},
		{name: "a commit that is none", before: []string{"begin"}, after: []string{"select 1/0", "commit"}, open: true, state: approval.Failed, outcome: undone + "UPDATE 1"},
		{name: "a commit that fails", held: none, before: []string{"begin"}, after: []string{"commit"}, open: true, state: approval.Failed, outcome: undone + "INSERT 0 1"},
		{name: "a sync that fails", held: none, piped: []Op{{Kind: OpSync}}, state: approval.Failed, outcome: undone + "INSERT 0 1"},
		{name: "an error after it in its burst", piped: pipeline("select 1/0"), state: approval.Failed, outcome: undone + "UPDATE 1"},
		{name: "a refusal after it in its burst", piped: pipeline("select pg_read_file('x')"), state: approval.Failed, outcome: undone + "UPDATE 1"},
		{name: "a rollback after it in its burst", piped: pipeline("rollback"), state: approval.Failed, outcome: undone + "UPDATE 1"},
		{name: "a commit after it in its burst", piped: append(pipeline("commit")[:4], pipeline("select 1/0")...), state: approval.Executed, outcome: "UPDATE 1"},
		{name: "rows", held: given, before: []string{"begin"}, after: []string{"rollback"}, open: true, state: approval.Executed,
			outcome: "UPDATE 1; its transaction was rolled back after that, and the rows that it gave were read"},
		{name: "a savepoint", before: []string{"begin", "savepoint a"}, after: []string{"rollback to a", "commit"}, open: true, state: approval.Executed,
			outcome: "UPDATE 1; ROLLBACK TO SAVEPOINT came after it, and may have taken it back"},
		{name: "the session ends", before: []string{"begin"}, then: gone, open: true, state: approval.Failed, outcome: undone + "UPDATE 1"},
		{name: "a table", held: "create table made (i int)", before: []string{"begin"}, after: []string{"rollback"}, open: true, state: approval.Failed, outcome: undone + "CREATE TABLE"},
		{name: "a table in its burst", held: "create table made (i int)", piped: pipeline("select 1/0"), state: approval.Unknown,
			outcome: "CREATE TABLE; its transaction was rolled back, unless it committed one by itself"},
		{name: "one text", with: "begin; %s; rollback", state: approval.Failed, outcome: undone + "UPDATE 1"},
		{name: "one text that commits", with: "begin; %s; commit", state: approval.Executed, outcome: "UPDATE 1"},
		{name: "one text of which an end fails", with: "%s; commit; select 1/0", state: approval.Executed, outcome: "UPDATE 1"},
		{name: "one text of which another fails", with: "%s; commit; update customers set id = 1 where id = 2", state: approval.Failed, outcome: "; a part of it was committed before"},
		{name: "one text of which the last does", with: "%s; select 1/0", state: approval.Failed, outcome: undone + "UPDATE 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.behind("update customers set region = 'r' || id % 4 returning 1")
			s := w.loginAt(access.DoorPGWire, "asker")
			held := c.held
			if held == "" {
				held = heldWrite
			}
			ops := []Op{text(held)}
			if c.with != "" {
				ops = []Op{text(fmt.Sprintf(c.with, held))}
			} else if c.piped != nil {
				ops = pipeline(held)
			}
			id := w.approveFirst(s, ops...)
			for _, sql := range c.before {
				wantNoError(t, w.query(s, sql))
			}
			if c.piped != nil {
				ops = append(ops[:len(ops)-1:len(ops)-1], c.piped...)
			}
			w.do(s, ops...)
			if c.open {
				w.wantState(id, approval.Claimed)
			}
			for _, sql := range c.after {
				w.query(s, sql)
			}
			if c.then != nil {
				c.then(s)
			}
			w.wantState(id, c.state)
			r, _ := w.gw.Review(id)
			if r.Outcome != c.outcome && (c.outcome[0] != ';' || !strings.HasSuffix(r.Outcome, c.outcome)) {
				t.Errorf("%s: %q, want %q", r.State, r.Outcome, c.outcome)
			}
			if stands, said := w.regionOf(7) == "held", c.state == approval.Executed && c.held == "" && c.name != "a savepoint"; stands != said && c.outcome[0] != ';' {
				t.Errorf("the change stands: %v, and it is %s", stands, r.State)
			}
		})
	}
}

// TestTwoApprovalsInABurst: each is finished, also where another was claimed after it.
func TestTwoApprovalsInABurst(t *testing.T) {
	w := heldWorld(t, func(c *Config) { c.Approvals.Wait = -1 })
	s := w.loginAt(access.DoorPGWire, "asker")
	const second = "update customers set region = 'held' where id = 8"
	first, other := w.approveFirst(s, pipeline(heldWrite)...), w.approveFirst(s, pipeline(second)...)
	both := pipeline(heldWrite)
	wantNoError(t, w.do(s, append(both[:len(both)-1], pipeline(second)...)...))
	w.wantState(first, approval.Executed)
	w.wantState(other, approval.Executed)
	// One that fails ends with its error, and takes the other with it.
	const bad = "update customers set id = 1 where id = 9"
	first, other = w.approveFirst(s, pipeline(heldWrite)...), w.approveFirst(s, pipeline(bad)...)
	both = pipeline(heldWrite)
	w.do(s, append(both[:len(both)-1], pipeline(bad)...)...)
	for id, want := range map[string]string{first: "rolled back with its transaction, after UPDATE 1", other: "23505: "} {
		if r, err := w.gw.Review(id); err != nil || r.State != approval.Failed || !strings.HasPrefix(r.Outcome, want) {
			t.Errorf("%+v %v, want %q", r, err, want)
		}
	}
}

// TestATransactionOfTwoHeldStatements is run once both are approved, which they are asked for in one go; who has the first approved alone is
// told what becomes of it.
func TestATransactionOfTwoHeldStatements(t *testing.T) {
	w := heldWorld(t, func(c *Config) { c.Approvals.Wait = -1 })
	s := w.loginAt(access.DoorPGWire, "asker")
	wantNoError(t, w.query(s, "set datestyle = 'ISO, DMY'"))
	second := strings.Replace(heldWrite, "7", "8", 1)
	wantNoError(t, w.query(s, "begin"))
	wantError(t, w.query(s, heldWrite), "42501 this statement needs approval")
	a := w.query(s, second)
	wantError(t, a, "42501 this statement needs approval by keepers: request")
	ids := w.allPending()
	if len(ids) != 2 || a.tx != 'E' {
		t.Fatalf("%d wait in a transaction that is %c", len(ids), a.tx)
	}
	for _, id := range ids {
		if r, _ := w.gw.Review(id); len(r.Binding.Settings) == 0 || r.Binding.Settings[0] != "datestyle=ISO, DMY" {
			t.Errorf("settings %q", r.Binding.Settings)
		}
		w.approve("keeper", id)
	}
	a = w.query(s, second) // in what has failed: it would use the approval for nothing
	wantError(t, a, "25P02 the transaction has failed")
	wantError(t, w.query(s, "update customers set region = current_setting('timezone') where id = 9"), "25P02 the transaction has failed")
	if len(w.allPending()) != 0 {
		t.Error("asked for what is approved, or cannot be known")
	}
	wantNoError(t, w.query(s, "rollback"))
	for _, sql := range []string{"begin", heldWrite, second, "commit"} {
		wantNoError(t, w.query(s, sql))
	}
	for _, id := range ids {
		w.wantState(id, approval.Executed)
	}
	// A transaction that has failed by itself says nothing of its settings.
	wantNoError(t, w.query(s, "begin"))
	w.query(s, "select 1/0")
	wantError(t, w.query(s, second), "25P02 the transaction has failed")
	wantNoError(t, w.query(s, "rollback"))
	if n := len(w.allPending()); n != 0 {
		t.Errorf("%d were asked for", n)
	}
	// The first alone.
	id := w.approveFirst(s, text(heldWrite))
	wantNoError(t, w.query(s, "begin"))
	wantNoError(t, w.query(s, heldWrite))
	a = w.query(s, second)
	wantError(t, a, "42501 this statement needs approval")
	if len(a.errs) != 1 || !strings.Contains(a.hints[0], id+" is rolled back too, and that approval is used up") {
		t.Errorf("not told what becomes of the first: %q %q", a.errs, a.hints)
	}
	wantNoError(t, w.query(s, "rollback"))
	w.wantState(id, approval.Failed)
	// And one text holds both.
	for _, id := range w.allPending() {
		w.gw.approvals.Cancel(t.Context(), id, "next")
	}
	one := "begin; " + heldWrite + "; " + second + "; commit"
	id = w.approveFirst(s, text(one))
	wantNoError(t, w.query(s, one))
	w.wantState(id, approval.Executed)
}

func TestHowAnApprovalEnds(t *testing.T) {
	for _, c := range []struct {
		u     underway
		how   fate
		state approval.State
		said  string
	}{
		{underway{tag: "UPDATE 1"}, committed, approval.Executed, "UPDATE 1"},
		{underway{tag: "UPDATE 1", rows: true, loose: true}, committed, approval.Executed, "UPDATE 1"},
		{underway{tag: "UPDATE 1"}, rolledBack, approval.Failed, "rolled back"},
		{underway{tag: "UPDATE 1", rows: true}, rolledBack, approval.Executed, "were read"},
		{underway{tag: "CALL", rows: true, loose: true}, rolledBack, approval.Unknown, "unless"},
		{underway{tag: "UPDATE 1"}, twoPhase, approval.Executed, "elsewhere"},
		{underway{tag: "UPDATE 1"}, lost, approval.Unknown, "before an answer"},
		{underway{}, 0, approval.Unknown, "before an answer"},
	} {
		if state, said := c.u.ended(c.how); state != c.state || !strings.Contains(said, c.said) {
			t.Errorf("%+v, %d: %s %q", c.u, c.how, state, said)
		}
	}
}
