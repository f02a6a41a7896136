package gateway

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// bodiesSchema has what bodies may look at and what they may not.
const bodiesSchema = spySchema + `
create table t(id int primary key, a int, note text); insert into t values (1, 10, 'x'), (2, 20, 'y');
insert into customers values (1, 'u1@example.com', '123');
create table secret(id int, v text); insert into secret values (1, 'hidden');
create table filtered(id int, tenant text); insert into filtered values (1, 'a');
create view plain_view as select id, a from t;
create view masked_view as select id from public.customers;
create schema other; create table other.t(id int, a int); insert into other.t values (1, 77);
create domain dom as int check (spied(value));
create type stage as enum ('a', 'b');
create function rank(stage) returns int language sql as 'select public.spy(1)';
create cast (stage as int) with function rank(stage) as assignment;
`

const bodiesPolicy = `
@id("not-secret") forbid (principal in Group::"writers", action == Action::"read", resource == Table::"shop.public.secret");
@id("some-rows") @where("tenant = 'a'") permit (principal in Group::"writers", action == Action::"read", resource == Table::"shop.public.filtered");
@id("not-called") forbid (principal in Group::"writers", action == Action::"call", resource == Function::"shop.public.forbidden");
`

func bodiesWorld(t *testing.T, schema string) *world {
	w := effectsWorld(t, bodiesSchema+schema)
	w.withPolicies(bodiesPolicy)
	return w
}

// TestBodiesThatOnlyReadNeedNoCall: what they do could be written out.
func TestBodiesThatOnlyReadNeedNoCall(t *testing.T) {
	for name, c := range map[string]struct{ schema, sql, want string }{
		"expression":     {"create function f(i int) returns int language sql as 'select $1 + 1'", "select f(2)", "3"},
		"query":          {"create function f(i int) returns int language sql as 'select a from public.t where id = i'", "select f(2)", "20"},
		"qualified":      {"create function f(i int) returns int language sql as 'select t.a from public.t where t.id = f.i'", "select f(2)", "20"},
		"statements":     {"create function f() returns int language sql as 'select 1; select max(a) from public.t;'", "select f()", "20"},
		"return":         {"create function f(i int) returns int language sql return i * 2", "select f(2)", "4"},
		"atomic":         {"create function f(i int) returns int language sql begin atomic select 5; select a from t where id = i; end", "select f(2)", "20"},
		"set":            {"create function f() returns setof t language sql as 'select * from public.t order by id'", "select a from f() where id > 1", "20"},
		"table":          {"create function f(n int) returns table(x int, y text) language sql as 'select id, note from public.t where a > n'", "select y from f(10)", "y"},
		"path":           {"create function f() returns int language sql set search_path = other as 'select a from t'", "select f()", "77"},
		"path_of_outer":  {"create function g() returns int language sql as 'select a from t where id = 1'; create function f() returns int language sql set search_path = other, public as 'select public.g()'", "select f()", "77"},
		"nested":         {"create function g(i int) returns int language sql as 'select a from public.t where id = i'; create function f(i int) returns int language sql as 'select g(i) + 1'", "select f(2)", "21"},
		"view":           {"create function f() returns bigint language sql as 'select sum(a) from public.plain_view'", "select f()", "30"},
		"operator":       {"create function f(int, int) returns int language sql as 'select $1 * 100 + $2'; create operator <+> (leftarg = int, rightarg = int, function = f)", "select 1 <+> 2", "102"},
		"cast":           {"create type pt as (x int); create function f(pt) returns int language sql as 'select ($1).x'; create cast (pt as int) with function f(pt); create table pts(p pt); insert into pts values (row(3))", "select p::int from pts", "3"},
		"default":        {"create function f() returns int language sql as 'select max(a) from public.t'; create table d(id int, x int default f())", "insert into d(id) values (1) returning x", "20"},
		"masked_value":   {"create function f(v text) returns text language sql as 'select upper(v)'", "select f(ssn) from customers", "***"},
		"row_argument":   {"create function a(t) returns int language sql as 'select 7'; create function f(v t) returns int language sql as 'select v.a + f.v.a'", "select f(t) from t where id = 2", "40"},
		"plpgsql":        {"create function f(i int) returns int language plpgsql as 'declare x int := 1; begin if i > 1 then select a into x from public.t where id = i; end if; x := x + 1; return x; end'", "select f(2)", "21"},
		"plpgsql_loops":  {"create function f() returns int language plpgsql as 'declare s int = 0; begin for i in 1..3 loop s := s + i; end loop; while s < 10 loop s := s + 3; end loop; case s when 12 then return s; else return 0; end case; end'", "select f()", "12"},
		"plpgsql_query":  {"create function f(n int) returns setof int language plpgsql as 'begin perform 1; return query select a from public.t t where a > f.n order by id; end'", "select * from f(10)", "20"},
		"plpgsql_record": {"create function f() returns text language plpgsql as 'declare r record; begin for r in select * from public.t order by id loop return r.note; end loop; end'", "select f()", "x"},
		"plpgsql_out":    {"create function f(i int, out x int) language plpgsql as 'begin x := i * 2; end'", "select f(4)", "8"},
		"polymorphic":    {"create function f(v anyelement) returns anyelement language sql as 'select v'", "select f(7)", "7"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := bodiesWorld(t, c.schema)
			s := w.login("writer")
			defer s.Close()
			a := w.query(s, c.sql)
			if len(a.errs) > 0 || len(a.rows) != 1 || a.rows[0][0] != c.want {
				t.Errorf("%s: %v %v, want %s", c.sql, a.rows, a.errs, c.want)
			}
		})
	}
}

// TestBodiesThatDoMoreAskForCall: what the caller could not write out, or what cannot be told.
func TestBodiesThatDoMoreAskForCall(t *testing.T) {
	for name, c := range map[string]struct{ schema, sql, why string }{
		"masked":            {"create function f() returns text language sql as 'select email from public.customers'", "select f()", "reads public.customers"},
		"masked_unread":     {"create function f() returns bigint language sql as 'select count(id) from public.customers'", "select f()", "reads public.customers"},
		"masked_nested":     {"create function g() returns text language sql as 'select ssn from public.customers'; create function f() returns text language sql as 'select public.g()'", "select f()", "reads public.customers"},
		"masked_atomic":     {"create function f() returns text language sql begin atomic select email from public.customers; end", "select f()", "reads public.customers"},
		"masked_return":     {"create function f() returns text language sql return (select email from public.customers)", "select f()", "reads public.customers"},
		"masked_subquery":   {"create function f() returns boolean language sql as 'select exists (select from public.t where note in (select email from public.customers))'", "select f()", "reads public.customers"},
		"masked_by_a_view":  {"create function f() returns int language sql as 'select id from public.masked_view'", "select f()", "reads public.customers"},
		"masked_by_path":    {"create table other.customers(id int); create function f() returns bigint language sql set search_path = public, other as 'select count(id) from customers'", "set search_path = other; select public.f()", "reads public.customers"},
		"operator":          {"create function f(int, int) returns boolean language sql as 'select exists (select from public.customers where id = $1 and email like ''u%'')'; create operator <+> (leftarg = int, rightarg = int, function = f)", "select 1 <+> 2", "reads public.customers"},
		"row_filter":        {"create function f() returns text language sql as 'select tenant from public.filtered'", "select f()", "some rows only"},
		"unreadable":        {"create function f() returns text language sql as 'select v from public.secret'", "select f()", "public.secret"},
		"forbidden":         {"create function forbidden() returns int language sql as 'select 1'", "select forbidden()", ""},
		"forbidden_below":   {"create function forbidden() returns int language sql as 'select 1'; create function f() returns int language sql as 'select forbidden()'", "select f()", "calls public.forbidden"},
		"definer":           {"create function f() returns int language sql security definer as 'select 1'", "select f()", ""},
		"setting":           {"create function f() returns int language sql set work_mem = '1MB' as 'select 1'", "select f()", ""},
		"role_in_path":      {`create function f() returns int language sql set search_path = "$user", public as 'select 1'`, "select f()", ""},
		"catalog":           {"create function f() returns bigint language sql as 'select count(relname) from pg_catalog.pg_class'", "select f()", "system relation"},
		"settings":          {"create function f() returns text language sql as 'select current_setting(''sallyport.ipad'', true)'", "select f()", ""},
		"set_config":        {"create function f() returns text language sql as 'select set_config(''work_mem'', ''1MB'', false)'", "select f()", ""},
		"files":             {"create function f() returns text language sql as 'select pg_read_file(''PG_VERSION'')'", "select f()", "pg_read_file"},
		"sql_in_text":       {"create function f() returns xml language sql as 'select query_to_xml(''select email from public.customers'', true, true, '''')'", "select f()", "query_to_xml"},
		"definition":        {"create function f() returns text language sql as 'select pg_get_viewdef(''plain_view'')'", "select f()", "pg_get_viewdef"},
		"insert":            {"create function f() returns int language sql as 'insert into t values (9, 9) returning id'", "select f()", ""},
		"insert_below":      {"create function f() returns bigint language sql as 'with w as (delete from t returning id) select count(*) from w'", "select f()", ""},
		"lock":              {"create function f() returns int language sql as 'select id from t for update'", "select f()", ""},
		"sequence":          {"create function f() returns bigint language sql as 'select nextval(''trace'')'", "select f()", "nextval"},
		"recursive":         {"create function f(i int) returns int language sql as 'select 1'; create or replace function f(i int) returns int language sql as 'select case when i > 0 then f(i - 1) else 0 end'", "select f(2)", ""},
		"overload":          {"create function f(i int) returns int language sql as 'select 1'; create function f(i text) returns text language sql as 'select email from public.customers'", "select f(1)", "reads public.customers"},
		"aggregate":         {"create function s(int, int) returns int language sql as 'select $1 + $2'; create aggregate f(int) (sfunc = s, stype = int)", "select f(id) from t", ""},
		"trigger":           {"create function f() returns trigger language plpgsql as 'begin return new; end'; create trigger r before insert on t for each row execute function f()", "insert into t values (7, 7)", ""},
		"procedure":         {"create procedure f() language sql as 'select 1'", "call f()", ""},
		"other_language":    {"create function f(text) returns int language internal as 'textlen'", "select f('x')", ""},
		"relation_by_path":  {"create function f() returns int language sql as 'select max(id) from t'", "select f()", ""},
		"path_in_between":   {"create function f() returns int language plpgsql as 'begin return (select max(id) from t); end'", "select set_config('search_path', 'other', false), f()", ""},
		"type_by_path":      {"create type other.stage as enum ('x'); create function f() returns text language sql as 'select ''a''::stage'", "select f()", ""},
		"dynamic":           {"create function f() returns int language plpgsql as 'begin execute ''select 1''; return 1; end'", "select f()", ""},
		"dynamic_query":     {"create function f() returns setof text language plpgsql as 'begin return query execute ''select email from public.customers''; end'", "select f()", ""},
		"dynamic_loop":      {"create function f() returns int language plpgsql as 'declare x text; begin for x in execute ''select email from public.customers'' loop null; end loop; return 1; end'", "select f()", ""},
		"plpgsql_masked":    {"create function f() returns text language plpgsql as 'declare x text; begin select email into x from public.customers; return x; end'", "select f()", "reads public.customers"},
		"plpgsql_condition": {"create function f() returns int language plpgsql as 'begin if exists (select from public.customers where email like ''u%'') then return 1; end if; return 0; end'", "select f()", "reads public.customers"},
		"plpgsql_default":   {"create function f() returns text language plpgsql as 'declare x text := (select email from public.customers limit 1); begin return x; end'", "select f()", "reads public.customers"},
		"plpgsql_row":       {"create function f() returns text language plpgsql as 'declare r customers := (select c from public.customers c limit 1); begin return r.email; end'", "select f()", ""},
		"plpgsql_exit":      {"create function f() returns int language plpgsql as 'begin loop exit when (select email from public.customers limit 1) > ''m''; return 1; end loop; return 2; end'", "select f()", "reads public.customers"},
		"plpgsql_foreach":   {"create function f() returns text language plpgsql as 'declare x text; begin foreach x in array (select array_agg(email) from public.customers) loop return x; end loop; return 1; end'", "select f()", "reads public.customers"},
		"plpgsql_nested":    {"create function g() returns text language plpgsql as 'begin return (select max(ssn) from public.customers); end'; create function f() returns text language sql as 'select g()'", "select f()", "reads public.customers"},
		"plpgsql_insert":    {"create function f() returns int language plpgsql as 'begin insert into t values (8, 8); return 1; end'", "select f()", ""},
		"plpgsql_exception": {"create function f() returns int language plpgsql as 'begin return 1/0; exception when others then return 0; end'", "select f()", ""},
		"plpgsql_raise":     {"create function f() returns int language plpgsql as 'begin raise notice ''x''; return 1; end'", "select f()", ""},
		"plpgsql_cursor":    {"create function f() returns int language plpgsql as 'declare c cursor for select email from public.customers; begin return 1; end'", "select f()", ""},
		"plpgsql_option":    {"create function f(id int) returns int language plpgsql as '#variable_conflict use_variable\nbegin return (select max(id) from t); end'", "select f(1)", ""},
		"plpgsql_definer":   {"create function f() returns int language plpgsql security definer as 'begin return 1; end'", "select f()", ""},
		"function_by_path":  {"create function other.length(text) returns int language plpgsql as 'begin raise debug ''x''; return 1; end'; create function f() returns int language sql as 'select length(''x'')'", "select f()", "calls other.length"},
		"notation":          {"create function g(t) returns text language sql as 'select max(email) from public.customers'; create function f(v t) returns text language sql as 'select v.g'", "select f(null::t)", ""},
		"notation_by_name":  {"create function g(t) returns text language sql as 'select max(email) from public.customers'; create function f(v t) returns text language sql set search_path = public as 'select f.v.g'", "select f(t) from t", ""},
		"notation_of_value": {"create function g(text) returns text language sql as 'select max(email) from public.customers'; create function f(v text) returns text language sql as 'select v.g'", "select f('x')", ""},
		"argument_of_table": {"create function f(customers text) returns text language sql as 'select c.email from public.customers c'", "select f('x')", "reads public.customers"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := bodiesWorld(t, c.schema)
			s := w.login("writer")
			defer s.Close()
			for _, sql := range strings.Split(c.sql, "; ") {
				a := w.query(s, sql)
				if strings.HasPrefix(sql, "set ") {
					wantNoError(t, a)
					continue
				}
				if wantError(t, a, "42501"); len(a.errs) == 1 && !strings.Contains(a.errs[0], c.why) {
					t.Errorf("%q does not say %q", a.errs, c.why)
				}
			}
		})
	}
}

// TestBodiesRunNoOtherCodeUnasked: code that no name in a body stands for is judged too.
func TestBodiesRunNoOtherCodeUnasked(t *testing.T) {
	for name, c := range map[string]struct{ schema, sql string }{
		"call":            {"create function f() returns int language sql as 'select spy(1)'", "select f()"},
		"call_nested":     {"create function g() returns int language sql as 'select spy(1)'; create function f() returns int language sql as 'select g()'", "select f()"},
		"domain_argument": {"create function f(i dom) returns int language sql as 'select i::int'", "select f(id) from t"},
		"domain_result":   {"create function f() returns dom language sql as 'select 1'", "select f()"},
		"domain_column":   {"create function f(out a int, out b dom) language sql as 'select 1, 2'", "select b from f()"},
		"domain_cast":     {"create function f() returns int language sql as 'select 1::dom'", "select f()"},
		"result_cast":     {"create table s(s stage); insert into s values ('a'); create function f() returns int language sql as 'select s from public.s'", "select f()"},
		"argument_cast":   {"create function f(v stage) returns int language sql as 'select v::int'", "select f('a')"},
		"operator":        {"create function spy2(int, int) returns int language sql as 'select spy($1)'; create operator <+> (leftarg = int, rightarg = int, function = spy2); create function f() returns int language sql as 'select 1 <+> 2'", "select f()"},
		"default":         {"create function f(i int default spy(1)) returns int language sql as 'select i'", "select f()"},
		"plpgsql_return":  {"create function f() returns int language plpgsql as 'begin return spy(1); end'", "select f()"},
		"plpgsql_domain":  {"create function f() returns int language plpgsql as 'declare x dom; begin x := 1; return x; end'", "select f()"},
		"plpgsql_cast":    {"create function f() returns int language plpgsql as 'declare x int; y stage := ''a''; begin x := y; return x; end'", "select f()"},
		"plpgsql_target":  {"create function f() returns int language plpgsql as 'declare x int[]; begin x[spy(1)] := 1; return 1; end'", "select f()"},
		"plpgsql_bound":   {"create function f() returns int language plpgsql as 'begin for i in 1..spy(1) loop null; end loop; return 1; end'", "select f()"},
		"plpgsql_case":    {"create function f() returns int language plpgsql as 'begin case 1 when spy(1) then return 1; end case; end'", "select f()"},
		"no_statement":    {"create function f(i dom) returns void language sql as ''", "select f(1)"},
		"plpgsql_nothing": {"create function f(i dom) returns void language plpgsql as 'begin end'", "select f(1)"},
		"plpgsql_inout":   {"create function f(inout i dom) language plpgsql as 'begin end'", "select f(1)"},
		"any_result":      {"create table s(s stage); insert into s values ('a'); create function f(v anyelement) returns int language sql as 'select v'", "select f(s) from s"},
		"any_table":       {"create table s(s stage); insert into s values ('a'); create function f(v anyelement) returns table(x int) language sql as 'select v'", "select x from s, f(s) x"},
		"any_below":       {"create table s(s stage); insert into s values ('a'); create function g(v anyelement) returns int language sql as 'select v'; create function f(v anyelement) returns int language sql as 'select public.g(v)'", "select f(s) from s"},
		"plpgsql_any":     {"create table s(s stage); insert into s values ('a'); create function f(v anyelement) returns int language plpgsql as 'declare x int; begin x := v; return x; end'", "select f(s) from s"},
		"plpgsql_array":   {"create table s(s stage); insert into s values ('a'); create function f(v anyarray) returns int language plpgsql as 'declare x int; begin foreach x in array v loop null; end loop; return x; end'", "select f(array_agg(s)) from s"},
		"plpgsql_record":  {"create table s(s stage); insert into s values ('a'); create function f(r record) returns int language plpgsql as 'begin return r.s; end'", "select f(q) from s q"},
		"any_domain":      {"create table s(d dom); insert into s values (3); create function f(v anyelement) returns anyelement language sql as 'select 7'", "select f(d) from s"},
		"any_operator":    {"create table s(d dom); insert into s values (3); create function f(v anyelement) returns anyelement language sql as 'select 7'; create operator <+> (rightarg = anyelement, function = f)", "select <+> d from s"},
		"any_variable":    {"create table s(d dom); insert into s values (3); create function f(v anyelement) returns int language plpgsql as 'begin v := 9; return 1; end'", "select f(d) from s"},
		"out_column":      {"create function f(out a int, out s stage) language sql as 'select 1, ''a''::public.stage'", "insert into t(id, a) select 7, s from f()"},
		"by_path":         {"create function other.length(text) returns int language sql as 'select public.spy(1)'; create function f() returns int language sql set search_path = other, pg_catalog as 'select length(''x'')'", "select f()"},
		"operator_class":  {"create function f() returns point language sql as 'select p from public.t2 order by p limit 1';", "select f()"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			schema := bodiesSchema + c.schema
			if name == "operator_class" {
				schema = spySchema + strings.ReplaceAll(classes, "table t(x", "table t2(x")
				schema = strings.ReplaceAll(schema, "insert into t values", "insert into t2 values") + c.schema
			}
			w := effectsWorld(t, schema)
			w.runsUnasked("writer", "caller", c.sql)
		})
	}
}

// TestChangedBodiesAreJudgedAnew.
func TestChangedBodiesAreJudgedAnew(t *testing.T) {
	w := bodiesWorld(t, "create function f() returns text language sql as 'select note from public.t where id = 1'")
	s := w.login("writer")
	defer s.Close()
	wantNoError(t, w.query(s, "select f()"))
	w.upstream("create or replace function f() returns text language sql as 'select email from public.customers'")
	w.gw.dbs["shop"].stale()
	if a := w.query(s, "select f()"); len(a.errs) != 1 || !strings.Contains(a.errs[0], "reads public.customers") {
		t.Errorf("%v %v", a.rows, a.errs)
	}
	if a := w.query(s, "set search_path = other"); len(a.errs) > 0 {
		t.Fatal(a.errs)
	}
	w.upstream("create or replace function public.f() returns text language sql as 'select max(id)::text from public.t'")
	w.gw.dbs["shop"].stale()
	wantNoError(t, w.query(s, "select public.f()"))
}

// TestBodiesThatCallOneAnotherInManyWaysAreJudgedOnce: there are as many ways from the last to the first as there are sets of
// functions between them.
func TestBodiesThatCallOneAnotherInManyWaysAreJudgedOnce(t *testing.T) {
	var schema strings.Builder
	var below []string
	for i := range 26 {
		fmt.Fprintf(&schema, "create function f%d() returns int language plpgsql as 'begin return 1%s; end';", i, strings.Join(below, ""))
		below = append(below, fmt.Sprintf(" + public.f%d()", i))
	}
	w := bodiesWorld(t, schema.String())
	s := w.login("writer")
	defer s.Close()
	start := time.Now()
	w.query(s, "explain select f25()") // from the top, where most are too deep
	for i := range 26 {
		a := w.query(s, fmt.Sprintf("explain select f%d()", i))
		if i < 8 {
			wantNoError(t, a)
		}
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("judging took %s", took)
	}
}

// TestColumnsOfUnknownRowsCallNothing: r.f is f(r) at the server where r has no column f, and of what many functions give the
// columns are not known here.
func TestColumnsOfUnknownRowsCallNothing(t *testing.T) {
	w := bodiesWorld(t, "create function of_row(t) returns int language sql as 'select public.spy(1)'")
	s := w.login("writer")
	defer s.Close()
	for _, sql := range []string{
		"select r.current_setting from lower('sallyport.ipad') r", "select r.pg_ls_dir from lower('.') r", "select x.pg_ls_dir from (select * from lower('.') x) x",
		"select r.of_row from unnest(array[null::t]) r", "select r.of_row from jsonb_populate_recordset(null::t, '[{}]') r",
		"with r as (select * from unnest(array[null::t])) select r.of_row from r",
	} {
		if a := w.query(s, sql); len(a.errs) != 1 || len(a.rows) > 0 {
			t.Errorf("%s: %v %v", sql, a.rows, a.errs)
		}
	}
	if n := w.upstream("select is_called from trace"); n != "f" {
		t.Error("a function was called")
	}
	if a := w.query(s, "select r.a from jsonb_populate_recordset(null::t, '[{\"a\": 5}]') r"); len(a.errs) > 0 || len(a.rows) != 1 || a.rows[0][0] != "5" {
		t.Errorf("a column: %v %v", a.rows, a.errs)
	}
}
