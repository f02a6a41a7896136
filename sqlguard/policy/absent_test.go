package policy

import (
	"fmt"
	"strings"
	"testing"

	"sallyport/internal/access"
)

func TestNamesThatAreNotThereAreReported(t *testing.T) {
	orders := access.Name{Schema: "public", Name: "orders"}
	cat := &access.Catalog{
		Schemas:   map[string]bool{"public": true},
		Relations: map[access.Name]*access.Relation{orders: {Name: orders, Columns: []access.Column{{Name: "status"}}}},
		Functions: map[access.Name][]*access.Function{{Schema: "public", Name: "total"}: {{}}},
	}
	for name, tc := range map[string]struct{ policy, want string }{
		"all_there":             {`forbid (principal, action, resource in Table::"shop.public.orders") when { resource in Schema::"shop.public" || resource == Column::"shop.public.orders.status" || resource == Function::"shop.public.total" };`, ""},
		"forbid_on_a_table":     {`forbid (principal, action, resource in Table::"shop.public.ordres");`, `p.cedar:1:40: Table::"shop.public.ordres" is not in the database (did you mean orders?)`},
		"forbid_on_a_schema":    {`forbid (principal, action, resource in Schema::"shop.pubilc");`, "did you mean public?"},
		"forbid_on_a_column":    {`forbid (principal, action == Action::"read", resource == Column::"shop.public.orders.statsu");`, "did you mean status?"},
		"column_of_no_table":    {`forbid (principal, action == Action::"read", resource == Column::"shop.public.x.status");`, "is not in the database"},
		"permit_of_a_function":  {`permit (principal, action == Action::"call", resource == Function::"shop.public.totla");`, "did you mean total?"},
		"in_a_condition":        {`forbid (principal, action == Action::"read", resource) unless { resource in Table::"shop.public.ordres" };`, "did you mean orders?"},
		"built_in":              {`permit (principal, action == Action::"call", resource == Function::"shop.pg_catalog.pg_sleep");`, ""},
		"another_connection":    {`forbid (principal, action, resource in Table::"lake.public.things");`, ""},
		"no_such_connection":    {`forbid (principal, action, resource in Table::"shpo.public.orders");`, "there is no connection shpo (did you mean shop?)"},
		"connection_left_out":   {`forbid (principal, action, resource in Table::"public.orders");`, "a Table has 3 parts (connection.schema.name)"},
		"quotes_that_stay_open": {`forbid (principal, action, resource in Table::"shop.\"public.orders");`, "can never match"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Load([]File{{"p.cedar", tc.policy}})
			if err != nil {
				t.Fatal(err)
			}
			got := append(s.Astray([]string{"shop", "lake"}), s.Absent("shop", cat)...)
			if tc.want == "" && len(got) > 0 || tc.want != "" && (len(got) != 1 || !strings.Contains(fmt.Sprint(got), tc.want)) {
				t.Errorf("got %v, want %q", got, tc.want)
			}
		})
	}
}
