package gateway

import (
	"context"
	"errors"
	"testing"
)

func (w *world) ask(s *Session, sql string) *Result {
	w.t.Helper()
	res, err := s.Query(context.Background(), Query{SQL: sql, MaxRows: 100, MaxBytes: 1 << 20})
	if err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
	return res
}

func TestResetTakesEverythingBack(t *testing.T) {
	w := newWorld(t)
	dba, s := w.login("dba"), w.login("dba")
	defer dba.Close()
	defer s.Close()
	w.ask(dba, "create sequence sq")
	for _, sql := range []string{
		"select set_config('work_mem', '65MB', false), set_config('search_path', 'pg_catalog', false)", "select pg_advisory_lock(7)",
		"create temporary table orders(id int)", "select nextval('public.sq')", "prepare p as select 1", "listen c", "set datestyle = german",
	} {
		w.ask(s, sql)
	}
	if err := s.Reset(context.Background()); err != nil {
		t.Fatal(err)
	}
	for sql, want := range map[string]string{
		"show search_path": `"$user", public`, "show datestyle": "ISO, MDY", "select count(*) from orders": "5000",
		"select count(*) from pg_prepared_statements": "0", "select count(*) from pg_listening_channels()": "0",
		"select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()": "0",
	} {
		if got := *w.ask(s, sql).Rows[0][0]; got != want {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
	}
	if _, err := s.Query(context.Background(), Query{SQL: "execute p"}); err == nil {
		t.Error("a prepared statement outlived a reset")
	}
}

// TestResetKeepsTheTokenKey: it was set when the session was opened and must come back with RESET ALL.
func TestResetKeepsTheTokenKey(t *testing.T) {
	w := newWorld(t)
	s := w.login("writer")
	defer s.Close()
	const sql = "select email from customers where id = 1"
	before := *w.ask(s, sql).Rows[0][0]
	w.ask(s, "insert into orders values (100001, 1, 1)")
	if err := s.Reset(context.Background()); err != nil {
		t.Fatal(err)
	}
	if after := *w.ask(s, sql).Rows[0][0]; after != before || after == "" {
		t.Errorf("token %q became %q", before, after)
	}
}

func TestResetIsForWholeSessions(t *testing.T) {
	w := newWorld(t)
	s := w.login("dba")
	w.ask(s, "begin")
	if err := s.Reset(context.Background()); !errors.Is(err, ErrEnded) {
		t.Errorf("in a transaction: %v", err)
	}
	if _, err := s.Query(context.Background(), Query{SQL: "select 1"}); !errors.Is(err, ErrEnded) {
		t.Errorf("the session goes on: %v", err)
	}
	s = w.login("agent")
	defer s.Close()
	w.ask(s, "select id from orders limit 1")
	if s.dirty {
		t.Error("a pure read is taken for one that leaves traces")
	}
}
