// Package sqlsmith lets a fuzzer ask the twin question: statements that sqlsmith invents over the
// twins' plain schema run through the PostgreSQL door on both sides, with redact masks, and every
// message is compared.
//
// Statements of that kind are often unstable by themselves: rows without an order, random(), the
// clock, timeouts. Whatever differs is asked again; twin.Judge says what then counts, and what is
// counted apart.
//
// Where to start: Main. Package fuzztwin asks more of them, for every kind of principal.
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

	"github.com/jackc/pgx/v5"

	"sallyport/evals/doors"
	"sallyport/evals/harness"
	"sallyport/evals/results"
	"sallyport/evals/twin"
)

// outcome is what one statement did.
type outcome struct {
	sql      string
	accepted bool // the server takes it directly: it ends well, or in an error of computing
	twin.Outcome
}

func (o outcome) answered() bool { return o.Code == "" || computing(o.Code) }

// Accepted says whether the server takes a statement, from the SQLSTATE with which it ended directly.
func Accepted(code string) bool { return code == "" || computing(code) }

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
	w, err := twin.OpenPlain(ctx, twin.Redact)
	if err != nil {
		return err
	}
	defer w.Close()
	statements, err := Generate(ctx, w, n, seed)
	if err != nil {
		return err
	}
	fmt.Printf("%d statements from sqlsmith, seed %d\n", len(statements), seed)
	judge, err := twin.NewJudge(ctx, w)
	if err != nil {
		return err
	}
	defer judge.Close()
	pair, direct := judge.Pair(), w.A.Around()
	direct.DSN += "&statement_timeout=1000"
	defer pair.Close()
	defer direct.Close()
	var all []outcome
	for i, sql := range statements {
		s := doors.Statement{Steps: []string{sql}}
		d := direct.Run(ctx, doors.Direct, s)
		o := outcome{sql: sql, accepted: Accepted(d.Code)}
		if o.Outcome, err = judge.Ask(ctx, pair, doors.All[0], s); err != nil {
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
		do $$ declare s name; begin
		  if not exists (select from pg_roles where rolname = 'smith') then create role smith login; end if;
		  for s in select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema' loop
		    execute format('grant usage on schema %I to smith; grant all on all tables in schema %I to smith', s, s);
		  end loop;
		end $$;
		revoke all on bykey, bykey_low, bykey_high, bykey_rest from smith`)
	return err
}

// Generate has sqlsmith print n statements over the first twin. It reads the schema from the server and runs nothing.
func Generate(ctx context.Context, w *twin.World, n int, seed int64) ([]string, error) {
	if err := makeAuthor(ctx, w.A.Direct()); err != nil {
		return nil, err
	}
	bin, err := exec.LookPath("sqlsmith")
	if err != nil {
		return nil, fmt.Errorf("%w: run `make deps`", err)
	}
	target := fmt.Sprintf("host=127.0.0.1 port=%d dbname=%s user=%s", w.A.Server.Port, twin.Database, author)
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

func summary(all []outcome) string {
	verdicts := map[string]int{}
	accepted, answered := 0, 0
	for _, o := range all {
		verdicts[o.Verdict]++
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
		fmt.Fprintf(&b, "-- %d accepted=%t %s %s %s %s\n%s;\n", i+1, o.accepted, o.Verdict, o.Code, strings.Join(strings.Fields(o.Message), " "), o.Why, o.sql)
		if o.accepted && !o.answered() {
			why[o.Code+" "+strings.Join(strings.Fields(o.Message), " ")]++
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
		verdicts[o.Verdict]++
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
	add(results.Count("sqlsmith.differences", verdicts[twin.Different], len(all)), "every message of both sides' answers compared")
	add(results.Share("sqlsmith.answered_share", answered, accepted), "of the statements that the server itself accepts (ends well, or in an error of classes 21, 22, 23, 54, or times out)")
	add(results.Count("sqlsmith.unstable", verdicts[twin.Unstable], len(all)), "differ from themselves on one side; equal as a set of messages")
	add(results.Count("sqlsmith.plans", verdicts[twin.Order]+verdicts[twin.Plan], len(all)), "equal only where the server has no statistics of values to choose plans by")
	add(results.Count("sqlsmith.random", verdicts[twin.Random], len(all)), "differ from themselves on one side even as a set of messages: not comparable")
	add(results.Count("sqlsmith.timeouts", verdicts[twin.Timeout], len(all)), "ran into the statement timeout on one side only: not comparable")
	return list
}
