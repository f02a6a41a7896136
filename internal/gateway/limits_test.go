package gateway

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestRowLimit(t *testing.T) {
	w := newWorld(t)
	s := w.login("agent")
	defer s.Close()
	for name, a := range map[string]*answer{"simple": w.query(s, "select id from orders"), "extended": w.do(s, pipeline("select id from orders")...)} {
		if len(a.rows) != 100 || len(a.notices) != 1 || len(a.errs) > 0 || a.tags[0] != "SELECT 100" || a.tx != 'I' {
			t.Errorf("%s: %d rows, notices %v, errors %v, tags %v", name, len(a.rows), a.notices, a.errs, a.tags)
		}
	}
	if a := w.query(s, "select id from orders limit 100"); len(a.rows) != 100 || len(a.notices) != 0 {
		t.Errorf("exactly the limit: %d rows, notices %v", len(a.rows), a.notices)
	}
	a := w.query(s, "copy (select id from orders) to stdout")
	wantError(t, a, "54000")
	if len(a.rows) > 100 {
		t.Errorf("COPY released %d rows", len(a.rows))
	}
	// A portal read in parts has one limit over all of them.
	w.query(s, "begin")
	ops := []Op{{Kind: OpParse, SQL: "select id from orders"}, {Kind: OpBind, Raw: bindText(nil)}}
	for range 5 {
		ops = append(ops, Op{Kind: OpExecute, MaxRows: 40})
	}
	a = w.do(s, append(ops, Op{Kind: OpSync})...)
	if len(a.rows) != 100 {
		t.Errorf("five parts of 40 gave %d rows", len(a.rows))
	}
}

func TestRowLimitHoldsOverAllFetchesOfACursor(t *testing.T) {
	w := newWorld(t)
	s := w.login("agent")
	defer s.Close()
	w.query(s, "begin")
	w.query(s, "declare c scroll cursor for select id from orders")
	rows := 0
	for _, sql := range []string{"fetch 60 from c", "fetch 30 from c", "fetch all from c", "move backward all in c", "fetch 60 from c"} {
		a := w.query(s, sql)
		wantNoError(t, a)
		rows += len(a.rows)
		if strings.Contains(a.types, "n") || sql == "fetch all from c" && a.tags[0] != "FETCH 10" {
			t.Errorf("%s answered %s with tag %v", sql, a.types, a.tags)
		}
	}
	for range 2 {
		rows += len(w.do(s, pipeline("fetch 60 from c")...).rows)
	}
	if rows != 100 {
		t.Errorf("one cursor released %d rows, the limit is 100", rows)
	}
}

func TestTimeLimit(t *testing.T) {
	w := newWorld(t)
	s := w.login("slowly")
	defer s.Close()
	start := time.Now()
	a := w.query(s, "select count(*) from orders a, orders b, orders c")
	wantError(t, a, "57014")
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
	wantNoError(t, w.query(s, "select 1"))
}

func TestCancelHitsOnlyWhatRuns(t *testing.T) {
	w := newWorld(t)
	s := w.login("dba")
	defer s.Close()
	p := s.Params()
	a, done := &answer{}, make(chan error, 1)
	go func() {
		done <- s.Do(context.Background(), []Op{{Kind: OpQuery, SQL: "select pg_sleep(60)"}}, a)
	}()
	w.untilRuns(s, "pg_sleep")
	w.gw.Cancel(p.PID, p.Key+1)
	w.gw.Cancel(p.PID, p.Key)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	wantError(t, a, "57014")
	w.gw.Cancel(p.PID, p.Key) // nothing runs: nothing happens
	wantNoError(t, w.query(s, "select 1"))
}

func TestLostUpstreamEndsTheSession(t *testing.T) {
	w := newWorld(t)
	s, dba := w.login("agent"), w.login("dba")
	defer dba.Close()
	wantNoError(t, w.query(dba, "select pg_terminate_backend(pid, 30000) from pg_stat_activity where application_name = 'sallyport' and pid <> pg_backend_pid()"))
	a := &answer{}
	if err := s.Do(context.Background(), []Op{{Kind: OpQuery, SQL: "select 1"}}, a); !errors.Is(err, ErrEnded) || len(a.errs) == 0 {
		t.Errorf("Do: %v, errors %v", err, a.errs)
	}
}
