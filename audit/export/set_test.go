package export

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport/audit"
	"sallyport/internal/access"
	"sallyport/internal/glyph"
)

func stops(t *testing.T, l *testLog, dir string, c Config, want string) {
	t.Helper()
	r := start(t, l, dir, c)
	st := r.waitState(Stopped)
	r.finish()
	if !strings.Contains(st.Error, want) {
		t.Errorf("stopped with %q, want %q", st.Error, want)
	}
	if !strings.Contains(r.notes.String(), "level=ERROR") || !strings.Contains(r.notes.String(), "hint=") {
		t.Errorf("the operator was told %s", r.notes)
	}
}

func TestAnotherLogStopsAnExporter(t *testing.T) {
	l := newLog(t)
	l.fill(5)
	dir := t.TempDir()
	path := filepath.Join(t.TempDir(), "f")
	start(t, l, dir, fileConfig(path)).finish()
	other := newLog(t)
	other.fill(9)
	stops(t, other, dir, fileConfig(path), "the log is another one")
	inOrder(t, positions(t, read(t, path)), 1, 5)
}

// A log that was put back to an older state.
func TestAShorterLogStopsAnExporter(t *testing.T) {
	l := newLog(t)
	l.fill(5)
	if err := l.log.Close(); err != nil {
		t.Fatal(err)
	}
	older := filepath.Join(t.TempDir(), "log")
	if err := os.CopyFS(older, os.DirFS(l.dir)); err != nil {
		t.Fatal(err)
	}
	var err error
	if l.log, err = audit.Open(l.dir, audit.Options{}); err != nil {
		t.Fatal(err)
	}
	l.fill(5)
	dir := t.TempDir()
	path := filepath.Join(t.TempDir(), "f")
	start(t, l, dir, fileConfig(path)).finish()
	l.log.Close()
	stops(t, &testLog{t: t, dir: older}, dir, fileConfig(path), "the log ends with record 5, and record 10 was sent already")
	// Without a cursor the file itself tells.
	if err := os.Remove(cursorPath(dir, "disk")); err != nil {
		t.Fatal(err)
	}
	stops(t, &testLog{t: t, dir: older}, dir, fileConfig(path), "the receiver has record 10")
}

func TestACursorThatIsNoneStopsAnExporter(t *testing.T) {
	l := newLog(t)
	l.fill(5)
	dir := t.TempDir()
	if err := os.WriteFile(cursorPath(dir, "disk"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	stops(t, l, dir, fileConfig(filepath.Join(dir, "f")), "is no cursor")
}

func TestDamageStopsAnExporter(t *testing.T) {
	l := newLog(t)
	l.fill(50)
	l.fill(5) // a batch behind it, so that it cannot be a write that a crash cut short
	l.log.Close()
	names, err := filepath.Glob(filepath.Join(l.dir, "*.seg"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	text := read(t, names[0])
	at := strings.Index(string(text), `{"pos":30,`)
	text[at+20] ^= 1
	if err := os.WriteFile(names[0], text, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	r := start(t, l, dir, fileConfig(path))
	for deadline := time.Now().Add(20 * time.Second); r.exporters[0].state().State != Stopped; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(r.notes)
		}
	}
	st, err := r.Status()
	if err == nil || !strings.Contains(st[0].Error, "damaged") {
		t.Errorf("%+v, %v", st, err)
	}
	r.finish()
}

func TestWithoutLeavesFieldsOut(t *testing.T) {
	l := newLog(t)
	l.story()
	dir := t.TempDir()
	c := fileConfig(filepath.Join(dir, "f"))
	c.Without = []string{"sql", "params", "result", "reason", "goal", "client", "error"}
	start(t, l, dir, c).finish()
	text := string(read(t, filepath.Join(dir, "f")))
	for _, secret := range []string{"SELECT email", `"params"`, `"result"`, "salaries", "help a customer", "192.0.2.7"} {
		if strings.Contains(strings.ReplaceAll(text, "payroll.salaries", ""), secret) {
			t.Errorf("%s is in it", secret)
		}
	}
	inOrder(t, positions(t, []byte(text)), 1, 10)
	if !slices.Contains(Fields(), "result") {
		t.Error(Fields())
	}
	c.Without = []string{"colour"}
	if _, err := Open(l.dir, dir, []Config{c}, Options{}); err == nil || !strings.Contains(err.Error(), "colour") {
		t.Error(err)
	}
}

func TestLinesReadBackAsTheRecord(t *testing.T) {
	rec := &access.Record{Position: 1, Session: "s", SQL: "a\u0085\u202e\U000e0041\x7f\x1b\U0001f600é\u2028"}
	line, _, err := jsonLines{}.encode(entry{Record: rec, log: "L"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var back access.Record
	if err := json.Unmarshal(line, &back); err != nil || back.SQL != rec.SQL {
		t.Errorf("%q, %v", back.SQL, err)
	}
	for _, r := range string(line) {
		if !glyph.Drawn(r) {
			t.Errorf("%U is in the line", r)
		}
	}
	if !strings.Contains(string(line), "😀é") {
		t.Error("what prints is escaped")
	}
}

// What is received leads to what is signed: the leaf is the one that a proof of the log is about.
func TestLeavesAreThoseOfTheLog(t *testing.T) {
	l := newLog(t)
	l.story()
	dir := t.TempDir()
	start(t, l, dir, fileConfig(filepath.Join(dir, "f"))).finish()
	if err := l.log.Close(); err != nil { // signs
		t.Fatal(err)
	}
	p, err := audit.OpenProver(l.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for line := range strings.Lines(string(read(t, filepath.Join(dir, "f")))) {
		var got struct {
			Pos  uint64
			Leaf string
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatal(err)
		}
		payload, _, err := p.Prove(got.Pos)
		if err != nil {
			t.Fatal(err)
		}
		if leaf := tlog.RecordHash(payload); hex.EncodeToString(leaf[:]) != got.Leaf {
			t.Errorf("record %d has leaf %s", got.Pos, got.Leaf)
		}
	}
}
