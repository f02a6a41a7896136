package mutate

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
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

// judge runs the tests that reach a point without it, until one fails: the test of the hint, then
// cheap ones, those of the point's own package before others.
func judge(ctx context.Context, p point, tests []*test, hint string) (verdict, error) {
	var reach []*test
	for _, t := range tests {
		if slices.Contains(t.Points, p.id) {
			reach = append(reach, t)
		}
	}
	if len(reach) == 0 {
		return verdict{state: uncovered}, nil
	}
	if i := slices.IndexFunc(reach, func(t *test) bool { return t.is(hint) }); i >= 0 {
		by, err := try(ctx, p.id, reach[i:i+1])
		if err != nil || by != "" {
			return verdict{killed, by}, err
		}
		reach = slices.Delete(reach, i, i+1)
	}
	slices.SortStableFunc(reach, func(a, b *test) int {
		if tier(a.Cost) == len(tiers) && tier(b.Cost) == len(tiers) { // each by itself
			return cmp.Compare(a.Cost, b.Cost)
		}
		return cmp.Or(cmp.Compare(tier(a.Cost), tier(b.Cost)), cmp.Compare(distance(p, a), distance(p, b)), strings.Compare(a.bin.pkg, b.bin.pkg))
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

// costOf is how long judging a point is likely to take: as long as the test of the hint or, without one, as
// all that reach it.
func costOf(p point, tests []*test, hint string) time.Duration {
	var all time.Duration
	for _, t := range tests {
		if slices.Contains(t.Points, p.id) {
			if t.is(hint) {
				return t.Cost
			}
			all += t.Cost
		}
	}
	return all
}

// distance puts tests of the point's own package first.
func distance(p point, t *test) int {
	if t.bin.pkg == p.pkg {
		return 0
	}
	return 1
}

var failed = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

var crash = regexp.MustCompile(`(?m)^(panic: |fatal error: |SIG[A-Z]+: )`)

// endless is what package testing says of a test that takes too long.
var endless = regexp.MustCompile(`(?m)^panic: test timed out after [^\n]*\n\s+running tests:\n\s+(\w+)`)

// try runs tests of one binary with a point left out, and names the first that fails, or "". What fails
// by its time is asked twice: other load may have taken it.
func try(ctx context.Context, id int, tests []*test) (string, error) {
	var names []string
	limit := 20 * time.Second
	for _, t := range tests {
		names = append(names, t.name)
		limit += 8 * t.Cost
	}
	pkg := tests[0].bin.pkg
	for attempt := 0; ; attempt++ {
		once, cancel := context.WithTimeout(ctx, limit+10*time.Second)
		cmd := command(once, tests[0].bin, []string{fmt.Sprintf("%s=%d", mutant.EnvOn, id)},
			"-test.run", "^("+strings.Join(names, "|")+")$", "-test.failfast", "-test.timeout", limit.String())
		out, err := cmd.CombinedOutput()
		late := once.Err() != nil
		cancel()
		switch {
		case ctx.Err() != nil:
			return "", ctx.Err()
		case err == nil:
			return "", nil
		}
		by := ""
		if m := endless.FindSubmatch(out); m != nil {
			late, by = true, pkg+" "+string(m[1])+" (does not end)"
		} else if m := failed.FindSubmatch(out); m != nil {
			return pkg + " " + string(m[1]), nil
		} else if late {
			by = pkg + " " + names[0] + " (does not end)"
		} else if crash.Match(out) {
			return pkg + " " + names[0] + " (panic)", nil
		}
		switch {
		case attempt == 0:
			limit *= 2
		case late:
			return by, nil
		default:
			return "", fmt.Errorf("mutant %d: %s fails without a failing test: %w\n%s", id, pkg, err, out)
		}
	}
}

// judgeAll fills the journal with a verdict on every point that it has none on, on cheap ones first.
func judgeAll(ctx context.Context, j *journal, points []point, tests []*test, workers int) error {
	points = slices.Clone(points)
	costs := map[int]time.Duration{}
	for _, p := range points {
		costs[p.id] = costOf(p, tests, j.hints[p.key])
	}
	slices.SortStableFunc(points, func(a, b point) int { return cmp.Compare(costs[a.id], costs[b.id]) })
	near := j.killers(points)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for _, p := range points {
		if _, ok := j.get(p.key); ok {
			continue
		}
		g.Go(func() error {
			v, err := judge(ctx, p, tests, cmp.Or(j.hints[p.key], near[p.function()]))
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
