package gateway

import (
	"context"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/identity"
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

// An agent that is withdrawn is so in its own name too, and in whatever case it is written.
func TestAnAgentIsWithdrawnInItsOwnName(t *testing.T) {
	w := newWorld(t)
	c := w.config()
	tok, hash := identity.NewToken()
	c.Principals = append(c.Principals, access.LocalPrincipal{Name: "triage-bot", Kind: access.Agent, Groups: []string{"agents"}, Tokens: []access.LocalToken{{SHA256: hash}}})
	if _, err := w.gw.Reload(c.Policies, c.Principals, nil); err != nil {
		t.Fatal(err)
	}
	s, err := w.enter(access.Bearer(tok))
	if err != nil {
		t.Fatal(err)
	}
	r := access.Revocation{Actor: "Triage-Bot", Cause: "it is no longer trusted"}
	if what := w.gw.Unknown(r); what != "" {
		t.Errorf("unknown: %s", what)
	}
	if n, err := w.gw.Revoke(context.Background(), operator, r); err != nil || n != 1 || w.ended(s) != r.Cause {
		t.Errorf("%d, %v", n, err)
	}
	for range 2 {
		if _, err := w.enter(access.Bearer(tok)); err == nil || !strings.Contains(err.Error(), r.Cause) {
			t.Errorf("in again: %v", err)
		}
		if err := w.gw.Close(); err != nil { // over a restart too
			t.Fatal(err)
		}
		if w.gw, err = Open(context.Background(), c); err != nil {
			t.Fatal(err)
		}
	}
	r.Actor, r.Cause = "triage-bot", "found"
	if err := w.gw.Restore(operator, r); err != nil {
		t.Fatal(err)
	}
	if _, err := w.enter(access.Bearer(tok)); err != nil {
		t.Error(err)
	}
}
