package gateway

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"sallyport/internal/access"
)

// TestClaimsAreSettingsLikeOthers runs scripts through the gateway and against the server itself, and compares what
// records say with what the server says that the settings are.
func TestClaimsAreSettingsLikeOthers(t *testing.T) {
	w := newWorld(t)
	scripts := map[string][]string{
		"set":                {"set sallyport.reason = 'one'", "set session sallyport.reason to two", "set sallyport.reason = 3", "SET SALLYPORT.REASON = 'four'"},
		"set_local":          {"begin", "set local sallyport.reason = 'one'", "set sallyport.task = 'job'", "commit"},
		"set_local_alone":    {"set local sallyport.reason = 'one'"},
		"rollback":           {"set sallyport.reason = 'one'", "begin", "set sallyport.reason = 'two'", "set sallyport.task = 'job'", "rollback"},
		"failed_transaction": {"begin", "set sallyport.reason = 'one'", "select 1/0", "rollback"},
		"failed_text":        {"set sallyport.reason = 'one'; select 1/0"},
		"text":               {"set sallyport.reason = 'one'; select 1", "begin; set local sallyport.reason = 'two'; commit"},
		"savepoint":          {"begin", "set sallyport.reason = 'one'", "savepoint a", "set sallyport.reason = 'two'", "savepoint b", "set local sallyport.reason = 'three'", "release b", "rollback to a", "commit"},
		"reset":              {"set sallyport.reason = 'one'", "reset sallyport.reason", "set sallyport.reason = 'two'", "set sallyport.reason to default"},
		"reset_all":          {"set sallyport.reason = 'one'", "set sallyport.task = 'job'", "reset all"},
		"discard_all":        {"set sallyport.reason = 'one'", "discard all"},
		"set_config":         {"select set_config('sallyport.reason', 'o' || 'ne', false)", "begin", "select set_config('sallyport.reason', 'two', true)", "commit"},
		"prepared":           {"prepare p(text) as select set_config('sallyport.reason', $1, false)", "execute p('one')", "begin", "execute p('two')", "rollback"},
		"cursor":             {"begin", "declare c cursor for select set_config('sallyport.reason', 'one', true)", "fetch all from c", "commit"},
	}
	for name, script := range scripts {
		for _, who := range []string{"agent", "dba"} {
			t.Run(name+"_"+who, func(t *testing.T) {
				conf, err := pgconn.ParseConfig(w.dsn)
				if err != nil {
					t.Fatal(err)
				}
				conf.RuntimeParams["sallyport.reason"], conf.RuntimeParams["sallyport.task"] = "at the start", "first"
				direct, err := pgconn.ConnectConfig(context.Background(), conf)
				if err != nil {
					t.Fatal(err)
				}
				defer direct.Close(context.Background())
				s, err := w.gw.Connect(context.Background(), Login{Door: access.DoorPGWire, Connection: "shop", Credentials: access.Password{User: who, Secret: "pw-" + who},
					Settings: map[string]string{"sallyport.reason": "at the start", "sallyport.task": "first"}})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				for step, sql := range append([]string{""}, script...) {
					direct.Exec(context.Background(), sql).ReadAll()
					w.query(s, sql)
					if direct.TxStatus() == 'E' {
						continue // nothing can be shown
					}
					want := ""
					for _, setting := range []string{"sallyport.reason", "sallyport.task"} {
						res, err := direct.Exec(context.Background(), "show "+setting).ReadAll()
						if err != nil {
							t.Fatal(err)
						}
						want += string(res[0].Rows[0][0]) + "/"
						if a := w.query(s, "show "+setting); len(a.rows) != 1 || a.rows[0][0] != string(res[0].Rows[0][0]) {
							t.Errorf("after %q %s shows %v %v, the server %s", sql, setting, a.rows, a.errs, res[0].Rows[0][0])
						}
					}
					mark := fmt.Sprintf("select '%s %s %d'", name, who, step)
					wantNoError(t, w.query(s, mark))
					for _, r := range w.records() {
						if got := r.Reason + "/" + r.Task + "/"; r.SQL == mark && got != want {
							t.Errorf("after %q a record says %s, the server %s", sql, got, want)
						}
					}
				}
			})
		}
	}
}

// TestReasonCountsWithinOneText: what follows SET in the same text is judged by what it set, and nothing follows
// what is not known beforehand.
func TestReasonCountsWithinOneText(t *testing.T) {
	w := newWorld(t)
	s := w.login("why")
	defer s.Close()
	const long = "'looking into the refund of order 1'"
	a := w.query(s, "begin; set local sallyport.reason = "+long+"; select id from orders where id = 1; commit")
	if len(a.errs) > 0 || len(a.rows) != 1 {
		t.Errorf("rows %v errors %v", a.rows, a.errs)
	}
	wantError(t, w.query(s, "select id from orders where id = 1"), "42501")
	wantError(t, w.query(s, "set sallyport.reason = "+long+"; set sallyport.reason = ''; select id from orders where id = 1"), "42501")
	for _, sql := range []string{
		"begin; set local sallyport.reason = " + long + "; commit; select 1",
		"reset sallyport.reason; select 1",
		"select set_config('sallyport.reason', " + long + ", false); select 1",
	} {
		if a := w.query(s, sql); len(a.errs) != 1 || !strings.Contains(a.errs[0], "alone or last") {
			t.Errorf("%s: %v", sql, a.errs)
		}
	}
	for _, sql := range []string{"begin", "set sallyport.reason = " + long, "rollback"} {
		wantNoError(t, w.query(s, sql))
	}
	wantError(t, w.query(s, "select id from orders where id = 1"), "42501")
}
