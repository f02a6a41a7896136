// Package planning measures what a statement costs before it is sent: planned for the first time, whole and in its
// parts, and again when its plan is cached; and the decision alone under 20 and 200 policies.
//
// The core has no door for that, so a benchmark inside of it takes the samples (internal/gateway,
// BenchmarkPlanning), over statements and schemas that are prepared here: those of the benign corpus and the demo's.
// Start with Main.
package planning

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"

	"sallyport/evals/benign"
	"sallyport/evals/harness"
	"sallyport/evals/results"
	"sallyport/internal/testdb"
)

// made is the command behind the figures.
const made = "go run ./evals/cmd/planning"

// rounds is how often each statement is measured. The first is part of it: the processor's caches are cold for a real
// statement too.
const rounds = 5

// database is a schema with its statements; the fields are those that the benchmark reads.
type database struct {
	Name, DSN  string
	Statements []string
}

type label struct {
	Label   string
	Columns []string
}

type masking struct{ Label, Transform, Style, Bucket string }

// Main loads the schemas, runs the benchmark and records its figures.
func Main(ctx context.Context) error {
	root, err := harness.Root()
	if err != nil {
		return err
	}
	corpora, err := harness.Corpora()
	if err != nil {
		return err
	}
	dir := filepath.Join(corpora, "sql", "defog")
	corpus, err := harness.Hash("sql/defog", dir)
	if err != nil {
		return err
	}
	server, err := testdb.Start(testdb.Options{})
	if err != nil {
		return err
	}
	defer server.Stop()
	statements, err := benign.Statements(dir)
	if err != nil {
		return err
	}
	statements["demo"] = demo
	schemas, err := filepath.Glob(filepath.Join(dir, "schemas", "*.sql"))
	if err != nil {
		return err
	}
	in := map[string]any{"Rounds": rounds, "Policy": `@id("analysts") permit (principal in Group::"analysts", action in [Action::"connect", Action::"read"], resource);`}
	var dbs []database
	for _, file := range append(schemas, filepath.Join(root, "internal", "demo", "shop.sql")) {
		name := filepath.Base(file[:len(file)-len(".sql")])
		if name == "shop" {
			name = "demo"
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := server.Exec(ctx, "postgres", "create database "+name); err != nil {
			return err
		}
		if err := server.Exec(ctx, name, string(text)); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		dbs = append(dbs, database{Name: name, DSN: server.DSN(name), Statements: statements[name]})
	}
	in["Databases"] = dbs
	var labels []label
	var masks []masking
	for _, l := range benign.Labels {
		labels = append(labels, label{l.Name, l.Columns})
		m := benign.Masks[l.Name]
		masks = append(masks, masking{l.Name, m.Transform, m.Style, m.Bucket})
	}
	in["Labels"], in["Masks"] = labels, masks
	samples, err := bench(ctx, root, in)
	if err != nil {
		return err
	}
	figures, err := figuresOf(samples)
	if err != nil {
		return err
	}
	for i := range figures {
		figures[i].Command, figures[i].Corpus = made, corpus+", and the demo's schema"
	}
	return results.Check(figures...)
}

// bench runs the benchmark once and reads its samples: nanoseconds by figure.
func bench(ctx context.Context, root string, in map[string]any) (map[string][]int64, error) {
	dir, err := os.MkdirTemp("", "planning")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	text, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	from, to := filepath.Join(dir, "in.json"), filepath.Join(dir, "samples.json")
	if err := os.WriteFile(from, text, 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-count", "1", "-run", "^$", "-bench", "^BenchmarkPlanning$", "-benchtime", "1x", "./internal/gateway")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "SALLYPORT_PLANNING="+from, "SALLYPORT_PLANNING_SAMPLES="+to)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	if text, err = os.ReadFile(to); err != nil {
		return nil, err
	}
	var samples map[string][]int64
	return samples, json.Unmarshal(text, &samples)
}

// measured are the benchmark's figures with what they count.
var measured = []struct{ key, name, note string }{
	{"cold", "planning.cold", "a statement planned for the first time: parse, resolve, decide, compile, write back, verify, describe for the record"},
	{"parse", "planning.cold.parse", "of that: text to tree, by libpg_query"},
	{"resolve", "planning.cold.resolve", "of that: tree to facts"},
	{"decide", "planning.cold.decide", "of that: facts to decision, under one policy"},
	{"compile", "planning.cold.compile", "of that: masks, deparse, parse again, verify"},
	{"cached", "planning.cached", "the same statement when its plan, or that of its shape, is cached"},
	{"decide.20", "policy.decide.20", "the decision on a statement under 20 policies"},
	{"decide.200", "policy.decide.200", "the decision on a statement under 200 policies"},
}

func figuresOf(samples map[string][]int64) ([]results.Figure, error) {
	var out []results.Figure
	for _, m := range measured {
		s := samples[m.key]
		if len(s) == 0 {
			return nil, fmt.Errorf("no samples of %s", m.key)
		}
		slices.Sort(s)
		for _, p := range []int{50, 99} {
			out = append(out, results.Figure{Name: m.name + ".p" + strconv.Itoa(p) + "_us", Unit: "us", N: len(s), Value: float64(s[(len(s)-1)*p/100]) / 1e3, Note: m.note})
		}
	}
	return out, nil
}
