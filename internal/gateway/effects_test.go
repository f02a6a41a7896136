package gateway

import (
	"context"
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/identity"
	"sallyport/internal/testdb"
)

const effectsPolicy = `
@id("all") permit (principal, action in [Action::"connect", Action::"read"], resource in Connection::"shop");
@id("writers") permit (principal in Group::"writers", action == Action::"write", resource in Connection::"shop");
@id("guesses") permit (principal, action == Action::"session", resource == Setting::"app.guess");
@id("callers") permit (principal in Group::"callers", action in [Action::"write", Action::"call"], resource in Connection::"shop");
@id("plains") permit (principal in Group::"plains", action == Action::"call", resource == Function::"shop.public.plain");
@id("finders") permit (principal in Group::"finders", action in [Action::"write", Action::"lookup"], resource in Connection::"shop");
@id("every-row") permit (principal, action == Action::"write_all_rows", resource in Connection::"shop");
@id("parents") permit (principal in Group::"parents", action == Action::"write", resource == Table::"shop.public.parents");
@id("builders") permit (principal in Group::"builders", action in [Action::"ddl", Action::"write", Action::"reveal"], resource in Connection::"shop");
`

// effectsWorld is a database with some schema, and a principal for each group of effectsPolicy.
func effectsWorld(t *testing.T, schema string) *world {
	t.Helper()
	return effectsGateway(t, testdb.Shared(t).NewDatabase(t, schema))
}

func effectsGateway(t *testing.T, dsn string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), dsn: dsn}
	w.withPolicies("")
	t.Cleanup(func() { w.gw.Close() })
	return w
}

// withPolicies opens the gateway of effectsGateway, anew where it is open, with more policies.
func (w *world) withPolicies(more string) {
	w.t.Helper()
	if w.gw != nil {
		w.gw.Close()
	}
	c := w.config()
	c.Policies = []PolicyFile{{Name: "effects.cedar", Text: effectsPolicy + `@id("dba") permit (principal in Group::"dbas", action == Action::"unrestricted", resource);` + more}}
	c.Principals = nil
	for _, name := range []string{"writer", "caller", "finder", "plain", "parent", "builder", "dba"} {
		c.Principals = append(c.Principals, access.LocalPrincipal{Name: name, Kind: access.Human, Groups: []string{name + "s"}, Secret: identity.HashPassword("pw-" + name)})
	}
	var err error
	if w.gw, err = Open(context.Background(), c); err != nil {
		w.t.Fatal(err)
	}
}

// value asks somebody who may do everything.
func (w *world) value(s *Session, sql string) string {
	w.t.Helper()
	a := w.query(s, sql)
	if len(a.errs) > 0 || len(a.rows) != 1 {
		w.t.Fatalf("%s: %v %v", sql, a.rows, a.errs)
	}
	return strings.Join(a.rows[0], " ")
}

// spySchema has functions that leave a trace where they run, whatever they say of themselves.
const spySchema = `
create table customers(id int primary key, email text, ssn text);
create sequence trace;
create function spy(i int) returns int language plpgsql immutable as 'begin perform nextval(''public.trace''); return i; end';
create function spied(i int) returns boolean language plpgsql immutable as 'begin perform nextval(''public.trace''); return true; end';
`

// runsUnasked lets somebody without the permission to call, then somebody with it, run a statement. The
// first must leave no trace; the second must leave one, or the attack is none.
func (w *world) runsUnasked(refused, permitted, sql string) {
	w.t.Helper()
	dba := w.login("dba")
	defer dba.Close()
	const traces = "select case when is_called then last_value else 0 end from trace"
	before := w.value(dba, traces)
	s := w.login(refused)
	defer s.Close()
	wantError(w.t, w.query(s, sql), "42501")
	if after := w.value(dba, traces); after != before {
		w.t.Errorf("%s ran code for somebody who may not call it", sql)
	}
	p := w.login(permitted)
	defer p.Close()
	wantNoError(w.t, w.query(p, sql))
	if after := w.value(dba, traces); after == before {
		w.t.Errorf("%s runs no code", sql)
	}
}

// TestCodeBehindWrittenTablesIsAskedFor: a write runs defaults, checks, generated columns, indexes, domains
// and conditions of triggers.
func TestCodeBehindWrittenTablesIsAskedFor(t *testing.T) {
	for name, c := range map[string]struct{ schema, sql string }{
		"default":                   {"create table t(id int, x int default spy(1))", "insert into t(id) values (1)"},
		"default_of_an_assigned":    {"create table t(id int, x int default spy(1)); insert into t values (1, 2)", "update t set x = default"},
		"default_operator":          {"create operator <+> (leftarg = int, rightarg = int, function = spy2); create table t(id int, x int default 1 <+> 2)", "insert into t(id) values (1)"},
		"default_cast":              {"create type st as enum ('a'); create function rank(st) returns int language sql as 'select spy(1)'; create cast (st as int) with function rank(st); create table t(id int, x int default ('a'::st)::int)", "insert into t(id) values (1)"},
		"check":                     {"create table t(x int check (spied(x)))", "insert into t values (1)"},
		"check_on_update":           {"create table t(x int check (spied(x))); insert into t values (1)", "update t set x = 2"},
		"check_of_a_partition":      {"create table t(x int) partition by range (x); create table t1 partition of t (check (spied(x))) for values from (0) to (9)", "insert into t values (1)"},
		"check_by_merge":            {"create table t(x int check (spied(x)))", "merge into t using (values (1)) v(x) on t.x = v.x when not matched then insert values (1)"},
		"generated":                 {"create table t(x int, g int generated always as (spy(x)) stored)", "insert into t values (1)"},
		"index":                     {"create table t(x int); create index on t (spy(x))", "insert into t values (1)"},
		"predicate_of_an_index":     {"create table t(x int); create index on t (x) where spied(x)", "insert into t values (1)"},
		"partition_key":             {"create table t(x int) partition by list (spy(x)); create table t1 partition of t for values in (1)", "insert into t values (1)"},
		"partition_key_from_below":  {"create table t(x int) partition by list (spy(x)); create table t1 partition of t for values in (1)", "insert into t1 values (1)"},
		"condition_of_a_trigger":    {"create table t(x int); insert into t values (1); create trigger w before update on t for each row when (spied(new.x)) execute function suppress_redundant_updates_trigger()", "update t set x = 2"},
		"domain":                    {"create domain dom as int check (spied(value)); create table t(x dom)", "insert into t values (1)"},
		"domain_over_domain":        {"create domain dom as int check (spied(value)); create domain over as dom; create table t(x over)", "insert into t values (1)"},
		"domain_in_an_array":        {"create domain dom as int check (spied(value)); create table t(x dom[])", "insert into t values ('{1}')"},
		"domain_in_a_composite":     {"create domain dom as int check (spied(value)); create type pair as (a dom, b int); create table t(x pair)", "insert into t values ('(1,2)')"},
		"domain_in_a_range":         {"create domain dom as int check (spied(value)); create type doms as range (subtype = dom, subtype_opclass = int4_ops); create table t(x doms)", "insert into t values ('[1,2)')"},
		"default_of_a_domain":       {"create domain dom as int default spy(1); create table t(id int, x dom)", "insert into t(id) values (1)"},
		"domain_checked_by_a_check": {"create domain dom as int check (spied(value)); create table t(x int check (x::dom > 0))", "insert into t values (1)"},
		"on_conflict":               {"create table t(x int primary key, y int check (spied(y))); insert into t values (1, 1)", "insert into t values (1, 2) on conflict (x) do update set y = 3"},
		"in_a_with_query":           {"create table t(x int check (spied(x)))", "with w as (insert into t values (1) returning x) select x from w"},
		"on_a_cascade":              {"create table t(id int primary key); create table k(id int references t on update cascade check (spied(id))); insert into t values (1); insert into k values (1)", "update t set id = 2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := effectsWorld(t, spySchema+"create function spy2(int, int) returns int language sql immutable as 'select spy($1)';"+c.schema)
			w.runsUnasked("writer", "caller", c.sql)
		})
	}
}

// TestConditionsOfDeletesAreAskedFor: of all that a table calls, a DELETE runs the conditions of its triggers.
func TestConditionsOfDeletesAreAskedFor(t *testing.T) {
	w := effectsWorld(t, spySchema+`create table t(x int); insert into t values (1);
		create function keep() returns trigger language plpgsql as 'begin return null; end';
		create trigger w before delete on t for each row when (spied(old.x)) execute function keep()`)
	w.runsUnasked("writer", "caller", "delete from t")
}

// TestWhatRunsNothingNeedsNoCall: the same tables can be read and emptied.
func TestWhatRunsNothingNeedsNoCall(t *testing.T) {
	w := effectsWorld(t, spySchema+"create table t(x int default spy(1) check (spied(x))); create index on t (spy(x))")
	s := w.login("writer")
	defer s.Close()
	for _, sql := range []string{"select x from t", "delete from t where x = 3", "truncate t"} {
		wantNoError(t, w.query(s, sql))
	}
}

// TestDefinitionsThatComputeAskToo: building an index or checking a constraint anew runs its code.
func TestDefinitionsThatComputeAskToo(t *testing.T) {
	w := effectsWorld(t, spySchema+"create table t(x int check (spied(x))); create index ti on t (spy(x)); insert into t values (1)")
	s := w.login("builder")
	defer s.Close()
	for _, sql := range []string{"reindex table t", "analyze t", "vacuum t", "cluster t using ti", "alter table t alter x type bigint", "create index on t (x) where spied(x)"} {
		if a := w.query(s, sql); len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], "42501 calling public.sp") {
			t.Errorf("%s: %v", sql, a.errs)
		}
	}
}
