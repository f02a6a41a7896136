package gateway

import (
	"strings"
	"testing"

	"sallyport/internal/access"
)

// TestArgumentsOfExecuteDoNothing: EXECUTE is judged, recorded and approved as what was prepared, so its arguments may compute a value and no more.
func TestArgumentsOfExecuteDoNothing(t *testing.T) {
	const act = "create schema other; create table other.customers (like public.customers); create function wipe(int) returns text language sql as 'select $1::text'; create sequence s;"
	w := meaningWorld(t, act, nil)
	if err := w.gw.LoadPolicies([]PolicyFile{{Name: "held.cedar", Text: heldPolicy + `
		@id("path") permit (principal in Group::"askers", action == Action::"session", resource);
		@id("call") @review("keepers") permit (principal in Group::"askers", action == Action::"call", resource);`}}); err != nil {
		t.Fatal(err)
	}
	s := w.loginAt(access.DoorPGWire, "asker")
	wantNoError(t, w.query(s, "prepare q(text) as select $1"))
	wantNoError(t, w.query(s, "prepare ins(text) as insert into secrets select 1, $1 where false"))
	for _, arg := range []string{"set_config('search_path', 'other', false)", "set_config('datestyle', 'ISO, DMY', false)", "upper(set_config('application_name', 'x', false))", "wipe(1)", "public.wipe(1)",
		"nextval('s')::text", "current_setting('application_name')", "pg_notify('c', 'x')::text"} {
		for _, sql := range []string{"execute q(" + arg + ")", "explain execute q(" + arg + ")", "prepare r(text) as select $1; execute r(" + arg + ")", "execute ins(" + arg + ")"} {
			answers := []*answer{w.query(s, sql)}
			if !strings.Contains(sql, ";") { // that is for the simple protocol
				answers = append(answers, w.do(s, messages{}.run(sql).sync()...))
			}
			for _, a := range answers {
				if len(a.errs) != 1 || len(a.rows) > 0 {
					t.Errorf("%s: %q %q", sql, a.errs, a.rows)
				}
			}
			w.query(s, "deallocate r")
		}
	}
	if a := w.query(s, "show search_path"); len(a.rows) != 1 || strings.Contains(a.rows[0][0], "other") {
		t.Errorf("search_path is %q", a.rows)
	}
	for _, arg := range []string{"'x'", "upper('x')", "now()::text", "random()::text", "gen_random_uuid()::text", "version()"} {
		wantNoError(t, w.query(s, "execute q("+arg+")"))
	}
}

// TestFetchOfAnotherCursor: a portal of FETCH that the server has skipped reads, under the name of the cursor that was approved, no other one.
func TestFetchOfAnotherCursor(t *testing.T) {
	w := meaningWorld(t, "insert into secrets values (1, 'x'), (2, 'y');", nil)
	s := w.loginAt(access.DoorPGWire, "asker")
	const declare = "declare c cursor with hold for select id from secrets where id = 1"
	w.approve("officer", w.approvedFor(s, messages{}.run(declare).sync()...))
	wantNoError(t, w.do(s, messages{}.run(declare).sync()...))
	wantNoError(t, w.query(s, "begin"))
	wantNoError(t, w.do(s, messages{}.parse("f", "fetch all from c").bind("p", "f").sync()...))
	wantNoError(t, w.query(s, "savepoint a"))
	wantError(t, w.do(s, messages{}.run("select 1 / (id - id) from customers").execute("p").sync()...), "22012")
	wantNoError(t, w.query(s, "rollback to a"))
	wantNoError(t, w.query(s, "close c"))
	wantNoError(t, w.do(s, messages{}.parse("v", "select v from secrets").bind("c", "v").sync()...))
	a := w.do(s, messages{}.execute("p").sync()...)
	if len(a.errs) == 0 || len(a.rows) > 0 {
		t.Errorf("it is read: %q %q", a.rows, a.errs)
	}
}
