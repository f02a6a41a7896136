package gateway

import (
	"strings"
	"testing"

	"sallyport/internal/testdb"
)

// securedWorld is an effectsWorld whose gateway logs in as a role that row security binds.
func securedWorld(t *testing.T, schema string) *world {
	t.Helper()
	dsn := testdb.Shared(t).NewDatabase(t, `do $$ begin create role secured login; exception when duplicate_object or unique_violation then null; end $$;`+
		spySchema+`insert into customers values (1, 'u1@example.com', '1'), (7, 'u7@example.com', '7');
		create table t(id int, who int, open boolean); insert into t values (1, 1, true), (2, 7, false);`+schema+`;
		grant all on all tables in schema public to secured; grant all on all sequences in schema public to secured`)
	return effectsGateway(t, strings.Replace(dsn, "postgres@", "secured@", 1))
}

// TestRowSecurityOnMaskedColumnsIsRefused: which rows a policy leaves would tell what it compares with.
func TestRowSecurityOnMaskedColumnsIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ schema, sql string }{
		"of_the_relation":  {"alter table customers enable row level security; create policy p on customers using (email = current_setting('app.guess', true))", "select count(*) from customers"},
		"of_another":       {"alter table t enable row level security; create policy p on t using (exists (select from customers c where c.id = t.who and c.email = current_setting('app.guess', true)))", "select count(*) from t"},
		"of_a_whole_row":   {"alter table t enable row level security; create policy p on t using (exists (select from customers c where c.id = t.who and c::text like current_setting('app.guess', true)))", "select count(*) from t"},
		"through_another":  {"create table u(id int); alter table t enable row level security; create policy p on t using (exists (select from u where u.id = t.id)); alter table u enable row level security; create policy p on u using (exists (select from customers where email = current_setting('app.guess', true)))", "select count(*) from t"},
		"by_a_view":        {"alter table t enable row level security; create policy p on t using (exists (select from customers c where c.id = t.who and c.email = current_setting('app.guess', true))); create view v as select id from t; alter view v owner to secured", "select count(*) from v"},
		"for_a_write":      {"alter table customers enable row level security; create policy r on customers for select using (true); create policy p on customers for update using (email = current_setting('app.guess', true))", "update customers set ssn = '1' where id = 1"},
		"of_a_new_row":     {"alter table t enable row level security; create policy r on t using (true); create policy p on t as restrictive for insert with check (exists (select from customers c where c.email = current_setting('app.guess', true)))", "insert into t(id) values (3)"},
		"in_a_with_clause": {"alter table t enable row level security; create policy p on t using (exists (select from customers c where c.id = t.who and c.email = current_setting('app.guess', true)))", "with x as (select id from t) select count(*) from x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := securedWorld(t, c.schema)
			s := w.login("writer")
			defer s.Close()
			for _, guess := range []string{"u7@example.com", "nobody@example.com"} {
				wantNoError(t, w.query(s, "set app.guess = '"+guess+"'"))
				wantError(t, w.query(s, c.sql), "42501")
			}
		})
	}
}

// TestRowSecurityIsKeptWhereItTellsNothing masked, and its functions are asked for.
func TestRowSecurityIsKeptWhereItTellsNothing(t *testing.T) {
	w := securedWorld(t, "alter table t enable row level security; create policy p on t using (open or who = 3)")
	s := w.login("writer")
	if a := w.query(s, "select id from t"); len(a.errs) > 0 || len(a.rows) != 1 {
		t.Errorf("%v %v", a.rows, a.errs)
	}
	s.Close()
	w = securedWorld(t, "alter table customers enable row level security; create policy p on customers using (email = current_setting('app.guess', true))")
	b := w.login("builder") // sees addresses raw
	wantNoError(t, w.query(b, "select id from customers"))
	b.Close()
	securedWorld(t, "alter table t enable row level security; create policy p on t using (spied(id))").runsUnasked("writer", "caller", "select id from t")
	securedWorld(t, "alter table t enable row level security; create policy p on t using (true) with check (spied(id))").runsUnasked("writer", "caller", "insert into t(id) values (4)")
	// Whom row security does not bind runs none of it.
	w = effectsWorld(t, spySchema+"create table t(id int); alter table t enable row level security; create policy p on t using (spied(id))")
	o := w.login("writer")
	wantNoError(t, w.query(o, "select id from t"))
	o.Close()
}

// TestFunctionsOfOtherRightsAreAskedFor: what runs with its owner's rights or its own settings is no exception.
func TestFunctionsOfOtherRightsAreAskedFor(t *testing.T) {
	w := effectsWorld(t, spySchema+`create function definer(int) returns int language sql security definer as 'select public.spy(1)';
		create function moved(int) returns int language sql set search_path = pg_temp as 'select public.spy(1)'`)
	w.runsUnasked("writer", "caller", "select definer(1)")
	w.runsUnasked("writer", "caller", "select moved(1)")
}
