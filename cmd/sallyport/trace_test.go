package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/audit"
	"sallyport/internal/access"
)

// TestTraceTakesTheBeginningOfAnID reads a record of three sessions and two tasks.
func TestTraceTakesTheBeginningOfAnID(t *testing.T) {
	dir := t.TempDir()
	log, err := audit.Open(filepath.Join(dir, "log"), audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range []struct{ session, task, sql string }{
		{"s_8c1e00", "task_5f2c00", "select 1"},
		{"s_8c1eff", "task_5f2c00", "select 2"},
		{"s_77", "task_9900", "select 3"},
		{"s_7700", "", "select 4"},
	} {
		rec := &access.Record{Time: time.Unix(int64(i), 0), Session: r.session, Task: r.task, Principal: "ada",
			Kind: access.RecordRefused, SQL: r.sql}
		if _, err := log.Append(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		args []string
		code int
		want []string // in the answer
	}{
		{"whole_id", []string{"--session", "s_8c1e00"}, exitOK, []string{"select 1"}},
		{"beginning_of_a_session", []string{"--session", "s_8c1ef"}, exitOK, []string{"select 2"}},
		{"beginning_of_a_task", []string{"--task", "task_5f2c"}, exitOK, []string{"select 1", "select 2"}},
		{"whole_id_that_begins_another", []string{"--session", "s_77"}, exitOK, []string{"select 3"}},
		{"several", []string{"--session", "s_8c1e"}, exitUsage, []string{"s_8c1e00", "s_8c1eff"}},
		{"none", []string{"--session", "s_nope"}, exitFailed, []string{"no session", "s_nope"}},
		{"none_of_a_task", []string{"--task", "task_0"}, exitFailed, []string{"no task", "task_0"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out, errw strings.Builder
			code := run(append([]string{"trace", "--json", "--data", dir}, tc.args...), strings.NewReader(""), &out, &errw)
			text := out.String() + errw.String()
			if code != tc.code {
				t.Errorf("exit code %d, want %d: %s", code, tc.code, text)
			}
			for _, want := range tc.want {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in %s", want, text)
				}
			}
			if n := strings.Count(out.String(), `"select `); tc.code == exitOK && n != len(tc.want) {
				t.Errorf("%d records, want %d:\n%s", n, len(tc.want), text)
			}
		})
	}
}

// TestTraceInJSONCannotAttackATerminal: what clients sent is in the record as they sent it.
func TestTraceInJSONCannotAttackATerminal(t *testing.T) {
	dir := t.TempDir()
	log, err := audit.Open(filepath.Join(dir, "log"), audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	hostile := "select '\u202e\u009b31m\x7f\x1b[2J'"
	if _, err := log.Append(&access.Record{Session: "s_1", Kind: access.RecordRefused, SQL: hostile}); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	var out, errw strings.Builder
	if code := run([]string{"trace", "--json", "--data", dir}, strings.NewReader(""), &out, &errw); code != exitOK {
		t.Fatalf("exit code %d\n%s", code, errw.String())
	}
	if strings.ContainsAny(out.String(), "\u202e\u009b\x7f\x1b") {
		t.Errorf("it comes out as %q", out.String())
	}
	var got access.Record
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil || got.SQL != hostile {
		t.Errorf("decodes to %q (%v)", got.SQL, err)
	}
}
