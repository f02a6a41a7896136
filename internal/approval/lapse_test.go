package approval

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
)

// gone has votes of some lapse from now on.
func (b *bench) gone(names ...string) {
	b.conf.Lapses = func(v Vote, groups []string) string {
		for _, n := range names {
			if v.Reviewer == n {
				return "no longer of " + strings.Join(groups, ",")
			}
		}
		return ""
	}
}

var dora = Reviewer{Name: "dora", Groups: []string{"dba", "sales"}, Human: true}

func (b *bench) vote(r *Request, by Reviewer, g Grant) (*Request, error) {
	now, err := b.Get(r.ID)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.Decide(context.Background(), r.ID, now.Revision, by, Vote{Verdict: Approve, Justification: "looked at the ticket", Grant: g})
}

// A vote that lapsed is none at the end of the quorum, and who decides then looks again.
func TestALapsedVoteIsNone(t *testing.T) {
	b := newBench(t)
	want := wish("DELETE FROM t")
	want.Needs = []Need{{Group: "dba", Quorum: 2}}
	r, err := b.Request(context.Background(), want)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = b.vote(r, dora, Grant{}); err != nil || r.State != Pending {
		t.Fatalf("%v %s", err, r.State)
	}
	b.gone("dora")
	if after, err := b.vote(r, dana, Grant{}); !errors.As(err, new(Refused)) || after.State != Pending || len(after.Votes) != 0 || len(after.Lapsed) != 1 {
		t.Fatalf("%v %+v", err, after)
	}
	last := b.events[len(b.events)-1]
	if len(last.Lapsed) != 1 || last.Lapsed[0].Reviewer != "dora" || last.Lapsed[0].Why != "no longer of dba" || last.Vote != nil {
		t.Errorf("on record: %+v", last)
	}
	if after, err := b.vote(r, dana, Grant{}); err != nil || after.State != Pending || len(after.Missing()) != 1 {
		t.Fatalf("%v %+v", err, after)
	}
	if _, err := b.vote(r, dora, Grant{}); !errors.As(err, new(Refused)) || !strings.Contains(err.Error(), "no longer of dba") {
		t.Errorf("who may not decide has: %v", err)
	}
	b.gone()
	if after, err := b.vote(r, dora, Grant{}); err != nil || after.State != Approved {
		t.Errorf("who may again may not: %v %s", err, after.State)
	}
}

// What is approved is looked at again at each use; what cannot be recorded is not used.
func TestLapsedAtUse(t *testing.T) {
	for _, g := range []Grant{{}, {Mode: Form, Uses: 9, Until: start.Add(time.Hour)}, {Mode: Window, Until: start.Add(time.Hour), Classes: []access.Class{access.ClassWrite}, Relations: wish("").Subject.Relations}} {
		b := newBench(t)
		r := b.ask("DELETE FROM t")
		if r, err := b.vote(r, dana, g); err != nil || r.State != Approved {
			t.Fatal(err)
		}
		if g.Mode != "" {
			if r, err := b.Claim(context.Background(), wish("DELETE FROM t")); err != nil || r == nil {
				t.Fatalf("%s: %v", g.Mode, err)
			}
		}
		b.gone("dana")
		b.breakLog(errors.New("disk full"))
		if r, err := b.Claim(context.Background(), wish("DELETE FROM t")); err == nil || r != nil {
			t.Errorf("%s: claimed without a record of what lapsed", g.Mode)
		}
		if b.Covered(wish("DELETE FROM t")) {
			t.Errorf("%s: covered", g.Mode)
		}
		b.breakLog(nil)
		if r, err := b.Claim(context.Background(), wish("DELETE FROM t")); err != nil || r != nil {
			t.Errorf("%s: %v %v", g.Mode, r, err)
		}
		if got, _ := b.Get(r.ID); got.State != Cancelled || !strings.Contains(got.Outcome, "dana's approval counts no longer") {
			t.Errorf("%s: it is %s: %s", g.Mode, got.State, got.Outcome)
		}
	}
}

// One vote more than is needed stays enough, and a claimed request is its session's to end.
func TestLapseLeavesWhatStands(t *testing.T) {
	b := newBench(t)
	r := b.ask("DELETE FROM t")
	if _, err := b.approve(r); err != nil {
		t.Fatal(err)
	}
	if c, err := b.Claim(context.Background(), wish("DELETE FROM t")); err != nil || c == nil {
		t.Fatal(err)
	}
	b.gone("dana")
	if n, err := b.Lapse(context.Background()); n != 0 || err != nil || b.state(r.ID) != Claimed {
		t.Errorf("%v: it is %s", err, b.state(r.ID))
	}
	other := b.ask("DELETE FROM u")
	if n, err := b.Lapse(context.Background()); n != 0 || err != nil || b.state(other.ID) != Pending {
		t.Errorf("%d %v: it is %s", n, err, b.state(other.ID))
	}
	if _, err := Next(*other, Step{Lapse: map[int]string{3: "x"}}, Reviewer{}, modelTerms, start); err == nil {
		t.Error("a vote that is not there has lapsed")
	}
}

// What lapses and cannot be recorded keeps nothing else from its end.
func TestALapseThatFailsStopsNothingElse(t *testing.T) {
	b := newBench(t)
	old := b.ask("DELETE FROM u")
	b.pass(30 * time.Minute)
	var voted []*Request
	for _, sql := range []string{"DELETE FROM t", "DELETE FROM v"} {
		want := wish(sql)
		want.Needs = []Need{{Group: "dba", Quorum: 2}}
		r := b.request(want)
		if _, err := b.vote(r, dora, Grant{}); err != nil {
			t.Fatal(err)
		}
		voted = append(voted, r)
	}
	if !b.Voted("") || b.Voted("a1") {
		t.Error("whose votes there are is not known")
	}
	record, fails := b.conf.Record, true
	b.conf.Record = func(ctx context.Context, e Event) error {
		if fails && len(e.Lapsed) > 0 && e.Request.ID == voted[0].ID {
			return errors.New("disk full")
		}
		return record(ctx, e)
	}
	b.gone("dora")
	b.pass(31 * time.Minute)
	if err := b.Sweep(context.Background()); err == nil {
		t.Error("the sweep does not say what failed")
	}
	if b.state(old.ID) != Expired {
		t.Errorf("what is over is %s", b.state(old.ID))
	}
	for i, want := range []int{1, 0} {
		if got, _ := b.Get(voted[i].ID); len(got.Votes) != want {
			t.Errorf("%d: %d votes", i, len(got.Votes))
		}
	}
	fails = false
	if n, err := b.Lapse(context.Background()); n != 1 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	if got, _ := b.Get(voted[0].ID); len(got.Votes) != 0 {
		t.Error("not tried again")
	}
}
