package gateway

import (
	"context"
	"strings"
	"testing"
	"time"

	"sallyport/audit"
	"sallyport/internal/access"
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

func burst(statements ...string) (ops []Op) {
	for _, sql := range statements {
		ops = append(ops, pipeline(sql)[:4]...)
	}
	return append(ops, Op{Kind: OpSync})
}

// TestPathOfAnImplicitTransactionEndsWithIt: SET LOCAL lasts to Sync, and so does SET before an error.
func TestPathOfAnImplicitTransactionEndsWithIt(t *testing.T) {
	w := newWorld(t)
	dba, s := w.login("dba"), w.login("writer")
	defer dba.Close()
	defer s.Close()
	wantNoError(t, w.query(dba, "create schema other; create table other.orders(id int, ssn text); insert into other.orders values (7, 'raw')"))
	for _, ops := range [][]Op{
		burst("set local search_path = other", "select 1"),
		burst("set search_path = other", "select 1/0"),
	} {
		w.do(s, append(ops[:4:4], append([]Op{{Kind: OpFlush}}, ops[4:]...)...)...)
		if a := w.query(s, "select * from orders where id = 1"); len(a.errs) > 0 || len(a.rows) != 1 || len(a.rows[0]) != 3 {
			t.Errorf("judged by the path of a transaction that is over: %v %v", a.rows, a.errs)
		}
	}
}

// TestSkippedSessionAsksNothing: a path question to a server that skips to Sync is never answered.
func TestSkippedSessionAsksNothing(t *testing.T) {
	w := newWorld(t)
	s := w.login("writer")
	defer s.Close()
	for _, sql := range []string{"begin", "set search_path = public", "savepoint a", "declare c cursor for select 1", "rollback to a"} {
		wantNoError(t, w.query(s, sql))
	}
	done := make(chan *answer, 1)
	go func() {
		done <- w.do(s, append([]Op{{Kind: OpDescribe, Target: 'P', Portal: "c"}}, burst("select 1")...)...)
	}()
	select {
	case a := <-done:
		if len(a.errs) != 1 || a.tx != 'E' {
			t.Errorf("answer %+v", a)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the session hangs")
	}
}

// TestCatalogThatCannotBeReadJudgesNothing: a lock on any view keeps the catalog from being read.
func TestCatalogThatCannotBeReadJudgesNothing(t *testing.T) {
	w := newWorld(t)
	dba, locker, s := w.login("dba"), w.login("dba"), w.login("agent")
	defer dba.Close()
	defer s.Close()
	wantNoError(t, w.query(dba, "create view v1 as select id from orders; create view vc as select name as nick from customers"))
	wantNoError(t, w.query(s, "select nick from vc limit 1"))
	wantNoError(t, w.query(locker, "begin; lock table v1 in access exclusive mode"))
	wantNoError(t, w.query(dba, "create or replace view vc as select ssn as nick from customers"))
	wantError(t, w.query(s, "select nick from vc limit 1"), "57P03")
	locker.Close()
	time.Sleep(2 * retryRefresh)
	if a := w.query(s, "select nick from vc limit 1"); len(a.errs) > 0 || a.rows[0][0] != "***" {
		t.Errorf("rows %v errors %v", a.rows, a.errs)
	}
}

// TestNoClientCanDamageTheRecord: what audit.Check calls damage must be damage.
func TestNoClientCanDamageTheRecord(t *testing.T) {
	w := newWorld(t)
	c := access.Password{User: "agent", Secret: "pw-agent"}
	task, err := w.gw.StartTask(context.Background(), access.DoorMCP, c, "goal", "T-1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.gw.SearchSchema(context.Background(), c, SchemaQuery{Door: access.DoorMCP, Connection: "shop", Task: task, Reason: "looking for the orders table"}); err != nil {
		t.Fatal(err)
	}
	s := w.login("agent")
	if a := w.query(s, "select '"+strings.Repeat("x", 20<<20)+"'"); len(a.errs) != 1 {
		t.Errorf("errors %v", a.errs)
	}
	wantNoError(t, w.query(s, "select 1"))
	wantNoError(t, w.do(s, pipeline("select length($1)", strings.Repeat("y", 20<<20))...))
	s.Close()
	rep, err := audit.Check(w.dir + "/log")
	if err != nil || len(rep.Problems) > 0 {
		t.Errorf("problems %v, err %v", rep.Problems, err)
	}
}
