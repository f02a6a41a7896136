package mutate

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"sallyport/evals/mutate/mutant"
)

// state is what became of a mutant.
type state string

const (
	killed    state = "killed"
	survived  state = "survived"
	uncovered state = "uncovered" // no test reaches the place
)

// verdict is the state of one mutant, and the test that killed it.
type verdict struct {
	state state
	by    string
}

// tiers are how much tests cost that run together, cheap ones first.
var tiers = []time.Duration{500 * time.Millisecond, 6 * time.Second}

func tier(d time.Duration) int {
	for i, t := range tiers {
		if d < t {
			return i
		}
	}
	return len(tiers)
}

// judge runs the tests that reach a point without it, until one fails.
func judge(ctx context.Context, p point, tests []*test) (verdict, error) {
	var reach []*test
	for _, t := range tests {
		if slices.Contains(t.Points, p.id) {
			reach = append(reach, t)
		}
	}
	if len(reach) == 0 {
		return verdict{state: uncovered}, nil
	}
	slices.SortStableFunc(reach, func(a, b *test) int {
		return cmp.Or(cmp.Compare(tier(a.Cost), tier(b.Cost)), strings.Compare(a.bin.pkg, b.bin.pkg))
	})
	for len(reach) > 0 {
		first, n := reach[0], 1
		for n < len(reach) && tier(first.Cost) < len(tiers) && tier(reach[n].Cost) == tier(first.Cost) && reach[n].bin.pkg == first.bin.pkg {
			n++
		}
		by, err := try(ctx, p.id, reach[:n])
		if err != nil || by != "" {
			return verdict{killed, by}, err
		}
		reach = reach[n:]
	}
	return verdict{state: survived}, nil
}

var failed = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

var crash = regexp.MustCompile(`(?m)^(panic: |fatal error: |SIG[A-Z]+: )`)

// try runs tests of one binary with a point left out, and names the first that fails, or "".
func try(ctx context.Context, id int, tests []*test) (string, error) {
	var names []string
	limit := 20 * time.Second
	for _, t := range tests {
		names = append(names, t.name)
		limit += 8 * t.Cost
	}
	for attempt := 0; ; attempt++ {
		once, cancel := context.WithTimeout(ctx, limit)
		cmd := command(once, tests[0].bin, []string{fmt.Sprintf("%s=%d", mutant.EnvOn, id)},
			"-test.run", "^("+strings.Join(names, "|")+")$", "-test.failfast", "-test.timeout", "0")
		out, err := cmd.CombinedOutput()
		late := once.Err() != nil
		cancel()
		switch {
		case ctx.Err() != nil:
			return "", ctx.Err()
		case err == nil:
			return "", nil
		case late:
			return tests[0].bin.pkg + " does not end", nil
		}
		if m := failed.FindSubmatch(out); m != nil {
			return tests[0].bin.pkg + " " + string(m[1]), nil
		}
		if crash.Match(out) {
			return tests[0].bin.pkg + " " + names[0] + " (panic)", nil
		}
		if attempt > 0 {
			return "", fmt.Errorf("mutant %d: %s fails without a failing test: %w\n%s", id, tests[0].bin.pkg, err, out)
		}
	}
}

// journal keeps verdicts from one run to the next, so that one that was interrupted goes on.
type journal struct {
	name  string
	world string // hash of all binaries: verdicts of another world hold no more
	mu    sync.Mutex
	known map[string]verdict // guarded by mu, by key
}

// openJournal reads the verdicts of this world; with trust, also those of others that killed.
func openJournal(name, world string, trust bool) (*journal, error) {
	j := &journal{name: name, world: world, known: map[string]verdict{}}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return j, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		w := strings.Split(s.Text(), "\t")
		if len(w) != 4 {
			continue // cut off when the last run ended
		}
		if w[0] == world || trust && state(w[1]) == killed {
			j.known[w[3]] = verdict{state(w[1]), w[2]}
		}
	}
	return j, nil
}

func (j *journal) add(key string, v verdict) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.known[key] = v
	f, err := os.OpenFile(j.name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = fmt.Fprintf(f, "%s\t%s\t%s\t%s\n", j.world, v.state, v.by, key)
	return err
}

func (j *journal) get(key string) (verdict, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	v, ok := j.known[key]
	return v, ok
}

// judgeAll fills the journal with a verdict on every point that it has none on.
func judgeAll(ctx context.Context, j *journal, points []point, tests []*test, workers int) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for _, p := range points {
		if _, ok := j.get(p.key); ok {
			continue
		}
		g.Go(func() error {
			v, err := judge(ctx, p, tests)
			if err != nil {
				return err
			}
			if v.state != killed {
				fmt.Printf("  %-9s %s:%d %s\n", v.state, p.file, p.line, p.key)
			}
			return j.add(p.key, v)
		})
	}
	return g.Wait()
}

func journalName(out, stage string) string { return filepath.Join(out, "verdicts-"+stage+".tsv") }
