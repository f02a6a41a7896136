package mutate

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sallyport/evals/results"
)

// made is the command behind the figures.
const made = "make mutate"

// tally is what became of all mutants.
type tally struct {
	points     []point
	verdicts   map[string]verdict
	equivalent map[string]string
}

func newTally(points []point, j *journal, equivalent map[string]string) *tally {
	t := &tally{points: points, verdicts: map[string]verdict{}, equivalent: equivalent}
	for _, p := range points {
		t.verdicts[p.key], _ = j.get(p.key)
	}
	return t
}

// merge takes over the kills of another stage, and what it reached.
func (t *tally) merge(j *journal) {
	for _, p := range t.points {
		if v, ok := j.get(p.key); ok && v.state != uncovered && t.verdicts[p.key].state != killed {
			t.verdicts[p.key] = v
		}
	}
}

// unexplained are the mutants that live and are not listed as equivalent.
func (t *tally) unexplained() []point {
	var out []point
	for _, p := range t.points {
		if t.verdicts[p.key].state != killed && t.equivalent[p.key] == "" {
			out = append(out, p)
		}
	}
	return out
}

// stale objects to entries of equivalents.txt that no mutant matches, or one that a test kills.
func (t *tally) stale() error {
	have := map[string]bool{}
	var bad []string
	for _, p := range t.points {
		have[p.key] = true
		if t.equivalent[p.key] != "" && t.verdicts[p.key].state == killed {
			bad = append(bad, p.key+" is killed by "+t.verdicts[p.key].by)
		}
	}
	for key := range t.equivalent {
		if !have[key] {
			bad = append(bad, key+" is no mutant")
		}
	}
	if bad == nil {
		return nil
	}
	return errors.New("equivalents.txt: " + strings.Join(bad, "; "))
}

// count of one family.
type count struct{ mutants, killed, survived, uncovered, equivalent int }

func (t *tally) count(f family, file string) count {
	var c count
	for _, p := range t.points {
		if p.family != f || file != "" && p.file != file {
			continue
		}
		c.mutants++
		switch v := t.verdicts[p.key]; {
		case v.state == killed:
			c.killed++
		case t.equivalent[p.key] != "":
			c.equivalent++
		case v.state == uncovered:
			c.uncovered++
		default:
			c.survived++
		}
	}
	return c
}

func (t *tally) figures() []results.Figure {
	var out []results.Figure
	for _, f := range []struct {
		family family
		name   string
		what   string
	}{
		{cases, "mutation", "values of case clauses, and defaults, of the guard's walker and resolver and of the compiler, each left out by itself"},
		{guards, "mutation.guards", "conditions that refuse, each made false, and calls that refuse, each left out"},
	} {
		c := t.count(f.family, "")
		score := results.Share(f.name+".score", c.killed, c.mutants-c.equivalent)
		score.Note = "a test fails without it; of the mutants that are not equivalent"
		mutants := results.Count(f.name+".mutants", c.mutants, c.mutants)
		mutants.Note = f.what
		survivors := results.Count(f.name+".survivors", c.survived+c.uncovered, c.mutants)
		survivors.Note = fmt.Sprintf("no test fails without it, and no reason is given; no test reaches %d of them", c.uncovered)
		equal := results.Count(f.name+".equivalent", c.equivalent, c.mutants)
		equal.Note = "no test can fail without it, for a reason in evals/mutate/equivalents.txt"
		out = append(out, score, mutants, survivors, equal)
	}
	for i := range out {
		out[i].Command = made
	}
	return out
}

// listing is a table of the files, then each mutant that lives.
func (t *tally) listing() string {
	var b strings.Builder
	b.WriteString("| file | cases | killed | live | equivalent | guards | killed | live | equivalent |\n|---|---|---|---|---|---|---|---|---|\n")
	row := func(name, file string) {
		c, g := t.count(cases, file), t.count(guards, file)
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d | %d | %d | %d |\n", name, c.mutants, c.killed, c.survived+c.uncovered, c.equivalent,
			g.mutants, g.killed, g.survived+g.uncovered, g.equivalent)
	}
	done := map[string]bool{}
	for _, p := range t.points {
		if !done[p.file] {
			done[p.file] = true
			row("`"+p.file+"`", p.file)
		}
	}
	row("all", "")
	for _, f := range []struct {
		family family
		title  string
	}{{cases, "Cases that no test needs"}, {guards, "Guards that no test needs"}} {
		fmt.Fprintf(&b, "\n### %s\n\n", f.title)
		none := true
		for _, p := range t.unexplained() {
			if p.family == f.family {
				none = false
				fmt.Fprintf(&b, "- %s:%d `%s` (%s)\n", p.file, p.line, p.key, t.verdicts[p.key].state)
			}
		}
		if none {
			b.WriteString("None.\n")
		}
	}
	b.WriteString("\n### Equivalent, with the reason\n\n")
	for _, p := range t.points {
		if why := t.equivalent[p.key]; why != "" && t.verdicts[p.key].state != killed {
			fmt.Fprintf(&b, "- %s:%d `%s`: %s\n", p.file, p.line, p.key, why)
		}
	}
	return b.String()
}

func (t *tally) save(root string) error {
	dir := filepath.Join(root, "evals", "listings")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "mutation.md"), []byte(t.listing()), 0o644)
}
