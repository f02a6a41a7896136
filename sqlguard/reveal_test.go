package sqlguard_test

import (
	"slices"
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/sqlguard"
)

func TestRevealable(t *testing.T) {
	const held = mayRead + `@id("see") @review("keepers") permit (principal, action == Action::"reveal", resource in Label::"pii.email");`
	const free = mayRead + `@id("see") permit (principal, action == Action::"reveal", resource in Label::"pii.email");`
	const reasoned = mayRead + `@id("see") @review("keepers") @reason("required") permit (principal, action == Action::"reveal", resource in Label::"pii.email");`
	for name, c := range map[string]struct {
		policy, column string
		reason         bool
		shown          [][]string // by approvals, of which groups were asked
		want           access.Effect
		says           string // of a denial: which of the ways in which nothing can be approved
	}{
		"held":               {held, "customers.email", false, nil, access.Review, ""},
		"not permitted":      {mayRead, "customers.email", false, nil, access.Deny, "unmasked"},
		"without a label":    {held, "customers.id", false, nil, access.Deny, "has no label"},
		"needs none":         {free, "customers.email", false, nil, access.Deny, "needs no approval"},
		"wants a reason":     {reasoned, "customers.email", false, nil, access.Deny, "reason"},
		"has given a reason": {reasoned, "customers.email", true, nil, access.Review, ""},
		"is shown already":   {held, "customers.email", false, [][]string{{"keepers"}}, access.Allow, ""},
		"shown by others":    {held, "customers.email", false, [][]string{{"officers"}}, access.Review, ""},
		"shown, no reason":   {reasoned, "customers.email", false, [][]string{{"keepers"}}, access.Deny, "reason"},
	} {
		in := input(reading("id"), load(t, c.policy))
		in.HasReason, in.Revealed = c.reason, map[access.ColumnID][][]string{ids(c.column)[0]: c.shown}
		d := sqlguard.Revealable(in, ids(c.column)[0])
		if d.Effect != c.want || d.Effect == access.Review && !slices.Equal(d.Obligations.Review, []string{"keepers"}) || !strings.Contains(d.Message, c.says) {
			t.Errorf("%s: %+v", name, d)
		}
	}
}
