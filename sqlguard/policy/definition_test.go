package policy

import (
	"slices"
	"strings"
	"testing"

	"sallyport/internal/access"
)

const definition = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

var (
	total = Function("shop", access.Name{Schema: "public", Name: "total"})
	calls = `@id("calls") @definition("` + definition + `") permit (principal, action == Action::"call", resource == Function::"shop.public.total");`
)

func TestDefinitionHoldsForOneDefinition(t *testing.T) {
	s := mustLoad(t, calls)
	ask := func(s *Set, r Resource) Verdict {
		return s.Is(Request{Principal: engineer, Action: access.ActCall, Resource: r})
	}
	if v := ask(s, total.Defined(definition)); !v.Allowed || v.Outdated != nil {
		t.Errorf("the function that the policy was written for: %+v", v)
	}
	for _, other := range []string{"", strings.Replace(definition, "0", "1", 1)} {
		if v := ask(s, total.Defined(other)); v.Allowed || !slices.Equal(v.Outdated, []string{"calls"}) {
			t.Errorf("a function defined as %q: %+v", other, v)
		}
	}
	forbidden := mustLoad(t, calls+`@id("no") forbid (principal, action == Action::"call", resource);`)
	if v := ask(forbidden, total.Defined("sha256:")); v.Allowed || v.Outdated != nil || !slices.Equal(v.Policies, []string{"no"}) {
		t.Errorf("a forbid besides: %+v", v)
	}
	both := mustLoad(t, calls+`@id("any") permit (principal, action == Action::"call", resource);`)
	if v := ask(both, total.Defined("sha256:")); !v.Allowed || !slices.Equal(v.Policies, []string{"any"}) {
		t.Errorf("a permit without definition besides: %+v", v)
	}
	if v := s.Is(Request{Principal: engineer, Action: access.ActCall, Resource: Function("shop", access.Name{Schema: "public", Name: "other"}).Defined("sha256:")}); v.Allowed || v.Outdated != nil {
		t.Errorf("another function: %+v", v)
	}
	if got := s.Explain(Request{Principal: engineer, Action: access.ActCall, Resource: total.Defined("sha256:00")}).String(); !strings.Contains(got, "not the one that the policy was written for") ||
		!strings.Contains(got, "its definition: sha256:00") {
		t.Error(got)
	}
}

func TestDefinitionIsChecked(t *testing.T) {
	for name, text := range map[string]string{
		"form":   strings.Replace(calls, "0123", "xyz3", 1),
		"short":  strings.Replace(calls, "0123", "", 1),
		"upper":  strings.Replace(calls, "abcdef", "ABCDEF", 1),
		"scope":  strings.Replace(calls, `resource == Function::"shop.public.total"`, "resource", 1),
		"action": strings.Replace(calls, `action == Action::"call"`, `action in [Action::"call", Action::"ddl"]`, 1),
		"forbid": strings.Replace(calls, "permit", "forbid", 1),
	} {
		if _, err := Load([]File{{Name: "test.cedar", Text: text}}); err == nil || !strings.Contains(err.Error(), "@definition") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
