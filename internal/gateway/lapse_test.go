package gateway

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/approval"
	"sallyport/internal/identity"
	"sallyport/internal/testidp"
)

// Approvals of who may not give any more.

// twoKeepers is a world in which two keepers have to approve, and the principals of its configuration.
func twoKeepers(t *testing.T) (*world, []access.LocalPrincipal) {
	var people []access.LocalPrincipal
	w := heldWorld(t, func(c *Config) {
		c.Approvals.Wait = -1
		c.Approvals.Groups = map[string]approval.Need{"keepers": {Quorum: 2}}
		for _, name := range []string{"keeper2", "keeper3"} {
			c.Principals = append(c.Principals, access.LocalPrincipal{Name: name, Kind: access.Human, Groups: []string{"keepers"}, Secret: identity.HashPassword("pw-" + name)})
		}
		people = c.Principals
	})
	return w, people
}

func (w *world) withdraw(r access.Revocation) {
	w.t.Helper()
	if _, err := w.gw.Revoke(context.Background(), access.Principal{Name: "boss", Kind: access.Human}, r); err != nil {
		w.t.Fatal(err)
	}
}

// lapsedOnRecord are the reviewers of whose votes the record says that they count no longer.
func (w *world) lapsedOnRecord() (out []string) {
	w.t.Helper()
	for _, rec := range w.kinds(access.RecordReview) {
		var step access.ReviewStep
		if err := json.Unmarshal(rec.Review, &step); err != nil {
			w.t.Fatal(err)
		}
		for _, l := range step.Lapsed {
			if l.Why == "" {
				w.t.Error("no why")
			}
			out = append(out, l.Reviewer+" "+step.To)
		}
	}
	return out
}

func TestVotesOfWhoMayNotDecideAnyMore(t *testing.T) {
	without := func(people []access.LocalPrincipal, change func(*access.LocalPrincipal) bool) []access.LocalPrincipal {
		var out []access.LocalPrincipal
		for _, p := range people {
			if p.Name != "keeper" || change(&p) {
				out = append(out, p)
			}
		}
		return out
	}
	for name, c := range map[string]struct {
		happens func(*world, []access.LocalPrincipal)
		stays   bool
	}{
		"withdrawn for good": {func(w *world, _ []access.LocalPrincipal) {
			w.withdraw(access.Revocation{Principal: "Keeper", Cause: "dismissed"})
		}, false},
		"all proofs so far withdrawn": {func(w *world, _ []access.LocalPrincipal) {
			w.withdraw(access.Revocation{Principal: "keeper", Before: time.Now(), Cause: "stolen"})
		}, false},
		"one credential withdrawn": {func(w *world, _ []access.LocalPrincipal) {
			w.withdraw(access.Revocation{Principal: "keeper", Credential: "aa", Cause: "logged out"})
		}, true},
		"somebody else withdrawn": {func(w *world, _ []access.LocalPrincipal) {
			w.withdraw(access.Revocation{Principal: "keeper3", Cause: "dismissed"})
		}, true},
		"gone from the configuration": {func(w *world, p []access.LocalPrincipal) {
			w.load(without(p, func(*access.LocalPrincipal) bool { return false }))
		}, false},
		"no longer of the group": {func(w *world, p []access.LocalPrincipal) {
			w.load(without(p, func(o *access.LocalPrincipal) bool { o.Groups = []string{"officers"}; return true }))
		}, false},
		"of another group as well": {func(w *world, p []access.LocalPrincipal) {
			w.load(without(p, func(o *access.LocalPrincipal) bool { o.Groups = []string{"keepers", "officers"}; return true }))
		}, true},
		"given another password": {func(w *world, p []access.LocalPrincipal) {
			w.load(without(p, func(o *access.LocalPrincipal) bool { o.Secret = identity.HashPassword("other"); return true }))
		}, true},
		"the configuration read again": {func(w *world, p []access.LocalPrincipal) { w.load(p) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			w, people := twoKeepers(t)
			s := w.loginAt(access.DoorPGWire, "asker")
			const waits, approved = "update customers set region = 'held' where id = 8", "update customers set region = 'held' where id = 9"
			wantError(t, w.query(s, approved), "42501 this statement needs approval")
			window := w.pendingOne()
			vote := ReviewVote{Verdict: approval.Approve, Grant: approval.Grant{Mode: approval.Window, Classes: []access.Class{access.ClassWrite}, Relations: window.Subject.Relations, Until: time.Now().Add(12 * time.Hour)}}
			for _, who := range []string{"keeper", "keeper2"} {
				if err := w.decide(who, window.ID, vote); err != nil {
					t.Fatal(err)
				}
			}
			wantNoError(t, w.query(s, approved))
			// Another, which the window is not for.
			wantError(t, w.query(s, "delete from customers where id = 20"), "42501 this statement needs approval")
			r := w.pendingOne()
			w.approve("keeper", r.ID)

			c.happens(w, people)

			got, err := w.gw.Review(r.ID)
			if err != nil || got.State != approval.Pending || len(got.Votes) != map[bool]int{true: 1}[c.stays] {
				t.Errorf("pending: %s with %d votes %v", got.State, len(got.Votes), err)
			}
			a := w.query(s, waits)
			if c.stays {
				wantNoError(t, a)
			} else {
				wantError(t, a, "42501 this statement needs approval")
				if got, _ := w.gw.Review(window.ID); got.State != approval.Cancelled || !strings.Contains(got.Outcome, "keeper's approval counts no longer") {
					t.Errorf("the window is %s: %q", got.State, got.Outcome)
				}
			}
			if record := w.lapsedOnRecord(); (len(record) == 0) != c.stays || !c.stays && (!slices.Contains(record, "keeper pending") || !slices.Contains(record, "keeper cancelled")) {
				t.Errorf("on record: %q", record)
			}
			// One more approves: with that of before it is enough, without it is not.
			w.approve("keeper2", r.ID)
			if got, _ := w.gw.Review(r.ID); (got.State == approval.Approved) != c.stays {
				t.Errorf("with another approval it is %s", got.State)
			}
			if !c.stays {
				w.approve("keeper3", r.ID)
			}
			if got, _ := w.gw.Review(r.ID); got.State != approval.Approved {
				t.Errorf("with two that count it is %s", got.State)
			}
		})
	}
}

func (w *world) load(people []access.LocalPrincipal) {
	w.t.Helper()
	if _, err := w.gw.LoadPrincipals(people, nil); err != nil {
		w.t.Fatal(err)
	}
}

// What is known when the gateway is started again holds for votes from before.
func TestVotesOverARestart(t *testing.T) {
	w, _ := twoKeepers(t)
	s := w.loginAt(access.DoorPGWire, "asker")
	wantError(t, w.query(s, heldWrite), "42501 this statement needs approval")
	r := w.pendingOne()
	w.approve("keeper", r.ID)
	s.Close()
	w.gw.Close()
	w.openHeld(func(c *Config) {
		c.Approvals.Wait = -1
		for i := range c.Principals {
			if c.Principals[i].Name == "keeper" {
				c.Principals[i].Groups = nil
			}
		}
	})
	if got, err := w.gw.Review(r.ID); err != nil || got.State != approval.Pending || len(got.Votes) != 0 || len(got.Lapsed) != 1 {
		t.Errorf("%v %+v", err, got)
	}
}

// Who reveals is judged at each use as well.
func TestRevealsOfWhoWasWithdrawn(t *testing.T) {
	w, s, _ := emailRevealed(t)
	const read = "select email from customers where id = 7"
	if a := w.query(s, read); !strings.Contains(a.rows[0][0], "u7@") {
		t.Fatalf("not shown: %q", a.rows)
	}
	w.withdraw(access.Revocation{Principal: "keeper", Cause: "dismissed"})
	if a := w.query(s, read); strings.Contains(a.rows[0][0], "u7@") {
		t.Errorf("shown on: %q", a.rows)
	}
}

// A reveal is for those who were asked then: where others are to be asked now, or more, it is not shown.
func TestRevealsAfterAReload(t *testing.T) {
	const in = `@id("read") permit (principal in Group::"askers", action in [Action::"connect", Action::"read", Action::"session"], resource in Connection::"shop");`
	see := func(groups string) string {
		return in + `@id("see") @review("` + groups + `") permit (principal in Group::"askers", action == Action::"reveal", resource in Label::"pii.email");`
	}
	for name, c := range map[string]struct {
		after string
		shown bool
	}{
		"no permit any more": {in, false},
		"others decide":      {see("officers"), false},
		"others as well":     {see("keepers,officers"), false},
		"forbidden":          {see("keepers") + ` forbid (principal, action == Action::"reveal", resource in Label::"pii.email");`, false},
		"the same decide":    {see("keepers") + ` @id("more") permit (principal in Group::"askers", action == Action::"connect", resource);`, true},
		"nobody decides":     {in + `@id("see") permit (principal in Group::"askers", action == Action::"reveal", resource in Label::"pii.email");`, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := heldWorld(t, func(c *Config) {
				c.Labels = []access.LabelRule{{Label: "pii.email", Columns: []string{"*.*.email"}}}
				c.Policies = []PolicyFile{{Name: "held.cedar", Text: revealPolicy}}
			})
			s := w.loginAt(access.DoorPGWire, "asker")
			w.query(s, "set sallyport.reveal = 'customers.email'")
			r := w.pendingOne()
			if err := w.decide("keeper", r.ID, ReviewVote{Verdict: approval.Approve, Grant: approval.Grant{Mode: approval.Reveal, Columns: []string{"public.customers.email"}, Until: time.Now().Add(time.Hour)}}); err != nil {
				t.Fatal(err)
			}
			const read = "select email from customers where id = 7"
			if a := w.query(s, read); !strings.Contains(a.rows[0][0], "u7@") {
				t.Fatal("not shown at all")
			}
			if err := w.gw.LoadPolicies([]PolicyFile{{Name: "held.cedar", Text: c.after}}); err != nil {
				t.Fatal(err)
			}
			a := w.query(s, read)
			if shown := len(a.rows) > 0 && strings.Contains(a.rows[0][0], "u7@"); shown != c.shown {
				t.Errorf("rows %q errors %q", a.rows, a.errs)
			}
		})
	}
}

// A revocation takes votes back by what is kept of it, whatever comes between it and that they are taken back on record.
func TestVotesBesideARevocation(t *testing.T) {
	stolen := func() access.Revocation {
		return access.Revocation{Principal: "Keeper", Before: time.Now(), Cause: "stolen"}
	}
	const sql = "update customers set region = 'held' where id = 9"
	asked := func(t *testing.T) (*world, *Session, *ReviewRequest) {
		w := heldWorld(t, func(c *Config) { c.Approvals.Wait = -1 })
		s := w.loginAt(access.DoorPGWire, "asker")
		wantError(t, w.query(s, sql), "42501 this statement needs approval")
		return w, s, w.pendingOne()
	}
	t.Run("between the look at who decides and the vote", func(t *testing.T) {
		for _, proven := range []bool{false, true} {
			w, s, r := asked(t)
			p, err := w.gw.Verify(context.Background(), access.Password{User: "keeper", Secret: "pw-keeper"})
			if err == nil {
				err = w.gw.Stands(p)
			}
			if err != nil {
				t.Fatal(err)
			}
			w.withdraw(stolen())
			v := ReviewVote{Verdict: approval.Approve, Justification: "looked at the ticket"}
			if proven { // again, while the order was on its way
				v.Authenticated = time.Now()
			}
			if _, err := w.gw.approvals.Decide(context.Background(), r.ID, r.Revision, reviewerOf(p), v); err == nil || !strings.Contains(err.Error(), "stolen") {
				t.Errorf("the vote counts: %v", err)
			}
			wantError(t, w.query(s, sql), "42501 this statement needs approval")
			w.approve("keeper", r.ID) // by a proof from after it
			wantNoError(t, w.query(s, sql))
		}
	})
	t.Run("the gateway ends before they are taken back", func(t *testing.T) {
		w, s, r := asked(t)
		w.approve("keeper", r.ID)
		if err := w.gw.issued.Order(stolen()); err != nil {
			t.Fatal(err)
		}
		wantError(t, w.query(s, sql), "42501 this statement needs approval")
		if got, _ := w.gw.Review(r.ID); got.State != approval.Cancelled {
			t.Errorf("at its use it is %s", got.State)
		}
		next := w.pendingOne()
		w.approve("keeper", next.ID)
		w.gw.approvals.Close() // no sweep is in time
		if err := w.gw.issued.Order(stolen()); err != nil {
			t.Fatal(err)
		}
		s.Close()
		w.gw.Close()
		w.openHeld(func(c *Config) { c.Approvals.Wait = -1 })
		if got, err := w.gw.Review(next.ID); err != nil || got.State != approval.Cancelled || !strings.Contains(got.Outcome, "stolen") {
			t.Errorf("after the restart: %v %+v", err, got)
		}
	})
	t.Run("it cannot be recorded", func(t *testing.T) {
		w, s, r := asked(t)
		w.approve("keeper", r.ID)
		w.gw.approvals.Close() // every step fails
		boss := access.Principal{Name: "boss", Kind: access.Human}
		for _, of := range []string{"keeper", "asker"} { // who approved, and who asked
			if _, err := w.gw.Revoke(context.Background(), boss, access.Revocation{Principal: of, Before: time.Now(), Cause: "stolen"}); err == nil || access.AsError(err).Kind != access.Unavailable || !strings.Contains(access.AsError(err).Hint, "once more") {
				t.Errorf("%s: %v", of, err)
			}
		}
		if w.gw.approvals.Covered(*r) {
			t.Error("it is covered")
		}
		s.Close()
		w.gw.Close()
		w.openHeld(func(c *Config) { c.Approvals.Wait = -1 })
		if got, _ := w.gw.Review(r.ID); got.State != approval.Cancelled {
			t.Errorf("it is %s", got.State)
		}
	})
}

// A provider's votes: a log-out takes none back, other groups do, also where that cannot be recorded at once.
func TestVotesOfWhomAProviderRegroups(t *testing.T) {
	w, idp, _ := previewWorld(t)
	idp.Login(&testidp.User{Subject: "7", ACR: "gold", Claims: map[string]any{"name": "kim", "groups": []string{"keepers"}}})
	login := func() access.Principal {
		t.Helper()
		p, err := w.gw.people.Verify(context.Background(), access.IDToken{Provider: "corp", Token: idp.IDToken("n"), Nonce: "n"})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := login()
	id := w.asks(w.loginAt(access.DoorMCP, "asker"), "update orders set amount = -1 where id = 7")
	r, err := w.gw.Decide(context.Background(), p, id, 1, ReviewVote{Verdict: approval.Approve, Justification: "looked at the ticket"})
	if err != nil || r.State != approval.Approved {
		t.Fatalf("%v %+v", err, r)
	}
	looked := w.gw.revealing.Load()
	for _, r := range []access.Revocation{{Principal: p.Name, Issuer: p.Proof.Issuer, Before: time.Now().Add(time.Second), Cause: causeRegrouped},
		{Issuer: p.Proof.Issuer, Subject: p.Proof.Subject, Before: time.Now().Add(time.Second), Cause: causeLoggedOut}} {
		if _, _, err := w.gw.revoke(access.Principal{}, r, p.Proof.Issuer); err != nil {
			t.Fatal(err)
		}
	}
	w.gw.reconsider()
	if got, _ := w.gw.Review(id); got.State != approval.Approved || w.gw.revealing.Load() != looked {
		t.Errorf("after a log-out it is %s", got.State)
	}
	other := p
	other.Proof.Subject, other.Groups = "8", nil
	w.gw.regroupedVotes(other)
	if got, _ := w.gw.Review(id); got.State != approval.Approved || w.gw.revealing.Load() != looked || len(w.gw.regroupings.all()) != 0 {
		t.Errorf("after a log-in of somebody else it is %s", got.State)
	}
	w.gw.approvals.Close() // every step fails
	p.Groups = []string{"askers"}
	w.gw.regroupedVotes(p)
	if why := w.gw.lapses(r.Votes[0], []string{"keepers"}); !strings.Contains(why, "keepers") || w.gw.revealing.Load() == looked {
		t.Errorf("what is known of their groups is forgotten: %q", why)
	}
}

func TestRegroupingsAreForgottenOnceTheyAreMade(t *testing.T) {
	var r regroupings
	r.set("a", []string{"x"})
	r.set("b", nil)
	was := r.all()
	r.set("a", []string{"y"})
	r.set("c", nil)
	r.done(was)
	if left := r.all(); len(left) != 2 || left["a"][0] != "y" {
		t.Errorf("%v", left)
	}
}
