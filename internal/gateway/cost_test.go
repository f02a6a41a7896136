package gateway

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/access"
	"sallyport/internal/pgframe"
)

// indexed makes a table of which a part is cheap and the whole is dear.
func (w *world) indexed() {
	w.t.Helper()
	conn, err := pgx.Connect(context.Background(), w.dsn)
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, sql := range []string{"create table big(id int primary key, kind int, pad text)",
		"insert into big select g, case when g < 10 then g else 0 end, repeat('x', 100) from generate_series(1, 300000) g", "create index on big(kind)", "vacuum analyze big"} {
		if _, err := conn.Exec(context.Background(), sql); err != nil {
			w.t.Fatal(err)
		}
	}
	w.gw.dbs["shop"].stale()
}

func TestCostLimit(t *testing.T) {
	w := newWorld(t)
	w.indexed()
	for _, who := range []string{"thrifty", "thriftyraw"} {
		s := w.login(who)
		refused := func(name string, ops ...Op) {
			t.Helper()
			a := w.do(s, ops...)
			if len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], "54000 the database expects this to cost ") {
				t.Errorf("%s, %s: errors %q, %d rows", who, name, a.errs, len(a.rows))
			}
		}
		fine := func(name string, rows int, ops ...Op) {
			t.Helper()
			a := w.do(s, ops...)
			if len(a.errs) > 0 || len(a.rows) != rows {
				t.Errorf("%s, %s: errors %q, %d rows", who, name, a.errs, len(a.rows))
			}
		}
		q := func(sql string) Op { return Op{Kind: OpQuery, SQL: sql} }
		for range 2 { // the second time from what is kept
			refused("simple", q("select * from big"))
			refused("extended", pipeline("select * from big")...)
			fine("cheap", 1, q("select id from big where id = 7"))
			fine("cheap, of the same shape", 0, q("select id from big where kind = 77"))
			refused("dear, of the same shape", q("select id from big where kind = 0"))
			fine("bound to few", 1, pipeline("select id from big where kind = $1", "5")...)
			refused("bound to many", pipeline("select id from big where kind = $1", "0")...)
			fine("bound to few again", 1, pipeline("select id from big where kind = $1", "5")...)
		}
		fine("within the limit for LIMIT", 3, q("select * from big limit 3"))
		refused("in a batch", q("select 1; select * from big"))
		refused("copy", q("copy (select id from big) to stdout"))
		refused("copy of a table", q("copy big to stdout"))
		refused("a write", q("update big set pad = '' where id > 5"))
		refused("in a condition", q("select 1 where 3 in (select id from big where pad <> '')"))
		fine("the plan alone", 0, q("set application_name = 'x'"))
		wantNoError(t, w.query(s, "explain select * from big"))
		if who == "thriftyraw" {
			refused("stored", q("create table other as select * from big"))
			refused("explain analyze", q("explain analyze select * from big"))
		}
		wantNoError(t, w.query(s, "prepare p(int) as select id from big where kind = $1"))
		fine("executed for few", 1, q("execute p(5)"))
		refused("executed for many", q("execute p(0)"))
		wantNoError(t, w.query(s, "begin"))
		wantNoError(t, w.query(s, "declare c cursor for select id from big where id < 5"))
		fine("fetched", 4, q("fetch all from c"))
		refused("a cursor", q("declare d cursor for select * from big a, big b"))
		if a := w.query(s, "select 1"); len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], "25P02") || a.tx != 'E' {
			t.Errorf("the transaction goes on: %v", a.errs)
		}
		wantNoError(t, w.query(s, "rollback"))
		if _, err := s.Query(context.Background(), Query{SQL: "select * from big"}); access.AsError(err).Code != "54000" {
			t.Errorf("an agent is told %v", err)
		}
		s.Close()
	}
}

// What the client may set must not make dear things cheap.
func TestSettingsDoNotLowerTheCost(t *testing.T) {
	w := newWorld(t)
	w.indexed()
	s := w.login("thrifty")
	defer s.Close()
	for _, sql := range []string{"set seq_page_cost = 0", "set local cpu_tuple_cost = 0", "select set_config('cpu_operator_cost', '0', false)", "set plan_cache_mode = force_generic_plan",
		"set effective_cache_size = '1TB'"} {
		wantError(t, w.query(s, sql), "42501")
	}
	_, err := w.gw.Connect(context.Background(), Login{Door: access.DoorPGWire, Connection: "shop", Credentials: access.Password{User: "thrifty", Secret: "pw-thrifty"},
		Settings: map[string]string{"random_page_cost": "0"}})
	if err == nil || access.AsError(err).Code != "42501" {
		t.Errorf("at start-up: %v", err)
	}
	wantNoError(t, w.query(s, "set enable_indexscan = off; set enable_bitmapscan = off"))
	wantError(t, w.query(s, "select * from big where kind = 3"), "54000") // it would have to read everything now
}

func TestAMaskedPrincipalLearnsTheSizeOfACostOnly(t *testing.T) {
	w := newWorld(t)
	w.indexed()
	told := func(who string) string {
		s := w.login(who)
		defer s.Close()
		return w.query(s, "select * from big").errs[0]
	}
	if m := told("thrifty"); !strings.Contains(m, "to cost about 9000 (in") {
		t.Errorf("masked: %s", m)
	}
	if m := told("thriftyraw"); strings.Contains(m, "about") || strings.Contains(m, "000 (in") {
		t.Errorf("raw: %s", m)
	}
}

func TestACostThatCannotBeAskedForIsTheStatementsOwnError(t *testing.T) {
	w := newWorld(t)
	w.indexed()
	s := w.login("thrifty")
	defer s.Close()
	wantError(t, w.query(s, "select 1/0 from big where id = 3"), "22012")
	wantError(t, w.query(s, "select 1; select id from big where id = 'x'"), "22P02")
	a := w.do(s, append(pipeline("select id from big where id = $1::int", "x"), pipeline("select id from big where id = 4")...)...)
	if len(a.errs) != 1 || len(a.rows) != 1 {
		t.Errorf("a pipeline goes on after Sync: %v, %d rows", a.errs, len(a.rows))
	}
	bind, at := pgframe.Begin(nil, 'B')
	bind = pgframe.End(append(pgframe.AppendCString(append(bind, 0), "p"), 0, 0, 0, 1, 0, 0, 0, 1, '4', 0, 0), at)
	wantNoError(t, w.query(s, "prepare p(int) as select id from big where id = $1"))
	wantError(t, w.do(s, Op{Kind: OpBind, Name: "p", Raw: bind}, Op{Kind: OpExecute}, Op{Kind: OpSync}), "0A000")
	refused := 0
	for _, r := range w.records() {
		if r.Kind == access.RecordRefused {
			refused++
		}
	}
	if refused < 2 {
		t.Errorf("%d refusals recorded", refused)
	}
}
