package policy

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/access"
)

func TestOnePolicyWithoutPreviewIsEnough(t *testing.T) {
	set := mustLoad(t, `
		@id("a") @review("dba") permit (principal, action == Action::"read", resource);
		@id("b") @preview("off") permit (principal in Group::"agents", action, resource);
		@id("c") permit (principal, action, resource);`)
	v := set.Is(Request{Principal: agent, Action: access.ActRead, Resource: email})
	if diff := cmp.Diff(access.Obligations{Review: []string{"dba"}, NoPreview: true}, v.Obligations); diff != "" || !v.Allowed {
		t.Error(diff)
	}
	if got := ObligationWords(v.Obligations); got != `@review("dba") @preview("off")` {
		t.Errorf("in words: %s", got)
	}
	if got := set.WithoutPreview([]string{"a", "b", "c"}); !slices.Equal(got, []string{"b"}) {
		t.Errorf("by %q", got)
	}
	for _, o := range []access.Obligations{Strictest(access.Obligations{NoPreview: true}, access.Obligations{}), Strictest(access.Obligations{}, access.Obligations{NoPreview: true})} {
		if !o.NoPreview {
			t.Errorf("lost: %+v", o)
		}
	}
	others := set.Is(Request{Principal: access.Principal{Name: "ada", Kind: access.Human}, Action: access.ActRead, Resource: email})
	if others.Obligations.NoPreview || !others.Allowed {
		t.Errorf("a policy that does not apply has a say: %+v", others)
	}
}

// TestAPreviewByItself is had where any of the policies has it, and none is without.
func TestAPreviewByItself(t *testing.T) {
	set := mustLoad(t, `
		@id("a") @review("dba") permit (principal, action == Action::"read", resource);
		@id("b") @preview("auto") permit (principal, action == Action::"read", resource);
		@id("c") @preview("off") permit (principal in Group::"agents", action == Action::"read", resource);`)
	for _, c := range []struct {
		who  access.Principal
		want access.Obligations
		says string
	}{
		{access.Principal{Name: "ada", Kind: access.Human}, access.Obligations{Review: []string{"dba"}, AutoPreview: true}, `@review("dba") @preview("auto")`},
		{agent, access.Obligations{Review: []string{"dba"}, AutoPreview: true, NoPreview: true}, `@review("dba") @preview("off")`},
	} {
		v := set.Is(Request{Principal: c.who, Action: access.ActRead, Resource: email})
		if diff := cmp.Diff(c.want, v.Obligations); diff != "" || !v.Allowed {
			t.Error(diff)
		}
		if got := ObligationWords(v.Obligations); got != c.says {
			t.Errorf("in words: %s", got)
		}
	}
}
