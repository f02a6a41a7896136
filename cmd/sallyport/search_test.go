package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/audit"
	"sallyport/internal/access"
)

// searchable is a data directory with twelve refusals.
func searchable(t *testing.T) (data string, log *audit.Log) {
	t.Helper()
	data = t.TempDir()
	log, err := audit.Open(filepath.Join(data, "log"), audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	for i := range 12 {
		rec := &access.Record{Time: time.Unix(1_800_000_000+int64(i), 0), Session: fmt.Sprintf("s_%d", i/4), Principal: []string{"ada", "bob"}[i%2], Kind: access.RecordRefused,
			SQL: fmt.Sprintf("select note%d from orders where customer = 'jane@example.org'", i), Reason: "monthly report"}
		if _, err := log.Append(rec); err != nil {
			t.Fatal(err)
		}
	}
	return data, log
}

func search(t *testing.T, data string, args ...string) (code int, out, errw string) {
	t.Helper()
	var o, e strings.Builder
	code = run(append([]string{"search", "--data", data}, args...), strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

// The log is held by another, as by a gateway that runs.
func TestSearch(t *testing.T) {
	data, log := searchable(t)
	for _, tc := range []struct {
		name string
		args []string
		code int
		want []string // in the answer, in this order
		not  []string
	}{
		{"words", []string{"NOTE7", "orders"}, exitOK, []string{"note7", "because monthly report", "1 record; searched up to record 12"}, []string{"note6", "more:"}},
		{"phrase", []string{"from orders"}, exitOK, []string{"note11", "note0", "12 records"}, nil},
		{"no_phrase", []string{"orders from"}, exitOK, []string{"nothing recorded that matches"}, []string{"note"}},
		{"flags", []string{"--principal", "ada", "--session", "s_1", "--decision", "deny"}, exitOK, []string{"note6", "note4", "2 records"}, []string{"note5"}},
		{"page", []string{"--limit", "2", "--after", "6"}, exitOK, []string{"note4", "note3", "more: --after 4"}, []string{"note5", "note2"}},
		{"person", []string{"--person", "Jane@Example.org", "--limit", "1"}, exitOK, []string{"note11", "more:"}, nil},
		{"json", []string{"--json", "note3"}, exitOK, []string{`{"pos":4,`, `"sql":"select note3 from`}, nil},
		{"part_of_an_id", []string{"--session", "s_"}, exitOK, []string{"by their whole ids"}, []string{"note"}},
		{"window", []string{"--since", "2027-01-15T08:00:02Z", "--until", "2027-01-15T08:00:04Z"}, exitOK, []string{"note3", "note2"}, []string{"note1 ", "note4"}},
		{"no_word", []string{"--", "--"}, exitUsage, []string{"no letter"}, nil},
		{"bad_decision", []string{"--decision", "maybe"}, exitUsage, []string{"allow, deny or review"}, nil},
		{"bad_limit", []string{"--limit", "0"}, exitUsage, []string{"--limit"}, nil},
		{"rebuild", []string{"--rebuild", "note3"}, exitOK, []string{"note3", "made anew, of 12 records"}, nil},
		{"check", []string{"--check"}, exitOK, []string{"sound"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, out, errw := search(t, data, tc.args...)
			if code != tc.code {
				t.Errorf("exit code %d, want %d", code, tc.code)
			}
			text := out + errw
			for _, want := range tc.want {
				i := strings.Index(text, want)
				if i < 0 {
					t.Fatalf("no %q, or too early, in\n%s", want, out+errw)
				}
				text = text[i+len(want):]
			}
			for _, not := range tc.not {
				if strings.Contains(out+errw, not) {
					t.Errorf("%q is in\n%s", not, out+errw)
				}
			}
		})
	}
	// What came since is found without anybody's doing.
	if _, err := log.Append(&access.Record{Session: "s_9", Kind: access.RecordRefused, SQL: "select afterwards"}); err != nil {
		t.Fatal(err)
	}
	if _, out, _ := search(t, data, "afterwards"); !strings.Contains(out, "select afterwards") {
		t.Errorf("not found: %s", out)
	}
}

func TestSearchMakesADamagedIndexAnewAndSaysSo(t *testing.T) {
	data, _ := searchable(t)
	search(t, data)
	path := filepath.Join(data, "index", "index.db")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := search(t, data, "--check"); code != exitFailed || !strings.Contains(out, "damaged") {
		t.Errorf("the check says %d, %s", code, out)
	}
	code, out, errw := search(t, data, "note3")
	if code != exitOK || !strings.Contains(out, "note3") || !strings.Contains(errw, "made anew from the record: it is damaged") {
		t.Errorf("%d\n%s\n%s", code, out, errw)
	}
}

// Erasing takes the records out of the index too.
func TestEraseReachesTheIndex(t *testing.T) {
	data, log := searchable(t)
	search(t, data)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(filepath.Join(data, "index", "index.db"))
	if err != nil {
		t.Fatal(err)
	}
	var o, e strings.Builder
	if code := run([]string{"erase", "--data", data, "--session", "s_1", "--by", "dpo", "--why", "a request"}, strings.NewReader(""), &o, &e); code != exitOK {
		t.Fatalf("%d: %s", code, e.String())
	}
	after, err := os.Stat(filepath.Join(data, "index", "index.db"))
	if err != nil {
		t.Fatal(err)
	}
	if os.SameFile(before, after) {
		t.Error("the index is the file that it was")
	}
	if _, out, errw := search(t, data, "note5"); out != "" || strings.Contains(errw, "have left it") {
		t.Errorf("found %s\n%s", out, errw)
	}
	if _, out, _ := search(t, data, "--session", "s_1"); strings.Count(out, "(erased)") != 4 {
		t.Errorf("the session is\n%s", out)
	}
}
