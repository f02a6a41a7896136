package sqlguard_test

import (
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/sqlguard"
	"sallyport/sqlguard/postgres"
	"sallyport/sqlguard/registry"
)

const (
	seesAll   = mayRead + `permit (principal, action == Action::"reveal", resource);` + "\n" + `permit (principal, action == Action::"write_all_rows", resource);` + "\n"
	someOrder = `@where("id = 1") permit (principal, action == Action::"read", resource == Table::"shop.public.orders");`
)

// TestHiddenRowsAndValues has one case for each way in which a statement could tell of what is withheld, and beside it
// one that tells nothing.
func TestHiddenRowsAndValues(t *testing.T) {
	reg, err := registry.Load(150018)
	if err != nil {
		t.Fatal(err)
	}
	where := func(table, condition string) string {
		return `@where("` + condition + `") permit (principal, action == Action::"read", resource == Table::"shop.public.` + table + `");`
	}
	columnType := func(table, column string, oid uint32) func(*sqlguard.Input) {
		return func(in *sqlguard.Input) { in.Catalog.Relations[public(table)].Column(column).TypeOID = oid }
	}
	reads := func(names ...string) func(*sqlguard.Input) {
		return func(in *sqlguard.Input) {
			in.Reads = func(access.Name) []access.Name {
				var out []access.Name
				for _, n := range names {
					out = append(out, public(n))
				}
				return out
			}
		}
	}
	label := func(table, column string) func(*sqlguard.Input) {
		return func(in *sqlguard.Input) {
			in.Labels = func(n access.Name) map[string][]access.Label {
				if n == public(table) {
					return map[string][]access.Label{column: {"pii.x"}}
				}
				return nil
			}
		}
	}
	for _, c := range []struct {
		name, policy, sql string
		more              func(*sqlguard.Input)
		want              string // part of the refusal, $ for its end; "" for an answer
	}{
		{"rows", seesAll + someOrder, "SELECT id FROM orders", nil, ""},
		{"rows_written", seesAll + someOrder, "UPDATE orders SET status = 'x' WHERE id = 1", nil, "of which bot sees some rows only"},
		{"others_written", seesAll + someOrder, "UPDATE salaries SET amount = 1 WHERE id = 1", nil, ""},
		{"unknown_column", seesAll + where("orders", "nothing = 1"), "SELECT id FROM orders", nil, "it has no column nothing"},
		{"view_over_them", seesAll + someOrder, "SELECT id FROM people", reads("customers", "orders"), ""},
		{"view_over_them_and_the_unknown", seesAll + someOrder, "SELECT id FROM people", reads("orders", "nothing"), "reads public.nothing, which is not known"},
		{"view_over_them_by_unknown_column", seesAll + where("orders", "nothing = 1"), "SELECT id FROM people", reads("orders"), "it has no column nothing"},
		{"view_over_them_stored", seesAll + someOrder, "SELECT id FROM people", func(in *sqlguard.Input) {
			reads("orders")(in)
			in.Catalog.Relations[public("people")].Kind = access.MatView
		}, "computed from all of them"},
		{"view_over_them_with_row_security", seesAll + someOrder, "SELECT id FROM people", func(in *sqlguard.Input) {
			reads("customers", "orders")(in)
			in.Catalog.Relations[public("customers")].RowSecurity = true
		}, "has row security of the database"},
		{"view_of_what_is_not_known", seesAll + someOrder, "SELECT id FROM people", nil, "what public.people reads is not known"},
		{"view_over_others", seesAll + someOrder, "SELECT id FROM people", reads("customers", "nothing"), ""},
		{"date", seesAll + where("orders", "customer_id = '2026-01-31'"), "SELECT id FROM orders", columnType("orders", "customer_id", 1082), ""},
		{"date_in_words", seesAll + where("orders", "customer_id = '31 Jan 2026'"), "SELECT id FROM orders", columnType("orders", "customer_id", 1082), "write it as 2026-01-31"},
		{"interval", seesAll + where("orders", "customer_id = '1 day'"), "SELECT id FROM orders", columnType("orders", "customer_id", 1186), "depends on what a session sets"},
		{"text", seesAll + where("orders", "status = 'new'"), "SELECT id FROM orders", nil, ""},
		{"two_columns", seesAll + where("orders", "id = customer_id"), "SELECT id FROM orders", columnType("orders", "customer_id", 1186), "how id compares with customer_id"},
		{"foreign_key_to_hidden_rows", seesAll + where("customers", "id = 1"), "INSERT INTO invites (id, who) VALUES (1, 'x')", nil, "could tell about rows of public.customers"},
		{"no_column_of_the_key", seesAll + where("customers", "id = 1"), "INSERT INTO invites (id) VALUES (1)", nil, ""},
		{"foreign_key_from_masked_column", mayRead, "DELETE FROM customers WHERE id = 1", label("invites", "who"), "masked column who of public.invites"},
		{"foreign_key_from_other_column", mayRead, "DELETE FROM customers WHERE id = 1", label("invites", "id"), ""},
		{"row_security_by_masked_column", mayRead, "SELECT id FROM orders", func(in *sqlguard.Input) { in.Facts.RowSecurity = ids("customers.phone") }, "by row security"},
		{"row_security_by_plain_column", mayRead, "SELECT id FROM orders", func(in *sqlguard.Input) { in.Facts.RowSecurity = ids("customers.id") }, ""},
		{"column_forbidden", seesAll + `@id("no") forbid (principal, action == Action::"read", resource == Column::"shop.public.orders.status");`, "SELECT id, status FROM orders", nil, `on Column::"shop.public.orders.status"$`},
		{"column_not_permitted", `permit (principal, action == Action::"connect", resource); permit (principal, action == Action::"read", resource == Column::"shop.public.orders.id");`,
			"SELECT id, status FROM orders", nil, "or leave this column out"},
		{"definition_of_nothing", seesAll, "SELECT id FROM orders", func(in *sqlguard.Input) { in.Facts = &access.Facts{Class: access.ClassDDL, Tag: "CREATE THING"} }, "CREATE THING"},
		{"view_written", seesAll, "UPDATE people SET email = 'x' WHERE id = 1", reads(), "writing through the view"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cat := shop()
			trees, err := postgres.Parse(c.sql)
			if err != nil {
				t.Fatal(err)
			}
			facts, err := postgres.Analyze(trees[0], postgres.Env{Catalog: cat, Path: []string{"pg_catalog", "public"}, Registry: reg})
			if err != nil {
				t.Fatal(err)
			}
			in := input(facts, load(t, c.policy))
			in.Catalog = cat
			if c.more != nil {
				c.more(&in)
			}
			d := sqlguard.Decide(in)
			if said := d.Message + " | " + d.Hint + "$"; c.want == "" && d.Effect != access.Allow || c.want != "" && (d.Effect != access.Deny || !strings.Contains(said, c.want)) {
				t.Errorf("%v %s", d.Effect, said)
			}
		})
	}
}
