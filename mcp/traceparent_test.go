package mcp

import (
	"path/filepath"
	"testing"

	"sallyport/audit"
	"sallyport/internal/access"
)

// What a client says in _meta of the trace that it is in goes into the record of the call, and of no other; what is no
// traceparent does not.
func TestTraceparentIsRecorded(t *testing.T) {
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	s, tokens, dir := shop(t)
	eras(t, func(t *testing.T, protocol string) {
		w := dial(t, s, tokens["anna"], protocol)
		task := w.task()
		call := func(sql string, meta any) {
			t.Helper()
			r := w.request("tools/call", map[string]any{"name": "query", "arguments": map[string]any{"connection": "shop", "sql": sql, "task_id": task, "reason": why}})
			params := r["params"].(map[string]any)
			m, _ := params["_meta"].(map[string]any)
			if m == nil {
				m = map[string]any{}
			}
			m["traceparent"] = meta
			params["_meta"] = m
			if status, body, _ := w.post(r); status != 200 {
				t.Fatalf("%d %s", status, body)
			}
		}
		call("select 11", trace)
		w.query(task, "select 12")
		call("select 13", "00-zz\x1b[2J")
		call("select 14", 7)
		call("select 15 from nowhere", trace) // refused
		want := map[string]string{"select 11": trace, "select 12": "", "select 13": "", "select 14": "", "select 15 from nowhere": trace}
		seen := 0
		err := audit.Read(filepath.Join(dir, "log"), func(rec *access.Record) error {
			if wanted, ok := want[rec.SQL]; ok && rec.Task == task {
				if seen++; rec.Traceparent != wanted {
					t.Errorf("%s: %q", rec.SQL, rec.Traceparent)
				}
			}
			if rec.Kind == access.RecordClose && rec.Traceparent != "" {
				t.Errorf("the close record has %q", rec.Traceparent)
			}
			return nil
		})
		if err != nil || seen != len(want) {
			t.Errorf("%d of %d statements, %v", seen, len(want), err)
		}
	})
}
