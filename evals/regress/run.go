package regress

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sallyport/internal/testdb"
)

// database is what the suite wants its database to be called; the connection has the same name.
const database = "regression"

// outcome is one run of the suite.
type outcome struct {
	order  []string        // tests as they ran
	passed map[string]bool // by test
	dir    string          // pg_regress's output folder, with results/ and regression.diffs
	took   time.Duration
}

func (o outcome) count() int {
	n := 0
	for _, ok := range o.passed {
		if ok {
			n++
		}
	}
	return n
}

// server starts a server of the suite's version with an empty database as pg_regress would make it.
func (s suite) server(ctx context.Context) (*testdb.Server, error) {
	db, err := testdb.Start(testdb.Options{BinDir: s.bin()})
	if err != nil {
		return nil, err
	}
	create := "create database " + database + " template template0 locale 'C'"
	settings := ""
	for _, name := range []string{"lc_messages", "lc_monetary", "lc_numeric", "lc_time"} {
		settings += "alter database " + database + " set " + name + " to 'C';"
	}
	settings += "alter database " + database + " set bytea_output to 'hex';"
	settings += "alter database " + database + " set timezone_abbreviations to 'Default'"
	for _, sql := range []string{create, settings} {
		if err := db.Exec(ctx, "postgres", sql); err != nil {
			db.Stop()
			return nil, err
		}
	}
	return db, nil
}

var resultLine = regexp.MustCompile(`^(?:test|    )\s+(\S+)\s+\.\.\. (ok|FAILED|failed)`)

// run runs the suite against host:port. The work folder must be one that the server's user may enter:
// the suite lets the server read and write files there.
func (s suite) run(host, port, user, password string) (outcome, error) {
	o := outcome{passed: map[string]bool{}}
	work, err := os.MkdirTemp("/tmp", "sallyport-regress-")
	if err != nil {
		return o, err
	}
	o.dir = filepath.Join(work, "out")
	for _, d := range []string{o.dir, filepath.Join(work, "dl")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return o, err
		}
	}
	src := s.source()
	if err := run(work, "cp", "-r", filepath.Join(src, "sql"), filepath.Join(src, "expected"), filepath.Join(src, "data"), filepath.Join(src, "parallel_schedule"), filepath.Join(src, "resultmap"), work); err != nil {
		return o, err
	}
	if err := run(work, "cp", filepath.Join(src, "regress.so"), filepath.Join(s.lib(), "refint.so"), filepath.Join(s.lib(), "autoinc.so"), "dl"); err != nil {
		return o, err
	}
	as, err := unprivileged()
	if err != nil {
		return o, err
	}
	if as != nil {
		if err := run(work, "chown", "-R", fmt.Sprintf("%d:%d", as.Uid, as.Gid), work); err != nil {
			return o, err
		}
	}
	cmd := exec.Command(s.runner(), "--host="+host, "--port="+port, "--user="+user, "--use-existing", "--dbname="+database,
		"--bindir="+s.bin(), "--inputdir="+work, "--outputdir="+o.dir, "--dlpath="+filepath.Join(work, "dl"), "--schedule="+filepath.Join(work, "parallel_schedule"))
	cmd.Dir = o.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	cmd.Env = append(os.Environ(), "PGPASSWORD="+password, "HOME="+work)
	start := time.Now()
	out, err := cmd.CombinedOutput() // a failed test makes pg_regress exit 1: its lines tell
	o.took = time.Since(start)
	for line := range strings.Lines(string(out)) {
		if m := resultLine.FindStringSubmatch(line); m != nil {
			o.order = append(o.order, m[1])
			o.passed[m[1]] = m[2] == "ok"
		}
	}
	if len(o.order) == 0 {
		return o, fmt.Errorf("pg_regress ran no test (%v): %s", err, tail(string(out)))
	}
	return o, nil
}

func tail(s string) string {
	if len(s) > 1500 {
		s = s[len(s)-1500:]
	}
	return strings.TrimSpace(s)
}

// unprivileged is whom the suite runs as: ourselves, or the server's user when we are root.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, fmt.Errorf("neither a user postgres nor nobody")
}
