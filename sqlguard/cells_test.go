package sqlguard_test

import (
	"testing"

	"sallyport/internal/access"
	"sallyport/sqlguard"
)

// TestAggregatesAreForReadersOfOneDivision: who may aggregate a column raw, and when that is taken back.
func TestAggregatesAreForReadersOfOneDivision(t *testing.T) {
	const reads = `permit (principal, action in [Action::"connect", Action::"read"], resource);` + "\n"
	const sums = `@min_group("10") @group_by("region") permit (principal, action == Action::"aggregate", resource);` + "\n"
	as := func(change func(rel *access.Relation)) func(*access.Relation) {
		return func(rel *access.Relation) {
			rel.Column("region").TypeOID = 25
			if change != nil {
				change(rel)
			}
		}
	}
	for name, c := range map[string]struct {
		policy string
		rel    func(*access.Relation)
		want   bool
	}{
		"granted":                 {reads + sums, as(nil), true},
		"no_permit":               {reads, as(nil), false},
		"writes_the_table":        {reads + sums + `permit (principal, action == Action::"write", resource == Table::"shop.public.customers");`, as(nil), false},
		"writes_a_column":         {reads + sums + `permit (principal, action == Action::"write", resource == Column::"shop.public.customers.id");`, as(nil), false},
		"writes_sometimes":        {reads + sums + `permit (principal, action == Action::"write", resource in Schema::"shop.public") when { context.has_reason };`, as(nil), false},
		"may_define":              {reads + sums + `permit (principal, action == Action::"ddl", resource == Connection::"shop");`, as(nil), false},
		"writes_something_else":   {reads + sums + `permit (principal, action == Action::"write", resource == Table::"shop.public.orders");`, as(nil), true},
		"needs_a_reason":          {reads + `@reason("required") ` + sums, as(nil), false},
		"needs_a_review":          {reads + `@review("dba") ` + sums, as(nil), false},
		"no_such_column":          {reads + `@min_group("10") @group_by("planet") permit (principal, action == Action::"aggregate", resource);`, as(nil), false},
		"divided_by_a_masked_one": {reads + `@min_group("10") @group_by("phone") permit (principal, action == Action::"aggregate", resource);`, as(func(r *access.Relation) { r.Column("phone").TypeOID = 25 }), false},
		"equal_but_not_the_same":  {reads + sums, as(func(r *access.Relation) { r.Column("region").TypeOID = 1700 }), false},
		"a_view":                  {reads + sums, as(func(r *access.Relation) { r.Kind = access.View }), false},
		"row_security":            {reads + sums, as(func(r *access.Relation) { r.Secured = true }), false},
		"inherits":                {reads + sums, as(func(r *access.Relation) { r.Parents = []access.Name{public("orders")} }), false},
	} {
		t.Run(name, func(t *testing.T) {
			in := input(reading("email"), load(t, c.policy))
			in.Catalog = shop()
			c.rel(in.Catalog.Relations[public("customers")])
			d := sqlguard.Decide(in)
			if d.Effect != access.Allow {
				t.Fatal(d.Message)
			}
			got := false
			for _, a := range d.Aggregate {
				if a.Column.Column == "email" {
					got = a.MinGroup == 10 && len(a.By) == 1 && a.By[0] == "region"
				}
			}
			if got != c.want || !c.want && len(d.Aggregate) > 0 {
				t.Errorf("aggregates %v", d.Aggregate)
			}
		})
	}
}

// TestStrictestGroups: of several permits the larger group counts, in the larger cells.
func TestStrictestGroups(t *testing.T) {
	in := input(reading("email"), load(t, `permit (principal, action in [Action::"connect", Action::"read"], resource);
		@min_group("10") @group_by("region, id") permit (principal, action == Action::"aggregate", resource);
		@min_group("20") @group_by("region") permit (principal, action == Action::"aggregate", resource in Label::"pii.email");`))
	in.Catalog = shop()
	for i := range in.Catalog.Relations[public("customers")].Columns {
		in.Catalog.Relations[public("customers")].Columns[i].TypeOID = 25
	}
	d := sqlguard.Decide(in)
	if len(d.Aggregate) != 2 || d.Aggregate[0].MinGroup != 20 || len(d.Aggregate[0].By) != 1 || len(d.Aggregate[1].By) != 2 || d.Obligations.MinGroup != 20 {
		t.Errorf("%+v, obligations %+v", d.Aggregate, d.Obligations)
	}
}
