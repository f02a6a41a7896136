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

func TestMissingColumnsOfAnnotations(t *testing.T) {
	cat := &access.Catalog{Schemas: map[string]bool{"public": true}, Relations: map[access.Name]*access.Relation{
		{Schema: "public", Name: "orders"}:       {Columns: []access.Column{{Name: "tenant_id"}, {Name: "open"}}},
		{Schema: "public", Name: "people"}:       {Columns: []access.Column{{Name: "city"}, {Name: "pay"}}},
		{Schema: "pg_catalog", Name: "pg_class"}: {Columns: []access.Column{{Name: "relname"}}},
	}}
	set := mustLoad(t, `
		@id("fits") @where("tenant_id = 1 and open") permit (principal, action == Action::"read", resource == Table::"shop.public.orders");
		@id("table") @where("tenat_id = 1 and open") permit (principal, action == Action::"read", resource == Table::"shop.public.orders");
		@id("schema") @where("tenant_id = 1 and relname = 'x'") permit (principal, action == Action::"read", resource in Schema::"shop.public");
		@id("elsewhere") @where("nothing = 1") permit (principal, action == Action::"read", resource in Schema::"other.public");
		@id("all") @where("city = 'x'") permit (principal, action == Action::"read", resource);
		@id("cells") @min_group("10") @group_by("city, grade") permit (principal, action == Action::"aggregate", resource == Column::"shop.public.people.pay");
		@id("label") @min_group("10") @group_by("citty") permit (principal, action == Action::"aggregate", resource in Label::"hr.pay");`)
	want := `[{column "tenat_id" of Table::"shop.public.orders" in @where of table tenant_id false} {column "relname" of Schema::"shop.public" in @where of schema  true} ` +
		`{column "grade" of Column::"shop.public.people.pay" in @group_by of cells  false} {column "citty" of any table in @group_by of label city true}]`
	if got := fmt.Sprint(set.Missing("shop", cat)); got != want {
		t.Errorf("missing: %s\nwant %s", got, want)
	}
}
