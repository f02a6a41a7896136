package policy

import (
	"testing"

	"sallyport/internal/access"
)

// TestMightErrsToTheSideOfYes: what is asked is whether any circumstances permit it.
func TestMightErrsToTheSideOfYes(t *testing.T) {
	p := access.Principal{Name: "ada", Kind: access.Human, Groups: []string{"staff"}}
	column := Column("shop", access.Name{Schema: "public", Name: "leads"}, "email", []access.Label{"pii.email"})
	for name, c := range map[string]struct {
		text  string
		might bool
	}{
		"nothing":          {``, false},
		"plain":            {`permit (principal, action == Action::"write", resource);`, true},
		"another_action":   {`permit (principal, action == Action::"read", resource);`, false},
		"somebody_else":    {`permit (principal == User::"bob", action == Action::"write", resource);`, false},
		"one_door":         {`permit (principal, action == Action::"write", resource) when { context.door == "mcp" };`, true},
		"one_reason":       {`permit (principal, action == Action::"write", resource) when { context.reason like "*ticket*" };`, true},
		"one_tag":          {`permit (principal, action == Action::"write", resource) unless { context.tag != "MERGE" };`, true},
		"another_column":   {`permit (principal, action == Action::"write", resource is Column) when { resource.name == "note" };`, false},
		"both":             {`permit (principal, action == Action::"write", resource) when { context.tag == "INSERT" } when { principal in Group::"boss" };`, false},
		"mixed_clause":     {`permit (principal, action == Action::"write", resource) when { context.tag == "INSERT" && principal in Group::"boss" };`, true},
		"forbidden":        {`permit (principal, action == Action::"write", resource); forbid (principal, action, resource in Label::"pii");`, false},
		"forbidden_mostly": {`permit (principal, action == Action::"write", resource); forbid (principal, action, resource in Label::"pii") unless { context.has_reason };`, true},
		"with_a_review":    {`@review("dba") permit (principal, action == Action::"write", resource);`, true},
	} {
		t.Run(name, func(t *testing.T) {
			set := mustLoad(t, c.text)
			if v := set.Might(p).Is(access.ActWrite, column); v.Allowed != c.might {
				t.Errorf("might be permitted: %t", v.Allowed)
			}
			// It must be yes wherever a real request is permitted.
			for _, tag := range []string{"INSERT", "UPDATE", "MERGE"} {
				for _, reason := range []string{"", "ticket 4711, as agreed"} {
					v := set.For(p, Context{Door: access.DoorMCP, Class: access.ClassWrite, Tag: tag, HasReason: reason != "", Reason: reason}).Is(access.ActWrite, column)
					if v.Allowed && !c.might {
						t.Errorf("%s is permitted", tag)
					}
				}
			}
		})
	}
	if (&Set{}).Might(p).Is(access.ActWrite, column).Allowed || mustLoad(t, "").Might(access.Principal{}).Is(access.ActWrite, column).Allowed {
		t.Error("nobody, or no policies, might do something")
	}
}
