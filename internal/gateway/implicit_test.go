package gateway

import (
	"strconv"
	"strings"
	"testing"
)

// TestCodeThatNoNameStandsForIsAskedFor: casts, operators, operator classes, aggregates and domains that a read
// runs.
func TestCodeThatNoNameStandsForIsAskedFor(t *testing.T) {
	const stages = "create type stage as enum ('a', 'b'); create table t(id int, s stage); insert into t values (1, 'a'), (2, 'b');"
	for name, c := range map[string]struct{ schema, sql string }{
		"operator":                  {"create operator <+> (leftarg = int, rightarg = int, function = spy2)", "select 1 <+> 2"},
		"operator_that_shadows":     {"create table t(id int); insert into t values (1); create operator @> (leftarg = int, rightarg = int, function = spied2)", "select id from t where id @> 1"},
		"operator_of_a_subquery":    {"create operator @> (leftarg = int, rightarg = int, function = spied2)", "select 1 @> any (select 2)"},
		"aggregate":                 {"create aggregate sums(int) (sfunc = spy2, stype = int, initcond = 0)", "select sums(x) from (values (1)) v(x)"},
		"cast":                      {stages + "create cast (stage as int) with function rank(stage)", "select s::int from t"},
		"cast_to_a_domain":          {stages + "create cast (stage as int) with function rank(stage); create domain num as int", "select s::num from t"},
		"cast_of_an_array":          {stages + "create cast (stage as int) with function rank(stage)", "select array[s]::int[] from t"},
		"implicit_cast":             {stages + "create cast (stage as int) with function rank(stage) as implicit", "select id from t where s > 0"},
		"implicit_cast_of_a_result": {stages + "create function first() returns stage language sql as 'select ''a''::stage'; create cast (stage as int) with function rank(stage) as implicit", "select 1 + first()"},
		"implicit_cast_of_a_row":    {"create table t(id int); insert into t values (1); create function line(t) returns int language sql as 'select public.spy(1)'; create cast (t as int) with function line(t) as implicit", "select r + 1 from t r"},
		"implicit_cast_below":       {stages + "create cast (stage as int) with function rank(stage) as implicit", "select x + 1 from (select s from t) v(x)"},
		"cast_on_assignment":        {stages + "create cast (stage as int) with function rank(stage) as assignment", "insert into t(id) select s from t"},
		"implicit_builtin_cast":     {"create function num(point) returns int language sql immutable as 'select public.spy(1)'; create cast (point as int) with function num(point) as implicit", "select 1 + point(1, 2)"},
		"explicit_builtin_cast":     {"create function num(point) returns int language sql immutable as 'select public.spy(1)'; create cast (point as int) with function num(point)", "select point(1, 2)::int"},
		"domain":                    {"create domain dom as int check (spied(value))", "select 1::dom"},
		"domain_by_json":            {"create domain dom as int check (spied(value)); create type pair as (a dom, b int)", "select json_populate_record(null::pair, '{\"a\":1}')"},
		"domain_by_a_row":           {"create domain dom as int check (spied(value)); create table t(a dom); insert into t values (null)", "select jsonb_populate_record(r, '{\"a\":1}') from t r"},
		"sorting":                   {classes, "select p from t order by p"},
		"sorting_of_a_subquery":     {classes, "select * from (select p from t) v order by p"},
		"distinct":                  {classes, "select distinct p from t"},
		"set_operation":             {classes, "select p from t except select p from t where x = 1"},
		"greatest":                  {classes, "select greatest(p, p) from t"},
		"domain_beside_an_array":    {"create domain dom as int check (spied(value)); create table t(a dom[]); insert into t values (null)", "select 1 from t where a @> '{1}'"},
		"domain_beside_an_element":  {"create domain dom as int check (spied(value)); create table t(a dom); insert into t values (null)", "select array_append(array[a], '1') from t"},
		"domain_beside_a_value":     {"create domain dom as int check (spied(value)); create table t(a dom); insert into t values (null)", "select lag(a, 1, '1') over () from t"},
		"sorting_an_array":          {classes, "select array[p] from t order by 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := effectsWorld(t, spySchema+`create function spy2(int, int) returns int language sql immutable as 'select public.spy($1)';
				create function spied2(int, int) returns boolean language sql immutable as 'select public.spied($1)';`+ranked(c.schema))
			w.runsUnasked("writer", "caller", c.sql)
		})
	}
}

// TestNegatorsAreAskedFor: the planner puts the negator in the place of NOT.
func TestNegatorsAreAskedFor(t *testing.T) {
	w := effectsWorld(t, spySchema+`create table t(id int); insert into t values (1);
		create function plain(int, int) returns boolean language plpgsql immutable as 'begin return true; end';
		create function other(int, int) returns boolean language plpgsql immutable as 'begin return public.spied(1); end';
		create operator <!> (leftarg = int, rightarg = int, function = other);
		create operator <=> (leftarg = int, rightarg = int, function = plain, negator = <!>)`)
	w.runsUnasked("plain", "caller", "select id from t where not (id <=> 1)")
}

// classes makes point a type that can be sorted, by code.
const classes = `
create function before(point, point) returns boolean language sql immutable as 'select $1[0] < $2[0] and public.spied(1)';
create function after(point, point) returns boolean language sql immutable as 'select $1[0] > $2[0] and public.spied(1)';
create function equal(point, point) returns boolean language sql immutable as 'select $1[0] = $2[0] and public.spied(1)';
create function compare(point, point) returns int language sql immutable as 'select case when $1[0] < $2[0] then -1 when $1[0] > $2[0] then 1 else 0 end * public.spy(1)';
create operator <| (leftarg = point, rightarg = point, function = before);
create operator |> (leftarg = point, rightarg = point, function = after);
create operator |=| (leftarg = point, rightarg = point, function = equal, commutator = |=|, merges);
create operator class points default for type point using btree as operator 1 <|, operator 3 |=|, operator 5 |>, function 1 compare(point, point);
create table t(x int, p point); insert into t values (1, '(1,1)'), (2, '(2,2)'), (1, '(1,1)');`

// ranked adds the function of stages where there are any.
func ranked(schema string) string {
	const at = "create cast (stage"
	if i := strings.Index(schema, at); i >= 0 {
		return schema[:i] + "create function rank(stage) returns int language sql immutable as 'select public.spy(1)';" + schema[i:]
	}
	return schema
}

// TestParametersOfDomainsRunNothingUnasked: a declared type is in no statement.
func TestParametersOfDomainsRunNothingUnasked(t *testing.T) {
	w := effectsWorld(t, spySchema+"create domain dom as int check (spied(value)); create domain tame as int check (value > 0)")
	dba, s, c := w.login("dba"), w.login("writer"), w.login("caller")
	defer dba.Close()
	defer s.Close()
	defer c.Close()
	declared := func(oid string) []Op {
		ops := pipeline("select $1", "1")
		n, err := strconv.ParseUint(w.value(dba, "select '"+oid+"'::regtype::oid"), 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		ops[0].ParamOIDs = []uint32{uint32(n)}
		return ops
	}
	wantError(t, w.do(s, declared("dom")...), "42501")
	wantError(t, w.do(s, declared("dom[]")...), "42501")
	wantError(t, w.do(s, pipeline("select $1::dom", "1")...), "42501")
	if ran := w.value(dba, "select is_called from trace"); ran != "f" {
		t.Error("the check of the domain ran")
	}
	wantNoError(t, w.do(s, declared("tame")...))
	wantNoError(t, w.do(c, pipeline("select $1::dom", "1")...))
	if ran := w.value(dba, "select is_called from trace"); ran != "t" {
		t.Error("the check of the domain does not run")
	}
}

// TestOrdinaryReadsNeedNoCall although user-defined casts and operator classes are there.
func TestOrdinaryReadsNeedNoCall(t *testing.T) {
	w := effectsWorld(t, spySchema+"create type stage as enum ('a', 'b'); create function rank(stage) returns int language sql immutable as 'select public.spy(1)';"+
		"create cast (stage as int) with function rank(stage); create domain dom as int check (spied(value)); create table t(id int, s stage, d dom);"+
		"create table other(id int, s text); create function show(stage) returns text language sql as 'select ''x'''; create cast (stage as text) with function show(stage) as assignment")
	s := w.login("writer")
	defer s.Close()
	for _, sql := range []string{"select * from t order by id", "select s, count(*) from t group by s", "select id from t where s = 'a' and d = 1", "insert into other values (1, 'a')", "begin", "commit", "show search_path"} {
		wantNoError(t, w.query(s, sql))
	}
}
