package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/testdb"
)

// TestNothingOfASessionOutlivesACall: agents' calls stand alone, whatever functions a query may call.
func TestNothingOfASessionOutlivesACall(t *testing.T) {
	s, tokens, _ := shop(t)
	w := dial(t, s, tokens["wilma"], modern)
	task := w.task()
	cell := func(sql string) string {
		t.Helper()
		r := w.query(task, sql)
		if r.isError {
			t.Fatalf("%s: %s", sql, r.text)
		}
		return fmt.Sprint(r.body["rows"].([]any)[0].([]any)[0])
	}
	path := cell("show search_path")
	for _, leave := range []string{
		"select set_config('search_path', 'pg_catalog', false)",
		"select set_config('search_path', 'pg_catalog', false), 1/(id-1) from customers order by id desc", // and then fails
		"insert into salaries select 1, length(set_config('search_path', 'pg_catalog', false))",
	} {
		r := w.query(task, leave)
		t.Logf("%s: %s", leave, strings.SplitN(r.text, "\n", 2)[0])
		if got := cell("show search_path"); got != path {
			t.Errorf("%s: search_path is %s in the next call, was %s", leave, got, path)
		}
		if got := cell("select count(*) from customers"); got != "250" {
			t.Errorf("%s: the next call counts %s", leave, got)
		}
	}
	if r := w.query(task, "select set_config('datestyle', 'German', false)"); !r.isError {
		if got := cell("select date '2026-01-31'::text"); got != "2026-01-31" {
			t.Errorf("DateStyle outlived its call: %s", got)
		}
	}
}

// TestMasksAreThoseOfTheStatementThatRan, not of what its text would mean afterwards.
func TestMasksAreThoseOfTheStatementThatRan(t *testing.T) {
	s, tokens, _ := shop(t)
	w := dial(t, s, tokens["wilma"], modern)
	r := w.query(w.task(), "select email, set_config('search_path', 'pg_catalog', false) from customers limit 1")
	if masked, _ := r.body["masked"].([]any); r.isError || len(masked) != 1 {
		t.Errorf("masked %v in %s", r.body["masked"], r.text)
	}
}

// peak runs f and gives by how many bytes the heap grew at most.
func peak(f func()) uint64 {
	var top atomic.Uint64
	stop, stopped := make(chan struct{}), make(chan struct{})
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before := m.HeapAlloc
	go func() {
		defer close(stopped)
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			top.Store(max(top.Load(), m.HeapAlloc))
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	f()
	close(stop)
	<-stopped
	return top.Load() - min(before, top.Load())
}

// TestHugeValuesCostNoMemory: an agent may ask for a value of hundreds of megabytes; nobody may have to hold it.
func TestHugeValuesCostNoMemory(t *testing.T) {
	s, tokens, _ := shop(t)
	w := dial(t, s, tokens["wilma"], modern)
	task := w.task()
	w.query(task, "select 1")
	for name, c := range map[string]struct{ sql, code string }{
		"one":             {"select repeat('x', 300000000)", "54000"},
		"one_among_many":  {"select case when id = 3 then repeat('x', 300000000) else 'y' end from customers order by id", "54000"},
		"many":            {"select repeat('x', 100000000) from customers", "54000"},
		"many_large_rows": {"select id, repeat('x', 3000000) from customers", ""},
		"in_an_error":     {"select repeat('x', 300000000)::int", "22P02"},
		"from_a_write":    {"insert into salaries values (1, 2) returning repeat('x', 300000000)", ""},
		"in_json":         {"select to_jsonb(repeat('x', 200000000))", "54000"},
		"as_bytea":        {"select convert_to(repeat('x', 200000000), 'UTF8')", "54000"},
	} {
		t.Run(name, func(t *testing.T) {
			var r toolResult
			start := time.Now()
			grown := peak(func() { r = w.query(task, c.sql) })
			t.Logf("%d MiB in %v: %.150s", grown>>20, time.Since(start).Round(time.Millisecond), r.text)
			if grown > 48<<20 {
				t.Errorf("the heap grew by %d MiB", grown>>20)
			}
			if r.code() != c.code {
				t.Errorf("code %q, want %q: %.200s", r.code(), c.code, r.text)
			}
			if c.code == "54000" && !strings.Contains(r.text, "substring") {
				t.Errorf("no hint: %.200s", r.text)
			}
			if len(r.text) > 200_000 {
				t.Errorf("%d bytes of text", len(r.text))
			}
			switch name {
			case "many_large_rows":
				if r.body["truncated"] != true {
					t.Errorf("not called truncated: %.200s", r.text)
				}
			case "from_a_write":
				if !strings.Contains(r.text, "left out") {
					t.Errorf("the row is gone without a word: %.200s", r.text)
				}
			}
			if r := w.query(task, "select count(*) from customers"); r.isError {
				t.Errorf("the next call: %s", r.text)
			}
		})
	}
	if r := w.query(task, "select count(*) from salaries where id = 1 and amount = 2"); !strings.Contains(r.text, "1") {
		t.Errorf("the write was undone: %s", r.text)
	}
}

// TestClientThatLeavesIsOnRecord: its statement is cancelled at the database, and the record says so.
func TestClientThatLeavesIsOnRecord(t *testing.T) {
	dsn := testdb.Shared(t).NewDatabase(t, shopSchema)
	s, tokens, dir := shopAt(t, dsn)
	w := dial(t, s, tokens["anna"], modern)
	task := w.task()
	w.query(task, "select 1") // connects
	const sql = "select count(*) from customers a, customers b, customers c, customers d, customers e"
	body, err := json.Marshal(w.request("tools/call", map[string]any{"name": "query", "arguments": map[string]any{
		"connection": "shop", "sql": sql, "task_id": task, "reason": why}}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(t.Context())
	behind, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer behind.Close(context.Background())
	go func() { // it leaves once its statement runs
		defer leave()
		for end, runs := time.Now().Add(30*time.Second), false; !runs && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			behind.QueryRow(t.Context(), "select exists (select from pg_stat_activity where state = 'active' and query like '%customers e%' and pid <> pg_backend_pid())").Scan(&runs)
		}
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]string{"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Authorization": "Bearer " + tokens["anna"],
		"Mcp-Protocol-Version": modern, "Mcp-Method": "tools/call", "Mcp-Name": "query"} {
		req.Header.Set(k, v)
	}
	if res, err := http.DefaultClient.Do(req); err == nil {
		res.Body.Close()
		t.Fatal("it was answered")
	}
	for end := time.Now().Add(30 * time.Second); !recorded(t, dir, `"code":"57014"`); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no record of a cancelled statement")
		}
	}
	// Nothing of it runs on.
	wilma := dial(t, s, tokens["wilma"], modern)
	if r := wilma.query(wilma.task(), "select 1"); r.isError {
		t.Errorf("%s", r.text)
	}
}
