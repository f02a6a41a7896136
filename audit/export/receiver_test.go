package export

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"sallyport/internal/access"
)

// reader is a Receiver. fault may answer in its place.
type reader struct {
	mu    sync.Mutex
	fault func(pos uint64, call int) error
	calls int
	got   []uint64
}

func (r *reader) Place() string { return "a test" }
func (r *reader) Close() error  { return nil }

func (r *reader) Receive(_ context.Context, log string, rec *access.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	if rec.Kind != access.RecordReview || log == "" {
		return Rejected("of another kind: " + string(rec.Kind))
	}
	if r.fault != nil {
		if err := r.fault(rec.Position, r.calls); err != nil {
			return err
		}
	}
	r.got = append(r.got, rec.Position)
	return nil
}

func (r *reader) has(t *testing.T, want ...uint64) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.got, want) {
		t.Errorf("has records %d, want %d", r.got, want)
	}
}

func (l *testLog) review() uint64 {
	l.t.Helper()
	return l.add(&access.Record{Session: "s_gate", Kind: access.RecordReview, Principal: "ada", Approval: "r1"})
}

func TestReceiverGetsItsKindOneByOne(t *testing.T) {
	l := newLog(t)
	first := l.review()
	l.fill(300)
	second, third := l.review(), l.review()
	l.fill(5)
	// The third is not taken at first: the second, which was read with it, does not come again.
	to := &reader{fault: func(pos uint64, call int) error {
		if pos == third && call == 3 {
			return Later(errors.New("busy"), time.Millisecond)
		}
		return nil
	}}
	dir := t.TempDir()
	config := Config{Name: "people", From: FromStart, Receiver: to, Kinds: []access.RecordKind{access.RecordReview}}
	r := start(t, l, dir, config)
	r.waitPosition(third + 5)
	l.fill(10)
	r.waitPosition(third + 15) // what it has passed over counts, so that it does not seem to be behind
	if st, err := r.Status(); err != nil || st[0].Lag != 0 || st[0].State != Running {
		t.Errorf("status %+v, %v", st, err)
	}
	r.finish()
	to.has(t, first, second, third)

	fourth := l.review()
	r = start(t, l, dir, config)
	r.waitPosition(fourth)
	r.finish()
	to.has(t, first, second, third, fourth)
}

func TestReceiverThatRejectsStops(t *testing.T) {
	l := newLog(t)
	first := l.review()
	l.fill(3)
	to := &reader{fault: func(uint64, int) error { return Rejected("never") }}
	r := start(t, l, t.TempDir(), Config{Name: "people", From: FromStart, Receiver: to, Kinds: []access.RecordKind{access.RecordReview}})
	r.waitState(Stopped)
	r.cut()
	if to.calls != 1 || first != 1 {
		t.Errorf("%d calls", to.calls)
	}
}
