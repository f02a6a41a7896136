package policy

import (
	"fmt"
	"testing"

	"sallyport/internal/access"
)

func TestMissing(t *testing.T) {
	cat := &access.Catalog{
		Schemas: map[string]bool{"public": true, "odd.name": true},
		Relations: map[access.Name]*access.Relation{
			{Schema: "public", Name: "orders"}:   {Columns: []access.Column{{Name: "salary"}}},
			{Schema: "odd.name", Name: "orders"}: {},
		},
		Functions: map[access.Name][]*access.Function{{Schema: "public", Name: "fn"}: nil},
	}
	set, err := Load([]File{{Name: "p.cedar", Text: `
		permit (principal, action == Action::"read", resource in Schema::"shop.public");
		permit (principal, action == Action::"read", resource in Schema::"shop.\"odd.name\"");
		permit (principal, action == Action::"read", resource == Table::"shop.public.orders");
		permit (principal, action == Action::"read", resource == Table::"shop.pg_catalog.pg_authid");
		permit (principal, action == Action::"call", resource == Function::"shop.public.fn");
		permit (principal, action == Action::"read", resource == Table::"other.public.custmers");
		forbid (principal, action == Action::"read", resource == Column::"shop.public.orders.sallary");
		permit (principal, action == Action::"read", resource) unless { resource in Table::"shop.public.oders" };
		permit (principal, action == Action::"call", resource == Function::"shop.public.fm");
		permit (principal, action == Action::"read", resource in Schema::"shop.pubic");`}})
	if err != nil {
		t.Fatal(err)
	}
	want := `[{Schema::"shop.pubic" shop.public true} {Table::"shop.public.oders" shop.public.orders false} ` +
		`{Column::"shop.public.orders.sallary" shop.public.orders.salary false} {Function::"shop.public.fm" shop.public.fn true}]`
	if got := fmt.Sprint(set.Missing("shop", cat)); got != want {
		t.Errorf("missing: %s\nwant %s", got, want)
	}
}
