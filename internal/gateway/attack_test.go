package gateway

import (
	"strings"
	"testing"
)

// TestFieldNotationIsJudgedAsTheCallThatItIs: the server takes (x).f as f(x) where x has no column f.
func TestFieldNotationIsJudgedAsTheCallThatItIs(t *testing.T) {
	w := newWorld(t)
	dba, s := w.login("dba"), w.login("agent")
	defer dba.Close()
	defer s.Close()
	wantNoError(t, w.query(dba, "create function leak(i int) returns text language sql stable as 'select ssn from public.customers where id = i'; create sequence sq"))
	for _, sql := range []string{
		"select (1::int).leak",
		"select ('select to_tsvector(ssn) from customers where id < 3'::text).ts_stat",
		"select ('sallyport.ipad'::text).current_setting",
		"select ('/etc/passwd'::text).pg_read_file",
		"select ('sq'::regclass).nextval",
		"select (x.v).leak from (values (1)) x(v)",
		"select ((1)).leak",
	} {
		for _, a := range []*answer{w.query(s, sql), w.do(s, pipeline(sql)...)} {
			if len(a.errs) != 1 || len(a.rows) > 0 {
				t.Errorf("%s answered %v %v", sql, a.rows, a.errs)
			}
		}
	}
	wantNoError(t, w.query(s, "prepare p(text) as select $1"))
	if a := w.query(s, "execute p((1).leak)"); len(a.errs) != 1 {
		t.Errorf("in the arguments of EXECUTE: %v", a.rows)
	}
}

// TestExecuteMovesThePathInSight: set_config behind EXECUTE and FETCH moves search_path like SET does.
func TestExecuteMovesThePathInSight(t *testing.T) {
	w := newWorld(t)
	dba := w.login("dba")
	defer dba.Close()
	wantNoError(t, w.query(dba, "create schema other; create table other.orders(id int, ssn text); insert into other.orders values (7, 'raw')"))
	for _, how := range [][]string{
		{"prepare p as select set_config('search_path', 'other', false)", "execute p"},
		{"begin", "declare c cursor for select set_config('search_path', 'other', false)", "fetch all from c"},
	} {
		s := w.login("writer")
		for _, sql := range how {
			wantNoError(t, w.query(s, sql))
		}
		if !s.pathStale {
			t.Errorf("%s: the path was moved unnoticed", how[len(how)-1])
		}
		if a := w.query(s, "select * from orders"); len(a.errs) > 0 || len(a.rows) != 1 || strings.Join(a.rows[0], " ") != "7 ***" {
			t.Errorf("%s: judged by the old path: %d rows %v", how[len(how)-1], len(a.rows), a.errs)
		}
		s.Close()
	}
}
