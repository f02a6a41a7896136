// Package sqlsmith lets a fuzzer ask the twin question: statements that sqlsmith invents over the
// twins' plain schema run through the PostgreSQL door on both sides, with redact masks, and every
// message is compared.
//
// Statements of that kind are often unstable by themselves: rows without an order, random(), the
// clock, timeouts. Whatever differs is asked again; what differs from itself on one side is compared
// as a set of messages and counted apart, and so are timeouts. Nothing else is forgiven.
//
// Where to start: Main.
package sqlsmith

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/evals/harness"
	"sallyport/evals/results"
	"sallyport/evals/twin"
	"sallyport/evals/wire"
)

// timeout of one statement, in milliseconds.
const timeout = "1500"

// outcome is what one statement did.
type outcome struct {
	sql      string
	accepted bool   // the server takes it directly: it ends well, or in an error of computing
	verdict  string // same, unstable, timeout, DIFFERENT
	code     string // SQLSTATE at the door
	message  string
	why      string
}

func (o outcome) answered() bool { return o.code == "" || computing(o.code) }

// computing tells errors that a statement runs into while it computes, from those of a statement that
// is wrong or refused.
func computing(code string) bool {
	for _, class := range []string{"21", "22", "23", "54", "57014"} {
		if strings.HasPrefix(code, class) {
			return true
		}
	}
	return false
}

// Main generates n statements from a seed, runs and compares them, and records the figures.
func Main(ctx context.Context, n int, seed int64) error {
	w, err := twin.OpenPlain(ctx)
	if err != nil {
		return err
	}
	defer w.Close()
	if err := makeAuthor(ctx, w.A.Direct()); err != nil {
		return err
	}
	statements, err := generate(ctx, w.A.Server.Port, n, seed)
	if err != nil {
		return err
	}
	fmt.Printf("%d statements from sqlsmith, seed %d\n", len(statements), seed)
	r := &runner{w: w}
	defer r.close()
	var all []outcome
	for i, sql := range statements {
		o, err := r.run(ctx, sql)
		if err != nil {
			return fmt.Errorf("statement %d: %w\n%s", i+1, err, sql)
		}
		all = append(all, o)
		if (i+1)%200 == 0 {
			fmt.Printf("%d: %s\n", i+1, summary(all))
		}
	}
	if err := list(all); err != nil {
		return err
	}
	return results.Check(figures(all, seed)...)
}

// author is the role that sqlsmith looks at the schema as. It does not see the tables that a labelled column
// divides into partitions: masked principals are refused them by design, and a fuzzer that joins three tables
// a statement would spend half of its statements on finding that out. The twin check has its own shapes for
// them.
const author = "smith"

func makeAuthor(ctx context.Context, dsn string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, `
		create role smith login;
		do $$ declare s name; begin
		  for s in select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema' loop
		    execute format('grant usage on schema %I to smith; grant all on all tables in schema %I to smith', s, s);
		  end loop;
		end $$;
		revoke all on bykey, bykey_low, bykey_high, bykey_rest from smith`)
	return err
}

// generate has sqlsmith print statements. It reads the schema from the server and runs nothing.
func generate(ctx context.Context, port, n int, seed int64) ([]string, error) {
	bin, err := exec.LookPath("sqlsmith")
	if err != nil {
		return nil, fmt.Errorf("%w: run `make deps`", err)
	}
	target := fmt.Sprintf("host=127.0.0.1 port=%d dbname=%s user=%s", port, twin.Database, author)
	out, err := exec.CommandContext(ctx, bin, "--target="+target, "--exclude-catalog", "--dry-run", "--seed="+strconv.FormatInt(seed, 10), "--max-queries="+strconv.Itoa(n)).Output()
	if err != nil {
		return nil, fmt.Errorf("sqlsmith: %w", err)
	}
	var all []string
	for _, s := range strings.Split(string(out), ";\n") {
		if s = strings.TrimSpace(s); s != "" && len(all) < n {
			all = append(all, s)
		}
	}
	return all, nil
}

// runner keeps one connection a way: each side directly and through its door.
type runner struct {
	w     *twin.World
	conns [4]*wire.Conn // direct A, direct B (unused), door A, door B
}

func (r *runner) dsn(i int) string {
	side := []*twin.Side{r.w.A, r.w.B}[i%2]
	if i < 2 {
		return side.Direct()
	}
	return side.Door()
}

func (r *runner) close() {
	for _, c := range r.conns {
		if c != nil {
			c.Close()
		}
	}
}

// ask runs a statement in a transaction that is rolled back.
func (r *runner) ask(ctx context.Context, i int, sql string) (wire.Answer, error) {
	c := r.conns[i]
	if c == nil || c.Dead {
		var err error
		if c, err = wire.Dial(ctx, r.dsn(i)); err != nil {
			return wire.Answer{}, err
		}
		c.Timeout = 20 * time.Second
		if a := c.Simple("SET statement_timeout = " + timeout); a.Failed() {
			return a, fmt.Errorf("set statement_timeout: %s %s", a.Code, a.Error)
		}
		r.conns[i] = c
	}
	c.Simple("BEGIN")
	a := c.Simple(sql)
	c.Simple("ROLLBACK")
	return []*twin.Side{r.w.A, r.w.B}[i%2].Clean(a), nil
}

const (
	directA = 0
	doorA   = 2
	doorB   = 3
)

func (r *runner) run(ctx context.Context, sql string) (outcome, error) {
	o := outcome{sql: sql}
	d, err := r.ask(ctx, directA, sql)
	if err != nil {
		return o, err
	}
	o.accepted = d.Code == "" || computing(d.Code)
	a, err := r.ask(ctx, doorA, sql)
	if err != nil {
		return o, err
	}
	b, err := r.ask(ctx, doorB, sql)
	if err != nil {
		return o, err
	}
	o.code, o.message = a.Code, a.Error
	if !r.w.A.Gateway.Alive() || !r.w.B.Gateway.Alive() {
		return o, fmt.Errorf("the gateway died: %s", r.w.A.Gateway.LogTail())
	}
	switch {
	case a.Text() == b.Text():
		o.verdict = "same"
	case late(a) || late(b):
		o.verdict = "timeout"
	default:
		// What is drawn by chance can agree with itself a few times.
		var a2, b2 wire.Answer
		unstable := false
		for try := 0; try < 30 && !unstable; try++ {
			if a2, err = r.ask(ctx, doorA, sql); err != nil {
				return o, err
			}
			if b2, err = r.ask(ctx, doorB, sql); err != nil {
				return o, err
			}
			unstable = a.Text() != a2.Text() || b.Text() != b2.Text()
		}
		switch {
		case unstable && wire.Sorted(a.Lines) == wire.Sorted(b.Lines):
			o.verdict = "unstable"
		case unstable && (wire.Sorted(a.Lines) != wire.Sorted(a2.Lines) || wire.Sorted(b.Lines) != wire.Sorted(b2.Lines)):
			o.verdict = "random"
		default:
			o.verdict, o.why = "DIFFERENT", wire.Parting(a.Lines, b.Lines)
		}
	}
	return o, nil
}

func late(a wire.Answer) bool { return a.Code == "57014" || a.Code == "TIMEOUT" }

func summary(all []outcome) string {
	verdicts := map[string]int{}
	accepted, answered := 0, 0
	for _, o := range all {
		verdicts[o.verdict]++
		if o.accepted {
			accepted++
			if o.answered() {
				answered++
			}
		}
	}
	return fmt.Sprintf("%d of %d that the server accepts answered; %v", answered, accepted, verdicts)
}

func list(all []outcome) error {
	dir, err := harness.Out("sqlsmith")
	if err != nil {
		return err
	}
	var b strings.Builder
	why := map[string]int{}
	for i, o := range all {
		fmt.Fprintf(&b, "-- %d accepted=%t %s %s %s %s\n%s;\n", i+1, o.accepted, o.verdict, o.code, strings.Join(strings.Fields(o.message), " "), o.why, o.sql)
		if o.accepted && !o.answered() {
			why[o.code+" "+strings.Join(strings.Fields(o.message), " ")]++
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "outcomes.sql"), []byte(b.String()), 0o644); err != nil {
		return err
	}
	var reasons []string
	for m := range why {
		reasons = append(reasons, m)
	}
	sort.Slice(reasons, func(i, j int) bool {
		if why[reasons[i]] != why[reasons[j]] {
			return why[reasons[i]] > why[reasons[j]]
		}
		return reasons[i] < reasons[j]
	})
	root, err := harness.Root()
	if err != nil {
		return err
	}
	var md strings.Builder
	md.WriteString("### Why fuzzed statements were refused\n\n")
	for i, m := range reasons {
		if i == 25 {
			fmt.Fprintf(&md, "- and %d more messages\n", len(reasons)-i)
			break
		}
		fmt.Fprintf(&md, "- %d: %s\n", why[m], m)
	}
	if err := os.MkdirAll(filepath.Join(root, "evals", "listings"), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, "evals", "listings", "sqlsmith.md"), []byte(md.String()), 0o644)
}

func figures(all []outcome, seed int64) []results.Figure {
	verdicts := map[string]int{}
	accepted, answered := 0, 0
	for _, o := range all {
		verdicts[o.verdict]++
		if o.accepted {
			accepted++
			if o.answered() {
				answered++
			}
		}
	}
	var list []results.Figure
	add := func(f results.Figure, note string) {
		f.Command, f.Seed, f.Note = "go run ./evals/cmd/sqlsmith", seed, note
		f.Corpus = "sqlsmith 1.4 over evals/twin's plain schema, without tables that a labelled column divides"
		list = append(list, f)
	}
	add(results.Count("sqlsmith.differences", verdicts["DIFFERENT"], len(all)), "every message of both sides' answers compared")
	add(results.Share("sqlsmith.answered_share", answered, accepted), "of the statements that the server itself accepts (ends well, or in an error of classes 21, 22, 23, 54, or times out)")
	add(results.Count("sqlsmith.unstable", verdicts["unstable"], len(all)), "differ from themselves on one side; equal as a set of messages")
	add(results.Count("sqlsmith.random", verdicts["random"], len(all)), "differ from themselves on one side even as a set of messages: not comparable")
	add(results.Count("sqlsmith.timeouts", verdicts["timeout"], len(all)), "ran into the statement timeout on one side only: not comparable")
	return list
}
