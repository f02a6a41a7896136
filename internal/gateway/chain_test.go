package gateway

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"sallyport/audit"
	"sallyport/internal/access"
)

const chainPolicy = `
@id("triage") permit (principal in Group::"support", action in [Action::"connect", Action::"read"], resource in Connection::"shop") when { context.actor == "triage-bot" };
@id("strong") permit (principal in Group::"support", action == Action::"reveal", resource in Label::"pii.email") when { context.acr == "phr" };
@id("staff") permit (principal in Group::"staff", action in [Action::"connect", Action::"read", Action::"write"], resource in Connection::"shop");
`

// TestThisAgentForMembersOfThatGroupOnlyReads, before a real database: nothing of it is left to doors.
func TestThisAgentForMembersOfThatGroupOnlyReads(t *testing.T) {
	w := newWorld(t)
	if err := w.gw.LoadPolicies([]PolicyFile{{Name: "chain.cedar", Text: chainPolicy}}); err != nil {
		t.Fatal(err)
	}
	proof := access.Proof{Method: access.ByAccessToken, Issuer: "https://idp.example", Token: "00"}
	ada := access.Principal{Name: "ada", Kind: access.Human, Groups: []string{"support"}, Proof: proof}
	through := func(p access.Principal, chain ...string) access.Principal {
		p.Actor, p.Behind = chain[0], chain[1:]
		return p
	}
	open := func(p access.Principal) (*Session, error) {
		s, err := w.gw.connect(context.Background(), Login{Door: access.DoorMCP, Connection: "shop", Client: "test"}, p)
		if s != nil {
			t.Cleanup(func() { s.Close() })
		}
		return s, err
	}
	query := func(s *Session, sql string) (*Result, *access.Error) {
		res, err := s.Query(context.Background(), Query{SQL: sql, Reason: "find the late orders of a customer"})
		return res, access.AsError(err)
	}
	triage, err := open(through(ada, "triage-bot", "planner"))
	if err != nil {
		t.Fatal(err)
	}
	const see = "select email from customers where id = 1"
	masked, e := query(triage, see)
	if e != nil {
		t.Fatal(e)
	}
	if *masked.Rows[0][0] == "u1@example.com" {
		t.Error("seen raw")
	}
	for _, sql := range []string{"update customers set region = 'x' where id = 1", "delete from orders where id = 1", "insert into orders values (1000001, 1, 1)"} {
		if _, e := query(triage, sql); e == nil || e.Kind != access.Denied || e.Scopes != nil {
			t.Errorf("%s: %v", sql, e)
		}
	}
	eve := ada
	eve.Groups = []string{"sales"}
	for name, p := range map[string]access.Principal{"by themself": ada, "through another": through(ada, "mail-bot"), "behind another": through(ada, "mail-bot", "triage-bot"), "for somebody else": through(eve, "triage-bot")} {
		if _, err := open(p); err == nil {
			t.Errorf("%s: a session", name)
		}
	}
	strong := through(ada, "triage-bot")
	strong.Proof.ACR = "phr" // the same person, in the same minute: plans are not shared with what was decided before
	s, err := open(strong)
	if err != nil {
		t.Fatal(err)
	}
	if raw, e := query(s, see); e != nil || *raw.Rows[0][0] != "u1@example.com" {
		t.Errorf("%v %v", raw, e)
	}

	found := false
	if err := audit.Read(filepath.Join(w.dir, "log"), func(rec *access.Record) error {
		found = found || rec.Kind == access.RecordOpen && rec.Principal == "ada" && rec.Actor == "triage-bot" && slices.Equal(rec.Behind, []string{"planner"}) && rec.Proof != nil && rec.Proof.Issuer == proof.Issuer
		return nil
	}); err != nil || !found {
		t.Errorf("the chain is not on record (%v)", err)
	}
}

// TestScopesOfATokenHoldInTheCore, whatever policies permit, and what is missing is said.
func TestScopesOfATokenHoldInTheCore(t *testing.T) {
	w := newWorld(t)
	if err := w.gw.LoadPolicies([]PolicyFile{{Name: "chain.cedar", Text: chainPolicy}}); err != nil {
		t.Fatal(err)
	}
	p := access.Principal{Name: "grace", Kind: access.Human, Groups: []string{"staff"}, Proof: access.Proof{Method: access.ByAccessToken, Issuer: "https://idp.example", Token: "01", Scoped: true,
		Grants: map[string][]access.Action{"db:read": {access.ActRead}, "db:write": {access.ActRead, access.ActWrite}, "openid": nil}}}
	for _, c := range []struct {
		scopes          []string
		connects        bool
		reads, writes   bool
		toRead, toWrite []string
	}{
		{[]string{"db:write"}, true, true, true, nil, nil},
		{[]string{"openid", "db:read"}, true, true, false, nil, []string{"db:read", "db:write"}},
		{[]string{"openid"}, false, false, false, nil, nil},
		{nil, false, false, false, nil, nil},
	} {
		p.Proof.Scopes = c.scopes
		s, err := w.gw.connect(context.Background(), Login{Door: access.DoorMCP, Connection: "shop"}, p)
		if (err == nil) != c.connects {
			t.Fatalf("%v: %v", c.scopes, err)
		}
		if err != nil {
			if got := access.AsError(err).Scopes; !slices.Equal(got, []string{"db:read"}) {
				t.Errorf("%v: to connect it takes %v", c.scopes, got)
			}
			continue
		}
		for sql, want := range map[string]struct {
			ok    bool
			takes []string
		}{"select id from orders where id = 1": {c.reads, c.toRead}, "update orders set amount = 2 where id = 1": {c.writes, c.toWrite}} {
			_, err := s.Query(context.Background(), Query{SQL: sql, Reason: "find the late orders of a customer"})
			e := access.AsError(err)
			if (e == nil) != want.ok || e != nil && !slices.Equal(e.Scopes, want.takes) {
				t.Errorf("%v: %s: %v", c.scopes, sql, e)
			}
		}
		// What was missing for one statement is not said of another.
		if _, err := s.Query(context.Background(), Query{SQL: "select * from nowhere", Reason: "find the late orders of a customer"}); access.AsError(err).Scopes != nil {
			t.Errorf("%v: %v", c.scopes, access.AsError(err).Scopes)
		}
		s.Close()
	}
}
