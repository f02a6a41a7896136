package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/audit"
	"sallyport/audit/vouch"
	"sallyport/internal/access"
)

// aRecord is a data directory with three sessions, two of them closed; Jane is asked about in the first.
func aRecord(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	log, err := audit.Open(filepath.Join(dir, "log"), audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		for j, kind := range []access.RecordKind{access.RecordOpen, access.RecordStatement, access.RecordClose} {
			if i == 2 && kind == access.RecordClose {
				continue
			}
			rec := &access.Record{Session: fmt.Sprintf("s_%d", i), Seq: uint64(j + 1), Time: time.Date(2026, 1, i+1, 0, 0, 0, 0, time.UTC), Kind: kind, Principal: "ada"}
			if kind == access.RecordStatement {
				rec.SQL = []string{"select 'jane@example.com'", "select 1", "select 2"}[i]
			}
			if kind == access.RecordClose {
				rec.Rows = 3
			}
			if _, err := log.Append(rec); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func cli(t *testing.T, want int, args ...string) string {
	t.Helper()
	var out, errw strings.Builder
	if code := run(args, strings.NewReader(""), &out, &errw); code != want {
		t.Fatalf("%q: exit code %d, want %d\n%s%s", args, code, want, out.String(), errw.String())
	}
	return out.String() + errw.String()
}

func TestAuditSaysWhatIsSigned(t *testing.T) {
	dir := aRecord(t)
	if text := cli(t, exitOK, "audit", "status", "--data", dir); !strings.Contains(text, "records 1 to 8, ") || !strings.Contains(text, "witnessed         by nobody") || !strings.Contains(text, "timestamped       no") || !strings.Contains(text, "closed sessions   2, root ") || !strings.Contains(text, "key               sallyport/") {
		t.Error(text)
	}
	text := cli(t, exitOK, "audit", "sample", "--data", dir, "--seed", "x", "-n", "1")
	if strings.Count(text, "3 records, closed by record") != 1 || !strings.Contains(text, "1 of 2 sessions that have ended") {
		t.Error(text)
	}
	if text := cli(t, exitOK, "audit", "sample", "--data", dir, "--seed", "x", "--json"); strings.Count(text, `"proof":["`) != 2 {
		t.Error(text)
	}
	cli(t, exitUsage, "audit", "sample", "--data", dir)
	cli(t, exitUsage, "audit", "sample", "--data", dir, "--seed", "x", "-n", "0")
	cli(t, exitFailed, "audit", "status", "--data", t.TempDir())
}

func TestStatusSaysWhenItWasVerified(t *testing.T) {
	dir := aRecord(t)
	status := func(want int, text string) {
		t.Helper()
		if got := cli(t, want, "audit", "status", "--data", dir); !strings.Contains(got, text) {
			t.Errorf("without %q: %s", text, got)
		}
	}
	status(exitOK, "verified          nothing is known of it")
	cli(t, exitOK, "verify", dir)
	status(exitOK, "verified          records 1 to 8, ")
	status(exitOK, ", nothing wrong")
	v, err := vouch.LastVerification(filepath.Join(dir, "log"))
	if err != nil || v.Size != 8 || v.Root == "" || time.Since(v.Time) > time.Minute {
		t.Errorf("%+v %v", v, err)
	}
	if got := cli(t, exitOK, "audit", "status", "--data", dir, "--json"); !strings.Contains(got, `"verified":{"time":"`) || !strings.Contains(got, v.Root) {
		t.Error(got)
	}
	names, err := filepath.Glob(filepath.Join(dir, "log", "*.seg"))
	if err != nil || len(names) == 0 {
		t.Fatal(err)
	}
	data, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(data, []byte(`"kind":"open"`))
	data[at+8]++
	if err := os.WriteFile(names[0], data, 0o600); err != nil {
		t.Fatal(err)
	}
	cli(t, exitFailed, "verify", "--data", dir)
	if v, err := vouch.LastVerification(filepath.Join(dir, "log")); err != nil || v.Problems == 0 || v.Size != 0 || v.Root != "" {
		t.Errorf("%+v %v", v, err)
	}
	var lines []string
	s := recordStatus{Standing: new(vouch.Standing), Verified: &vouch.Verification{Time: time.Now(), Problems: 2}}
	s.lines(time.Now(), func(key, text string) { lines = append(lines, key+" "+text) })
	if got := strings.Join(lines, "\n"); !strings.Contains(got, "with 2 problems") || strings.Contains(got, "nothing wrong") {
		t.Error(got)
	}
	if err := os.WriteFile(filepath.Join(dir, "log", "verified"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := vouch.LastVerification(filepath.Join(dir, "log")); err == nil {
		t.Error("half a file is read")
	}
}

func TestErase(t *testing.T) {
	dir := aRecord(t)
	jane := []string{"erase", "--data", dir, "--person", "Jane@example.com"}
	cli(t, exitUsage, jane...)
	if text := cli(t, exitOK, append(jane, "--dry-run")...); !strings.Contains(text, "1 records of 1 sessions would be erased") {
		t.Error(text)
	}
	if text := cli(t, exitOK, "trace", "--data", dir); !strings.Contains(text, "jane") {
		t.Errorf("a dry run has erased:\n%s", text)
	}
	if text := cli(t, exitOK, append(jane, "--by", "dpo", "--why", "request 7")...); !strings.Contains(text, "1 records of 1 sessions erased") {
		t.Error(text)
	}
	if text := cli(t, exitOK, "trace", "--data", dir); strings.Contains(text, "jane") || !strings.Contains(text, "select 1") || !strings.Contains(text, "erased") {
		t.Error(text)
	}
	if text := cli(t, exitOK, "trace", "--check", "--data", dir); !strings.Contains(text, "sound") {
		t.Error(text)
	}
	if text := cli(t, exitOK, "erase", "--data", dir, "--before", "2026-01-02", "--with-trace", "--by", "dpo", "--why", "one year"); !strings.Contains(text, "3 records of 1 sessions erased") {
		t.Error(text)
	}
	if text := cli(t, exitFailed, "erase", "--data", dir, "--by", "dpo", "--why", "x"); !strings.Contains(text, "nothing says which records") {
		t.Error(text)
	}
}

func TestVerify(t *testing.T) {
	dir := aRecord(t)
	if text := cli(t, exitOK, "verify", dir); !strings.Contains(text, "records 1 to 8 of the log") || !strings.Contains(text, "The evidence is good.") {
		t.Error(text)
	}
	if text := cli(t, exitOK, "verify", "--data", dir); !strings.Contains(text, "records 1 to 8 of the log") {
		t.Error(text)
	}
	cli(t, exitUsage, "verify", dir, "--data", dir)
	log, err := audit.Open(filepath.Join(dir, "log"), audit.Options{SignEvery: time.Hour, BeatEvery: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for i, kind := range []access.RecordKind{access.RecordOpen, access.RecordClose} {
		rec := &access.Record{Session: "s_later", Seq: uint64(i + 1), Time: time.Date(2026, 1, 9, 0, 0, 0, 0, time.UTC), Kind: kind, Principal: "ada"}
		if kind == access.RecordClose {
			rec.Rows = 2
		}
		if _, err := log.Append(rec); err != nil {
			t.Fatal(err)
		}
	}
	text := cli(t, exitOK, "verify", dir)
	for _, want := range []string{"records 1 to 8 of the log", "2 sessions that have ended are among them, and no others had ended by then", "of each of these 2 sessions every record is there",
		"the 2 records after record 8, which no checkpoint signs yet; 1 more sessions end in them"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if text := cli(t, exitOK, "verify", dir, "--key", filepath.Join(dir, "log", "signing", "checkpoint.pub")); !strings.Contains(text, "the key is the one that is trusted") {
		t.Error(text)
	}
	if text := cli(t, exitFailed, "verify", dir, "--key", filepath.Join(aRecord(t), "log", "signing", "checkpoint.pub")); !strings.Contains(text, "NOT GOOD") {
		t.Error(text)
	}
	cli(t, exitFailed, "verify", filepath.Join(dir, "nothing"))
}
