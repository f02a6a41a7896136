package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sallyport/internal/testdb"
	"sallyport/internal/testtsa"
)

// The scripts start the real program: in them `sallyport` is this test binary running main.
func TestMain(m *testing.M) {
	if os.Getenv("SALLYPORT_TEST_MAIN") != "" { // for shell scripts, which call it by a path
		os.Unsetenv("SALLYPORT_TEST_MAIN")
		main()
	}
	testscript.Main(m, map[string]func(){"sallyport": scripted})
}

// scripted is main, of which `serve` says what it says into a file too, for reload.
func scripted() {
	var said io.Writer = os.Stderr
	if work := os.Getenv("WORK"); work != "" && len(os.Args) > 1 && os.Args[1] == "serve" {
		file, err := os.Create(saidBy(work, os.Getpid()))
		if err != nil {
			panic(err)
		}
		said = io.MultiWriter(os.Stderr, file)
	}
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, said))
}

// saidBy is where a gateway of a script says what it says.
func saidBy(work string, pid int) string {
	return filepath.Join(work, ".tmp", fmt.Sprint("said-", pid))
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %s", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"database":   database,
			"freeport":   freePort,
			"await":      await,
			"take":       take,
			"envsubst":   envsubst,
			"eventually": eventually,
			"reload":     reload,
			"pending":    pending,
			"becomes":    becomes,
			"inbox":      inbox,
			"authority":  authority,
			"gateway":    gatewayFor,
			"idp":        idpCommand,
			"home":       home,
			"balance":    balance,
		},
	})
}

// database VAR FILE makes a database filled by an SQL file and sets VAR to its DSN.
func database(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: database VAR FILE")
	}
	server, err := sharedServer()
	ts.Check(err)
	tb := scriptTB{ts}
	ts.Setenv(args[0], server.NewDatabase(tb, ts.ReadFile(args[1])))
	psql, err := testdb.LookPath("psql")
	ts.Check(err)
	ts.Setenv("psql", psql)
}

// given are the ports that scripts have.
var given sync.Map

// freeport VAR... sets each VAR to a port that nobody uses: none of those that systems take for connections, one of which could get
// it while the script's gateway is down.
func freePort(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		port := 0
		for port == 0 {
			port = 15000 + rand.IntN(15000)
			ln, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port))
			if err != nil {
				port = 0
				continue
			}
			ln.Close()
			if _, taken := given.LoadOrStore(port, true); taken {
				port = 0
			}
		}
		ts.Setenv(name, fmt.Sprint(port))
	}
}

// envsubst FILE puts variables in the place of ${NAME}.
func envsubst(ts *testscript.TestScript, neg bool, args []string) {
	text := regexp.MustCompile(`\$\{\w+\}`).ReplaceAllStringFunc(ts.ReadFile(args[0]), func(v string) string {
		return ts.Getenv(v[2 : len(v)-1])
	})
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// eventually [-fail] PROGRAM ARG... runs a program until it succeeds, or fails.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	wantFail := args[0] == "-fail"
	if wantFail {
		args = args[1:]
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err := ts.Exec(args[0], args[1:]...); (err != nil) == wantFail {
			return
		}
	}
	ts.Fatalf("waited in vain for %v", args)
}

// await PORT waits until somebody listens there; ! await PORT until nobody does.
func await(ts *testscript.TestScript, neg bool, args []string) {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		conn, err := net.DialTimeout("tcp", "127.0.0.1:"+args[0], time.Second)
		if err == nil {
			conn.Close()
		}
		if (err != nil) == neg {
			return
		}
	}
	ts.Fatalf("port %s: waited in vain", args[0])
}

// reload sends SIGHUP to the gateways that run in the background, and waits until they have done with it.
func reload(ts *testscript.TestScript, neg bool, args []string) {
	for _, cmd := range ts.BackgroundCmds() {
		if filepath.Base(cmd.Path) != "sallyport" { // clients would end by it
			continue
		}
		reloads := func() int {
			said, _ := os.ReadFile(saidBy(ts.Getenv("WORK"), cmd.Process.Pid))
			return bytes.Count(said, []byte("configuration reloaded")) + bytes.Count(said, []byte("configuration not reloaded"))
		}
		before := reloads()
		ts.Check(cmd.Process.Signal(syscall.SIGHUP))
		if _, err := os.Stat(saidBy(ts.Getenv("WORK"), cmd.Process.Pid)); err != nil {
			continue // a witness
		}
		for end := time.Now().Add(30 * time.Second); reloads() == before; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				ts.Fatalf("the gateway does not say whether it has reloaded its configuration")
			}
		}
	}
}

// balance VAR PORT starts a load balancer before PORT and sets VAR to its own port. To the door its clients are 203.0.113.9.
func balance(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: balance VAR PORT")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv(args[0], fmt.Sprint(ln.Addr().(*net.TCPAddr).Port))
	header := []byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x09\x7f\x00\x00\x01\x30\x39\x19\x8f")
	var relays sync.WaitGroup
	relays.Go(func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			door, err := net.Dial("tcp", "127.0.0.1:"+args[1])
			if err != nil {
				client.Close()
				continue
			}
			// The header and the client's first bytes in one packet, as far as TCP goes.
			first := make([]byte, 4096)
			n, _ := client.Read(first)
			door.Write(append(header, first[:n]...))
			relays.Go(func() { io.Copy(door, client); door.Close() })
			relays.Go(func() { io.Copy(client, door); client.Close() })
		}
	})
	ts.Defer(func() { ln.Close(); relays.Wait() })
}

// authority VAR FILE starts a time-stamping authority, sets VAR to its URL and writes its root into FILE.
func authority(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: authority VAR FILE")
	}
	a := testtsa.New(scriptTB{ts})
	ts.Setenv(args[0], a.URL)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), a.Roots, 0o600))
}

// take VAR FILE sets VAR to a file's content, without the line end.
func take(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: take VAR FILE")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}

func sharedServer() (s *testdb.Server, err error) {
	failed := &failure{}
	defer func() {
		if failed.err != nil {
			recover()
			err = failed.err
		}
	}()
	return testdb.Shared(failed), nil
}

// failure turns testdb's Fatalf into an error.
type failure struct{ err error }

func (f *failure) Helper()             {}
func (f *failure) Logf(string, ...any) {}
func (f *failure) Cleanup(func())      {}
func (f *failure) Failed() bool        { return false }
func (f *failure) Fatalf(format string, args ...any) {
	f.err = fmt.Errorf(format, args...)
	panic(f.err)
}

// scriptTB lets testdb's helpers work for a script.
type scriptTB struct{ ts *testscript.TestScript }

func (s scriptTB) Helper()                           {}
func (s scriptTB) Logf(format string, args ...any)   { s.ts.Logf(format, args...) }
func (s scriptTB) Cleanup(f func())                  { s.ts.Defer(f) }
func (s scriptTB) Failed() bool                      { return false }
func (s scriptTB) Fatalf(format string, args ...any) { s.ts.Fatalf(format, args...) }

func TestExpiry(t *testing.T) {
	now := time.Date(2026, 6, 30, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]string{
		"":                     "",
		"90d":                  "2026-09-28T12:00:00Z",
		"2w":                   "2026-07-14T12:00:00Z",
		"12h":                  "2026-07-01T00:00:00Z",
		"2027-01-31":           "2027-01-31T00:00:00Z",
		"2027-01-31T08:00:00Z": "2027-01-31T08:00:00Z",
		"2020-01-01":           "error",
		"-3d":                  "error",
		"soon":                 "error",
		"d":                    "error",
	} {
		got, err := expiry(in, now)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("expiry(%q) = %q (%v), want %q", in, got, err, want)
		}
	}
}

func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.yaml")
	policies := filepath.Join(dir, "policies.yaml")
	sound := filepath.Join(dir, "sound.yaml")
	for path, text := range map[string]string{
		broken:                           "data_dirr: x\n",
		filepath.Join(dir, "bad.cedar"):  "permit (principal, action == Action::\"raed\", resource);",
		policies:                         "data_dir: d\nlisten: {mcp: {address: 127.0.0.1:0}}\nconnections: {c: {driver: postgres, dsn: postgres:///}}\npolicies: [bad.cedar]\n",
		filepath.Join(dir, "a.file"):     "",
		filepath.Join(dir, "cases.yaml"): "- {name: x, expct: allow}\n",
		filepath.Join(dir, "good.cedar"): "permit (principal, action == Action::\"connect\", resource);",
		sound:                            "data_dir: d\nlisten: {mcp: {address: 127.0.0.1:0}}\nconnections: {c: {driver: postgres, dsn_env: NOT_SET_ANYWHERE}}\npolicies: [good.cedar]\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name string
		args []string
		want int
	}{
		{"help", []string{"help"}, exitOK},
		{"unknown_command", []string{"sevre"}, exitUsage},
		{"unknown_flag", []string{"serve", "--fast"}, exitUsage},
		{"missing_argument", []string{"token", "new"}, exitUsage},
		{"bad_flag_value", []string{"serve", "--log-level", "loud"}, exitUsage},
		{"no_configuration", []string{"serve", "-c", filepath.Join(dir, "nowhere.yaml")}, exitFailed},
		{"broken_configuration", []string{"serve", "-c", broken}, exitConfig},
		{"broken_policy", []string{"policy", "check", "-c", policies}, exitConfig},
		{"refused", []string{"policy", "explain", "-c", sound, "-p", "x", "--kind", "human", "--action", "read", "--resource", `Table::"c.public.t"`}, exitFailed},
		{"broken_expectations", []string{"policy", "test", "-c", sound, filepath.Join(dir, "cases.yaml")}, exitConfig},
		{"no_record", []string{"trace", "--data", dir}, exitFailed},
		{"mcp_without_token", []string{"mcp", "-c", policies}, exitUsage},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out, errw strings.Builder
			if got := run(tc.args, strings.NewReader(""), &out, &errw); got != tc.want {
				t.Errorf("exit code %d, want %d\n%s", got, tc.want, errw.String())
			}
			if tc.want != exitOK && errw.Len()+out.Len() == 0 {
				t.Error("no word on what was wrong")
			}
		})
	}
}
