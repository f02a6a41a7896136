package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"sallyport/evals/harness"
	"sallyport/internal/testdb"
)

const (
	database = "bench"
	masked   = "masked"
	secret   = "bench-secret"
	scale    = 10 // pgbench's: a million accounts
)

// target is one way to the server.
type target struct {
	name     string
	host     string
	port     string
	user     string
	password string
	pid      int // of the proxy, 0 for none

	clientsOnly bool // takes part in pgbench's runs, not in reads and memory
}

func (t target) dsn() string {
	return fmt.Sprintf("postgres://%s:%s@%s:%s/%s?sslmode=disable", t.user, t.password, t.host, t.port, database)
}

// bench is the server with the three ways to it.
type bench struct {
	server  *testdb.Server
	gateway *harness.Gateway
	bouncer *exec.Cmd
	dir     string
	targets []target // direct, pgbouncer, sallyport, floor
}

const policy = `
@id("bench")
permit (principal, action in [Action::"connect", Action::"read", Action::"write"], resource);
`

func open(ctx context.Context, dir string) (*bench, error) {
	b := &bench{dir: dir}
	var err error
	// pgbouncer keeps the connections of its thousand idle clients while the gateway opens its own.
	if b.server, err = testdb.Start(testdb.Options{Conf: []string{"max_connections=2400", "shared_buffers=512MB", "autovacuum=off"}}); err != nil {
		return nil, err
	}
	fmt.Println("loading pgbench at scale", scale)
	if err := b.load(ctx); err != nil {
		b.close()
		return nil, err
	}
	if err := b.startBouncer(); err != nil {
		b.close()
		return nil, err
	}
	if b.gateway, err = harness.Start(ctx, harness.Spec{
		Connections: map[string]string{database: b.server.DSN(database)},
		Principals:  []harness.Principal{{Name: masked, Groups: []string{"masked"}, Password: secret}},
		Labels:      []harness.Label{{Name: "pii.filler", Columns: []string{"public.pgbench_accounts.filler"}}, {Name: "pii.contact", Columns: []string{"public.readings.contact"}}},
		Masks:       map[string]harness.Mask{"pii.filler": {Transform: "redact"}, "pii.contact": {Transform: "partial", Style: "email"}},
		Policy:      policy,
		Dir:         dir,
	}); err != nil {
		b.close()
		return nil, err
	}
	host, port, err := net.SplitHostPort(b.gateway.PGAddr)
	if err != nil {
		return nil, err
	}
	b.targets = append(b.targets, target{name: "sallyport", host: host, port: port, user: masked, password: secret, pid: b.gateway.PID})
	if t, err := startFloor(dir, b.server.Port); err != nil {
		fmt.Println("no floor to compare with:", err)
	} else {
		b.targets = append(b.targets, t)
	}
	return b, nil
}

func (b *bench) close() {
	if b.gateway != nil {
		b.gateway.Stop()
	}
	if b.bouncer != nil {
		b.bouncer.Process.Kill()
		b.bouncer.Wait()
	}
	b.server.Stop()
}

// readings has words and numbers without a label, which the detectors look at, and one masked column.
const readings = `
create table readings as
select g as id, 'device ' || g % 977 as device, md5(g::text) as serial, (g * 7 % 100000) / 100.0 as amount,
  timestamp '2024-01-01' + g * interval '1 minute' as at, 'all well on line ' || g % 13 as note,
  'user' || g || '@mail.example' as contact
from generate_series(1, 1000000) g;
vacuum analyze readings`

func (b *bench) load(ctx context.Context) error {
	if err := b.server.Exec(ctx, "postgres", "create database "+database); err != nil {
		return err
	}
	direct := target{name: "direct", host: "127.0.0.1", port: strconv.Itoa(b.server.Port), user: "postgres"}
	b.targets = append(b.targets, direct)
	if out, err := pgbench(direct, "-i", "-q", "-s", strconv.Itoa(scale)).CombinedOutput(); err != nil {
		return fmt.Errorf("pgbench -i: %w: %s", err, out)
	}
	for _, sql := range []string{readings[:len(readings)-len("vacuum analyze readings")], "vacuum analyze readings", "vacuum analyze pgbench_accounts", "checkpoint"} {
		if err := b.server.Exec(ctx, database, sql); err != nil {
			return err
		}
	}
	return nil
}

// startBouncer runs pgbouncer, which refuses root, as an unprivileged user.
func (b *bench) startBouncer() error {
	bin, err := exec.LookPath("pgbouncer")
	if err != nil {
		if bin = "/usr/sbin/pgbouncer"; !exists(bin) {
			return errors.New("pgbouncer not found: run `make deps`")
		}
	}
	dir, err := os.MkdirTemp("/tmp", "sallyport-bouncer-")
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	ini := fmt.Sprintf(`[databases]
%s = host=127.0.0.1 port=%d dbname=%[1]s user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %[3]d
unix_socket_dir =
auth_type = trust
auth_file = %[4]s/users
pool_mode = session
default_pool_size = 1200
max_client_conn = 1500
ignore_startup_parameters = extra_float_digits
logfile = %[4]s/log
log_connections = 0
log_disconnections = 0
`, database, b.server.Port, port, dir)
	if err := os.WriteFile(filepath.Join(dir, "ini"), []byte(ini), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "users"), []byte("\"postgres\" \"\"\n"), 0o644); err != nil {
		return err
	}
	b.bouncer = exec.Command(bin, filepath.Join(dir, "ini"))
	if os.Geteuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			if u, err = user.Lookup("nobody"); err != nil {
				return err
			}
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			return err
		}
		b.bouncer.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	if err := b.bouncer.Start(); err != nil {
		return err
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	for range 100 {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			b.targets = append(b.targets, target{name: "pgbouncer", host: "127.0.0.1", port: strconv.Itoa(port), user: "postgres", pid: b.bouncer.Process.Pid})
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	log, _ := os.ReadFile(filepath.Join(dir, "log"))
	return fmt.Errorf("pgbouncer does not listen: %s", log)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// pgbench is a command of it against a target.
func pgbench(t target, args ...string) *exec.Cmd {
	bin, err := testdb.LookPath("pgbench")
	if err != nil {
		bin = "pgbench"
	}
	cmd := exec.Command(bin, append(args, "-h", t.host, "-p", t.port, "-U", t.user, database)...)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+t.password, "PGSSLMODE=disable")
	return cmd
}
