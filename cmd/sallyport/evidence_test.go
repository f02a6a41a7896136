package main

import (
	"archive/zip"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/audit"
	"sallyport/internal/access"
)

func TestARecordWithoutConfigurationHintsAtOneBesideIt(t *testing.T) {
	t.Setenv("SALLYPORT_CONFIG", "")
	t.Chdir(t.TempDir())
	data := recorded(t)
	home := filepath.Join(t.TempDir(), "home")
	if err := os.MkdirAll(home, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(data, filepath.Join(home, "data")); err != nil {
		t.Fatal(err)
	}
	data = filepath.Join(home, "data")
	if text := cli(t, exitOK, "report", "drift", "--data", data); !strings.Contains(text, "no configuration at sallyport.yaml") || !strings.Contains(text, "hint: -c FILE names") {
		t.Error(text)
	}
	if err := os.WriteFile(filepath.Join(home, "sallyport.yaml"), []byte("version: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"report", "drift"}, {"evidence", "--session", "s_8c1e", "--out", "e.zip"}} {
		if text := cli(t, exitOK, append(args, "--data", data)...); !strings.Contains(text, "hint: -c "+filepath.Join(home, "sallyport.yaml")) {
			t.Errorf("%q: %s", args, text)
		}
	}
}

// recorded is a data directory with two sessions of ada.
func recorded(t *testing.T) string {
	dir := t.TempDir()
	log, err := audit.Open(filepath.Join(dir, "log"), audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range []access.Record{
		{Session: "s_8c1e00", Seq: 1, Kind: access.RecordOpen},
		{Session: "s_8c1e00", Seq: 2, Kind: access.RecordStatement, SQL: "select 1", Params: []string{"4211"}, Rows: 1},
		{Session: "s_8c1e00", Seq: 3, Kind: access.RecordClose, Rows: 3},
		{Session: "s_77", Seq: 1, Kind: access.RecordOpen},
		{Session: "s_77", Seq: 2, Kind: access.RecordRefused, SQL: "select 2", Task: "task_5f", Code: "42501"},
	} {
		r.Time, r.Principal, r.Connection = time.Date(2027, 1, 1+i, 0, 0, 0, 0, time.UTC), "ada", "shop"
		if _, err := log.Append(&r); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func sallyport(args ...string) (code int, out, errs string) {
	var o, e strings.Builder
	code = run(args, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

func TestEvidenceWritesABundle(t *testing.T) {
	data := recorded(t)
	for _, tc := range []struct {
		name string
		args []string
		code int
		want string // in what is said
	}{
		{"beginning_of_a_session", []string{"--session", "s_8c"}, exitOK, "1 step of 1 session, 3 of 3 records proven"},
		{"task", []string{"--task", "task_5f"}, exitOK, "1 step of 1 session, 2 of 2 records proven"},
		{"principal_in_a_period", []string{"--principal", "ada", "--period", "2027-01-04.."}, exitOK, "1 step of 1 session"},
		{"period", []string{"--period", "2026-12-31..2027-01-20"}, exitOK, "2 steps of 2 sessions, 5 of 5"},
		{"with_replay_and_leaves", []string{"--session", "s_77", "--replay", "--leaves"}, exitOK, "1 step of 1 session"},
		{"nothing_asked", nil, exitUsage, "say what about"},
		{"two_at_once", []string{"--session", "s_77", "--principal", "ada"}, exitUsage, "exclude each other"},
		{"period_backwards", []string{"--period", "2027-02-01..2027-01-01"}, exitUsage, "ends before it begins"},
		{"no_period", []string{"--period", "2027"}, exitUsage, "FROM..TO"},
		{"nobody", []string{"--principal", "eve"}, exitFailed, "nothing is recorded that matches"},
		{"no_such_session", []string{"--session", "s_9"}, exitFailed, "no session in the record"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "e.zip")
			args := append([]string{"evidence", "--data", data, "--out", file, "--config", "none.yaml"}, tc.args...)
			code, out, errs := sallyport(args...)
			if code != tc.code || !strings.Contains(out+errs, tc.want) {
				t.Fatalf("exit code %d: %s%s", code, out, errs)
			}
			z, err := zip.OpenReader(file)
			if tc.code != exitOK {
				if err == nil {
					t.Error("a file was left behind")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, f := range z.File {
				names = append(names, f.Name)
			}
			if tc.name == "with_replay_and_leaves" != (slices.Contains(names, "extra/01-replay.cast") && slices.Contains(names, "proofs/4.leaf")) {
				t.Errorf("files %q", names)
			}
			z.Close()
			before, _ := os.ReadFile(file)
			if code, _, errs := sallyport(args...); code != exitFailed || !strings.Contains(errs, "is there already") {
				t.Errorf("written again: %d %s", code, errs)
			}
			if after, _ := os.ReadFile(file); string(before) != string(after) {
				t.Error("the file was changed")
			}
		})
	}
	if code, _, errs := sallyport("evidence", "--data", data, "--session", "s_77", "--config", "none.yaml"); code != exitUsage || !strings.Contains(errs, "--out") {
		t.Errorf("without --out: %d %s", code, errs)
	}
}

func TestReportsFromTheRecord(t *testing.T) {
	data := recorded(t)
	for _, tc := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"access", "--person", "4211"}, exitOK, "parameter 1"},
		{[]string{"access"}, exitUsage, "--person is missing"},
		{[]string{"breach", "--principal", "ada"}, exitOK, "1 step ran, 1 refused; 1 row released"},
		{[]string{"breach"}, exitUsage, "--principal is missing"},
		{[]string{"processing"}, exitOK, "GDPR article 30"},
		{[]string{"drift"}, exitOK, "0 of 1"},
	} {
		code, out, errs := sallyport(append([]string{"report", "--config", "none.yaml"}, append(tc.args, "--data", data)...)...)
		if code != tc.code || !strings.Contains(out+errs, tc.want) {
			t.Errorf("%v: exit code %d\n%s%s", tc.args, code, out, errs)
		}
		if tc.code != exitOK {
			continue
		}
		if _, out, _ = sallyport(append([]string{"report", "--config", "none.yaml", tc.args[0], "--json", "--data", data}, tc.args[1:]...)...); !json.Valid([]byte(out)) {
			t.Errorf("%v: not JSON: %s", tc.args, out)
		}
	}
}
