package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/access"
)

func TestExplain(t *testing.T) {
	s := mustLoad(t, `@id("reads") @rows("10") permit (principal in Group::"agents", action == Action::"read", resource in Schema::"shop.public");
@id("others") permit (principal in Group::"engineers", action == Action::"read", resource in Schema::"shop.public");
@id("elsewhere") permit (principal in Group::"agents", action == Action::"read", resource in Schema::"shop.hr");
@id("far") permit (principal in Group::"engineers", action == Action::"read", resource in Schema::"shop.hr");
@id("writes") permit (principal, action == Action::"write", resource);
@id("explained") forbid (principal, action in [Action::"read", Action::"write"], resource)
when { resource is Column && resource.name == "email" } unless { context.has_reason };
`)
	got := s.Explain(Request{Principal: agent, Action: access.ActRead, Resource: email, Context: Context{HasReason: true}})
	want := `allowed: bot read on Column::"shop.public.customers.email"
  permit reads (test.cedar:1) matches: the action is read, the principal is in Group::"agents", the resource is in Schema::"shop.public"
  permit others (test.cedar:2) nearly matches: the principal is not in Group::"engineers"
  permit elsewhere (test.cedar:3) nearly matches: the resource is not in Schema::"shop.hr"
  forbid explained (test.cedar:6) nearly matches: unless { context.has_reason } does not hold
  obligations: @rows("10")
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
	got = s.Explain(Request{Principal: agent, Action: access.ActRead, Resource: email})
	if got.Verdict.Allowed || len(got.Policies) == 0 || !strings.Contains(got.String(), `forbid explained (test.cedar:6) matches: the action is read, when { resource is Column && resource.name == "email" }, unless { context.has_reason }`) {
		t.Error(got)
	}
}

func TestExplainNamesTheFailingPolicy(t *testing.T) {
	s := mustLoad(t, `permit (principal, action, resource); @id("broken") forbid (principal, action, resource) when { `+overflow+` };`)
	got := s.Explain(Request{Principal: agent, Action: access.ActRead, Resource: email}).String()
	for _, want := range []string{"denied:", "policy broken could not be evaluated", "cannot be evaluated: integer overflow"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in:\n%s", want, got)
		}
	}
}

func TestExplainNothingNear(t *testing.T) {
	got := mustLoad(t, "").Explain(Request{Principal: agent, Action: access.ActRead, Resource: email}).String()
	if !strings.Contains(got, "no policy comes near") {
		t.Error(got)
	}
}
