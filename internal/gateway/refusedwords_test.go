package gateway

import (
	"context"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/approval"
	"sallyport/internal/identity"
	"sallyport/sqlguard/policy"
)

// namedWorld is heldWorld with principals whose names the detectors take for those of people in the data.
func namedWorld(t *testing.T) *world {
	w := heldWorld(t, func(c *Config) {
		for name, group := range map[string]string{"lena": "keepers", "ada": "askers"} {
			c.Principals = append(c.Principals, access.LocalPrincipal{Name: name, Kind: access.Human, Groups: []string{group}, Secret: identity.HashPassword("pw-" + name)})
		}
	})
	for _, text := range []string{"lena denied request 20261126090000001122: not now", "withdrawn by ada"} {
		if w.gw.detector.String(text) == text {
			t.Fatalf("the detectors leave %q as it is: this test shows nothing", text)
		}
	}
	return w
}

func TestARefusalOnRecordNamesItsReviewer(t *testing.T) {
	w := namedWorld(t)
	done := w.waiting(w.loginAt(access.DoorPGWire, "ada"), Op{Kind: OpQuery, SQL: heldWrite})
	r := w.pendingOne()
	if !slices.Equal(r.Subject.Policies, []string{"held"}) {
		t.Errorf("it waits by policies %q", r.Subject.Policies)
	}
	p, err := w.gw.Verify(context.Background(), access.Password{User: "lena", Secret: "pw-lena"})
	if err != nil {
		t.Fatal(err)
	}
	const why = "jane.doe@example.com has to agree first"
	if _, err := w.gw.Decide(context.Background(), p, r.ID, r.Revision, ReviewVote{Verdict: approval.Refuse, Justification: why}); err != nil {
		t.Fatal(err)
	}
	wantError(t, <-done, "42501 lena denied request "+r.ID+": "+why)
	found := false
	for _, rec := range w.records() {
		if rec.Kind != access.RecordRefused {
			continue
		}
		found = true
		said, ok := strings.CutPrefix(rec.Error, "lena denied request "+r.ID+": ")
		if !ok || strings.Contains(said, "jane.doe") || !strings.Contains(said, "has to agree first") {
			t.Errorf("recorded %q", rec.Error)
		}
	}
	if !found {
		t.Error("the refusal is not on record")
	}
}

func TestWithdrawingHasOneWording(t *testing.T) {
	w := namedWorld(t)
	s := w.loginAt(access.DoorPGWire, "ada")
	const want = "withdrawn by ada"
	for name, withdraw := range map[string]func(r *ReviewRequest){
		"by_the_client": func(*ReviewRequest) { s.cancelRunning() },
		"by_the_person": func(r *ReviewRequest) {
			if _, err := w.gw.WithdrawReview(context.Background(), s.principal, r.ID); err != nil {
				t.Error(err)
			}
		},
	} {
		done := w.waiting(s, Op{Kind: OpQuery, SQL: heldWrite})
		r := w.pendingOne()
		withdraw(r)
		wantError(t, <-done, "57014")
		if r, _ = w.gw.Review(r.ID); r.Outcome != want {
			t.Errorf("%s: ended with %q", name, r.Outcome)
		}
		last := ""
		for _, rec := range w.records() {
			if rec.Approval == r.ID && rec.Kind == access.RecordReview {
				last = string(rec.Review)
			}
		}
		if !strings.Contains(last, `"outcome":"`+want+`"`) {
			t.Errorf("%s: recorded %s", name, last)
		}
	}
}

// Whether a connection exists is not told, so that what is said fits both, in the words of the door.
func TestAConnectionThatMayNotBeUsedIsNone(t *testing.T) {
	w := heldWorld(t, nil)
	c := access.Password{User: "officer", Secret: "pw-officer"}
	set, err := policy.Load([]policy.File{{Name: "a.cedar", Text: `@id("reads") permit (principal, action == Action::"read", resource in Connection::"elsewhere");`}})
	if err != nil {
		t.Fatal(err)
	}
	w.gw.policies.Store(set)
	for door, want := range map[access.Door]string{access.DoorPGWire: "the name of the database", access.DoorMCP: "list_connections"} {
		hint := ""
		for _, connection := range []string{"shop", "nowhere"} {
			_, err := w.gw.Connect(context.Background(), Login{Credentials: c, Door: door, Connection: connection})
			e := access.AsError(err)
			if e.Code != "3D000" || !strings.Contains(e.Message, `there is no connection "`+connection+`" that officer may use`) || !strings.Contains(e.Hint, want) || hint != "" && hint != e.Hint {
				t.Errorf("%s at %s: %v, hint %q", connection, door, err, e.Hint)
			}
			hint = e.Hint
		}
	}
}
