package gateway

import (
	"context"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/approval"
)

// TestWhoAskedIsToldWhyItWasApproved where it is run again once it is, once, and at the agents' door.
func TestWhoAskedIsToldWhyItWasApproved(t *testing.T) {
	w := heldWorld(t, func(c *Config) { c.Approvals.Wait = -1 })
	s := w.loginAt(access.DoorPGWire, "asker")
	id := w.asks(s, heldWrite)
	w.approve("keeper", id)
	said := "keeper approved request " + id + ": looked at the ticket"
	if res, err := s.Query(context.Background(), Query{SQL: heldWrite, Reason: "look at what a preview says"}); err != nil || !slices.Equal(res.Said, []string{said}) {
		t.Errorf("told %+v %v, want %q", res, err, said)
	}

	robot := w.loginAt(access.DoorMCP, "robot")
	q := Query{SQL: heldWrite, Task: Task{ID: "task_1", Goal: "move customers"}, Reason: "customer 7 has moved house"}
	_, err := robot.Query(context.Background(), q)
	id = access.AsError(err).Review
	w.approve("keeper", id)
	said = "keeper approved request " + id + ": looked at the ticket"
	status, err := w.gw.Approval(context.Background(), access.Password{User: "robot", Secret: "pw-robot"}, id)
	if err != nil || !slices.Equal(status.Said, []string{said}) {
		t.Errorf("said %q, %v", status.Said, err)
	}
	res, err := robot.Query(context.Background(), q)
	if err != nil || !slices.Equal(res.Said, []string{said}) || len(res.Notes) > 0 {
		t.Errorf("%+v %v", res, err)
	}
}

// TestAJustificationMovesNoCursor, nor ends the message that it is in.
func TestAJustificationMovesNoCursor(t *testing.T) {
	w := heldWorld(t, nil)
	s := w.loginAt(access.DoorPGWire, "asker")
	keeper, err := w.gw.Verify(context.Background(), access.Password{User: "keeper", Secret: "pw-keeper"})
	if err != nil {
		t.Fatal(err)
	}
	for _, verdict := range []ReviewVote{{Verdict: approval.Approve}, {Verdict: approval.Refuse}} {
		done := w.waiting(s, Op{Kind: OpQuery, SQL: heldWrite})
		r := w.pendingOne()
		verdict.Justification = " fine\x00 \x1b[2Jby\nme, \u202eYES "
		if _, err := w.gw.Decide(context.Background(), keeper, r.ID, r.Revision, verdict); err != nil {
			t.Fatal(err)
		}
		a := <-done
		if told := strings.Join(append(a.notices, a.errs...), "\n"); !strings.Contains(told, `: fine\u0000 \u001b[2Jby me, \u202eYES`) {
			t.Errorf("%s: told %q", verdict.Verdict, told)
		}
	}
}

// TestALimitOnChangesIsShown to reviewers, and is in the way of no plan.
func TestALimitOnChangesIsShown(t *testing.T) {
	const limited = `@id("few") @affected("<=3") permit (principal in Group::"askers", action == Action::"write", resource in Table::"shop.public.customers");`
	w := heldWorld(t, func(c *Config) {
		c.Approvals.Wait = -1
		c.Policies = []PolicyFile{{Name: "held.cedar", Text: heldPolicy + limited}}
	})
	s := w.loginAt(access.DoorPGWire, "asker")
	for _, c := range []struct {
		sql     string
		counted bool
		why     string
	}{
		{heldWrite, true, ""},
		{"update customers set region = 'held' where id < 10", false, "more than the 3 that the policy allows"},
	} {
		id := w.asks(s, c.sql)
		if r, err := w.gw.Review(id); err != nil || r.Subject.Affected != 3 {
			t.Errorf("%+v %v", r, err)
		}
		p, err := w.preview(id)
		if err != nil || p.Counted != c.counted || !strings.Contains(p.Why, c.why) || !strings.Contains(p.Plan, "Update on customers") {
			t.Errorf("%s: %+v %v", c.sql, p, err)
		}
	}
}

// TestWhatIsShownIsNotAskedForAgain: reviewers are not to decide twice about one wish.
func TestWhatIsShownIsNotAskedForAgain(t *testing.T) {
	w := heldWorld(t, func(c *Config) {
		c.Labels = []access.LabelRule{{Label: "pii.email", Columns: []string{"*.*.email"}}, {Label: "pii.name", Columns: []string{"*.*.name"}}}
		c.Policies = []PolicyFile{{Name: "held.cedar", Text: revealPolicy + `@id("names") @review("keepers") permit (principal in Group::"askers", action == Action::"reveal", resource in Label::"pii.name");`}}
	})
	s := w.loginAt(access.DoorPGWire, "asker")
	wantNoError(t, w.query(s, "set sallyport.reveal = 'customers.email'"))
	r := w.pendingOne()
	// Another session of theirs asks for the same.
	again := w.loginAt(access.DoorPGWire, "asker")
	if a := w.query(again, "set sallyport.reveal = 'customers.email'"); len(a.notices) != 1 || !strings.Contains(a.notices[0], r.ID) || len(w.gw.LiveReviews()) != 1 {
		t.Errorf("asked for twice: %q", a.notices)
	}
	grant := approval.Grant{Mode: approval.Reveal, Columns: []string{"public.customers.email"}, Until: r.Expires}
	if err := w.decide("keeper", r.ID, ReviewVote{Verdict: approval.Approve, Grant: grant}); err != nil {
		t.Fatal(err)
	}
	a := w.query(again, "set sallyport.reveal = 'customers.email'")
	want := "nothing was asked for: statements show public.customers.email as it is already, until " + r.Expires.Format("2006-01-02T15:04:05Z07:00")
	if !slices.Equal(a.notices, []string{want}) || len(w.gw.LiveReviews()) != 1 {
		t.Errorf("told %q, want %q", a.notices, want)
	}
	// What is not shown yet is asked for, and nothing else.
	wantNoError(t, w.query(again, "set sallyport.reveal = 'customers.email, customers.name'"))
	if r := w.pendingOne(); !slices.Equal(r.Binding.Columns, []string{"public.customers.name"}) {
		t.Errorf("asked for %q", r.Binding.Columns)
	}
}
