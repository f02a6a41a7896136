package policy

import (
	"errors"
	"testing"

	"sallyport/internal/access"
)

// FuzzLoad: whatever a policy file holds, it loads or says where it is wrong, and what loads can be
// asked and explained, with one answer.
func FuzzLoad(f *testing.F) {
	f.Add(Starter)
	f.Add(`@rows("3") permit (principal == User::"a", action in [Action::"read"], resource) when { context.has_reason };`)
	f.Add(`forbid (principal, action, resource) unless { resource is Column in Label::"pii" && principal.name like "a*" };`)
	f.Add("permit (principal, action == Action::\"raed\", resource)\n// ;")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Load([]File{{"f", text}})
		if err != nil {
			var le *LoadError
			if !errors.As(err, &le) || len(le.Problems) == 0 || le.Problems[0].Message == "" {
				t.Fatalf("no problem is named: %v", err)
			}
			return
		}
		req := Request{Principal: agent, Action: access.ActRead, Resource: email}
		v := s.Is(req)
		if again := s.Explain(req).Verdict; again.Allowed != v.Allowed {
			t.Fatalf("explained %v, decided %v", again.Allowed, v.Allowed)
		}
		if v.Err != nil && v.Allowed {
			t.Fatal("an error allows")
		}
	})
}

// FuzzParseResource: what is read as a resource is written the same way again.
func FuzzParseResource(f *testing.F) {
	for _, s := range []string{email.String(), `Setting::"work_mem"`, `Schema::"a.\"b.c\""`, `Table::"...."`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseResource(s, "shop", nil)
		if err != nil {
			return
		}
		again, err := ParseResource(r.String(), "shop", nil)
		if err == nil && again.entity.UID != r.entity.UID {
			t.Fatalf("%q became %s, then %s", s, r, again)
		}
	})
}
