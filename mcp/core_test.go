package mcp

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/audit"
	"sallyport/internal/access"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/testdb"
)

const shopSchema = `
create table customers(id int primary key, name text, email text, balance numeric, vip boolean, big bigint, prefs jsonb, notes text);
comment on table customers is 'people who bought';
insert into customers select g, 'n'||g, 'canary'||g||'@example.com', g * 1.10, g % 2 = 0, 9007199254740990 + g, '{"a": [1, null]}', 'ok' from generate_series(1, 250) g;
create table salaries(id int, amount int);`

const shopPolicy = `
@id("agents") permit (principal in Group::"agents", action in [Action::"connect", Action::"read"], resource in Connection::"shop");
@id("no-salaries") forbid (principal in Group::"agents", action, resource == Table::"shop.public.salaries");
@id("writers") permit (principal in Group::"writers", action in [Action::"connect", Action::"read", Action::"write", Action::"session"], resource in Connection::"shop");`

// shop is the door before the real core and a real PostgreSQL.
func shop(t *testing.T) (s *Server, tokens map[string]string, dir string) {
	t.Helper()
	return shopAt(t, testdb.Shared(t).NewDatabase(t, shopSchema))
}

// shopAt is a shop whose database the test knows.
func shopAt(t *testing.T, dsn string) (s *Server, tokens map[string]string, dir string) {
	t.Helper()
	dir, tokens = t.TempDir(), map[string]string{}
	var people []access.LocalPrincipal
	for name, group := range map[string]string{"anna": "agents", "bert": "agents", "wilma": "writers", "nobody": "none"} {
		token, sum := identity.NewToken()
		tokens[name] = token
		people = append(people, access.LocalPrincipal{Name: name, Kind: access.Agent, Groups: []string{group}, Tokens: []access.LocalToken{{SHA256: sum}}})
	}
	gw, err := gateway.Open(t.Context(), gateway.Config{
		DataDir:     dir,
		Connections: []access.Connection{{Name: "shop", Driver: "postgres", DSN: dsn}},
		Principals:  people,
		Labels:      []access.LabelRule{{Label: "pii.email", Columns: []string{"*.*.email"}}},
		Masks:       []access.Mask{{Label: "pii.email", Transform: "partial", Style: "email"}},
		Policies:    []gateway.PolicyFile{{Name: "shop.cedar", Text: shopPolicy}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { gw.Close() })
	s, err = New(gw, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, tokens, dir
}

func TestWithTheRealCore(t *testing.T) {
	s, tokens, dir := shop(t)
	eras(t, func(t *testing.T, protocol string) {
		w := dial(t, s, tokens["anna"], protocol)
		task := w.task()

		t.Run("connections", func(t *testing.T) {
			if r := w.call("list_connections", nil); r.isError || !strings.Contains(r.text, "shop: postgres") {
				t.Errorf("%s", r.text)
			}
			n := dial(t, s, tokens["nobody"], protocol)
			if r := n.call("list_connections", nil); r.isError || strings.Contains(r.text, "shop") {
				t.Errorf("%s", r.text)
			}
		})
		t.Run("schema", func(t *testing.T) {
			r := w.call("search_schema", map[string]any{"connection": "shop", "pattern": "custom", "task_id": task, "reason": why})
			for _, part := range []string{"public.customers (table) -- people who bought", "email text @pii.email masked:partial", "id integer not null"} {
				if !strings.Contains(r.text, part) {
					t.Errorf("no %q in\n%s", part, r.text)
				}
			}
		})
		t.Run("masked_read", func(t *testing.T) {
			r := w.query(task, "select id, email, balance, vip, big, prefs from customers order by id limit 3")
			if r.isError || strings.Contains(r.text, "canary") || r.body["record"].(float64) == 0 {
				t.Fatalf("%s", r.text)
			}
			masked, _ := r.body["masked"].([]any)
			if len(masked) != 1 || masked[0].(map[string]any)["from"] != "public.customers.email" {
				t.Errorf("masked: %v", r.body["masked"])
			}
			row := r.body["rows"].([]any)[2].([]any)
			prefs, _ := row[5].(map[string]any)
			if row[0] != 3.0 || row[2] != "3.30" || row[3] != false || row[4] != "9007199254740993" || prefs["a"] == nil {
				t.Errorf("row: %v", row)
			}
		})
		t.Run("parameters", func(t *testing.T) {
			r := w.call("query", map[string]any{"connection": "shop", "sql": "select name from customers where id = $1 and vip = $2", "params": []any{4, true}, "task_id": task, "reason": why})
			if r.isError || r.body["row_count"] != 1.0 {
				t.Errorf("%s", r.text)
			}
		})
		t.Run("pages", func(t *testing.T) {
			r := w.query(task, "select id from customers order by id")
			total := r.body["row_count"].(float64)
			for r.body["cursor"] != nil {
				r = w.call("query", map[string]any{"cursor": r.body["cursor"], "task_id": task, "reason": why})
				total += r.body["row_count"].(float64)
			}
			if total != 250 || r.body["truncated"] != false {
				t.Errorf("%v rows, %s", total, r.text)
			}
		})
		for name, c := range map[string]struct{ sql, code string }{
			"forbidden_table": {"select * from salaries", "42501"},
			"write":           {"delete from customers", "42501"},
			"stacked":         {"select 1; delete from customers", ""},
			"syntax":          {"selec 1", "42601"},
			"unknown_table":   {"select * from nope", "42P01"},
			"file":            {"select pg_read_file('/etc/passwd')", ""},
			"cast_probe":      {"select id / 0 from customers", "22012"},
		} {
			t.Run(name, func(t *testing.T) {
				r := w.query(task, c.sql)
				if !r.isError || c.code != "" && r.code() != c.code || strings.Contains(r.text, "canary") {
					t.Errorf("%s: %s", c.sql, r.text)
				}
			})
		}
		t.Run("explain", func(t *testing.T) {
			explain := func(sql string) toolResult {
				return w.call("explain", map[string]any{"connection": "shop", "sql": sql, "task_id": task, "reason": why})
			}
			if r := explain("select id, email from customers where id = 7"); r.isError || !strings.Contains(r.text, "customers") {
				t.Errorf("%s", r.text)
			}
			for _, sql := range []string{"analyze select id from customers", "(analyze) select id from customers", "select 1; select 2", "verbose select 1"} {
				if r := explain(sql); !r.isError {
					t.Errorf("%s: %s", sql, r.text)
				}
			}
		})
		t.Run("no_such_connection", func(t *testing.T) {
			r := w.call("query", map[string]any{"connection": "warehouse", "sql": "select 1", "task_id": task, "reason": why})
			n := dial(t, s, tokens["nobody"], protocol)
			hidden := n.call("query", map[string]any{"connection": "shop", "sql": "select 1", "task_id": n.task(), "reason": why})
			if !r.isError || !hidden.isError || r.code() != hidden.code() {
				t.Errorf("%s\n%s", r.text, hidden.text)
			}
		})
	})
	if !recorded(t, dir, why) || !recorded(t, dir, "find out why order 17 is late") {
		t.Error("the record holds no reason or goal")
	}
	for name, token := range tokens {
		if recorded(t, dir, token) {
			t.Errorf("%s's token is in the data directory", name)
		}
	}
}

func TestTransactionsEndWithTheirCall(t *testing.T) {
	s, tokens, _ := shop(t)
	w := dial(t, s, tokens["wilma"], modern)
	task := w.task()
	if r := w.query(task, "begin"); !r.isError && !strings.Contains(r.text, "each call stands alone") {
		t.Errorf("%s", r.text)
	}
	if r := w.query(task, "update customers set name = 'changed' where id = 1"); r.isError || r.body["command"] != "UPDATE 1" {
		t.Fatalf("%s", r.text)
	}
	w.query(task, "rollback")
	if r := w.query(task, "select name from customers where id = 1"); !strings.Contains(r.text, "changed") {
		t.Errorf("a transaction was left open: %s", r.text)
	}
}

func TestTimedOutStatementIsCancelled(t *testing.T) {
	s, tokens, _ := shop(t)
	w := dial(t, s, tokens["anna"], modern)
	task := w.task()
	w.query(task, "select 1") // connects
	patient := s.opt.CallTimeout
	s.opt.CallTimeout = 300 * time.Millisecond
	start := time.Now()
	r := w.query(task, "select count(*) from customers a, customers b, customers c, customers d, customers e")
	if took := time.Since(start); r.code() != "57014" || took > 30*time.Second {
		t.Errorf("%s after %s", r.text, took)
	}
	s.opt.CallTimeout = patient
	if r := w.query(task, "select 1"); r.isError {
		t.Errorf("the next call: %s", r.text)
	}
}

// recorded says whether a file of the data directory, or a record in it, holds text.
func recorded(t *testing.T, dir, text string) bool {
	t.Helper()
	found := false
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		found = found || bytes.Contains(b, []byte(text))
		return err
	})
	if err == nil { // records are sealed
		err = audit.Read(filepath.Join(dir, "log"), func(rec *access.Record) error {
			var b bytes.Buffer
			if err := audit.JSON(&b, []*access.Record{rec}); err != nil {
				return err
			}
			found = found || bytes.Contains(b.Bytes(), []byte(text))
			return nil
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return found
}
