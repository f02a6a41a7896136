package gateway

import (
	"testing"
)

func TestSearchPathIsFollowed(t *testing.T) {
	w := newWorld(t)
	dba, s := w.login("dba"), w.login("agent")
	defer dba.Close()
	defer s.Close()
	wantNoError(t, w.query(dba, "create schema other; create table other.orders(id int, ssn text); insert into other.orders values (7, 'raw')"))
	wantNoError(t, w.query(s, "set search_path = other, public"))
	if a := w.query(s, "select * from orders"); len(a.errs) > 0 || a.rows[0][0] != "7" || a.rows[0][1] != "***" {
		t.Errorf("rows %v errors %v", a.rows, a.errs)
	}
	w.query(s, "begin")
	w.query(s, "set local search_path = public")
	if a := w.query(s, "select * from orders where id = 1"); len(a.errs) > 0 || len(a.rows[0]) != 3 {
		t.Errorf("set local: %v %v", a.rows, a.errs)
	}
	w.query(s, "rollback")
	if a := w.query(s, "select * from orders"); len(a.errs) > 0 || len(a.rows[0]) != 2 {
		t.Errorf("after rollback: %v %v", a.rows, a.errs)
	}
}

func TestCreateTableSkipsMissingSchemas(t *testing.T) {
	w := newWorld(t)
	w.gw.LoadPolicies([]PolicyFile{{Name: "p", Text: testPolicy + `@id("ddl") permit (principal in Group::"writers", action == Action::"ddl", resource in Connection::"shop");`}})
	s := w.login("writer")
	defer s.Close()
	wantNoError(t, w.query(s, "create table w1(id int)"))
	if a := w.query(s, "select count(*) from public.w1"); len(a.errs) > 0 {
		t.Errorf("w1 is not in public: %v", a.errs)
	}
}

func TestPathChangedInABurstJudgesTheRestOfIt(t *testing.T) {
	w := newWorld(t)
	dba, s := w.login("dba"), w.login("writer")
	defer dba.Close()
	defer s.Close()
	wantNoError(t, w.query(dba, "create schema other; create table other.orders(id int, ssn text); insert into other.orders values (7, 'raw')"))
	var ops []Op
	for _, sql := range []string{"begin", "set local search_path = other", "select * from orders", "rollback", "select * from orders where id = 1"} {
		ops = append(ops, pipeline(sql)[:4]...)
	}
	a := w.do(s, append(ops, Op{Kind: OpSync})...)
	wantNoError(t, a)
	if len(a.rows) != 2 || a.rows[0][0] != "7" || a.rows[0][1] != "***" || len(a.rows[1]) != 3 {
		t.Errorf("rows %v", a.rows)
	}
	wantError(t, w.query(s, "rollback; select * from orders"), "0A000")
}
