package regress

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"sallyport/evals/harness"
	"sallyport/evals/results"
	"sallyport/internal/testdb"
)

// The principal has the name of the server's own superuser, which the suite prints in places.
const (
	owner  = "postgres"
	secret = "regress-secret"
)

const policy = `
@id("owner")
permit (principal, action, resource);
`

//go:embed differences.md
var explanations string

// Main runs the suite directly and, unless direct is set, through the door.
func Main(ctx context.Context, direct bool) error {
	out, err := harness.Out("regress")
	if err != nil {
		return err
	}
	s, err := prepare(filepath.Join(out, "postgresql"))
	if err != nil {
		return err
	}
	corpus, err := harness.Hash("postgresql-"+major+" "+s.version+" src/test/regress", filepath.Join(s.source(), "sql"))
	if err != nil {
		return err
	}
	base, err := s.direct(ctx)
	if err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Dir(base.dir))
	fmt.Printf("direct: %d of %d passed in %s; failed: %s\n", base.count(), len(base.order), base.took.Round(1e9), strings.Join(base.failed(), " "))
	if err := keep(base, filepath.Join(out, "direct")); err != nil || direct {
		return err
	}
	door, err := s.door(ctx)
	if err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Dir(door.dir))
	fmt.Printf("through the door: %d of %d passed in %s; failed: %s\n", door.count(), len(door.order), door.took.Round(1e9), strings.Join(door.failed(), " "))
	if err := keep(door, filepath.Join(out, "door")); err != nil {
		return err
	}
	same, list := compare(base, door)
	if err := writeListing(list); err != nil {
		return err
	}
	figure := func(name string, v int, note string) results.Figure {
		return results.Figure{Name: name, Value: float64(v), Unit: "tests", N: len(base.order), Command: "go run ./evals/cmd/regress", Corpus: corpus, Note: note}
	}
	return results.Check(
		figure("regress.passed", door.count(), "through the door, principal with the unrestricted action"),
		figure("regress.direct_passed", base.count(), "the same suite without the gateway"),
		figure("regress.same_output", same, "tests whose output is byte-identical to the direct run's"))
}

func (s suite) direct(ctx context.Context) (outcome, error) {
	db, err := s.server(ctx)
	if err != nil {
		return outcome{}, err
	}
	defer db.Stop()
	return s.run("127.0.0.1", strconv.Itoa(db.Port), owner, "")
}

func (s suite) door(ctx context.Context) (outcome, error) {
	db, err := s.server(ctx)
	if err != nil {
		return outcome{}, err
	}
	defer db.Stop()
	g, err := gateway(ctx, db)
	if err != nil {
		return outcome{}, err
	}
	defer g.Stop()
	host, port, err := net.SplitHostPort(g.PGAddr)
	if err != nil {
		return outcome{}, err
	}
	o, err := s.run(host, port, owner, secret)
	if err == nil && !g.Alive() {
		err = fmt.Errorf("the gateway died: %s", g.LogTail())
	}
	return o, err
}

func gateway(ctx context.Context, db *testdb.Server) (*harness.Gateway, error) {
	return harness.Start(ctx, harness.Spec{
		Connections: map[string]string{database: db.DSN(database), "postgres": db.DSN("postgres"), "template1": db.DSN("template1")},
		Principals:  []harness.Principal{{Name: owner, Groups: []string{"owners"}, Password: secret}},
		Policy:      policy,
	})
}

func (o outcome) failed() []string {
	var f []string
	for _, t := range o.order {
		if !o.passed[t] {
			f = append(f, t)
		}
	}
	return f
}

// keep saves results and diffs beside the other listings.
func keep(o outcome, to string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return run(filepath.Dir(o.dir), "cp", "-r", o.dir, to)
}

// difference is one test whose output differs from the direct run's.
type difference struct {
	test   string
	passed bool
	first  string // the first line that differs
}

func compare(base, door outcome) (same int, list []difference) {
	for _, t := range base.order {
		a, errA := os.ReadFile(filepath.Join(base.dir, "results", t+".out"))
		b, errB := os.ReadFile(filepath.Join(door.dir, "results", t+".out"))
		if errA == nil && errB == nil && bytes.Equal(a, b) {
			same++
			if door.passed[t] || !base.passed[t] {
				continue
			}
		}
		list = append(list, difference{t, door.passed[t], firstLine(string(a), string(b))})
	}
	return same, list
}

func firstLine(a, b string) string {
	la, lb := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(la), len(lb)) {
		if la[i] != lb[i] {
			return fmt.Sprintf("line %d: direct `%s`, door `%s`", i+1, clip(la[i]), clip(lb[i]))
		}
	}
	return "one output is longer"
}

func clip(s string) string {
	s = strings.ReplaceAll(strings.TrimSpace(s), "`", "'")
	if len(s) > 100 {
		s = s[:100] + "…"
	}
	return s
}

// writeListing puts each difference with its explanation where RESULTS.md includes it. An entry of
// differences.md begins with "- test:".
func writeListing(list []difference) error {
	root, err := harness.Root()
	if err != nil {
		return err
	}
	dir := filepath.Join(root, "evals", "listings")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("### Tests whose output differs from the direct run\n\n")
	for _, d := range list {
		state := "failed"
		if d.passed {
			state = "passed"
		}
		why := "NOT EXPLAINED YET"
		if m := regexp.MustCompile(`(?m)^- ` + regexp.QuoteMeta(d.test) + `: (.*)$`).FindStringSubmatch(explanations); m != nil {
			why = m[1]
		}
		fmt.Fprintf(&b, "- `%s` (%s): %s. First: %s\n", d.test, state, strings.TrimSuffix(why, "."), d.first)
	}
	return os.WriteFile(filepath.Join(dir, "regress.md"), []byte(b.String()), 0o644)
}
