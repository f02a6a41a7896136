package export

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sallyport/audit"
	"sallyport/internal/access"
)

func TestMain(m *testing.M) {
	if os.Getenv(childLog) != "" {
		child()
		return
	}
	goleak.VerifyTestMain(m)
}

const testPlan = `{"class":"READ","tag":"SELECT","fingerprint":"50fde20626009aba","relations":["public.customers"],"labels":["pii.email"],"masks":[{"column":"public.customers.email","label":"pii.email","transform":"token"}],"effect":"allow","policies":["engineers-read"],"policy_version":"p1"}`

const writePlan = `{"class":"WRITE","tag":"UPDATE","fingerprint":"aa","relations":["public.orders"],"effect":"allow","policies":["engineers-write"]}`

// testLog is a log that a gateway could have written.
type testLog struct {
	t    *testing.T
	dir  string
	log  *audit.Log
	seqs map[string]uint64
}

func newLog(t *testing.T) *testLog {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "log")
	l, err := audit.Open(dir, audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &testLog{t: t, dir: dir, log: l, seqs: map[string]uint64{}}
}

var begun = time.Date(2026, 11, 26, 8, 0, 0, 123456000, time.UTC)

func (l *testLog) add(rec *access.Record) uint64 {
	l.t.Helper()
	l.seqs[rec.Session]++
	rec.Seq = l.seqs[rec.Session]
	if rec.Time.IsZero() {
		rec.Time = begun.Add(time.Duration(rec.Seq) * time.Second)
	}
	pos, err := l.log.Append(rec)
	if err != nil {
		l.t.Fatal(err)
	}
	return pos
}

// story is one of each kind, in two sessions: ten records.
func (l *testLog) story() {
	l.add(&access.Record{Session: "s_ada", Kind: access.RecordOpen, Door: access.DoorPGWire, Connection: "shop", Principal: "ada", Groups: []string{"engineers"}, Client: "192.0.2.7:50123 psql",
		Proof: &access.Proof{Method: access.BySecret, Issuer: "https://id.example", Subject: "8f2c", Session: "sid-4", Credential: "c_1", AMR: []string{"pwd", "mfa"}, Expires: begun.Add(time.Hour)}})
	l.add(&access.Record{Session: "s_ada", Kind: access.RecordStatement, Door: access.DoorPGWire, Connection: "shop", Principal: "ada", SQL: "SELECT email FROM customers WHERE name = 'a\u202eb\x1b[2J'", Plan: json.RawMessage(testPlan),
		Rows: 2, Bytes: 44, Columns: []string{"email"}, Result: []byte("D\x00\x00"), Digest: "sha256:54c9", Command: "SELECT 2", Micros: 3090})
	in := l.add(&access.Record{Session: "s_ada", Kind: access.RecordIntent, Door: access.DoorPGWire, Connection: "shop", Principal: "ada", SQL: "UPDATE orders SET total = $1", Params: []string{"12"}, Plan: json.RawMessage(writePlan)})
	l.add(&access.Record{Session: "s_ada", Kind: access.RecordOutcome, Door: access.DoorPGWire, Connection: "shop", Principal: "ada", Intent: in, Command: "UPDATE 3", Rows: 3, Micros: 900})
	l.add(&access.Record{Session: "s_bot", Kind: access.RecordOpen, Door: access.DoorMCP, Connection: "shop", Principal: "support-agent", Groups: []string{"agents"}, Client: "127.0.0.1:40000"})
	l.add(&access.Record{Session: "s_bot", Kind: access.RecordTask, Door: access.DoorMCP, Principal: "support-agent", Task: "task_1", Goal: "help a customer", Ticket: "SUP-1"})
	l.add(&access.Record{Session: "s_bot", Kind: access.RecordRefused, Door: access.DoorMCP, Connection: "shop", Principal: "support-agent", Task: "task_1", Reason: "salaries, please", SQL: "SELECT salary FROM payroll.salaries",
		Plan: json.RawMessage(`{"class":"READ","tag":"SELECT","relations":["payroll.salaries"],"effect":"deny","policies":["no-payroll"]}`), Code: "42501", Error: "reading payroll.salaries is not permitted", Hint: "ask"})
	in = l.add(&access.Record{Session: "s_bot", Kind: access.RecordIntent, Door: access.DoorMCP, Connection: "shop", Principal: "support-agent", Task: "task_1", SQL: "DELETE FROM orders", Plan: json.RawMessage(strings.ReplaceAll(writePlan, "UPDATE", "DELETE"))})
	l.add(&access.Record{Session: "s_bot", Kind: access.RecordOutcome, Door: access.DoorMCP, Connection: "shop", Principal: "support-agent", Task: "task_1", Intent: in, Code: "08007", Error: "nobody saw how it ended"})
	l.add(&access.Record{Session: "s_ada", Kind: access.RecordClose, Door: access.DoorPGWire, Connection: "shop", Principal: "ada", Rows: 5})
}

// fill adds n reads of an open session.
func (l *testLog) fill(n int) {
	l.t.Helper()
	var last audit.Ticket
	for range n {
		l.seqs["s_fill"]++
		seq := l.seqs["s_fill"]
		rec := &access.Record{Session: "s_fill", Seq: seq, Time: begun.Add(time.Duration(seq) * time.Millisecond), Kind: access.RecordStatement, Door: access.DoorPGWire,
			Connection: "shop", Principal: "ada", SQL: fmt.Sprint("SELECT ", seq), Plan: json.RawMessage(testPlan), Rows: 1}
		if seq == 1 {
			rec = &access.Record{Session: "s_fill", Seq: 1, Time: begun, Kind: access.RecordOpen, Door: access.DoorPGWire, Connection: "shop", Principal: "ada", Client: "192.0.2.7:1"}
		}
		var err error
		if last, err = l.log.Enqueue(rec); err != nil {
			l.t.Fatal(err)
		}
	}
	if err := last.Wait(); err != nil {
		l.t.Fatal(err)
	}
}

// notes is the operator's log.
type notes struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (n *notes) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.buf.Write(p)
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.buf.String()
}

type running struct {
	*Set
	t     *testing.T
	notes *notes
	state string
}

func start(t *testing.T, l *testLog, state string, configs ...Config) *running {
	t.Helper()
	n := new(notes)
	s, err := Open(l.dir, state, configs, Options{Log: slog.New(slog.NewTextHandler(n, nil)), Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	return &running{Set: s, t: t, notes: n, state: state}
}

// finish lets the exporters send all that there is.
func (r *running) finish() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := r.Close(ctx); err != nil {
		r.t.Fatal(err)
	}
	if ctx.Err() != nil {
		r.t.Fatalf("not done in time\n%s", r.notes)
	}
}

// cut ends them as they are.
func (r *running) cut() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r.Close(ctx)
}

// waitState waits until the only exporter is in a state.
func (r *running) waitState(want State) Status {
	r.t.Helper()
	return r.waitFor(string(want), func(st Status) bool { return st.State == want })
}

// waitError waits until the only exporter has had an error, which may have passed.
func (r *running) waitError() Status {
	r.t.Helper()
	return r.waitFor("in any trouble", func(st Status) bool { return st.Error != "" })
}

func (r *running) waitFor(what string, is func(Status) bool) Status {
	r.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if !is(r.exporters[0].state()) {
			continue
		}
		st, err := r.Status()
		if err != nil {
			r.t.Fatal(err)
		}
		return st[0]
	}
	r.t.Fatalf("the exporter is not %s\n%s", what, r.notes)
	return Status{}
}

// waitPosition waits until the only exporter has come to a position.
func (r *running) waitPosition(pos uint64) {
	r.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if r.exporters[0].state().Position >= pos {
			return
		}
	}
	r.t.Fatalf("the exporter has not come to record %d\n%s", pos, r.notes)
}

// positions reads lines of JSON and gives their positions.
func positions(t *testing.T, text []byte) []uint64 {
	t.Helper()
	var out []uint64
	for line := range bytes.Lines(text) {
		var l struct {
			Pos      uint64
			Unmapped struct{ Position uint64 }
		}
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatalf("not JSON: %v: %q", err, line)
		}
		out = append(out, l.Pos+l.Unmapped.Position)
	}
	return out
}

// inOrder fails unless got is from, from+1 ... to.
func inOrder(t *testing.T, got []uint64, from, to uint64) {
	t.Helper()
	if uint64(len(got)) != to-from+1 {
		t.Errorf("%d records, want %d to %d", len(got), from, to)
	}
	for i, p := range got {
		if p != from+uint64(i) {
			t.Fatalf("record %d stands where record %d belongs", p, from+uint64(i))
		}
	}
}
