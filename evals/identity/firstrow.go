package identity

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
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

var address = regexp.MustCompile(`https?://\S+/authorize\?\S+`)

// firstRow is one command of a person who has nothing yet: it logs in by their browser, gets a credential, starts psql, and shows a row.
func (d *drill) firstRow(ctx context.Context) ([]results.Figure, error) {
	w, err := d.world(ctx, time.Hour)
	if err != nil {
		return nil, err
	}
	defer w.close()
	bin, err := harness.Binary()
	if err != nil {
		return nil, err
	}
	var samples []float64
	for range 5 {
		took, err := w.oneCommand(ctx, bin)
		if err != nil {
			return nil, err
		}
		samples = append(samples, took.Seconds())
	}
	f := results.Median("identity.login_first_row.seconds", "s", samples)
	f.Note = "`sallyport psql shop` of a person who has never logged in: from the command to the first row, with a provider that asks nothing and a browser that is quick"
	return []results.Figure{f}, nil
}

func (w *world) oneCommand(ctx context.Context, bin string) (time.Duration, error) {
	home, err := os.MkdirTemp("", "sallyport-eval-home-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(home)
	// Where there is no browser of its own, the command shows the address; this one opens it.
	if err := os.WriteFile(filepath.Join(home, "xdg-open"), []byte("#!/bin/sh\nexit 1\n"), 0o700); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, "psql", "--gateway", w.g.WebURL, "--provider", "corp", connection, "-XAtc", "select v from ada_rows")
	cmd.Env = append(withoutPG(os.Environ()), "HOME="+home, "XDG_CONFIG_HOME="+home, "DISPLAY=:0", "SSH_CONNECTION=", "SSH_TTY=", "PATH="+home+":"+os.Getenv("PATH"))
	var said strings.Builder
	var mu sync.Mutex
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
	read := make(chan struct{})
	go func() {
		defer close(read)
		lines := bufio.NewReader(stderr)
		for {
			line, err := lines.ReadString('\n')
			mu.Lock()
			said.WriteString(line)
			mu.Unlock()
			if at := address.FindString(line); at != "" {
				go func() { // a browser
					if res, err := http.Get(at); err == nil {
						res.Body.Close()
					}
				}()
			}
			if err != nil {
				return
			}
		}
	}()
	out := bufio.NewReader(stdout)
	row, err := out.ReadString('\n')
	took := time.Since(began)
	io.Copy(io.Discard, out)
	<-read
	if ended := cmd.Wait(); err == nil {
		err = ended
	}
	if strings.TrimSpace(row) != canaryAda || err != nil {
		return 0, fmt.Errorf("sallyport psql gave %q, %v: %s", row, err, said.String())
	}
	return took, nil
}

// withoutPG leaves out what psql would take from its environment.
func withoutPG(env []string) []string {
	var out []string
	for _, e := range env {
		if !strings.HasPrefix(e, "PG") {
			out = append(out, e)
		}
	}
	return out
}
