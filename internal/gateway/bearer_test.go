package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/approval"
	"sallyport/internal/identity"
)

// Names that a provider gives to others, and people whom it calls otherwise.

// namer is a provider whose tokens are NAME:GROUPS:SUB, and more after it for one that differs.
type namer struct{}

func (n namer) AccessToken(_ context.Context, token string) (access.Principal, error) {
	p := strings.Split(strings.TrimPrefix(token, ".."), ":")
	sum := sha256.Sum256([]byte(token))
	return access.Principal{Name: p[0], Kind: access.Human, Groups: strings.Split(p[1], ","), Proof: access.Proof{Method: access.ByAccessToken, Client: "client", Issuer: issuer, Subject: p[2],
		Token: hex.EncodeToString(sum[:]), Issued: time.Now().Add(-time.Second), Expires: time.Now().Add(time.Hour)}}, nil
}

func (n namer) IDToken(ctx context.Context, t access.IDToken) (access.Principal, error) {
	p, err := n.AccessToken(ctx, t.Token)
	p.Proof.Method, p.Proof.Issued = access.ByIDToken, time.Now()
	return p, err
}

func (namer) Logout(context.Context, string) (access.Logout, error) {
	return access.Logout{}, &access.Error{Kind: access.Denied}
}

func accountWorld(t *testing.T) *world {
	w := heldWorld(t, func(c *Config) {
		c.Approvals.Wait = -1
		c.Providers = []access.Provider{{Name: "corp", Issuer: issuer, ClientID: "gate"}}
	})
	w.named()
	return w
}

// named has the world take namer's word.
func (w *world) named() {
	w.t.Helper()
	c := w.config()
	c.Principals = append(c.Principals, access.LocalPrincipal{Name: "keeper", Kind: access.Human, Groups: []string{"keepers"}, Secret: identity.HashPassword("pw-keeper")})
	store, err := identity.New(c.Principals)
	if err == nil {
		err = store.With(w.gw.issued)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	store.By(namer{}, definitions(*w.gw.people.providers.Load()), nil)
	w.gw.people.store.Store(store)
	w.gw.people.known.Store(knownOf(c.Principals))
}

func (w *world) mustEnter(token string) *Session {
	w.t.Helper()
	s, err := w.enter(access.Bearer(token))
	if err != nil {
		w.t.Fatalf("%s: %v", token, err)
	}
	w.t.Cleanup(func() { s.Close() })
	return s
}

func TestApprovalsAreOfAnAccount(t *testing.T) {
	w := accountWorld(t)
	first := w.mustEnter("..jsmith:askers:sub-1")
	wantError(t, w.query(first, heldWrite), "42501 this statement needs approval")
	r := w.pendingOne()
	if err := w.decide("keeper", r.ID, ReviewVote{Verdict: approval.Approve, Grant: approval.Grant{Mode: approval.Window, Classes: []access.Class{access.ClassWrite},
		Relations: r.Subject.Relations, Until: time.Now().Add(12 * time.Hour)}}); err != nil {
		t.Fatal(err)
	}
	first.Close()
	next := strings.Replace(heldWrite, "7", "8", 1)
	second := w.mustEnter("..jsmith:askers:sub-2")
	wantError(t, w.query(second, next), "42501 this statement needs approval")
	p, _ := w.gw.Verify(context.Background(), access.Bearer("..jsmith:askers:sub-2"))
	if ownRequest(p, r) || Asked(p, r) {
		t.Error("the request of one account is another's own")
	}
	if _, err := w.gw.WithdrawReview(context.Background(), p, r.ID); err == nil {
		t.Error("the request of one account was withdrawn by another")
	}
	task, err := w.gw.StartTask(context.Background(), access.DoorMCP, access.Bearer("..jsmith:askers:sub-1"), "a goal", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.gw.LookupTask(context.Background(), access.Bearer("..jsmith:askers:sub-2"), task.ID); err == nil {
		t.Error("the task of one account is another's")
	}
	if _, err := w.gw.LookupTask(context.Background(), access.Bearer("..jsmith:askers:sub-1:more"), task.ID); err != nil {
		t.Error(err)
	}
	wantNoError(t, w.query(w.mustEnter("..jsmith:askers:sub-1:again"), next)) // control
}

func TestWithdrawnForGoodWhateverTheyAreCalled(t *testing.T) {
	w := accountWorld(t)
	w.mustEnter("..jsmith:askers:sub-1").Close()
	other := w.mustEnter("..mjones:askers:sub-3")
	w.withdraw(access.Revocation{Principal: "jsmith", Cause: "dismissed"})
	refused := func(token string) string {
		t.Helper()
		s, err := w.enter(access.Bearer(token))
		if err == nil {
			s.Close()
			t.Errorf("%s comes in", token)
			return ""
		}
		return access.AsError(err).Message + "; " + access.AsError(err).Hint
	}
	for _, token := range []string{"..jsmith:askers:sub-1:x", "..JSmith:askers:sub-1", "..johnsmith:askers:sub-1"} {
		if text := refused(token); !strings.Contains(text, "for good: dismissed") || !strings.Contains(text, "revoke undo") || strings.Contains(text, "log in again") {
			t.Errorf("%s: %s", token, text)
		}
	}
	// Whoever comes with the name stays out as well, and then by any other.
	refused("..JSMITH:askers:sub-2")
	refused("..jane:askers:sub-2")
	if a := w.query(other, "select 1"); len(a.errs) > 0 {
		t.Errorf("somebody else: %q", a.errs)
	}
	w.mustEnter("..mjones:askers:sub-3:x").Close()

	// Over a restart.
	w.gw.Close()
	w.openHeld(func(c *Config) { c.Providers = []access.Provider{{Name: "corp", Issuer: issuer, ClientID: "gate"}} })
	w.named()
	refused("..johnsmith:askers:sub-1:y")

	list := w.gw.Revocations()
	if len(list) != 1 || list[0].Principal != "jsmith" || len(list[0].Accounts) != 2 {
		t.Fatalf("%+v", list)
	}
	// Withdrawn until somebody logs in anew, it is for good still, and says why it is.
	w.withdraw(access.Revocation{Principal: "JSMITH", Before: time.Now(), Cause: "back again"})
	if text := refused("..johnsmith:askers:sub-1:z"); !strings.Contains(text, "for good: dismissed") {
		t.Error(text)
	}
	boss := access.Principal{Name: "boss", Kind: access.Human}
	if err := w.gw.Restore(boss, access.Revocation{Principal: "jsmith", Actor: "bot", Cause: "no such"}); access.AsError(err).Kind != access.Invalid {
		t.Errorf("what is not there was taken back: %v", err)
	}
	if err := w.gw.Restore(access.Principal{}, access.Revocation{Principal: "jsmith", Cause: "nobody says so"}); err == nil {
		t.Error("taken back by nobody")
	}
	if err := w.gw.Restore(boss, access.Revocation{Principal: "JSmith", Cause: "it was another one"}); err != nil {
		t.Fatal(err)
	}
	w.mustEnter("..johnsmith:askers:sub-1:w").Close()
	w.mustEnter("..jsmith:askers:sub-2:w").Close()
	if list := w.gw.Revocations(); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	records := w.kinds(access.RecordRevoked)
	if last := records[len(records)-1]; last.Principal != "boss" || !strings.Contains(string(last.Revoked), `"undone":true`) || last.Reason != "it was another one" {
		t.Errorf("on record: %+v", last)
	}
}

// A principal of the configuration who was withdrawn for good comes back when that is taken back, by the same password.
func TestTakenBackForWhoHasAPassword(t *testing.T) {
	w := heldWorld(t, nil)
	enter := func() error {
		s, err := w.enter(access.Password{User: "asker", Secret: "pw-asker"})
		if err == nil {
			s.Close()
		}
		return err
	}
	w.withdraw(access.Revocation{Principal: "asker", Cause: "left us"})
	if err := enter(); err == nil {
		t.Fatal("not withdrawn")
	}
	if err := w.gw.Restore(access.Principal{Name: "boss", Kind: access.Human}, access.Revocation{Principal: "asker", Cause: "back again"}); err != nil {
		t.Fatal(err)
	}
	if err := enter(); err != nil {
		t.Error(err)
	}
}

// Who logs in with fewer groups than they decided by is no reviewer of before. A token for a client may say less of the same person.
func TestVotesOfWhoseProviderSaysLess(t *testing.T) {
	w := accountWorld(t)
	s := w.loginAsker()
	wantError(t, w.query(s, heldWrite), "42501 this statement needs approval")
	r := w.pendingOne()
	in := func(text string) access.Principal {
		t.Helper()
		p, err := w.gw.Admit(context.Background(), Login{Door: access.DoorWeb, Credentials: access.IDToken{Provider: "corp", Token: text}})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := in("kim:keepers:sub-k")
	if _, err := w.gw.Decide(context.Background(), p, r.ID, r.Revision, ReviewVote{Verdict: approval.Approve, Justification: "looked at the ticket", Authenticated: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if s, err := w.enter(access.Bearer("..kim:askers:sub-k:1")); err == nil { // an access token for another client
		s.Close()
	}
	in("kim:keepers,officers:sub-k:2")
	if got, _ := w.gw.Review(r.ID); got.State != approval.Approved {
		t.Fatalf("it is %s: %s", got.State, got.Outcome)
	}
	in("kim:officers:sub-k:3")
	if got, _ := w.gw.Review(r.ID); got.State != approval.Cancelled {
		t.Errorf("it is %s", got.State)
	}
	wantError(t, w.query(s, heldWrite), "42501 this statement needs approval")
}

// loginAsker is somebody of the provider who asks.
func (w *world) loginAsker() *Session { return w.mustEnter("..asks:askers:sub-a") }
