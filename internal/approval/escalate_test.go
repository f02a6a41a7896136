package approval

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var boss = Reviewer{Name: "boss", Groups: []string{"lead"}, Human: true}

// late is a wish about which leads decide too once dba has had 20 minutes.
func late(sql string) Request {
	r := wish(sql)
	r.Needs = []Need{{Group: "dba", Escalate: []string{"lead"}, After: 20 * time.Minute}}
	return r
}

func (b *bench) request(r Request) *Request {
	b.t.Helper()
	got, err := b.Request(context.Background(), r)
	if err != nil {
		b.t.Fatal(err)
	}
	return got
}

// word is what by says about a request as it is now.
func (b *bench) word(by Reviewer, id string, v Verdict) (*Request, error) {
	r, err := b.Get(id)
	if err != nil {
		return nil, err
	}
	return b.Decide(context.Background(), id, r.Revision, by, Vote{Verdict: v, Justification: "looked at the ticket", Instead: []string{"dba"}})
}

func (b *bench) sweep() {
	b.t.Helper()
	if err := b.Sweep(context.Background()); err != nil {
		b.t.Fatal(err)
	}
}

// escalations are those on record, as "request group".
func (b *bench) escalations(id string) (out []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.events {
		if e.Escalated != nil && e.Request.ID == id {
			out = append(out, e.Escalated.Group)
		}
	}
	return out
}

func (b *bench) breakLog(err error) { b.mu.Lock(); b.broken = err; b.mu.Unlock() }

func TestAnEscalationIsRecordedBeforeItCounts(t *testing.T) {
	b := newBench(t)
	r := b.request(late("DELETE 1"))
	refused := func(when string) {
		t.Helper()
		if got, err := b.word(boss, r.ID, Approve); err == nil || got.State != Pending {
			t.Fatalf("%s: decided in the place of dba: %v", when, err)
		}
		if got, err := b.word(boss, r.ID, Refuse); err == nil || got.State != Pending {
			t.Fatalf("%s: denied in the place of dba: %v", when, err)
		}
	}
	b.pass(20*time.Minute - 1)
	b.sweep()
	refused("before its time")
	b.pass(1)
	refused("before it was on record, whatever the clock says")
	b.breakLog(errors.New("disk full"))
	if err := b.Sweep(context.Background()); err == nil || !strings.Contains(err.Error(), "not made") {
		t.Fatalf("escalated without a record: %v", err)
	}
	refused("while the log is dead")
	b.breakLog(nil)
	seen := b.Watch(r.ID)
	b.sweep()
	select {
	case <-seen:
	default:
		t.Error("nobody was told")
	}
	last := b.events[len(b.events)-1]
	if e := last.Escalated; e == nil || e.Group != "dba" || e.Quorum != 1 || e.Approved != 0 || e.After != 20*time.Minute || !slices.Equal(e.To, []string{"lead"}) || !e.Since.Equal(start.Add(20*time.Minute)) ||
		last.From != Pending || last.Request.State != Pending {
		t.Fatalf("on record is %+v of %+v", last.Escalated, last)
	}
	// Who was shown the request before has it shown again, as with each step.
	if _, err := b.Decide(context.Background(), r.ID, r.Revision, boss, Vote{Verdict: Approve, Justification: "looked at the ticket"}); !errors.Is(err, errStale) {
		t.Fatal(err)
	}
	now, err := b.Get(r.ID)
	if err != nil || now.WaitsFor() != "dba (or lead in their place)" || !slices.Equal(now.Deciders(), []string{"dba", "lead"}) || len(now.Escalated()) != 1 {
		t.Fatalf("%q %q %v", now.WaitsFor(), now.Deciders(), err)
	}
	b.sweep()
	if now, err = b.word(boss, r.ID, Approve); err != nil || now.State != Approved || !slices.Equal(now.Votes[0].Instead, []string{"dba"}) {
		t.Fatal(now, err)
	}
	b.pass(time.Minute)
	b.sweep()
	if got := b.escalations(r.ID); len(got) != 1 {
		t.Errorf("escalated %q", got)
	}
}

func TestNobodyNamesThemselvesAStandIn(t *testing.T) {
	b := newBench(t)
	wanted := late("DELETE 1")
	wanted.Needs[0].Escalated = start // a caller's word
	r := b.request(wanted)
	if _, err := b.word(boss, r.ID, Approve); err == nil || b.state(r.ID) != Pending {
		t.Fatal("decided by a request's own word")
	}
	got, err := b.word(dana, r.ID, Approve)
	if err != nil || got.Votes[0].Instead != nil {
		t.Fatal(got, err)
	}
	// By itself, what a vote says counts for nothing, and neither does an escalation for a vote from before it.
	n := Need{Group: "dba", Escalate: []string{"lead"}, After: time.Minute}
	v := Vote{Reviewer: "boss", Groups: []string{"lead"}, Verdict: Approve, Instead: []string{"dba"}}
	if satisfied([]Need{n}, []Vote{v}) {
		t.Error("without an escalation")
	}
	n.Escalated = start
	if !satisfied([]Need{n}, []Vote{v}) {
		t.Error("with one")
	}
	if v.Instead = nil; satisfied([]Need{n}, []Vote{v}) {
		t.Error("a vote from before it")
	}
}

func TestWhatWasDueWhileTheGatewayWasDownEscalatesAtItsStart(t *testing.T) {
	b := newBench(t)
	r := b.request(late("DELETE 1"))
	b.Close()
	b.pass(30 * time.Minute)
	b.open()
	if got := b.escalations(r.ID); len(got) != 1 {
		t.Fatalf("escalated %q", got)
	}
	b.Close()
	b.open()
	b.sweep()
	if got := b.escalations(r.ID); len(got) != 1 {
		t.Fatalf("once more after another restart: %q", got)
	}
	if got, err := b.word(boss, r.ID, Approve); err != nil || got.State != Approved {
		t.Fatal(got, err)
	}
}

// TestARecordWithoutItsStep: the gateway ends between the two. The record gives nobody a say until the step is made, which is recorded again.
func TestARecordWithoutItsStep(t *testing.T) {
	b := newBench(t)
	r := b.request(late("DELETE 1"))
	b.pass(20 * time.Minute)
	b.Engine.conf.Record = func(_ context.Context, e Event) error {
		b.events = append(b.events, e)
		return errors.New("killed")
	}
	if err := b.Sweep(context.Background()); err == nil {
		t.Fatal("it was made")
	}
	if _, err := b.word(boss, r.ID, Approve); err == nil {
		t.Fatal("a stand-in's word counts without the step")
	}
	b.Close()
	b.open()
	if got := b.escalations(r.ID); len(got) != 2 {
		t.Errorf("on record %d times", len(got))
	}
	if got, err := b.word(boss, r.ID, Approve); err != nil || got.State != Approved {
		t.Fatal(got, err)
	}
}

func TestNeedsEscalateOnTheirOwn(t *testing.T) {
	sam := Reviewer{Name: "sam", Groups: []string{"security", "lead"}, Human: true}
	both := Reviewer{Name: "both", Groups: []string{"dba", "security"}, Human: true}
	needs := []Need{{Group: "dba", Escalate: []string{"lead"}, After: 10 * time.Minute}, {Group: "security", Quorum: 2, Escalate: []string{"lead"}, After: 30 * time.Minute}}
	for _, tc := range []struct {
		name       string
		first      []Reviewer // approve at once
		early, all []string
		approved   int // of the last of all, on record
	}{
		{"nobody decided", nil, []string{"dba"}, []string{"dba", "security"}, 0},
		{"one_group_is_complete", []Reviewer{dana}, nil, []string{"security"}, 0},
		{"one_of_two", []Reviewer{sam}, []string{"dba"}, []string{"dba", "security"}, 1},
		{"one_place_is_missing_of_either", []Reviewer{both, sam}, []string{"dba"}, []string{"dba", "security"}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t)
			r := wish("DELETE 1")
			r.Needs = needs
			id := b.request(r).ID
			for _, by := range tc.first {
				if _, err := b.word(by, id, Approve); err != nil {
					t.Fatal(err)
				}
			}
			b.pass(10 * time.Minute)
			b.sweep()
			if got := b.escalations(id); !slices.Equal(got, tc.early) {
				t.Errorf("after 10 minutes %q, want %q", got, tc.early)
			}
			b.pass(20 * time.Minute)
			b.sweep()
			if got := b.escalations(id); !slices.Equal(got, tc.all) {
				t.Errorf("after 30 minutes %q, want %q", got, tc.all)
			}
			if got := b.events[len(b.events)-1].Escalated; got.Approved != tc.approved {
				t.Errorf("of %s %d had approved, want %d", got.Group, got.Approved, tc.approved)
			}
		})
	}
	if !needs[0].Escalated.IsZero() {
		t.Error("the caller's own needs were changed")
	}
}

// TestABrokenGlassEscalates: somebody has to look at it, and where those who were asked do not, others do.
func TestABrokenGlassEscalates(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	r, err := b.BreakGlass(ctx, late("DELETE 1"), "the shop is down, incident 12")
	if err == nil {
		err = b.Finish(ctx, r.ID, Executed, "DELETE 1")
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.word(boss, r.ID, Approve); err == nil {
		t.Fatal("looked at by who was not asked")
	}
	b.pass(2 * time.Hour)
	b.sweep()
	b.sweep()
	if got := b.escalations(r.ID); len(got) != 1 {
		t.Fatalf("escalated %q", got)
	}
	got, err := b.word(boss, r.ID, Approve)
	if err != nil || !got.Glass.Reviewed || got.State != Executed {
		t.Fatal(got, err)
	}
}

// TestEscalationRaces has the escalation meet, in the same moment, the end of the request's time, the word of the group that was asked, that of
// who would stand in, and a withdrawal: whatever comes first, the record tells one story, and who stands in has no say before it.
func TestEscalationRaces(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	escalated, stoodIn := 0, 0
	for i := range 60 {
		wanted := late(fmt.Sprintf("DELETE %d", i))
		wanted.Needs[0].After = time.Hour - 1
		r := b.request(wanted)
		over := i%2 == 0
		b.pass(time.Hour - time.Duration(i%2)) // at the end of its time, and just before, when others come to stand in
		var wg sync.WaitGroup
		try := func(f func()) {
			wg.Add(1)
			go func() { defer wg.Done(); f() }()
		}
		for range 2 {
			try(func() { b.Sweep(ctx) })
			try(func() {
				for range 20 {
					if _, err := b.word(boss, r.ID, Approve); err == nil {
						return
					}
				}
			})
		}
		if i%3 == 0 {
			try(func() { b.word(dana, r.ID, []Verdict{Approve, Refuse}[i/3%2]) })
		}
		if i%5 == 0 {
			try(func() { b.Cancel(ctx, r.ID, "gone") })
		}
		var claims [4]bool
		for n := range claims {
			try(func() { c, err := b.Claim(ctx, wanted); claims[n] = err == nil && c != nil })
		}
		wg.Wait()
		b.Sweep(ctx)
		b.mu.Lock()
		var last Event
		since, revision := false, uint64(0)
		for _, e := range b.events {
			if e.Request.ID != r.ID {
				continue
			}
			if revision++; e.Request.Revision != revision || e.From != last.state() {
				t.Fatalf("round %d: step %d of the record is from %s with revision %d, after %s", i, revision, e.From, e.Request.Revision, last.state())
			}
			switch {
			case e.Escalated != nil && (since || over || e.From != Pending):
				t.Fatalf("round %d: escalated from %s, with the time over: %v, once more: %v", i, e.From, over, since)
			case e.Escalated != nil:
				since = true
				escalated++
			case e.Vote != nil && e.Vote.Reviewer == "boss" && !since:
				t.Fatalf("round %d: decided in the place of dba before that was on record", i)
			case e.Vote != nil && over:
				t.Fatalf("round %d: decided after the time for it", i)
			case e.Vote != nil && e.Vote.Reviewer == "boss":
				stoodIn++
			}
			last = e
		}
		b.mu.Unlock()
		if n := len(slices.DeleteFunc(slices.Clone(claims[:]), func(c bool) bool { return !c })); n > 1 || n == 1 && last.state() != Claimed {
			t.Fatalf("round %d: claimed %d times, and it is %s", i, n, last.state())
		}
		if got := b.state(r.ID); got != last.state() {
			t.Fatalf("round %d: the record ends with %s, the file with %s", i, last.state(), got)
		}
		b.Cancel(ctx, r.ID, "next")
		if b.state(r.ID) == Claimed {
			b.Finish(ctx, r.ID, Executed, "")
		}
	}
	if escalated == 0 || stoodIn == 0 {
		t.Errorf("%d escalated, and %d were approved by who stood in: the races meet nothing", escalated, stoodIn)
	}
}

func (e Event) state() State {
	if e.Request == nil {
		return ""
	}
	return e.Request.State
}
