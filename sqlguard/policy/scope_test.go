package policy

import (
	"slices"
	"strings"
	"testing"

	"sallyport/internal/access"
)

// Each permit here is what docs/policy.md shows.
const chains = `
@id("triage-reads") permit (principal in Group::"support", action in [Action::"connect", Action::"read"], resource in Connection::"shop")
  when { context.actor == "triage-bot" };
@id("planner-writes") permit (principal in Group::"support", action == Action::"write", resource in Connection::"shop")
  when { context.actors.contains("planner") && context.issuer == "https://idp.example" };
@id("strong-reveals") permit (principal in Group::"support", action == Action::"reveal", resource in Label::"pii")
  when { context.acr == "phr" && context.scopes.contains("read") };`

func TestPoliciesSpeakOfWhoActs(t *testing.T) {
	s := mustLoad(t, chains)
	ada := access.Principal{Name: "ada", Kind: access.Human, Groups: []string{"support"}}
	by := func(p access.Principal, chain ...string) access.Principal {
		p.Actor, p.Behind = chain[0], chain[1:]
		return p
	}
	proven := func(p access.Principal, proof access.Proof) access.Principal {
		p.Proof = proof
		return p
	}
	eve := access.Principal{Name: "eve", Kind: access.Human, Groups: []string{"sales"}}
	planned := by(ada, "executor", "planner")
	for name, c := range map[string]struct {
		who    access.Principal
		action access.Action
		want   bool
	}{
		"this_agent_for_a_member_reads":         {by(ada, "triage-bot"), access.ActRead, true},
		"this_agent_for_a_member_does_not_more": {by(ada, "triage-bot"), access.ActWrite, false},
		"the_member_without_the_agent":          {ada, access.ActRead, false},
		"another_agent":                         {by(ada, "mail-bot"), access.ActRead, false},
		"this_agent_for_somebody_else":          {by(eve, "triage-bot"), access.ActRead, false},
		"this_agent_behind_another":             {by(ada, "mail-bot", "triage-bot"), access.ActRead, false},
		"behind_the_actor":                      {proven(planned, access.Proof{Issuer: "https://idp.example"}), access.ActWrite, true},
		"behind_the_actor_of_another_provider":  {proven(planned, access.Proof{Issuer: "https://evil.example"}), access.ActWrite, false},
		"acr_and_scope":                         {proven(ada, access.Proof{ACR: "phr", Scopes: []string{"openid", "read"}}), access.ActReveal, true},
		"acr_without_the_scope":                 {proven(ada, access.Proof{ACR: "phr", Scopes: []string{"openid"}}), access.ActReveal, false},
		"scope_without_the_acr":                 {proven(ada, access.Proof{ACR: "1", Scopes: []string{"read"}}), access.ActReveal, false},
	} {
		t.Run(name, func(t *testing.T) {
			if v := s.Is(Request{Principal: c.who, Action: c.action, Resource: email}); v.Allowed != c.want || v.Err != nil {
				t.Errorf("%+v", v)
			}
		})
	}
}

// Scopes take from what policies permit, and never add.
func TestScopesLimitEveryAction(t *testing.T) {
	all := mustLoad(t, `permit (principal, action, resource);
permit (principal, action in [Action::"order", Action::"group"], resource);
@probes("10/1h") permit (principal, action == Action::"predicate", resource);
@min_group("10") permit (principal, action == Action::"aggregate", resource);`)
	none := mustLoad(t, "")
	on := func(a access.Action) Resource {
		switch a {
		case access.ActConnect, access.ActUnrestricted, access.ActNotify:
			return Connection("shop")
		case access.ActCall:
			return Function("shop", orders)
		case access.ActSession:
			return Setting("shop", "work_mem")
		case access.ActWriteAll, access.ActDDL:
			return Table("shop", orders)
		}
		return email
	}
	grants := map[string][]access.Action{"db.read": {access.ActConnect, access.ActRead}, "db.all": actions, "openid": nil}
	for _, a := range actions {
		for name, c := range map[string]struct {
			proof access.Proof
			want  bool
		}{
			"unlimited":                {access.Proof{Scopes: []string{"openid"}}, true},
			"this_action":              {access.Proof{Scoped: true, Scopes: []string{string(a)}}, true},
			"no_scope":                 {access.Proof{Scoped: true}, false},
			"unknown_scope":            {access.Proof{Scoped: true, Scopes: []string{"openid", string(a)}, Grants: grants}, false},
			"reading":                  {access.Proof{Scoped: true, Scopes: []string{"db.read"}, Grants: grants}, a == access.ActConnect || a == access.ActRead},
			"another_action":           {access.Proof{Scoped: true, Scopes: []string{"session"}}, a == access.ActConnect || a == access.ActSession},
			"provider_without_meaning": {access.Proof{Scoped: true, Issuer: "https://idp.example", Scopes: []string{string(a), "connect"}}, false},
			"provider_of_none":         {access.Proof{Scoped: true, Scopes: []string{"db.read"}, Grants: map[string][]access.Action{}}, false},
		} {
			p := agent
			p.Proof = c.proof
			v := all.Is(Request{Principal: p, Action: a, Resource: on(a)})
			if v.Allowed != c.want || v.Limited == c.want || v.Err != nil {
				t.Errorf("%s, %s: %+v", a, name, v)
			}
			if v := none.Is(Request{Principal: p, Action: a, Resource: on(a)}); v.Allowed || v.Limited {
				t.Errorf("%s, %s: without a policy %+v", a, name, v)
			}
			// What the same principal might do with another token is not less.
			if v := all.Might(p).Is(a, on(a)); !v.Allowed {
				t.Errorf("%s, %s: might not", a, name)
			}
		}
		p := access.Proof{Scoped: true, Grants: grants}
		want := "db.all" // the only one
		if a == access.ActConnect || a == access.ActRead {
			want = "db.read"
		}
		if got := p.Wants(a); got != want {
			t.Errorf("%s wants %q", a, got)
		}
	}
}

func TestCasesNameActorsAndTokens(t *testing.T) {
	s := mustLoad(t, chains)
	const text = `
- {name: this agent, principal: ada, kind: human, groups: [support], actors: [triage-bot, planner], connection: shop, action: read, resource: 'Table::"shop.public.orders"', expect: allow}
- {name: one actor, principal: ada, kind: human, groups: [support], actor: triage-bot, connection: shop, action: read, resource: 'Table::"shop.public.orders"', expect: allow}
- {name: behind, principal: ada, kind: human, groups: [support], actors: [x, planner], issuer: https://idp.example, scopes: [write], connection: shop, action: write, resource: 'Table::"shop.public.orders"', expect: allow}
- {name: not behind, principal: ada, kind: human, groups: [support], actors: [x], issuer: https://idp.example, connection: shop, action: write, resource: 'Table::"shop.public.orders"', expect: deny}
- {name: strong, principal: ada, kind: human, groups: [support], acr: phr, scopes: [read, reveal], connection: shop, action: reveal, resource: 'Column::"shop.public.customers.email"', labels: [pii.email], expect: allow}
- {name: strong but limited, principal: ada, kind: human, groups: [support], acr: phr, scopes: [read], connection: shop, action: reveal, resource: 'Column::"shop.public.customers.email"', labels: [pii.email], expect: deny}`
	list, err := ParseCases(File{"cases.yaml", text}, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		if d := s.Run(c); len(d) > 0 {
			t.Errorf("%s: %s", c.Name, strings.Join(d, "; "))
		}
	}
	for _, bad := range []string{"actor: a, actors: [b]", "actors: ['']", "scopes: [reed]"} {
		if _, err := ParseCases(File{"cases.yaml", "- {name: n, principal: ada, kind: human, " + bad + `, connection: shop, action: read, resource: 'Table::"shop.public.orders"', expect: deny}`}, nil, ""); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

func TestExplainSaysThatTheTokenIsNotGoodForIt(t *testing.T) {
	p := agent
	p.Proof = access.Proof{Scoped: true, Scopes: []string{"read"}}
	ex := mustLoad(t, `@id("w") permit (principal, action == Action::"write", resource);`).Explain(Request{Principal: p, Action: access.ActWrite, Resource: Table("shop", orders)})
	if ex.Verdict.Allowed || !strings.Contains(ex.String(), "scopes of the token do not (read)") || !slices.ContainsFunc(ex.Policies, func(p Part) bool { return p.ID == "w" && p.Matched }) {
		t.Error(ex.String())
	}
}
