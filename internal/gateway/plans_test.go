package gateway

import (
	"fmt"
	"strings"
	"testing"
)

func TestLiteralsOfOneShapeShareAPlan(t *testing.T) {
	w := newWorld(t)
	s := w.login("agent")
	defer s.Close()
	for i := 1; i <= 20; i++ {
		a := w.query(s, fmt.Sprintf("select id, ssn, region from customers where id = %d and region <> 'x%d';", i, i))
		wantNoError(t, a)
		if len(a.rows) != 1 || a.rows[0][0] != fmt.Sprint(i) || a.rows[0][1] != "***" {
			t.Fatalf("statement %d gave %v", i, a.rows)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.scope.shapes) == 0 || len(s.scope.texts) > 3 {
		t.Errorf("%d shapes and %d texts are cached: the statements did not share a plan", len(s.scope.shapes), len(s.scope.texts))
	}
}

func TestPreparedStatementsKeepTheirPlans(t *testing.T) {
	w := newWorld(t)
	s := w.login("agent")
	defer s.Close()
	wantNoError(t, w.query(s, "prepare p(int) as select ssn from customers where id = $1"))
	if a := w.query(s, "execute p(5)"); len(a.errs) > 0 || a.rows[0][0] != "***" {
		t.Errorf("execute: %v %v", a.rows, a.errs)
	}
	wantError(t, w.query(s, "execute q"), "26000")
	wantNoError(t, w.query(s, "deallocate p"))
	wantError(t, w.query(s, "execute p(5)"), "26000")
	wantNoError(t, w.query(s, "prepare p(int) as select ssn from customers where id = $1"))
	if a := w.do(s, pipeline("execute p(6)")...); len(a.errs) > 0 || a.rows[0][0] != "***" {
		t.Errorf("execute by the extended protocol: %v %v", a.rows, a.errs)
	}
	if a := w.do(s, pipeline("select ssn, count(*) from customers")...); len(a.errs) != 1 || !strings.Contains(a.errs[0], "must appear in the GROUP BY") {
		t.Errorf("the server's own complaint about a Parse is hidden: %v", a.errs)
	}
	w.query(s, "begin")
	wantNoError(t, w.query(s, "declare c cursor for select ssn from customers order by id"))
	if a := w.query(s, "fetch 3 from c"); len(a.rows) != 3 || a.rows[0][0] != "***" {
		t.Errorf("fetch: %v %v", a.rows, a.errs)
	}
	w.query(s, "commit")
	wantError(t, w.query(s, "fetch 3 from c"), "34000")

	// A name that the upstream refuses to bind again keeps the plan that it has there, whatever else
	// is in the burst.
	parse := func(sql string) Op { return Op{Kind: OpParse, Name: "n", SQL: sql} }
	bind := Op{Kind: OpBind, Name: "n", Raw: []byte("B\x00\x00\x00\x0d\x00n\x00\x00\x00\x00\x00\x00\x00")}
	a := w.do(s, parse("select 'first'"), Op{Kind: OpSync}, parse("select 'second'"), Op{Kind: OpSync}, bind, Op{Kind: OpExecute}, Op{Kind: OpSync})
	wantError(t, a, "42P05")
	if len(a.rows) != 1 || a.rows[0][0] != "first" {
		t.Errorf("rows %v", a.rows)
	}
	if got := s.stmts["n"].sql; got != "select 'first'" {
		t.Errorf("the name now means %q here and the first statement upstream", got)
	}
}

func TestPolicyChangeReachesPreparedStatements(t *testing.T) {
	w := newWorld(t)
	s := w.login("agent")
	defer s.Close()
	wantNoError(t, w.do(s, Op{Kind: OpParse, Name: "n", SQL: "select id from orders where id = 1"}, Op{Kind: OpSync}))
	if err := w.gw.LoadPolicies([]PolicyFile{{Name: "p.cedar", Text: testPolicy + `@id("stop") forbid (principal in Group::"agents", action == Action::"read", resource == Table::"shop.public.orders");` +
		"\n" + `@id("stop-columns") forbid (principal in Group::"agents", action == Action::"read", resource in Table::"shop.public.orders");`}}); err != nil {
		t.Fatal(err)
	}
	bind := Op{Kind: OpBind, Name: "n", Raw: []byte("B\x00\x00\x00\x0d\x00n\x00\x00\x00\x00\x00\x00\x00")}
	wantError(t, w.do(s, bind, Op{Kind: OpExecute}, Op{Kind: OpSync}), "42501")
}

func TestNewTableIsFoundAtOnce(t *testing.T) {
	w := newWorld(t)
	dba, s := w.login("dba"), w.login("agent")
	defer dba.Close()
	defer s.Close()
	wantError(t, w.query(s, "select ssn from later"), "42P01")
	wantNoError(t, w.query(dba, "create table later as select * from customers"))
	if a := w.query(s, "select ssn from later limit 1"); len(a.errs) > 0 || a.rows[0][0] != "***" {
		t.Errorf("rows %v errors %v", a.rows, a.errs)
	}
}
