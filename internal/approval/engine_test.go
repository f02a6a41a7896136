package approval

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// bench is an engine over a file, a clock that stands, and a log that can be broken.
type bench struct {
	*Engine
	t      *testing.T
	path   string
	mu     sync.Mutex
	now    time.Time
	events []Event
	broken error
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, path: filepath.Join(t.TempDir(), "approvals.db"), now: start}
	b.open()
	t.Cleanup(func() { b.Close() })
	return b
}

func (b *bench) open() {
	b.t.Helper()
	e, err := Open(context.Background(), Config{Path: b.path, Terms: modelTerms, MostPending: 3,
		Now: func() time.Time { b.mu.Lock(); defer b.mu.Unlock(); return b.now },
		Record: func(_ context.Context, e Event) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.broken != nil {
				return b.broken
			}
			b.events = append(b.events, e)
			return nil
		}})
	if err != nil {
		b.t.Fatal(err)
	}
	b.Engine = e
}

func (b *bench) pass(d time.Duration) { b.mu.Lock(); b.now = b.now.Add(d); b.mu.Unlock() }

var dana = Reviewer{Name: "dana", Groups: []string{"dba"}, Human: true}

func wish(sql string) Request {
	r := modelWant("p1")
	r.Binding.SQL = sql
	r.Needs = []Need{{Group: "dba"}}
	return r
}

func (b *bench) ask(sql string) *Request {
	b.t.Helper()
	r, err := b.Request(context.Background(), wish(sql))
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func (b *bench) approve(r *Request) (*Request, error) {
	return b.Decide(context.Background(), r.ID, r.Revision, dana, Vote{Verdict: Approve, Justification: "looked at the ticket"})
}

func (b *bench) state(id string) State {
	b.t.Helper()
	r, err := b.Get(id)
	if err != nil {
		b.t.Fatal(err)
	}
	return r.State
}

func TestLifeAcrossRestarts(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	pending, good, running := b.ask("DELETE 1"), b.ask("DELETE 2"), b.ask("DELETE 3")
	if again := b.ask("DELETE 1"); again.ID != pending.ID {
		t.Fatal("the same wish is two requests")
	}
	if _, err := b.Request(ctx, wish("DELETE 4")); err == nil || !strings.Contains(err.Error(), "3 requests") {
		t.Fatalf("a fourth was taken: %v", err)
	}
	for _, r := range []*Request{good, running} {
		if _, err := b.approve(r); err != nil {
			t.Fatal(err)
		}
	}
	if c, err := b.Claim(ctx, wish("DELETE 3")); err != nil || c == nil || c.ID != running.ID || c.State != Claimed {
		t.Fatalf("%v %v", c, err)
	}
	if c, err := b.Claim(ctx, wish("DELETE 3")); c != nil || err != nil {
		t.Fatalf("claimed twice: %v %v", c, err)
	}
	b.Close()
	b.open()
	if got := b.state(pending.ID); got != Pending {
		t.Errorf("what was pending is %s", got)
	}
	if got := b.state(running.ID); got != Unknown {
		t.Errorf("what was claimed is %s", got)
	}
	if c, err := b.Claim(ctx, wish("DELETE 3")); c != nil || err != nil {
		t.Fatalf("run again by itself: %v %v", c, err)
	}
	c, err := b.Claim(ctx, wish("DELETE 2"))
	if err != nil || c == nil || c.ID != good.ID {
		t.Fatalf("what was approved before cannot be used after: %v %v", c, err)
	}
	if err := b.Finish(ctx, c.ID, Executed, "DELETE 1"); err != nil || b.state(c.ID) != Executed {
		t.Fatal(err, b.state(c.ID))
	}
	if _, err := b.approve(pending); err != nil {
		t.Fatalf("what was pending before cannot be decided after: %v", err)
	}
}

// TestNothingUnrecorded breaks the log before each step in turn: none is made.
func TestNothingUnrecorded(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	fails := func(what string, f func() error) {
		t.Helper()
		b.mu.Lock()
		b.broken = errors.New("disk full")
		b.mu.Unlock()
		if err := f(); err == nil || !strings.Contains(err.Error(), "not made") {
			t.Errorf("%s without a record: %v", what, err)
		}
		b.mu.Lock()
		b.broken = nil
		b.mu.Unlock()
	}
	fails("request", func() error { _, err := b.Request(ctx, wish("DELETE 1")); return err })
	if len(b.Live()) != 0 {
		t.Fatal("it is there")
	}
	r := b.ask("DELETE 1")
	fails("approve", func() error { _, err := b.approve(r); return err })
	if b.state(r.ID) != Pending {
		t.Fatal("approved without a record")
	}
	if _, err := b.approve(r); err != nil {
		t.Fatal(err)
	}
	fails("claim", func() error { _, err := b.Claim(ctx, wish("DELETE 1")); return err })
	if b.state(r.ID) != Approved {
		t.Fatal("claimed without a record")
	}
	fails("cancel", func() error { _, err := b.Cancel(ctx, r.ID, "withdrawn"); return err })
	if c, err := b.Claim(ctx, wish("DELETE 1")); err != nil || c == nil {
		t.Fatal(err)
	}
	fails("finish", func() error { return b.Finish(ctx, r.ID, Executed, "") })
	for i, want := range []State{"", Pending, Approved} {
		if b.events[i].From != want {
			t.Errorf("event %d is from %q, want %q", i, b.events[i].From, want)
		}
	}
}

func TestReviewerSeesWhatTheyDecide(t *testing.T) {
	b := newBench(t)
	r := b.ask("DELETE 1")
	stale := *r
	if _, err := b.Decide(context.Background(), r.ID, r.Revision+1, dana, Vote{Verdict: Approve, Justification: "looked at the ticket"}); !errors.Is(err, errStale) {
		t.Fatalf("a revision that was never shown: %v", err)
	}
	if _, err := b.approve(r); err != nil {
		t.Fatal(err)
	}
	if _, err := b.approve(&stale); !errors.Is(err, errStale) {
		t.Fatalf("an old revision: %v", err)
	}
	if _, err := b.Decide(context.Background(), "20260301120000ff", 1, dana, Vote{Verdict: Approve}); err != ErrUnknown {
		t.Fatal(err)
	}
}

func TestASecondWordSaysWhereTheRequestStands(t *testing.T) {
	b := newBench(t)
	two := wish("two")
	two.Needs = []Need{{Group: "dba", Quorum: 2}}
	r, err := b.Request(context.Background(), two)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"", "you have decided about this request before; it is pending and waits for dba"} {
		next, err := b.approve(r)
		if want == "" && err != nil || want != "" && (!errors.Is(err, ErrVoted) || err.Error() != want) {
			t.Fatalf("%v, want %q", err, want)
		}
		r = next
	}
	one := b.ask("one")
	if one, err = b.approve(one); err != nil {
		t.Fatal(err)
	}
	if _, err := b.approve(one); !errors.Is(err, ErrVoted) || !strings.HasSuffix(err.Error(), "it is approved") {
		t.Error(err)
	}
	// What is wrong with a vote by itself is told apart from a request that cannot take it.
	r = b.ask("bad")
	for name, v := range map[string]Vote{"short": {Verdict: Refuse, Justification: "no"}, "verdict": {Verdict: "maybe", Justification: "looked at it"},
		"mode": {Verdict: Approve, Justification: "looked at it", Grant: Grant{Mode: "all"}}} {
		_, err := b.Decide(context.Background(), r.ID, r.Revision, dana, v)
		if bad := BadVote(""); !errors.As(err, &bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var bad BadVote
	if _, err := b.Decide(context.Background(), r.ID, r.Revision+1, dana, Vote{Verdict: Refuse, Justification: "looked at it"}); err == nil || errors.As(err, &bad) {
		t.Error(err)
	}
}

// TestRaces has two reviewers, the requester and the clock at one request at once, many times: one comes first, and the file, the
// record and what each was told say the same.
func TestRaces(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	for i := range 40 {
		r := b.ask(fmt.Sprintf("DELETE %d", i))
		b.pass(time.Hour - time.Duration(i%2)) // at the end of its time, and just before
		var approvals, denials, cancels, expiries, claims atomic.Int64
		var wg sync.WaitGroup
		try := func(n *atomic.Int64, f func() bool) {
			wg.Add(1)
			go func() {
				defer wg.Done()
				if f() {
					n.Add(1)
				}
			}()
		}
		try(&approvals, func() bool { _, err := b.approve(r); return err == nil })
		try(&denials, func() bool {
			_, err := b.Decide(ctx, r.ID, r.Revision, Reviewer{Name: "sam", Groups: []string{"dba"}, Human: true}, Vote{Verdict: Refuse, Justification: "not without a ticket"})
			return err == nil
		})
		try(&cancels, func() bool { _, err := b.Cancel(ctx, r.ID, "gone"); return err == nil })
		try(&expiries, func() bool { b.Sweep(ctx); return b.state(r.ID) == Expired })
		for range 4 {
			try(&claims, func() bool { c, err := b.Claim(ctx, wish(r.Binding.SQL)); return err == nil && c != nil })
		}
		wg.Wait()
		if claims.Load() > 1 || claims.Load() == 1 && approvals.Load() != 1 || approvals.Load()+denials.Load() > 1 || i%2 == 0 && approvals.Load()+denials.Load() > 0 {
			t.Fatalf("round %d: approved %d, denied %d, cancelled %d, claimed %d times", i, approvals.Load(), denials.Load(), cancels.Load(), claims.Load())
		}
		b.Cancel(ctx, r.ID, "next")
		if b.state(r.ID) == Claimed {
			b.Finish(ctx, r.ID, Executed, "")
		}
		// The record has each state once, in an order that Next allows.
		var last State
		for _, e := range b.events {
			if e.Request.ID == r.ID {
				if e.From != last {
					t.Fatalf("round %d: recorded a step from %s after %s", i, e.From, last)
				}
				last = e.Request.State
			}
		}
		if last != b.state(r.ID) {
			t.Fatalf("round %d: the record ends with %s, the file with %s", i, last, b.state(r.ID))
		}
	}
}

func TestWatchAndSweep(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	r := b.ask("DELETE 1")
	c, any := b.Watch(r.ID), b.Watch("")
	select {
	case <-c:
		t.Fatal("woken by nothing")
	default:
	}
	b.pass(time.Hour)
	if err := b.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	<-c
	<-any
	for _, id := range []string{r.ID, "made up"} {
		<-b.Watch(id)
	}
	if len(b.watchers) > 0 {
		t.Errorf("%d are watched for nothing", len(b.watchers))
	}
	if b.state(r.ID) != Expired {
		t.Fatal(b.state(r.ID))
	}
	b.pass(31 * 24 * time.Hour)
	if err := b.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Get(r.ID); err != ErrUnknown {
		t.Fatalf("kept for ever: %v", err)
	}
}

// TestTakenBack: an approval ends by a reviewer's word, of who gave it too, and of nobody else's.
func TestTakenBack(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	r, err := b.approve(b.ask("DELETE 1"))
	if err != nil {
		t.Fatal(err)
	}
	back := Vote{Verdict: Refuse, Justification: "the ticket was closed"}
	for _, by := range []Reviewer{{Name: "asker", Groups: []string{"dba"}, Human: true}, {Name: "delegate", Groups: []string{"dba"}, Human: true}, {Name: "guest", Human: true}, {Name: "robot", Groups: []string{"dba"}}} {
		if _, err := b.Decide(ctx, r.ID, r.Revision, by, back); err == nil {
			t.Errorf("taken back by %s", by.Name)
		}
	}
	if r, err = b.Decide(ctx, r.ID, r.Revision, dana, back); err != nil || r.State != Cancelled || r.Outcome != "taken back by dana: the ticket was closed" {
		t.Fatal(r, err)
	}
	if c, err := b.Claim(ctx, wish("DELETE 1")); c != nil || err != nil {
		t.Fatalf("claimed afterwards: %v %v", c, err)
	}
	// What runs already is not taken back.
	if _, err = b.approve(b.ask("DELETE 2")); err != nil {
		t.Fatal(err)
	}
	c, err := b.Claim(ctx, wish("DELETE 2"))
	if err != nil || c == nil {
		t.Fatal(c, err)
	}
	if _, err := b.Decide(ctx, c.ID, c.Revision, dana, back); err == nil || b.state(c.ID) != Claimed {
		t.Fatalf("taken back while it ran: %v", err)
	}
}

func TestBrokenGlass(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	r, err := b.BreakGlass(ctx, wish("DELETE 1"), "the shop is down, incident 12")
	if err != nil || r.State != Claimed {
		t.Fatal(r, err)
	}
	if c, _ := b.Claim(ctx, wish("DELETE 1")); c != nil {
		t.Fatal("a broken glass was used twice")
	}
	if err := b.Finish(ctx, r.ID, Executed, "DELETE 1"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Decide(ctx, r.ID, 0, Reviewer{Name: "asker", Groups: []string{"dba"}, Human: true}, Vote{Verdict: Approve, Justification: "it was me and fine"}); err == nil {
		t.Fatal("looked at by who broke it")
	}
	got, err := b.approve(&Request{ID: r.ID})
	if err != nil || !got.Glass.Reviewed || got.State != Executed || got.Grant != nil {
		t.Fatal(got, err)
	}
	b.pass(40 * 24 * time.Hour)
}
