package gateway

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/approval"
)

const revealPolicy = `
@id("read") permit (principal in Group::"askers", action in [Action::"connect", Action::"read", Action::"session"], resource in Connection::"shop");
@id("see") @review("keepers") permit (principal in Group::"askers", action == Action::"reveal", resource in Label::"pii.email");`

func TestReveal(t *testing.T) {
	change := func(c *Config) {
		c.Labels = []access.LabelRule{{Label: "pii.email", Columns: []string{"*.*.email"}}, {Label: "pii.ssn", Columns: []string{"*.*.ssn"}}}
		c.Policies = []PolicyFile{{Name: "held.cedar", Text: revealPolicy}}
	}
	w := heldWorld(t, change)
	s := w.loginAt(access.DoorPGWire, "asker")
	sees := func(s *Session) string {
		t.Helper()
		a := w.query(s, "select email, ssn from customers where id = 7")
		wantNoError(t, a)
		return a.rows[0][0]
	}
	if got := sees(s); strings.Contains(got, "u7@") {
		t.Fatalf("seen raw: %s", got)
	}
	for _, bad := range []string{"customers.ssn", "customers.nothing", "nowhere.email", "customers.name", "email"} {
		a := w.query(s, "set sallyport.reveal = '"+bad+"'")
		if len(a.notices) != 1 || !strings.Contains(a.notices[0], "nothing was asked for") || len(w.gw.LiveReviews()) != 0 {
			t.Errorf("%s: %q %q", bad, a.notices, a.errs)
		}
	}
	refused := 0
	for _, rec := range w.records() {
		if rec.Kind == access.RecordRefused && rec.Session == s.id {
			refused++
			if !strings.HasPrefix(rec.SQL, "SET sallyport.reveal = '") || rec.Code == "" || rec.Error == "" {
				t.Errorf("recorded %+v", rec)
			}
		}
	}
	if refused != 5 {
		t.Errorf("%d of 5 wishes that were not granted are on record", refused)
	}
	a := w.query(s, "set sallyport.reveal = 'customers.email'")
	r := w.pendingOne()
	if len(a.notices) != 1 || !strings.Contains(a.notices[0], r.ID) {
		t.Errorf("notices %q", a.notices)
	}
	if columns := []string{"public.customers.email"}; !slices.Equal(r.Binding.Columns, columns) || r.Digest != r.Binding.Digest(r.Expires) {
		t.Errorf("the digest is of %q", r.Binding.Columns)
	}
	grant := approval.Grant{Mode: approval.Reveal, Columns: []string{"public.customers.email"}, Until: time.Now().Add(4 * time.Second)}
	if err := w.decide("asker", r.ID, ReviewVote{Verdict: approval.Approve, Grant: grant}); err == nil {
		t.Error("approved by who asked")
	}
	wide := grant
	wide.Columns = []string{"public.customers.email", "public.customers.ssn"}
	if err := w.decide("keeper", r.ID, ReviewVote{Verdict: approval.Approve, Grant: wide}); err == nil {
		t.Error("approved more than was asked for")
	}
	if err := w.decide("keeper", r.ID, ReviewVote{Verdict: approval.Approve, Grant: grant}); err != nil {
		t.Fatal(err)
	}
	a = w.query(s, "select email, ssn from customers where id = 7")
	wantNoError(t, a)
	if a.rows[0][0] != "u7@example.com" || strings.Contains(a.rows[0][1], "55433") {
		t.Fatalf("%v", a.rows)
	}
	// Whoever else asks sees what they saw: another principal, another door, another actor.
	for _, other := range []*Session{w.loginAt(access.DoorPGWire, "hero"), w.loginAt(access.DoorMCP, "asker")} {
		if got := sees(other); strings.Contains(got, "u7@") {
			t.Errorf("another sees %s", got)
		}
	}
	// The record says by whose leave.
	found := false
	for _, rec := range w.records() {
		found = found || strings.Contains(string(rec.Plan), `"revealed":["`+r.ID+`"]`)
	}
	if !found {
		t.Error("no record names the request")
	}
	// A prepared statement does not carry it past its end.
	wantNoError(t, w.query(s, "prepare p as select email from customers where id = 7"))
	// Nor does what was opened: cursors, portals that were executed in part, or bound only.
	const opened = "select email from customers where id >= 7 order by id"
	wantNoError(t, w.query(s, "declare held cursor with hold for "+opened))
	inTx, portal, bound := w.loginAt(access.DoorPGWire, "asker"), w.loginAt(access.DoorPGWire, "asker"), w.loginAt(access.DoorPGWire, "asker")
	for _, o := range []*Session{inTx, portal, bound} {
		wantNoError(t, w.query(o, "begin"))
	}
	wantNoError(t, w.query(inTx, "declare c cursor for "+opened))
	if a := w.query(inTx, "fetch 1 from c"); len(a.rows) != 1 || a.rows[0][0] != "u7@example.com" {
		t.Errorf("a cursor that may be read: %v %q", a.rows, a.errs)
	}
	wantNoError(t, w.do(portal, Op{Kind: OpParse, SQL: opened}, Op{Kind: OpBind, Portal: "p", Raw: bindPortal("p", "")}, Op{Kind: OpExecute, Portal: "p", MaxRows: 1}, Op{Kind: OpSync}))
	wantNoError(t, w.do(bound, Op{Kind: OpParse, SQL: opened}, Op{Kind: OpBind, Portal: "p", Raw: bindPortal("p", "")}, Op{Kind: OpSync}))
	time.Sleep(time.Until(grant.Until) + 20*time.Millisecond)
	if got := sees(s); strings.Contains(got, "u7@") {
		t.Errorf("seen after its end: %s", got)
	}
	if a := w.query(s, "execute p"); len(a.rows) > 0 && strings.Contains(a.rows[0][0], "u7@") {
		t.Errorf("executed after its end: %v", a.rows)
	}
	for name, a := range map[string]*answer{
		"held cursor": w.query(s, "fetch 1 from held"), "cursor": w.query(inTx, "fetch 1 from c"),
		"portal":        w.do(portal, Op{Kind: OpExecute, Portal: "p", MaxRows: 1}, Op{Kind: OpSync}),
		"portal, bound": w.do(bound, Op{Kind: OpExecute, Portal: "p", MaxRows: 1}, Op{Kind: OpSync}),
	} {
		if len(a.rows) > 0 || len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], "0A000 cached plan must not change result type") {
			t.Errorf("%s after its end: %v %q", name, a.rows, a.errs)
		}
	}
	// It outlives a restart, for as long as it was given.
	wantNoError(t, w.query(s, "set sallyport.reveal = 'public.customers.email'"))
	r = w.pendingOne()
	grant.Until = time.Now().Add(time.Minute)
	if err := w.decide("keeper", r.ID, ReviewVote{Verdict: approval.Approve, Grant: grant}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	w.gw.Close()
	w.openHeld(change)
	s = w.loginAt(access.DoorPGWire, "asker")
	if got := sees(s); got != "u7@example.com" {
		t.Errorf("after a restart: %s", got)
	}
	// Taken back by who approved it, it ends at once.
	if err := w.decide("keeper", r.ID, ReviewVote{Verdict: approval.Refuse}); err != nil {
		t.Fatal(err)
	}
	if got := sees(s); strings.Contains(got, "u7@") {
		t.Errorf("seen after it was taken back: %s", got)
	}
	// A policy that forbids it comes before every approval.
	wantNoError(t, w.query(s, "set sallyport.reveal = 'customers.email'"))
	r = w.pendingOne()
	if err := w.decide("keeper", r.ID, ReviewVote{Verdict: approval.Approve, Grant: grant}); err != nil {
		t.Fatal(err)
	}
	if err := w.gw.LoadPolicies([]PolicyFile{{Name: "held.cedar", Text: revealPolicy + `@id("no") forbid (principal, action == Action::"reveal", resource);`}}); err != nil {
		t.Fatal(err)
	}
	if got := sees(s); strings.Contains(got, "u7@") {
		t.Errorf("seen though a policy forbids it: %s", got)
	}
}

// emailRevealed is a gateway at which keeper shows asker, in a session of theirs, the email of customers for an hour.
func emailRevealed(t *testing.T) (*world, *Session, *ReviewRequest) {
	t.Helper()
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
	return w, s, r
}
