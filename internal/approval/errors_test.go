package approval

import (
	"context"
	"errors"
	"strings"
	"testing"

	"sallyport/internal/access"
)

// TestErrorsOfTheFileAreForTheOperator: what clients are told names no file, and no library.
func TestErrorsOfTheFileAreForTheOperator(t *testing.T) {
	b := newBench(t)
	r := b.ask("DELETE 1")
	ctx := context.Background()
	if err := b.store.db.Close(); err != nil {
		t.Fatal(err)
	}
	_, put := b.Request(ctx, wish("another"))
	_, get := b.Get(r.ID)
	_, list := b.List("", 10, nil)
	_, decide := b.approve(r)
	_, cancel := b.Cancel(ctx, "20260301120000ff", "gone")
	for name, err := range map[string]error{"request": put, "get": get, "list": list, "decide": decide, "cancel": cancel} {
		var e *access.Error
		if !errors.As(err, &e) || e.Err == nil {
			t.Errorf("%s: %v", name, err)
		} else if said := e.Message + e.Hint; strings.Contains(said, "database") || strings.Contains(said, "/") {
			t.Errorf("%s tells the client %q", name, said)
		}
	}
}

// TestWhatIsRefusedIsInWordsForWhoAsked: doors tell these from errors that they hide.
func TestWhatIsRefusedIsInWordsForWhoAsked(t *testing.T) {
	b := newBench(t)
	r := b.ask("DELETE 1")
	ctx := context.Background()
	vote := Vote{Verdict: Approve, Justification: "looked at the ticket"}
	_, stale := b.Decide(ctx, r.ID, 7, dana, vote)
	_, stranger := b.Decide(ctx, r.ID, r.Revision, Reviewer{Name: "guest", Human: true}, vote)
	_, unknown := b.Get("20260301120000ff")
	approved, err := b.approve(r)
	if err != nil {
		t.Fatal(err)
	}
	_, again := b.approve(approved)
	for name, err := range map[string]error{"stale": stale, "stranger": stranger, "unknown": unknown, "again": again, "finish": b.Finish(ctx, "20260301120000ff", Executed, "")} {
		if no := (Refused{}); !errors.As(err, &no) {
			t.Errorf("%s: %#v", name, err)
		}
	}
}

// TestAnApprovalOfOneselfCanBeTakenBack while others are still to decide.
func TestAnApprovalOfOneselfCanBeTakenBack(t *testing.T) {
	b := newBench(t)
	two := wish("two")
	two.Needs = []Need{{Group: "dba", Quorum: 2}}
	r, err := b.Request(context.Background(), two)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = b.approve(r); err != nil || r.State != Pending {
		t.Fatal(r.State, err)
	}
	if again, err := b.approve(r); !errors.Is(err, ErrVoted) {
		t.Fatal(again.State, err)
	}
	r, err = b.Decide(context.Background(), r.ID, r.Revision, dana, Vote{Verdict: Refuse, Justification: "that was the wrong ticket"})
	if err != nil || r.State != Denied || len(r.Votes) != 2 {
		t.Fatalf("%+v %v", r, err)
	}
	if r, err := b.Decide(context.Background(), r.ID, r.Revision, dana, Vote{Verdict: Refuse, Justification: "that was the wrong ticket"}); !errors.Is(err, ErrVoted) {
		t.Fatal(r.State, err)
	}
}
