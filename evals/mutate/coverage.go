package mutate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"sallyport/evals/mutate/mutant"
)

// test is one test of a binary: what it costs, and which points it reaches.
type test struct {
	bin  binary
	name string

	Cost   time.Duration
	Points []int
}

// is says whether this is the test that a verdict names.
func (t *test) is(by string) bool {
	w := strings.Fields(by)
	if len(w) < 2 {
		return false
	}
	top, _, _ := strings.Cut(w[1], "/")
	return w[0] == t.bin.pkg && top == t.name
}

// timed are tests that judge by the clock, which other load moves: a mutant that only they notice counts
// as one that nobody does.
var timed = []string{"TestWorkIsBounded", "TestDetectorIsLinear"}

// slow are tests that only survivors meet: they read corpora, which not every checkout has.
var slow = []string{"TestEveryNodeIsVisited", "TestResolvesAsServer"}

// cover runs every test of the binaries by itself and notes which points it reaches. They have to pass:
// a test that fails anyway tells nothing. What was found is kept as long as a binary stays the same.
func (p *program) cover(ctx context.Context, workers int, wanted func(pkg, test string) bool, bins ...binary) ([]*test, error) {
	var all []*test
	for _, b := range bins {
		out, err := command(ctx, b, nil, "-test.list", ".*").Output()
		if err != nil {
			return nil, fmt.Errorf("list the tests of %s: %w", b.pkg, err)
		}
		for _, name := range strings.Fields(string(out)) {
			if !strings.HasPrefix(name, "Benchmark") && !slices.Contains(timed, name) && wanted(b.pkg, name) {
				all = append(all, &test{bin: b, name: name})
			}
		}
	}
	cache := filepath.Join(p.out, "coverage.json")
	known := map[string]*test{}
	if b, err := os.ReadFile(cache); err == nil {
		if err := json.Unmarshal(b, &known); err != nil {
			return nil, fmt.Errorf("%s: %w", cache, err)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for _, t := range all {
		id := t.bin.pkg + " " + t.bin.hash + " " + t.name
		if k := known[id]; k != nil {
			t.Cost, t.Points = k.Cost, k.Points
			continue
		}
		g.Go(func() error {
			if err := t.measure(ctx, p.out); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			known[id] = t
			b, err := json.Marshal(known)
			if err != nil {
				return err
			}
			return write(cache, b)
		})
	}
	return all, g.Wait()
}

// measure runs the test once, with nothing left out.
func (t *test) measure(ctx context.Context, dir string) error {
	log := filepath.Join(dir, "reached-"+t.name)
	defer os.Remove(log)
	start := time.Now()
	cmd := command(ctx, t.bin, []string{mutant.EnvLog + "=" + log}, "-test.run", "^"+t.name+"$", "-test.timeout", "5m")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s of %s fails with nothing left out: %w\n%s", t.name, t.bin.pkg, err, out)
	}
	t.Cost = time.Since(start)
	b, err := os.ReadFile(log)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, line := range strings.Fields(string(b)) {
		var id int
		if _, err := fmt.Sscan(line, &id); err != nil {
			return err
		}
		t.Points = append(t.Points, id)
	}
	return nil
}

// command prepares a run of a test binary in a process group of its own, which ends with ctx.
func command(ctx context.Context, b binary, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, b.path, args...)
	cmd.Dir = b.dir
	cmd.Env = slices.Concat(os.Environ(), b.env, env)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}
