// Package harness builds the sallyport binary, writes configurations for it, runs it, and finds the
// corpora. It knows the gateway as an operator does: by its configuration file and its doors.
//
// It trusts nothing that the gateway says: callers compare answers with a direct connection. Start
// with Start.
package harness

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Spec says what gateway is wanted.
type Spec struct {
	Connections map[string]string // name -> DSN
	Principals  []Principal
	Labels      []Label
	Masks       map[string]Mask // by label
	Policy      string          // Cedar
	Env         []string        // further environment of the process
	Dir         string          // where its folder is made; empty: the system's temporary folder
}

// Principal is somebody who may log in.
type Principal struct {
	Name     string
	Agent    bool
	Groups   []string
	Password string // "" for none
	Token    string // "" for none
}

// Label gives a label to columns (schema.table.column, wildcards allowed).
type Label struct {
	Name    string
	Columns []string
}

// Mask is how a label's columns look.
type Mask struct{ Transform, Style, Bucket string }

// Gateway is a running `sallyport serve`.
type Gateway struct {
	PGAddr string // host:port of the PostgreSQL door
	MCPURL string
	Dir    string // holds the configuration, the data directory and the log
	PID    int

	cmd    *exec.Cmd
	exited chan struct{}
	stop   sync.Once
}

var build = sync.OnceValues(func() (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(root, "bin", "sallyport")
	cmd := exec.Command("go", "build", "-o", bin, "./cmd/sallyport")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/sallyport: %w\n%s", err, out)
	}
	return bin, nil
})

// Binary builds bin/sallyport once and gives its path.
func Binary() (string, error) { return build() }

// Root is the project's root folder, found from the working directory upwards.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
			return d, nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("no go.mod above %s: run this inside the project", dir)
		}
	}
}

// Start writes the configuration, starts the gateway and waits until its doors accept connections.
func Start(ctx context.Context, spec Spec) (*Gateway, error) {
	bin, err := Binary()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(spec.Dir, "sallyport-eval-")
	if err != nil {
		return nil, err
	}
	g := &Gateway{Dir: dir, exited: make(chan struct{})}
	var mcp string
	if g.PGAddr, err = freeAddr(); err == nil {
		mcp, err = freeAddr()
	}
	if err != nil {
		return nil, err
	}
	g.MCPURL = "http://" + mcp + "/mcp"
	if err := spec.write(dir, g.PGAddr, mcp); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	g.cmd = exec.Command(bin, "serve", "-c", filepath.Join(dir, "sallyport.yaml"))
	g.cmd.Dir, g.cmd.Stdout, g.cmd.Stderr = dir, log, log
	g.cmd.Env = append(os.Environ(), spec.Env...)
	if err := g.cmd.Start(); err != nil {
		return nil, err
	}
	g.PID = g.cmd.Process.Pid
	go func() { g.cmd.Wait(); close(g.exited) }()
	for _, addr := range []string{g.PGAddr, mcp} {
		if err := g.ready(ctx, addr); err != nil {
			g.Stop()
			return nil, err
		}
	}
	return g, nil
}

func (g *Gateway) ready(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	for {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-g.exited:
			return fmt.Errorf("sallyport serve ended: %s", g.LogTail())
		case <-ctx.Done():
			return fmt.Errorf("the door at %s does not open: %w: %s", addr, err, g.LogTail())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Alive says whether the process still runs.
func (g *Gateway) Alive() bool {
	select {
	case <-g.exited:
		return false
	default:
		return true
	}
}

// Stop ends the gateway, by force if it takes longer than 15 s, and deletes its folder.
func (g *Gateway) Stop() {
	g.stop.Do(func() {
		g.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-g.exited:
		case <-time.After(15 * time.Second):
			fmt.Println("sallyport did not end within 15 s of SIGTERM: killed")
			g.cmd.Process.Kill()
			<-g.exited
		}
		os.RemoveAll(g.Dir)
	})
}

// DSN is a connection string for the PostgreSQL door.
func (g *Gateway) DSN(user, password, connection string) string {
	return fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable", user, password, g.PGAddr, connection)
}

// LogTail gives the last lines of the gateway's log.
func (g *Gateway) LogTail() string {
	b, err := os.ReadFile(filepath.Join(g.Dir, "log"))
	if err != nil {
		return err.Error()
	}
	if len(b) > 3000 {
		b = b[len(b)-3000:]
	}
	return strings.TrimSpace(string(b))
}

// RSS is the process's resident memory in bytes.
func (g *Gateway) RSS() (int64, error) { return RSS(g.PID) }

// RSS is a process's resident memory in bytes (Linux).
func RSS(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		var kb int64
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kb); err == nil {
			return kb * 1024, nil
		}
	}
	return 0, errors.New("no VmRSS in /proc status")
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
