package testdb

import (
	"bufio"
	"context"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestMain(m *testing.M) {
	if os.Getenv("TESTDB_CHILD") != "" { // see TestServerDiesWithItsParent
		s, err := Start(Options{})
		if err != nil {
			os.Stdout.WriteString("error: " + err.Error() + "\n")
			os.Exit(1)
		}
		os.Stdout.WriteString(s.Dir + " " + s.DSN("postgres") + "\n")
		time.Sleep(time.Minute)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestNewDatabaseLoadsAndIsolates(t *testing.T) {
	s := Shared(t)
	a := s.NewDatabase(t, "CREATE TABLE t (x int)", "INSERT INTO t VALUES (1), (2)")
	b := s.NewDatabase(t)
	if a == b {
		t.Fatalf("two databases with one name: %s", a)
	}
	if n := count(t, a, "SELECT x FROM t"); n != 2 {
		t.Errorf("rows in the first database: %d, want 2", n)
	}
	if n := count(t, b, "SELECT 1 FROM pg_class WHERE relname = 't'"); n != 0 {
		t.Errorf("the second database sees the first one's table")
	}
}

func TestSharedServerIsNotTheirsToStop(t *testing.T) {
	_, v, _ := strings.Cut(Shared(t).Share(), "=")
	other, err := attach(v)
	if err != nil {
		t.Fatal(err)
	}
	dsn := other.NewDatabase(t, "CREATE TABLE t (x int)", "INSERT INTO t VALUES (1)")
	other.Stop()
	if n := count(t, dsn, "SELECT x FROM t"); n != 1 {
		t.Errorf("rows after the other process stopped: %d, want 1", n)
	}
	if _, err := attach("nothing"); err == nil {
		t.Error("a server that nobody named is taken")
	}
}

func TestNewDatabaseIsDroppedAfterTheTest(t *testing.T) {
	s := Shared(t)
	var dsn string
	t.Run("inner", func(t *testing.T) {
		dsn = s.NewDatabase(t)
		conn, err := pgconn.Connect(context.Background(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn // left open on purpose: the drop must not mind
	})
	u, _ := url.Parse(dsn)
	if n := count(t, s.DSN("postgres"), "SELECT 1 FROM pg_database WHERE datname = '"+strings.Trim(u.Path, "/")+"'"); n != 0 {
		t.Errorf("%s is still there", u.Path)
	}
}

func TestPasswordIsAsked(t *testing.T) {
	s := Run(t, Options{Password: "s3cret & more", Conf: []string{"max_connections=10"}})
	if n := count(t, s.DSN("postgres"), "SELECT 1 FROM pg_settings WHERE name='max_connections' AND setting='10'"); n != 1 {
		t.Errorf("the extra setting did not arrive")
	}
	open := &Server{Port: s.Port}
	if err := open.Exec(context.Background(), "postgres", "SELECT 1"); err == nil {
		t.Errorf("connected without the password")
	}
}

func TestServerDiesWithItsParent(t *testing.T) {
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "TESTDB_CHILD=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	dir, dsn, ok := strings.Cut(strings.TrimSpace(line), " ")
	if err != nil || !ok {
		t.Fatalf("child said %q: %v", line, err)
	}
	if count(t, dsn, "SELECT 1") != 1 {
		t.Fatal("the child's server does not answer")
	}
	child.Process.Kill() // no chance to clean up
	child.Wait()
	for end := time.Now().Add(15 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		_, statErr := os.Stat(dir)
		_, connErr := pgconn.Connect(context.Background(), dsn)
		if errors.Is(statErr, os.ErrNotExist) && connErr != nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("15 s after its parent's death: folder %v, connect %v", statErr, connErr)
		}
	}
}

func TestStopRemovesEverything(t *testing.T) {
	s, err := Start(Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.Stop()
	s.Stop()
	if _, err := os.Stat(s.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("folder after Stop: %v", err)
	}
	if err := s.Exec(context.Background(), "postgres", "SELECT 1"); err == nil {
		t.Errorf("the server still answers")
	}
}

func TestMissingVersionSaysSo(t *testing.T) {
	if _, err := Start(Options{Version: "9"}); err == nil || !strings.Contains(err.Error(), "PostgreSQL 9") {
		t.Errorf("got %v", err)
	}
}

func TestMajorComesFromTheFolder(t *testing.T) {
	for dir, want := range map[string]int{
		"/usr/lib/postgresql/15/bin":          15,
		"/usr/pgsql-16/bin":                   16,
		"/opt/homebrew/opt/postgresql@17/bin": 17,
		"/usr/libexec/postgresql18":           18,
		"/home/me/pg/bin":                     0,
	} {
		if got := major(dir); got != want {
			t.Errorf("major(%s) = %d, want %d", dir, got, want)
		}
	}
}

func count(t *testing.T, dsn, sql string) int {
	t.Helper()
	conn, err := pgconn.Connect(context.Background(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	res, err := conn.Exec(context.Background(), sql).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return len(res[0].Rows)
}
