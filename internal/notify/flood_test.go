package notify

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
)

// taker is a channel that keeps what it is told, and refuses for a while what broken says.
type taker struct {
	told   []*Message
	broken error
}

func (s *taker) send(_ context.Context, m *Message) error {
	if s.broken != nil {
		return s.broken
	}
	s.told = append(s.told, m)
	return nil
}

func (*taker) close() error { return nil }

// TestWhoAsksOnAndOnFillsNoChannel: it says that it goes quiet about them, and only about what they ask for and withdraw.
func TestWhoAsksOnAndOnFillsNoChannel(t *testing.T) {
	to := &taker{}
	r := &receiver{to: to}
	at, position := begun, uint64(0)
	step := func(principal string, s access.ReviewStep) (told *Message) {
		t.Helper()
		position++
		rec := &access.Record{Position: position, Time: at, Kind: access.RecordReview, Connection: "shop", Principal: principal, Actor: "bot", Approval: testID}
		rec.Review, _ = json.Marshal(s)
		n := len(to.told)
		to.broken = errors.New("no network")
		r.Receive(t.Context(), "log", rec) // it is sent again, and is no second one
		to.broken = nil
		if err := r.Receive(t.Context(), "log", rec); err != nil {
			t.Fatal(err)
		}
		if len(to.told) > n {
			return to.told[n]
		}
		return nil
	}
	asks, withdraws := access.ReviewStep{To: "pending"}, access.ReviewStep{From: "pending", To: "cancelled"}
	for i := 1; i <= mostAsked; i++ {
		m := step("ada", asks)
		if m == nil || m.Quiet.IsZero() != (i < mostAsked) || strings.Contains(m.Title(), "again and again") != (i == mostAsked) {
			t.Fatalf("request %d: %+v", i, m)
		}
		if i < mostAsked && step("ada", withdraws) == nil {
			t.Fatalf("that request %d is withdrawn is not told", i)
		}
		at = at.Add(time.Second)
	}
	last := to.told[len(to.told)-1]
	if !last.Quiet.Equal(begun.Add(askedIn)) || !strings.Contains(last.plain().Title(), "again and again") {
		t.Errorf("quiet until %s, %q", last.Quiet, last.plain().Title())
	}
	for range 50 {
		if step("ada", asks) != nil || step("ada", withdraws) != nil {
			t.Fatal("it goes on to be told")
		}
	}
	for _, s := range []access.ReviewStep{{From: "pending", To: "approved"}, {From: "pending", To: "denied"}, {From: "pending", To: "expired"}, {From: "claimed", To: "unknown"}, {To: "approved", Glass: "down"}} {
		if step("ada", s) == nil {
			t.Errorf("%+v is not told", s)
		}
	}
	if m := step("bob", asks); m == nil || !m.Quiet.IsZero() {
		t.Errorf("somebody else: %+v", m)
	}
	at = begun.Add(askedIn + time.Second)
	if m := step("ada", asks); m == nil || !m.Quiet.IsZero() {
		t.Errorf("after a while: %+v", m)
	}
}

func TestAFloodOfNamesIsForgotten(t *testing.T) {
	var f flood
	for i := range 3 * mostKnown {
		at := begun.Add(time.Duration(i) * time.Minute)
		if tell, _ := f.tells(&access.Record{Position: uint64(i), Time: at, Principal: at.String()}, Requested); !tell {
			t.Fatal(i)
		}
	}
	if n := len(f.by); n > mostKnown {
		t.Errorf("%d are remembered", n)
	}
}
