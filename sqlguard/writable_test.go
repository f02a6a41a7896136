package sqlguard_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/sqlguard"
)

// TestWritableGoesByLabel: one column that might be written is enough for its label, and nothing else is.
func TestWritableGoesByLabel(t *testing.T) {
	for policies, want := range map[string]string{
		``: "",
		`permit (principal, action == Action::"read", resource);`:                                                                                 "",
		`permit (principal, action == Action::"write", resource);`:                                                                                "pii.email pii.phone",
		`permit (principal, action == Action::"write", resource == Table::"shop.public.people");`:                                                 "pii.email",
		`permit (principal, action == Action::"write", resource == Column::"shop.public.customers.phone");`:                                       "pii.phone",
		`permit (principal, action == Action::"write", resource == Table::"shop.public.orders");`:                                                 "",
		`permit (principal == User::"ada", action == Action::"write", resource);`:                                                                 "",
		`permit (principal, action == Action::"write", resource); forbid (principal, action == Action::"write", resource in Label::"pii.email");`: "pii.phone",
		`permit (principal, action == Action::"write", resource); forbid (principal, action, resource == Table::"shop.public.customers");`:        "pii.email pii.phone",
		`permit (principal, action == Action::"ddl", resource == Schema::"shop.hr");`:                                                             "pii.email pii.phone",
		`permit (principal, action == Action::"ddl", resource == Table::"shop.public.orders") when { context.door == "pgwire" };`:                 "pii.email pii.phone",
		`permit (principal, action == Action::"ddl", resource == Table::"other.public.orders");`:                                                  "",
	} {
		set := load(t, policies)
		got := sqlguard.Writable(bot, "shop", shop(), labels, set)
		names := make([]string, 0, len(got))
		for _, l := range slices.Sorted(maps.Keys(got)) {
			names = append(names, string(l))
		}
		if strings.Join(names, " ") != want {
			t.Errorf("%s: %v, want %s", policies, got, want)
		}
	}
}

// TestDecisionNamesWhatTheWriterMustNotCompare, whether the caller has kept the answer or not.
func TestDecisionNamesWhatTheWriterMustNotCompare(t *testing.T) {
	set := load(t, `permit (principal, action in [Action::"connect", Action::"read"], resource); permit (principal, action == Action::"write", resource == Table::"shop.public.people");`)
	in := input(reading("email", "phone"), set)
	for range 2 {
		if d := sqlguard.Decide(in); d.Effect != access.Allow || !slices.Equal(d.Writable, ids("customers.email")) || len(d.Masked) != 2 {
			t.Errorf("%+v", d)
		}
		in.Writable = sqlguard.Writable(bot, "shop", in.Catalog, in.Labels, set)
	}
}
