package identity

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"sallyport/evals/harness"
	"sallyport/evals/results"
)

var (
	address = regexp.MustCompile(`https?://\S+/authorize\?\S+`)
	choice  = regexp.MustCompile(`href="([^"]*/authorize\?[^"]+)"`)
)

const firstSQL = "select id, email from customers where id = 1"

// firstRow is one command beside a running `sallyport demo`, of a person who has nothing yet: it finds the gateway, logs in by their
// browser, gets a credential, starts psql, and shows a row.
func (d *drill) firstRow(ctx context.Context) (_ []results.Figure, err error) {
	bin, err := harness.Binary()
	if err != nil {
		return nil, err
	}
	demo, err := d.startDemo(ctx, bin)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, demo.stop()) }()
	var samples []float64
	for range 9 {
		took, err := demo.oneCommand(ctx, bin)
		if err != nil {
			return nil, err
		}
		samples = append(samples, took.Seconds())
	}
	f := results.Median("identity.login_first_row.seconds", "s", samples)
	f.Note = "`sallyport psql shop` beside a running `sallyport demo`, by a person who has never logged in: from the command to the first row, with a browser that chooses at once who it is"
	return []results.Figure{f}, nil
}

// demo is a running one; what it has told this user's commands is in config.
type demo struct {
	cmd    *exec.Cmd
	config string
	read   chan struct{} // closed when its output has ended
}

func (d *drill) startDemo(ctx context.Context, bin string) (*demo, error) {
	home, err := os.MkdirTemp(d.dir, "demo-")
	if err != nil {
		return nil, err
	}
	const free = "127.0.0.1:0"
	r := &demo{cmd: exec.CommandContext(ctx, bin, "demo", "--pgwire", free, "--mcp", free, "--web", free, "--provider", free), config: home, read: make(chan struct{})}
	r.cmd.Env = append(withoutPG(os.Environ()), "XDG_CONFIG_HOME="+home)
	var said strings.Builder
	r.cmd.Stderr = &said
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	up := make(chan bool, 1)
	go func() {
		defer close(r.read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.Contains(lines.Text(), "Ctrl-C ends it") {
				up <- true
			}
		}
		up <- false
	}()
	if ok := <-up; !ok {
		err := r.cmd.Wait()
		return nil, fmt.Errorf("the demo has ended: %w: %s", err, said.String())
	}
	return r, nil
}

// stop ends it as its user does.
func (r *demo) stop() error {
	if err := r.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	<-r.read
	return errors.Join(r.cmd.Wait(), os.RemoveAll(r.config))
}

func (r *demo) oneCommand(ctx context.Context, bin string) (time.Duration, error) {
	home, err := os.MkdirTemp(filepath.Dir(r.config), "home-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(home)
	// All that a person has who has never logged in is the demo's word of where it is.
	where, err := os.ReadFile(filepath.Join(r.config, "sallyport", "demo"))
	if err != nil {
		return 0, err
	}
	config := filepath.Join(home, "sallyport")
	if err := errors.Join(os.Mkdir(config, 0o700), os.WriteFile(filepath.Join(config, "demo"), where, 0o600)); err != nil {
		return 0, err
	}
	// Where there is no browser of its own, the command shows the address; this one opens it.
	if err := os.WriteFile(filepath.Join(home, "xdg-open"), []byte("#!/bin/sh\nexit 1\n"), 0o700); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, "psql", "shop", "-XAtc", firstSQL)
	cmd.Env = append(withoutPG(os.Environ()), "HOME="+home, "XDG_CONFIG_HOME="+home, "DISPLAY=:0", "SSH_CONNECTION=", "SSH_TTY=", "PATH="+home+":"+os.Getenv("PATH"))
	cmd.Dir = home // where no configuration is
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return 0, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	var said strings.Builder
	var read sync.WaitGroup
	read.Go(func() {
		lines := bufio.NewReader(stderr)
		for {
			line, err := lines.ReadString('\n')
			said.WriteString(line)
			if at := address.FindString(line); at != "" {
				read.Go(func() {
					if err := choose(ctx, at); err != nil {
						fmt.Println(err) // the command waits for nothing, which is the error that counts
					}
				})
			}
			if err != nil {
				return
			}
		}
	})
	out := bufio.NewReader(stdout)
	row, err := out.ReadString('\n')
	took := time.Since(began)
	io.Copy(io.Discard, out)
	read.Wait()
	if ended := cmd.Wait(); err == nil {
		err = ended
	}
	if id, email, ok := strings.Cut(strings.TrimSpace(row), "|"); id != "1" || email == "" || !ok || err != nil {
		return 0, fmt.Errorf("sallyport psql gave %q, %v: %s", row, err, said.String())
	}
	return took, nil
}

// choose is a browser whose user takes the first of those whom the provider's page offers.
func choose(ctx context.Context, at string) error {
	base, err := url.Parse(at)
	if err != nil {
		return err
	}
	get := func(at string) ([]byte, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Accept", "text/html")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, err
		}
		defer res.Body.Close()
		return io.ReadAll(res.Body)
	}
	page, err := get(at)
	if err != nil {
		return err
	}
	m := choice.FindSubmatch(page)
	if m == nil {
		return fmt.Errorf("the demo's provider offers nobody: %s", textOf(page))
	}
	to, err := base.Parse(html.UnescapeString(string(m[1])))
	if err != nil {
		return err
	}
	_, err = get(to.String())
	return err
}

// withoutPG leaves out what psql would take from its environment, and what says where the gateway is.
func withoutPG(env []string) []string {
	var out []string
	for _, e := range env {
		if !strings.HasPrefix(e, "PG") && !strings.HasPrefix(e, "SALLYPORT_") {
			out = append(out, e)
		}
	}
	return out
}
