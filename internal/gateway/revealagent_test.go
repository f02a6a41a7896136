package gateway

import (
	"context"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/approval"
)

const revealReasonPolicy = `
@id("read") permit (principal in Group::"askers", action in [Action::"connect", Action::"read"], resource in Connection::"shop");
@id("see") @review("keepers") @reason("required") permit (principal in Group::"askers", action == Action::"reveal", resource in Label::"pii.email");`

// TestAgentsAskForAReveal needs no right to change settings, and brings a task and a reason with each call.
func TestAgentsAskForAReveal(t *testing.T) {
	w := heldWorld(t, func(c *Config) {
		c.Labels = []access.LabelRule{{Label: "pii.email", Columns: []string{"*.*.email"}}, {Label: "pii.ssn", Columns: []string{"*.*.ssn"}}}
		c.Policies = []PolicyFile{{Name: "held.cedar", Text: revealReasonPolicy}}
	})
	ctx := context.Background()
	robot := access.Password{User: "robot", Secret: "pw-robot"}
	s := w.loginAt(access.DoorMCP, "robot")
	q := RevealQuery{Columns: []string{"customers.email"}, Task: Task{ID: "task_1", Goal: "write to customers"}, Reason: "the letters to customers came back"}
	sees := func() bool {
		t.Helper()
		res, err := s.Query(ctx, Query{SQL: "select email from customers where id = 7", Task: q.Task, Reason: q.Reason})
		if err != nil {
			t.Fatal(err)
		}
		return *res.Rows[0][0] == "u7@example.com"
	}

	for name, bad := range map[string]RevealQuery{
		"no_reason": {Columns: q.Columns, Task: q.Task},
		"ssn":       {Columns: []string{"customers.ssn"}, Task: q.Task, Reason: q.Reason},
		"unknown":   {Columns: []string{"customers.nothing"}, Task: q.Task, Reason: q.Reason},
	} {
		id, err := s.AskReveal(ctx, bad)
		if err == nil || id != "" || len(w.gw.LiveReviews()) != 0 {
			t.Errorf("%s: %q %v", name, id, err)
		}
		found := false
		for _, rec := range w.records() {
			found = found || rec.Kind == access.RecordRefused && rec.Task == "task_1" && rec.SQL == "SET sallyport.reveal = '"+bad.Columns[0]+"'"
		}
		if !found {
			t.Errorf("%s: no record of the refusal", name)
		}
	}

	id, err := s.AskReveal(ctx, q)
	if err != nil {
		t.Fatal(err)
	}
	if r := w.pendingOne(); r.ID != id || r.Subject.Task != "task_1" || r.Subject.Reason != q.Reason || r.Binding.Session != "task_1" {
		t.Errorf("%+v", r)
	}
	now, err := w.gw.Approval(ctx, robot, id)
	if err != nil || now.URL != "https://gate.example/reviews/"+id || now.Digest == "" || strings.Join(now.Columns, ",") != "public.customers.email" {
		t.Errorf("%+v %v", now, err)
	}
	if sees() {
		t.Error("seen before it is approved")
	}
	grant := approval.Grant{Mode: approval.Reveal, Columns: []string{"public.customers.email"}, Until: time.Now().Add(time.Minute)}
	if err := w.decide("keeper", id, ReviewVote{Verdict: approval.Approve, Grant: grant}); err != nil {
		t.Fatal(err)
	}
	if !sees() {
		t.Error("not seen though it is approved")
	}
	for _, other := range []string{"asker", "keeper"} {
		if _, err := w.gw.Withdraw(ctx, access.Password{User: other, Secret: "pw-" + other}, id); access.AsError(err).Code != "22023" {
			t.Errorf("withdrawn by %s: %v", other, err)
		}
	}
	if now, err := w.gw.Withdraw(ctx, robot, id); err != nil || now.State != approval.Cancelled {
		t.Errorf("%+v %v", now, err)
	}
	if sees() {
		t.Error("seen after it was withdrawn")
	}
	if _, err := w.gw.Withdraw(ctx, robot, id); access.AsError(err).Code != "55000" {
		t.Errorf("withdrawn twice: %v", err)
	}
	s.Close()
	if _, err := s.AskReveal(ctx, q); err != ErrEnded {
		t.Errorf("on a session that has ended: %v", err)
	}
}
