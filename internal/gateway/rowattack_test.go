package gateway

import (
	"context"
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/identity"
	"sallyport/internal/testdb"
)

// rowsWorld is a database in which "one" sees of every table what where says.
func rowsWorld(t *testing.T, schema, policy string, attributes map[string]string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), dsn: testdb.Shared(t).NewDatabase(t, schema)}
	c := w.config()
	c.Labels, c.Masks = nil, nil
	c.Principals = []access.LocalPrincipal{{Name: "one", Kind: access.Human, Groups: []string{"g"}, Attributes: attributes, Secret: identity.HashPassword("pw-one")}}
	c.Policies = []PolicyFile{{Name: "test.cedar", Text: `@id("in") permit (principal, action == Action::"connect", resource);` + policy}}
	var err error
	if w.gw, err = Open(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.gw.Close() })
	return w
}

// TestRowFiltersMeanTheSameWhateverIsSet: what a session may set must not move the border of what it sees.
func TestRowFiltersMeanTheSameWhateverIsSet(t *testing.T) {
	for name, c := range map[string]struct{ typ, value, where, set string }{
		"datestyle":       {"date", "'2026-01-02'", "v = '01/02/2026'", "set datestyle = 'ISO, DMY'"},
		"timestamp":       {"timestamp", "'2026-01-02 00:00'", "v = '01/02/2026'", "set datestyle = 'ISO, DMY'"},
		"timezone":        {"timestamptz", "'2026-01-02 00:00Z'", "v = '2026-01-02 00:00'", "set timezone = 'X+99'"},
		"timetz":          {"timetz", "'12:00Z'", "v = '12:00'", "set timezone = 'X+9'"},
		"intervalstyle":   {"interval", "'-1 day +1 hour'", "v = '-1 1:00:00'", "set intervalstyle = 'sql_standard'"},
		"domain":          {"day", "'2026-01-02'", "v = '01/02/2026'", "set datestyle = 'ISO, DMY'"},
		"array":           {"date[]", "'{2026-01-02}'", "v = '{01/02/2026}'", "set datestyle = 'ISO, DMY'"},
		"range":           {"daterange", "'[2026-01-02,2026-01-05)'", "v = '[01/02/2026,01/05/2026)'", "set datestyle = 'ISO, DMY'"},
		"array_nulls":     {"text[]", "array['NULL']", "v <> '{NULL}'", "set array_nulls = off"},
		"regclass":        {"regclass", "'public.t'", "v = 't'", "set search_path = other"},
		"money":           {"money", "'1'::money", "v = '1.00'", "set lc_monetary = 'C'"},
		"date_by_zone":    {"date", "'2026-01-02'", "v = w", "set timezone = 'X+99'"},
		"date_attribute":  {"date", "'2026-01-02'", "v = principal.day", "set datestyle = 'ISO, DMY'"},
		"today":           {"date", "current_date", "v = 'today'", "set timezone = 'X+99'"},
		"array_of_domain": {"day[]", "array['2026-01-02'::day]", "v = '{01/02/2026}'", "set datestyle = 'ISO, DMY'"},
		"composite":       {"pair", "row('2026-01-02'::date, 1)::pair", "v = '(01/02/2026,1)'", "set datestyle = 'ISO, DMY'"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := rowsWorld(t, "create domain day as date; create type pair as (d date, n int); create schema other; set timezone = 'UTC'; create table t(v "+c.typ+", w timestamptz); create table other.t(); insert into t values ("+c.value+", '2026-01-02 00:00Z')",
				`@id("r") @where("`+c.where+`") permit (principal, action == Action::"read", resource in Connection::"shop");`, map[string]string{"day": "01/02/2026"})
			s := w.login("one")
			defer s.Close()
			w.query(s, "set timezone = 'UTC'")
			before := w.query(s, "select count(*) from public.t")
			wantNoError(t, w.query(s, c.set))
			after := w.query(s, "select count(*) from public.t")
			if len(before.errs) == 0 && (len(after.errs) > 0 || before.rows[0][0] != after.rows[0][0]) {
				t.Errorf("%s where %s: %v, after %s %v %q", c.typ, c.where, before.rows, c.set, after.rows, after.errs)
			}
		})
	}
}

func TestRowFiltersOfAnyTypeAndName(t *testing.T) {
	nasty := "q' \"d\" \\ %s $1 é 日本 \U0001F600 -- /* */ ;" + strings.Repeat("x", 5000)
	for name, c := range map[string]struct{ decl, mine, others, where string }{
		"nasty":      {"tenant text", nastyLiteral(nasty), "'other'", "tenant = principal.nasty"},
		"upper_case": {`"Tenant" text`, "'acme'", "'other'", `\"Tenant\" = principal.tenant`},
		"keyword":    {`"user" text`, "'acme'", "'other'", `\"user\" = principal.tenant`},
		"keyword2":   {`"current_user" text`, "'acme'", "'other'", `\"current_user\" = principal.tenant`},
		"strange":    {`"a.b ""c" text`, "'acme'", "'other'", `\"a.b \"\"c\" = principal.tenant`},
		"star":       {`"*" text`, "'acme'", "'other'", `\"*\" = principal.tenant`},
		"true":       {`"true" text`, "'acme'", "'other'", `\"true\" = principal.tenant`},
		"null":       {`"null" text`, "'acme'", "'other'", `\"null\" = principal.tenant`},
		"array":      {`"array" text`, "'acme'", "'other'", `\"array\" = principal.tenant`},
		"elem":       {`"__c" text`, "'acme'", "'other'", `\"__c\" = principal.tenant`},
		"domain":     {`tenant slug`, "'acme'", "'other'", `tenant = principal.tenant`},
		"enum":       {`tenant kinds`, "'acme'", "'other'", `tenant = principal.tenant`},
		"int":        {`tenant int`, "7", "8", `tenant = principal.seven`},
		"uuid":       {`tenant uuid`, "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12'", `tenant = principal.uuid`},
		"bool":       {`tenant bool`, "true", "false", `tenant`},
		"not_bool":   {`tenant bool`, "false", "true", `NOT tenant`},
		"char":       {`tenant char(9)`, "'acme'", "'other'", `tenant = principal.tenant`},
		"numeric":    {`tenant numeric`, "7", "8.5", `tenant <= 7.5 and tenant > -1`},
		"iso_date":   {`tenant date`, "'2026-01-02'", "'2025-01-01'", `tenant >= '2026-01-01'`},
		"iso_zone":   {`tenant timestamptz`, "'2026-01-02'", "'2025-01-01'", `tenant >= '2026-01-01 00:00:00+00'`},
		"in":         {`tenant text`, "'acme'", "'other'", `tenant in ('x', principal.tenant)`},
		"two":        {`tenant text, also text default 'acme'`, "'acme'", "'other'", `tenant = also`},
		"is_null":    {`tenant text`, "null", "'other'", `tenant is null`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := rowsWorld(t, "create domain slug as text check (value <> ''); create type kinds as enum ('acme', 'other'); create table t("+c.decl+"); insert into t values ("+c.mine+"), ("+c.others+"), ("+c.others+")",
				`@id("r") @where("`+c.where+`") permit (principal, action == Action::"read", resource in Connection::"shop");`,
				map[string]string{"tenant": "acme", "nasty": nasty, "seven": "7", "uuid": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"})
			s := w.login("one")
			defer s.Close()
			for _, sql := range []string{"select count(*) from t", "select count(*) from t where 'x' = 'x' and 5 = 5", "select count(x) from t x", "select count(*) from (select * from t) q"} {
				if a := w.query(s, sql); len(a.errs) > 0 || a.rows[0][0] != "1" {
					t.Errorf("%s: %v %q", sql, a.rows, a.errs)
				}
			}
		})
	}
}

func nastyLiteral(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// TestRowFiltersThatCannotBeAppliedShowNothing: a cast that fails, an attribute that is no text, a column that is
// gone or of another type since the catalog was read.
func TestRowFiltersThatCannotBeAppliedShowNothing(t *testing.T) {
	for name, c := range map[string]struct {
		typ, where string
		attribute  string
		change     string
	}{
		"no_number":       {"int", "v = principal.a", "secret' or true --", ""},
		"no_enum_value":   {"mood", "v = principal.a", "angry", ""},
		"nul":             {"text", "v = principal.a", "x\x00y", ""},
		"no_utf8":         {"text", "v = principal.a", "x\xff", ""},
		"not_boolean":     {"text", "v", "", ""},
		"number_for_text": {"text", "v = 5", "", ""},
		"dropped":         {"text", "v = principal.a", "hidden", "alter table t drop column v"},
		"retyped":         {"text", "v = principal.a", "x", "alter table t alter v type int using 1"},
		"renamed":         {"text", "v = principal.a", "hidden", "alter table t rename v to v2"},
		"no_such_column":  {"text", "nope = 1", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := rowsWorld(t, "create type mood as enum ('x'); create table t(id int, v "+c.typ+"); insert into t(id, v) values (2, "+map[bool]string{true: "1", false: "'x'"}[c.typ == "int"]+")",
				`@id("r") @where("`+c.where+`") permit (principal in Group::"g", action == Action::"read", resource in Connection::"shop");`, map[string]string{"a": c.attribute})
			s := w.login("one")
			defer s.Close()
			if c.change != "" {
				w.query(s, "select id from t")
				if _, err := w.direct().Exec(context.Background(), c.change).ReadAll(); err != nil {
					t.Fatal(err)
				}
			}
			for _, sql := range []string{"select id from t", "select count(*) from t having count(*) > 0", "copy t(id) to stdout"} {
				a := w.query(s, sql)
				if len(a.rows) > 0 {
					t.Errorf("%s: %v", sql, a.rows)
				}
			}
		})
	}
}

// TestRowFiltersOnColumnsOfPartitionsCount as those on the partitions do.
func TestRowFiltersOnColumnsOfPartitionsCount(t *testing.T) {
	w := rowsWorld(t, `create table p(id int, region text) partition by list (id); create table p1 partition of p for values in (1); create table p2 partition of p for values in (2);
		insert into p values (1, 'r1'), (1, 'r2'), (2, 'r2')`,
		`@id("a") permit (principal, action == Action::"read", resource == Table::"shop.public.p");
		@id("b") @where("region = 'r1'") permit (principal, action == Action::"read", resource) when { resource == Column::"shop.public.p1.id" || resource == Column::"shop.public.p1.region" };`, nil)
	s := w.login("one")
	defer s.Close()
	for _, sql := range []string{"select id, region from p1", "select id, region from p"} {
		if a := w.query(s, sql); len(a.errs) > 0 || len(a.rows) != 1 {
			t.Errorf("%s: %v %q", sql, a.rows, a.errs)
		}
	}
}
