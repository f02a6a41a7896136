package gateway

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/access"
)

// No setting of the server's lifts a limit of the gateway's, whichever way a client changes it.
func TestSettingsDoNotLiftTheTimeLimit(t *testing.T) {
	w := newWorld(t)
	const slow = "select count(*) from orders a, orders b, orders c"
	for name, before := range map[string]string{
		"set":                  "set statement_timeout = 0",
		"set local":            "begin; set local statement_timeout = 0",
		"set_config":           "select set_config('statement_timeout', '0', false)",
		"set_config local":     "begin; select set_config('statement_timeout', '0', true)",
		"reset":                "reset statement_timeout",
		"the whole batch":      "set statement_timeout = 0; set lock_timeout = 0",
		"in a function's text": "set idle_in_transaction_session_timeout = 0",
	} {
		s := w.login("slowly")
		wantNoError(t, w.query(s, before))
		began := time.Now()
		a := w.query(s, slow)
		if len(a.errs) != 1 || !strings.Contains(a.errs[0], "57014 the statement took longer than the 300ms that the policy allows") || time.Since(began) > 30*time.Second {
			t.Errorf("%s: %v after %v", name, a.errs, time.Since(began))
		}
		s.Close()
	}
	s, err := w.gw.Connect(context.Background(), Login{Door: access.DoorPGWire, Connection: "shop", Credentials: access.Password{User: "slowly", Secret: "pw-slowly"},
		Settings: map[string]string{"statement_timeout": "0", "lock_timeout": "0", "idle_in_transaction_session_timeout": "0"}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	wantError(t, w.query(s, slow), "57014")
	for _, sql := range []string{"alter role current_user set statement_timeout = 0", "alter database shop set statement_timeout = 0", "set role postgres",
		"do $$ begin perform set_config('statement_timeout', '0', false); perform pg_sleep(1); end $$", "alter system set statement_timeout = 0"} {
		if a := w.query(s, sql); len(a.errs) != 1 {
			t.Errorf("%s: %v", sql, a.errs)
		}
	}
}

// lock has somebody else hold a lock on orders until the test ends.
func (w *world) lock() {
	w.t.Helper()
	conn, err := pgx.Connect(context.Background(), w.dsn)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close(context.Background()) })
	if _, err := conn.Exec(context.Background(), "begin; lock table orders in access exclusive mode"); err != nil {
		w.t.Fatal(err)
	}
}

func TestLockLimit(t *testing.T) {
	w := newWorld(t)
	s := w.login("waiter")
	defer s.Close()
	wantNoError(t, w.query(s, "set lock_timeout = 0"))
	wantNoError(t, w.query(s, "select count(*) from orders a, orders b where a.id < 3000")) // long, but waits for nothing
	w.lock()
	for name, ops := range map[string][]Op{
		"simple":      {{Kind: OpQuery, SQL: "select * from orders"}},
		"extended":    pipeline("select * from orders"),
		"batch":       {{Kind: OpQuery, SQL: "select 1; select * from orders"}},
		"parse alone": {{Kind: OpParse, SQL: "select * from orders"}, {Kind: OpFlush}, {Kind: OpSync}},
		"slow start":  {{Kind: OpQuery, SQL: "select count(*) from customers a, customers b, customers c; select * from orders"}},
	} {
		began := time.Now()
		a := w.do(s, ops...)
		took := time.Since(began)
		if len(a.errs) != 1 || !strings.Contains(a.errs[0], "55P03 the statement waited for a lock longer than the 400ms that the policy allows") {
			t.Errorf("%s: %v", name, a.errs)
		}
		if took < 400*time.Millisecond || took > 30*time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
	wantNoError(t, w.query(s, "select count(*) from customers"))
	refused := 0
	for _, r := range w.records() {
		if r.Code == "55P03" {
			refused++
		}
	}
	if refused < 4 {
		t.Errorf("%d records of waits that were ended", refused)
	}
}

func TestLockWaitsThatCannotBeSeenEnd(t *testing.T) {
	w := newWorld(t)
	s := w.login("waiter")
	defer s.Close()
	w.gw.dbs["shop"].watcher.DSN = func() string { return "postgres://nobody@127.0.0.1:1/none" }
	a := w.query(s, "select count(*) from orders a, orders b, orders c")
	if len(a.errs) != 1 || !strings.Contains(a.errs[0], "55P03") || !strings.Contains(a.errs[0], "cannot be told") {
		t.Errorf("%v", a.errs)
	}
	wantNoError(t, w.query(s, "select 1"))
}

// listener is an answer whose door is told of the end.
type listener struct {
	answer
	ended chan struct{}
}

func (l *listener) Ended() { close(l.ended) }

func TestAnIdleTransactionIsEnded(t *testing.T) {
	w := newWorld(t)
	for name, ops := range map[string][]Op{
		"begin":          {{Kind: OpQuery, SQL: "set idle_in_transaction_session_timeout = 0; begin; update orders set amount = -1 where id = 1"}},
		"failed":         {{Kind: OpQuery, SQL: "begin; update orders set amount = -1 where id = 1"}, {Kind: OpQuery, SQL: "select 1/0"}},
		"without a Sync": append(pipeline("update orders set amount = -1 where id = 1")[:4], Op{Kind: OpFlush}),
		"parsed alone":   {{Kind: OpParse, SQL: "update orders set amount = -1 where id = 1"}, {Kind: OpFlush}},
		"in COPY":        {{Kind: OpQuery, SQL: "copy orders from stdin"}},
		"listening":      {{Kind: OpQuery, SQL: "begin; update orders set amount = -1 where id = 1; listen x"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := w.login("pauser")
			l := &listener{ended: make(chan struct{})}
			if err := s.Do(context.Background(), ops, l); err != nil {
				t.Fatal(err)
			}
			select {
			case <-l.ended:
			case <-time.After(30 * time.Second):
				t.Fatal("not ended")
			}
			if last := l.errs[len(l.errs)-1]; !strings.HasPrefix(last, "25P03 the session was idle in a transaction for longer than the 300ms") {
				t.Errorf("told %q", last)
			}
			if err := s.Do(context.Background(), []Op{{Kind: OpQuery, SQL: "commit"}}, &answer{}); err != ErrEnded {
				t.Errorf("it goes on: %v", err)
			}
			if r := w.records(); !strings.Contains(r[len(r)-1].Error, "idle in a transaction") {
				t.Errorf("last record %+v", r[len(r)-1])
			}
		})
	}
	dba := w.login("dba")
	defer dba.Close()
	if a := w.query(dba, "select count(*) from orders where amount = -1"); a.rows[0][0] != "0" {
		t.Errorf("%s rows changed", a.rows[0][0])
	}
}

// TestATransactionThatGoesOnIsNotIdle: a machine that stops for a while makes a pause of its own, after which the test begins anew.
func TestATransactionThatGoesOnIsNotIdle(t *testing.T) {
	const limit = 300 * time.Millisecond // of pausers
	w := newWorld(t)
	for try := range 50 {
		if goesOn(t, w, limit) {
			return
		}
		t.Logf("try %d: a pause was longer than the limit", try)
	}
	t.Fatal("the machine is too slow for a pause below the limit")
}

// goesOn works in a transaction for longer than the limit, with pauses below it. It is false where a pause may have been longer, and the session has ended.
func goesOn(t *testing.T, w *world, limit time.Duration) bool {
	t.Helper()
	s := w.login("pauser")
	defer s.Close()
	a := &stamped{}
	step := func(sql string) bool {
		t.Helper()
		answered := a.at // a pause begins after it
		if err := s.Do(context.Background(), []Op{{Kind: OpQuery, SQL: sql}}, a); err != nil && time.Since(answered) > limit {
			return false
		} else if err != nil || len(a.errs) > 0 {
			t.Fatalf("%s: %v %q", sql, err, a.errs)
		}
		return true
	}
	ok := step("begin")
	for i := 0; ok && i < 6; i++ {
		time.Sleep(100 * time.Millisecond)
		ok = step(fmt.Sprintf("update orders set amount = %d where id = 2", i))
	}
	ok = ok && step("select count(*) from orders a, orders b where a.id < 4000") // longer than the limit, but not idle
	if ok = ok && step("commit"); ok {
		time.Sleep(2 * limit)
		wantNoError(t, w.query(s, "select 1"))
	}
	return ok
}

// stamped notes when something was released last.
type stamped struct {
	answer
	at time.Time
}

func (s *stamped) Release(frames []byte) error {
	s.at = time.Now()
	return s.answer.Release(frames)
}
