package replay

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
)

func TestReplayTellsWhoApprovedAndDoesNotWait(t *testing.T) {
	l := newTeller(t)
	step := func(later time.Duration, id string, s access.ReviewStep) {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		l.add(later, "sys_1", access.RecordReview, access.Record{Principal: "anna", Approval: id, Review: b})
	}
	run := l.plan(access.PlanRecord{Class: access.ClassWrite, Tag: "UPDATE", Relations: []string{"write public.customers"}, Effect: "review", Policies: []string{"writes"}})
	who := access.Record{Principal: "anna", Door: access.DoorPGWire, Connection: "shop"}
	with := func(change func(*access.Record)) access.Record { r := who; change(&r); return r }
	l.add(0, "pg_1", access.RecordOpen, who)
	step(time.Second, "rq_1", access.ReviewStep{To: "pending", Missing: []string{"keepers"}})
	step(20*time.Minute, "rq_1", access.ReviewStep{From: "pending", To: "approved", Reviewer: "kim", Groups: []string{"keepers"}, Verdict: "approve", Justification: "ticket\x1b[2J 12"})
	in := l.add(time.Second, "pg_1", access.RecordIntent, with(func(r *access.Record) { r.SQL, r.Plan, r.Approval = "UPDATE customers", run, "rq_1" }))
	l.add(time.Millisecond, "pg_1", access.RecordOutcome, with(func(r *access.Record) { r.Intent, r.Command = in.Position, "UPDATE 1" }))
	step(0, "rq_2", access.ReviewStep{To: "claimed", Use: true, Glass: "the shop is down"})
	in = l.add(time.Second, "pg_1", access.RecordIntent, with(func(r *access.Record) { r.SQL, r.Plan, r.Approval = "UPDATE customers", run, "rq_2" }))
	l.add(time.Millisecond, "pg_1", access.RecordOutcome, with(func(r *access.Record) { r.Intent, r.Command = in.Position, "UPDATE 1" }))
	c := Make(l.recs, Options{Cols: 160})
	text := screen(c)
	for _, want := range []string{"until somebody had decided (shown as 2 s)", "kim (keepers) approved: ticket", "decided after 20m", "THE GLASS WAS BROKEN by anna: nobody was asked. Reason: the shop is down"} {
		if !strings.Contains(text, want) {
			t.Errorf("not told: %q", want)
		}
	}
	if strings.ContainsRune(text, 0x1b) || strings.Contains(text, "sys_1") {
		t.Error("an escape, or the gateway's own session")
	}
	if last := c.Events[len(c.Events)-1].At; last > 10*time.Second {
		t.Errorf("it takes %s", last)
	}
	if t.Failed() {
		t.Log(text)
	}
}
