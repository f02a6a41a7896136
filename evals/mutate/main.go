package mutate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"

	"sallyport/evals/harness"
	"sallyport/evals/results"
	"sallyport/internal/testdb"
)

// Options choose what is run.
type Options struct {
	Only    string // mutants whose key holds this; records nothing
	Slow    bool   // let survivors meet the slow tests too, and those of internal/gateway
	Workers int
}

// core is the package whose tests survivors meet, beside the slow ones of their own packages.
const core = "internal/gateway"

// quick is the stage of all tests but the slow ones.
const quick = "quick"

// Main judges all mutants and records the figures.
func Main(ctx context.Context, opt Options) error {
	equivalent, err := readEquivalents(equivalentsText)
	if err != nil {
		return err
	}
	root, err := harness.Root()
	if err != nil {
		return err
	}
	out, err := harness.Out("mutate")
	if err != nil {
		return err
	}
	p, err := rewrite(root, out)
	if err != nil {
		return err
	}
	var own []string
	for _, t := range targets {
		own = append(own, t.dir)
	}
	var chosen []point
	for _, pt := range p.points {
		if strings.Contains(pt.key, opt.Only) {
			chosen = append(chosen, pt)
		}
	}
	fmt.Printf("%d mutants\n", len(chosen))
	j, err := p.stage(ctx, quick, chosen, opt, func(_, test string) bool { return !slices.Contains(slow, test) }, own...)
	if err != nil {
		return err
	}
	t := newTally(chosen, j, equivalent)
	if left := t.unexplained(); opt.Slow && len(left) > 0 {
		fmt.Printf("%d survive, and meet the slow tests\n", len(left))
		late, err := p.stage(ctx, "slow", left, opt, func(pkg, test string) bool { return pkg == core || slices.Contains(slow, test) }, append(own, core)...)
		if err != nil {
			return err
		}
		t.merge(late)
	}
	fmt.Print(t.listing())
	if opt.Only != "" {
		return nil
	}
	if err := t.save(root); err != nil {
		return err
	}
	if err := t.stale(); err != nil {
		return err
	}
	return results.Check(t.figures()...)
}

// stage builds the packages' tests, sees what they reach, and runs them against the mutants. The quick
// ones share a database server: starting it costs more than most of them.
func (p *program) stage(ctx context.Context, name string, points []point, opt Options, wanted func(pkg, test string) bool, pkgs ...string) (*journal, error) {
	var env []string
	if name == quick {
		srv, err := testdb.Start(testdb.Options{})
		if err != nil {
			return nil, err
		}
		defer srv.Stop()
		env = []string{srv.Share()}
	}
	var bins []binary
	h := sha256.New()
	worlds := map[string]string{}
	for _, pkg := range pkgs {
		b, err := p.build(pkg)
		if err != nil {
			return nil, err
		}
		b.env = env
		bins = append(bins, b)
		worlds[pkg] = b.hash
		_, _ = io.WriteString(h, b.hash)
	}
	tests, err := p.cover(ctx, opt.Workers, wanted, bins...)
	if err != nil {
		return nil, err
	}
	j, err := openJournal(journalName(p.out, name), hex.EncodeToString(h.Sum(nil))[:16], worlds)
	if err != nil {
		return nil, err
	}
	return j, judgeAll(ctx, j, points, tests, opt.Workers)
}
