package index

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/audit"
	"sallyport/internal/access"
)

var update = flag.Bool("update", false, "write the golden files")

func TestListIsAsItWas(t *testing.T) {
	l := newLog(t)
	plan := func(effect string) json.RawMessage { return json.RawMessage(`{"effect":"` + effect + `"}`) }
	l.add(&access.Record{Kind: access.RecordOpen, Session: "s_8c1e77aa0142", Principal: "ada", Connection: "shop"},
		&access.Record{Session: "s_8c1e77aa0142", Principal: "ada", Connection: "shop", SQL: "SELECT email\n\tFROM customers\n WHERE id = 7", Plan: plan("allow")},
		&access.Record{Kind: access.RecordTask, Session: "s_9", Principal: "bob", Actor: "support-agent", Task: "task_1", Goal: "Answer SUP-17"},
		&access.Record{Kind: access.RecordIntent, Session: "s_9", Principal: "bob", Actor: "support-agent", Connection: "crm", SQL: "DELETE FROM orders", Reason: "they asked for it\nagain", Plan: plan("allow")},
		&access.Record{Kind: access.RecordOutcome, Session: "s_9", Principal: "bob", Actor: "support-agent", Connection: "crm", Intent: 4, Command: "DELETE 3"},
		&access.Record{Kind: access.RecordRefused, Session: "s_9", Principal: "bob", SQL: "DROP TABLE x", Error: "no", Plan: plan("review")},
		&access.Record{Kind: access.RecordRefused, Session: "", Principal: "\x1b]0;evil\x07", Connection: "\u202eshop", SQL: "select '\x1b[31m日本語" + strings.Repeat("x", 300) + "'", Reason: "\u009b2J"},
		&access.Record{Kind: access.RecordRefused, Session: "", Principal: "eve", Error: "wrong password"},
		&access.Record{Session: "s_gone", Principal: "ada", SQL: "SELECT 1"})
	l.update()
	if _, err := l.log.Erase(audit.Erasure{Session: "s_gone"}, "dpo", "a request", false); err != nil {
		t.Fatal(err)
	}
	l.update()
	page, err := l.index.Search(context.Background(), Query{})
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range page.Records {
		rec.Time = moment(int(rec.Position)) // the log's own have the clock's
	}
	var out bytes.Buffer
	for _, width := range []int{0, 120} {
		if err := List(&out, page.Records, ListOptions{Width: width}); err != nil {
			t.Fatal(err)
		}
		out.WriteString("\n")
	}
	if strings.ContainsAny(out.String(), "\x1b\x07\u202e\u009b") {
		t.Error("it attacks a terminal")
	}
	path := filepath.Join("testdata", "list.golden")
	if *update {
		if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), out.String()); d != "" {
		t.Error(d)
	}
}
