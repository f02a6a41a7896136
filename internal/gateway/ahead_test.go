package gateway

import (
	"context"
	"testing"
	"time"

	"sallyport/internal/access"
)

// A provider's clock is ahead by less than the skew that is granted: what it issued a moment ago was issued, as it says, in a moment. An order to withdraw
// what there is withdraws that too.
func TestRevokedByTheClockOfWhoIssued(t *testing.T) {
	w, _ := idpWorld(t)
	i := w.mustIssue("eve:writers:-20s")
	s, err := w.enter(certificate("eve", i))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := w.gw.Revoke(context.Background(), operator, access.Revocation{Principal: "Eve", Before: time.Now(), Cause: "stolen"}); err != nil || n != 1 {
		t.Fatalf("%d, %v", n, err)
	}
	if cause := w.ended(s); cause != "stolen" {
		t.Error(cause)
	}
	if _, err := w.enter(certificate("eve", i)); err == nil {
		t.Error("in again by what was withdrawn")
	}
	// Who logs in anew does so by the same clock.
	if _, err := w.enter(certificate("eve", w.mustIssue("eve:writers:-21s:b"))); err != nil {
		t.Error(err)
	}
	// Whoever the configuration has goes by this machine's.
	before := time.Now()
	if _, err := w.gw.Revoke(context.Background(), operator, access.Revocation{Principal: "writer", Before: before, Cause: "x"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.enter(access.Password{User: "writer", Secret: "pw-writer"}); err != nil {
		t.Error(err)
	}
}

func TestHowFarAClockIsAhead(t *testing.T) {
	var a ahead
	now := time.Now()
	for _, q := range []access.Proof{{Issuer: "a", Issued: now.Add(5 * time.Second)}, {Issuer: "a", Issued: now.Add(2 * time.Second)}, {Issuer: "b", Issued: now.Add(9 * time.Second)},
		{Issuer: "c", Issued: now.Add(-time.Hour)}, {Issued: now.Add(time.Minute)}} {
		a.note(q, now)
	}
	for issuer, want := range map[string]time.Duration{"a": 5 * time.Second, "b": 9 * time.Second, "c": 0, "": 9 * time.Second} {
		if got := a.of(issuer, now); got != want {
			t.Errorf("%q: %s", issuer, got)
		}
	}
	later := now.Add(aheadFor + time.Second)
	if got := a.of("a", later); got != 0 {
		t.Errorf("a clock that was set is remembered: %s", got)
	}
	a.note(access.Proof{Issuer: "a", Issued: later.Add(time.Second)}, later)
	if got := a.of("a", later); got != time.Second {
		t.Error(got)
	}
}

// Names in another case are the same person's sessions to who ends them.
func TestSessionsEndByNameInAnyCase(t *testing.T) {
	w, _ := idpWorld(t)
	s, err := w.enter(certificate("Eve", w.mustIssue("Eve:writers:1s")))
	if err != nil {
		t.Fatal(err)
	}
	if n := w.gw.EndSessions(context.Background(), operator, SessionPick{Principal: "eve"}, "x"); n != 1 || w.ended(s) == "" {
		t.Error(n)
	}
}
