package testdb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Options say how a server differs from the usual one. The zero value is right for most tests.
type Options struct {
	BinDir   string   // folder with initdb and postgres; empty: see BinDir
	Version  string   // major version wanted, e.g. "15"; empty: PGVERSION, else the newest
	Password string   // the superuser's; empty: everybody on this machine is trusted
	Conf     []string // further settings, "name=value"
	Port     int      // 0: a free one
	Parent   string   // where the server's folder is made; empty: the system's temporary folder
}

// Server is a running PostgreSQL server with the superuser "postgres".
type Server struct {
	Port   int
	Dir    string // holds data/, the Unix socket and log
	BinDir string

	password string
	owner    *syscall.Credential // nil: ourselves
	cmd      *exec.Cmd
	exited   chan struct{} // closed once the server is gone
	lifeline *os.File      // the watchdog reads the other end
	watchdog *exec.Cmd
	stop     sync.Once
}

// settings of every server: nothing synced (it is thrown away), room for test suites that run
// side by side, and prepared transactions because PostgreSQL's own suite asks for them.
var settings = []string{
	"fsync=off", "synchronous_commit=off", "full_page_writes=off",
	"listen_addresses=127.0.0.1", "max_connections=300", "max_prepared_transactions=10",
	"timezone=UTC", "log_timezone=UTC", "lc_messages=C",
}

// startTimeout is generous: a loaded machine with two cores may take several seconds.
const startTimeout = 60 * time.Second

// Start makes a new cluster and starts its server. Stop it, or end the process.
func Start(opt Options) (*Server, error) {
	bin := opt.BinDir
	if bin == "" {
		var err error
		if bin, err = BinDir(opt.Version); err != nil {
			return nil, err
		}
	}
	owner, err := serverUser()
	if err != nil {
		return nil, err
	}
	// Somebody may take the free port before the server does: then try once more.
	for try := 0; ; try++ {
		s, err := start(bin, owner, opt)
		if err == nil || opt.Port != 0 || try == 3 || !strings.Contains(err.Error(), "Address already in use") {
			return s, err
		}
	}
}

func start(bin string, owner *syscall.Credential, opt Options) (*Server, error) {
	s := &Server{BinDir: bin, Port: opt.Port, password: opt.Password, owner: owner}
	var err error
	if s.Port == 0 {
		if s.Port, err = freePort(); err != nil {
			return nil, err
		}
	}
	if s.Dir, err = makeDir(opt.Parent, owner); err != nil {
		return nil, err
	}
	if err = s.initdb(); err == nil {
		err = s.launch(opt.Conf)
	}
	if err != nil {
		err = fmt.Errorf("start PostgreSQL from %s: %w%s", bin, err, indent(s.LogTail()))
		s.Stop()
		return nil, err
	}
	return s, nil
}

// Stop ends the server at once and deletes its folder. It may be called more than once.
func (s *Server) Stop() {
	s.stop.Do(func() {
		if s.lifeline != nil { // the watchdog does the work, the same way as when we crash
			s.lifeline.Close()
			s.watchdog.Wait()
			<-s.exited
		}
		os.RemoveAll(s.Dir)
	})
}

// DSN is a connection string for a database of this server, as the superuser, over TCP.
func (s *Server) DSN(db string) string {
	user := url.User("postgres")
	if s.password != "" {
		user = url.UserPassword("postgres", s.password)
	}
	u := url.URL{Scheme: "postgres", User: user, Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)), Path: "/" + db, RawQuery: "sslmode=disable"}
	return u.String()
}

// Exec runs SQL, several statements if need be, in a database as the superuser.
func (s *Server) Exec(ctx context.Context, db, sql string) error {
	conn, err := pgconn.Connect(ctx, s.DSN(db))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql).ReadAll()
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Position > 0 {
		return fmt.Errorf("%w near %q", err, excerpt(sql, int(pgErr.Position)))
	}
	return err
}

// LogTail gives the last lines of the server's log.
func (s *Server) LogTail() string {
	b, err := os.ReadFile(s.logPath())
	if err != nil {
		return ""
	}
	if len(b) > 2000 {
		b = b[len(b)-2000:]
	}
	return strings.TrimSpace(string(b))
}

func (s *Server) logPath() string { return filepath.Join(s.Dir, "log") }
func (s *Server) dataDir() string { return filepath.Join(s.Dir, "data") }

func (s *Server) initdb() error {
	args := []string{"-D", s.dataDir(), "--no-sync", "--no-instructions", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8"}
	if s.password == "" {
		args = append(args, "-A", "trust")
	} else {
		file := filepath.Join(s.Dir, "pw")
		if err := os.WriteFile(file, []byte(s.password+"\n"), 0o600); err != nil {
			return err
		}
		defer os.Remove(file)
		if err := chown(file, s.owner); err != nil {
			return err
		}
		args = append(args, "-A", "scram-sha-256", "--pwfile", file)
	}
	cmd := s.command("initdb", args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w%s", err, indent(string(out)))
	}
	return nil
}

// launch starts the server and its watchdog and waits until the server answers.
func (s *Server) launch(conf []string) error {
	args := []string{"-D", s.dataDir(), "-p", strconv.Itoa(s.Port), "-k", s.Dir}
	for _, c := range append(settings[:len(settings):len(settings)], conf...) {
		args = append(args, "-c", c)
	}
	log, err := os.OpenFile(s.logPath(), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	if err := chown(s.logPath(), s.owner); err != nil {
		return err
	}
	s.cmd = s.command("postgres", args...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.exited = make(chan struct{})
	go func() { s.cmd.Wait(); close(s.exited) }()
	if err := s.watch(); err != nil {
		s.cmd.Process.Kill()
		return err
	}
	return s.ready()
}

// ready waits until the server accepts connections, or is gone.
func (s *Server) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		conn, err := pgconn.Connect(ctx, s.DSN("postgres"))
		if err == nil {
			conn.Close(ctx)
			return nil
		}
		select {
		case <-s.exited:
			return errors.New("the server ended")
		case <-ctx.Done():
			return fmt.Errorf("not ready after %s: %w", startTimeout, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
