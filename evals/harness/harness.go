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
)

// Spec says what gateway is wanted.
type Spec struct {
	Connections map[string]string // name -> DSN
	Principals  []Principal
	Labels      []Label
	Masks       map[string]Mask // by label
	Policy      string          // Cedar
	Web         *Web            // nil: the door for people stays shut
	Purposes    []Purpose
	Approvals   map[string]any                // section `approvals` of the configuration
	Audit       map[string]any                // section `audit` of the configuration
	Refresh     string                        // `catalog_refresh`, e.g. 1s; empty: the default
	Identity    func(*Gateway) map[string]any // section `identity`, for the addresses of the doors
	TLS         bool                          // the PostgreSQL door has a certificate of its own authority
	Env         []string                      // further environment of the process
	Dir         string                        // where its folder is made; empty: the system's temporary folder
}

// Web opens the door for people.
type Web struct {
	Auditors, Operators []string // groups
	StepUp              string   // how long a password holds for approving; "" for the gateway's own
}

// Purpose is what personal data is used for.
type Purpose struct{ ID, Text, LawfulBasis string }

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
	WebURL string // without a slash at its end; empty: no such door
	Dir    string // holds the configuration, the data directory and the log
	PID    int

	bin, mcpAddr, webAddr string

	env    []string
	cmd    *exec.Cmd     // of the newest process; nil before the first
	exited chan struct{} // closed when it has ended
}

var buildGateway, buildVerifier = building("sallyport"), building("sallyport-verify")

// building builds a command into bin once.
func building(name string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		root, err := Root()
		if err != nil {
			return "", err
		}
		bin := filepath.Join(root, "bin", name)
		cmd := exec.Command("go", "build", "-o", bin, "./cmd/"+name)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("go build ./cmd/%s: %w\n%s", name, err, out)
		}
		return bin, nil
	})
}

// Binary builds bin/sallyport once and gives its path.
func Binary() (string, error) { return buildGateway() }

// Verifier builds bin/sallyport-verify once and gives its path.
func Verifier() (string, error) { return buildVerifier() }

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
	g, err := Prepare(spec)
	if err != nil {
		return nil, err
	}
	if err = g.Launch(nil); err == nil {
		err = g.Ready(ctx)
	}
	if err != nil {
		g.Stop()
		return nil, err
	}
	return g, nil
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
