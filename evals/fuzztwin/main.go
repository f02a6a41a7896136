package fuzztwin

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"sallyport/evals/harness"
	"sallyport/evals/results"
	"sallyport/evals/twin"
)

// Options say how much is run.
type Options struct {
	N       int           // statements over all kinds; 0 for as many as there is time for
	For     time.Duration // time over all kinds; 0 for as much as it takes
	Seed    int64
	Kinds   []twin.Kind
	Workers int
	Record  bool // the figures
}

// command does the same again, but for the seed.
func (o Options) command() string {
	c := "go run ./evals/cmd/fuzztwin -record"
	if o.N > 0 {
		c += fmt.Sprint(" -n ", o.N)
	}
	if o.For > 0 {
		c += fmt.Sprint(" -time ", o.For)
	}
	return c
}

// Main runs statements on the twins of each kind, and writes those that fail, made small, to testdata/found.
func Main(ctx context.Context, opt Options) error {
	root, err := harness.Root()
	if err != nil {
		return err
	}
	fmt.Printf("seed %d\n", opt.Seed)
	t := newTallies()
	for _, kind := range opt.Kinds {
		if err := part(ctx, opt, kind, t, filepath.Join(root, "evals", "fuzztwin", "testdata", "found")); err != nil {
			return err
		}
	}
	fmt.Println("all:", t.line())
	if err := t.list(root, opt.Record); err != nil {
		return err
	}
	if opt.Record {
		return results.Check(t.figures(opt)...)
	}
	if c := t.by[""]; c != nil && c.verdicts[twin.Different]+c.canaries > 0 {
		return fmt.Errorf("%d statements tell the twins apart, %d show a raw value: see evals/fuzztwin/testdata/found", c.verdicts[twin.Different], c.canaries)
	}
	return nil
}

func part(ctx context.Context, opt Options, kind twin.Kind, t *tallies, found string) error {
	r, err := open(ctx, kind, opt.Seed, t)
	if err != nil {
		return err
	}
	defer r.close()
	r.found = found
	var deadline time.Time
	part, whole := weight(kind), 0
	for _, k := range opt.Kinds {
		whole += weight(k)
	}
	if opt.For > 0 {
		deadline = time.Now().Add(opt.For * time.Duration(part) / time.Duration(whole))
	}
	done := make(chan struct{})
	defer close(done)
	go progress(kind, t, done)
	return r.until(ctx, opt.Workers, most(opt.N, part, whole), deadline)
}

// weight is a kind's part of a run. Statements with token masks take several times as long as others.
func weight(k twin.Kind) int {
	if k == twin.Token {
		return 1
	}
	return 2
}

// most is a kind's part of n statements, rounded up; 0 where n is.
func most(n, part, whole int) int { return (n*part + whole - 1) / whole }

func progress(kind twin.Kind, t *tallies, done chan struct{}) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			fmt.Printf("%s: %s\n", kind, t.line())
		}
	}
}

// list writes down why statements were refused.
func (t *tallies) list(root string, committed bool) error {
	var reasons []string
	for m := range t.refused {
		reasons = append(reasons, m)
	}
	sort.Slice(reasons, func(i, j int) bool {
		a, b := t.refused[reasons[i]].n, t.refused[reasons[j]].n
		return a > b || a == b && reasons[i] < reasons[j]
	})
	var full, brief strings.Builder
	brief.WriteString("### Why statements on the twins were not answered\n\nErrors of statements that are wrong are among them.\n\n")
	for i, m := range reasons {
		fmt.Fprintf(&full, "%d\t%s\t%s\n", t.refused[m].n, m, strings.Join(strings.Fields(t.refused[m].example), " "))
		if i < 25 {
			fmt.Fprintf(&brief, "- %d: %s\n", t.refused[m].n, m)
		}
	}
	dir, err := harness.Out("fuzztwin")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "refused.tsv"), []byte(full.String()), 0o644); err != nil || !committed {
		return err
	}
	return os.WriteFile(filepath.Join(root, "evals", "listings", "fuzztwin.md"), []byte(brief.String()), 0o644)
}
