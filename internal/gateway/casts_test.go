package gateway

import (
	"strconv"
	"testing"
)

// castsSchema has a cast of rows to text, and others, by code that leaves a trace.
const castsSchema = spySchema + `
create type stage as enum ('a', 'b');
create table orders(id int, total numeric, s stage, at timestamptz default now(), tags int[]);
insert into orders values (1, 10, 'a', now(), '{1,2}'), (2, 20, 'b', now(), '{3}');
create function line(orders) returns text language sql immutable as 'select public.spy($1.id)::varchar';
create cast (orders as text) with function line(orders);
create function rank(stage) returns int language sql immutable as 'select public.spy(1)';
create cast (stage as int) with function rank(stage);
create type stages as range (subtype = stage); create type pair as (a int, b text);
create type pairs as (p pair[], c int);
create domain level as stage; create domain nums as int[];
create table levels(l level, ls stage[]);
insert into levels values ('a', '{a}');
create function first() returns stage language sql as 'select ''a''::stage';
`

// TestCastsOfOtherTypesNeedNoCall: what is certainly of another type than a cast's source does not go through it.
func TestCastsOfOtherTypesNeedNoCall(t *testing.T) {
	w := effectsWorld(t, castsSchema+`create function noted() returns trigger language plpgsql as 'begin return new; end';
		create table noted(id int, note text); create trigger n before insert on noted for each row execute function noted()`)
	s := w.login("writer")
	defer s.Close()
	for _, sql := range []string{
		"select id::text, total::text, at::text, tags::text, s::text from orders",
		"select total::int, 'a'::text, 3::text, 2.5::int, true::int, null::text, '7'::int from orders",
		"select (id + 1)::text, (total > 5)::text, (id || 'x')::text, (tags || 3)::text, (s = 'a')::text, tags[1]::text from orders",
		"select count(*)::text, max(id)::text, (array_agg(id))[1]::text, sum(total)::int, coalesce(max(total), 0)::text from orders",
		"select (case when id = 1 then 'x' else 'y' end)::text, nullif(id, 1)::text, greatest(id, 2)::int, now()::text, current_date::text from orders",
		"select x::text from (select id as x, total from orders union all select 1, 2) v",
		"with w as (select id, lower('A') as l from orders) select id::text, l::text from w join orders using (id)",
		"select g::text from generate_series(1, 3) g", "select v::int from (values (1), (2)) t(v)", "select u::text from orders, unnest(tags) u",
		"select (select id from orders limit 1)::text, exists (select from orders)::text, array(select id from orders)::text, array[1, id]::text[] from orders",
		"insert into noted values (1, 2::text)",
	} {
		a := w.query(s, sql)
		if sql == "insert into noted values (1, 2::text)" {
			wantError(t, a, "42501") // of its trigger
			continue
		}
		if len(a.errs) > 0 {
			t.Errorf("%s: %v", sql, a.errs)
		}
	}
	wantNoError(t, w.do(s, pipeline("select $1::text, $2::int", "a", "1")...))
}

// TestCastsThatMayBeMeantAreAskedFor although the source's type can be told from nothing but the catalog.
func TestCastsThatMayBeMeantAreAskedFor(t *testing.T) {
	for name, sql := range map[string]string{
		"row":             "select o::text from orders o",
		"row_below":       "select x::text from (select o as x from orders o) v",
		"row_in_an_array": "select array[o]::text[] from orders o",
		"element":         "select (array_agg(o))[1]::text from orders o",
		"aggregate":       "select (array_agg(s))[1]::int from orders",
		"column":          "select s::int from orders",
		"domain":          "select l::int from levels",
		"array":           "select ls::int[] from levels",
		"domain_of_array": "select ls::nums from levels",
		"lag":             "select lag(s, 0) over ()::int from orders",
		"max":             "select max(s)::int from orders",
		"case":            "select (case when id = 1 then s else 'b' end)::int from orders",
		"coalesce":        "select coalesce(null, s)::int from orders",
		"values":          "select v::int from (values ('a'), ((select min(s) from orders))) t(v)",
		"union":           "select v::int from (select null as v union all select s from orders) t",
		"using":           "select s::int from (select 'a'::stage as s) a join (select 'a'::stage as s) b using (s)",
		"subquery":        "select (select s from orders limit 1)::int",
		"function":        "select first()::int",
		"in_from":         "select f::int from first() f",
		"unnested":        "select u::int from levels, unnest(ls) u",
		"recursive":       "with recursive r(v, n) as (select s, 1 from orders union all select v, n + 1 from r where n < 2) select v::int from r",
		"field":           "select (row(s, '')::pair).a from orders",
		"fields_deep":     "select row(array[row(s, '')::pair], 1)::pairs from orders",
		"cast_syntax":     "select cast(s as int) from orders",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			effectsWorld(t, castsSchema).runsUnasked("writer", "caller", sql)
		})
	}
}

// TestDeclaredParametersAreNotCastUnasked: neither one that is declared to be of a type that can be cast, nor one that
// takes that type from where it is written first.
func TestDeclaredParametersAreNotCastUnasked(t *testing.T) {
	w := effectsWorld(t, castsSchema)
	dba, s, c := w.login("dba"), w.login("writer"), w.login("caller")
	defer dba.Close()
	defer s.Close()
	defer c.Close()
	n, err := strconv.ParseUint(w.value(dba, "select 'stage'::regtype::oid"), 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	ops := pipeline("select $1::int", "a")
	ops[0].ParamOIDs = []uint32{uint32(n)}
	wantError(t, w.do(s, ops...), "42501")
	if n, err = strconv.ParseUint(w.value(dba, "select 'stages'::regtype::oid"), 10, 32); err != nil {
		t.Fatal(err)
	}
	ops = pipeline("select lower($1)::int", "[a,b]")
	ops[0].ParamOIDs = []uint32{uint32(n)}
	wantError(t, w.do(s, ops...), "42501")
	twice := pipeline("select id from orders where s = $1 and $1::int > 0", "a")
	wantError(t, w.do(s, twice...), "42501")
	if ran := w.value(dba, "select is_called from trace"); ran != "f" {
		t.Error("the cast ran")
	}
	wantNoError(t, w.do(c, twice...))
	if ran := w.value(dba, "select is_called from trace"); ran != "t" {
		t.Error("the cast does not run")
	}
}
