package benign

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"sallyport/evals/harness"
	"sallyport/evals/results"
	"sallyport/evals/wire"
	"sallyport/internal/testdb"
)

const (
	person = "analyst"
	secret = "benign-secret"
	seed   = 20261123
)

const policy = `
@id("analysts")
permit (principal, action in [Action::"connect", Action::"read"], resource);
`

// verdict is what became of one statement.
type verdict struct {
	query
	state   string // rejected (by the server), plain, masked, refused, wrong, unsettled
	code    string
	message string
}

// Main runs all corpora and records the figures.
func Main(ctx context.Context) error {
	corpora, err := harness.Corpora()
	if err != nil {
		return fmt.Errorf("%w: the benign check needs the corpora", err)
	}
	dir := filepath.Join(corpora, "sql", "defog")
	corpus, err := harness.Hash("sql/defog", dir)
	if err != nil {
		return err
	}
	queries, err := defog(dir)
	if err != nil {
		return err
	}
	server, err := testdb.Start(testdb.Options{})
	if err != nil {
		return err
	}
	defer server.Stop()
	w := &world{server: server, dir: filepath.Join(dir, "schemas")}
	if err := w.load(ctx); err != nil {
		return err
	}
	defer w.close()
	fmt.Printf("defog: %d statements (alternatives expanded) on %d schemas\n", len(queries), len(w.dbs))
	var all []verdict
	for _, q := range queries {
		v, err := w.judge(ctx, q)
		if err != nil {
			return err
		}
		all = append(all, v)
	}
	figures := defogFigures(all, w.detected, w.cells)
	for i := range figures {
		figures[i].Command, figures[i].Corpus, figures[i].Seed = "go run ./evals/cmd/benign", corpus, seed
	}
	listing := list("defog", all)
	bird, birdFigures, err := runBird(ctx, server, filepath.Join(corpora, "sql", "bird", "gpt4_postgresql.json"))
	if err != nil {
		return err
	}
	mine, ownFigures, err := runOwn(ctx, server)
	if err != nil {
		return err
	}
	listing += list("BIRD", bird) + list("Our own", mine)
	every := slices.Concat(all, bird, mine)
	if err := save(listing, every); err != nil {
		return err
	}
	return results.Check(append(slices.Concat(figures, birdFigures, ownFigures), refusedShare(every))...)
}

// world is the server with each schema's database, its masked copy, and the gateway before them.
type world struct {
	server   *testdb.Server
	dir      string
	dbs      []string
	gateway  *harness.Gateway
	conns    map[string]*wire.Conn
	detected int // unlabelled cells that the door shows otherwise than they are
	cells    int
}

func (w *world) load(ctx context.Context) error {
	files, err := filepath.Glob(filepath.Join(w.dir, "*.sql"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no schemas in %s", w.dir)
	}
	tables := map[string][]tableInfo{}
	connections := map[string]string{}
	for _, f := range files {
		db := strings.TrimSuffix(filepath.Base(f), ".sql")
		if tables[db], err = loadSchema(ctx, w.server, db, f, seed); err != nil {
			return err
		}
		w.dbs = append(w.dbs, db)
		connections[db] = w.server.DSN(db)
	}
	w.gateway, err = harness.Start(ctx, harness.Spec{
		Connections: connections,
		Principals:  []harness.Principal{{Name: person, Groups: []string{"analysts"}, Password: secret}},
		Labels:      Labels, Masks: Masks, Policy: policy,
	})
	if err != nil {
		return err
	}
	for i, db := range w.dbs {
		if err := maskedCopy(ctx, w.server, db, db+"_masked", files[i], w.gateway.DSN(person, secret, db), tables[db]); err != nil {
			return err
		}
		if err := w.countDetected(ctx, db, tables[db]); err != nil {
			return err
		}
	}
	return nil
}

// countDetected compares the unlabelled cells of the original with those of the copy. Rows are paired
// by their place, which COPY keeps.
func (w *world) countDetected(ctx context.Context, db string, list []tableInfo) error {
	for _, t := range list {
		for _, c := range t.columns {
			if c.labelled {
				continue
			}
			sql := fmt.Sprintf("select %s::text from %s order by ctid", ident(c.name), t.name)
			a, err := w.ask(ctx, w.server.DSN(db), sql)
			if err != nil {
				return err
			}
			b, err := w.ask(ctx, w.server.DSN(db+"_masked"), sql)
			if err != nil {
				return err
			}
			ra, rb := rowsOf(a), rowsOf(b)
			for i := range min(len(ra), len(rb)) {
				w.cells++
				if ra[i] != rb[i] {
					w.detected++
					if w.detected%50 == 1 {
						fmt.Printf("  hidden in %s %s.%s: %s shown as %s\n", db, t.name, c.name, ra[i], rb[i])
					}
				}
			}
		}
	}
	return nil
}

func (w *world) close() {
	for _, c := range w.conns {
		c.Close()
	}
	if w.gateway != nil {
		w.gateway.Stop()
	}
}

func (w *world) ask(ctx context.Context, dsn, sql string) (wire.Answer, error) {
	if w.conns == nil {
		w.conns = map[string]*wire.Conn{}
	}
	c := w.conns[dsn]
	if c == nil || c.Dead {
		var err error
		if c, err = wire.Dial(ctx, dsn); err != nil {
			return wire.Answer{}, err
		}
		c.Timeout = 60 * time.Second
		if a := c.Simple("set statement_timeout = '20s'"); a.Failed() {
			return a, nil
		}
		w.conns[dsn] = c
	}
	return c.Simple(sql), nil
}

func (w *world) judge(ctx context.Context, q query) (verdict, error) {
	v := verdict{query: q}
	direct, err := w.ask(ctx, w.server.DSN(q.db), q.sql)
	if err != nil {
		return v, err
	}
	if direct.Failed() {
		v.state, v.code, v.message = "rejected", direct.Code, direct.Error
		return v, nil
	}
	door, err := w.ask(ctx, w.gateway.DSN(person, secret, q.db), q.sql)
	if err != nil {
		return v, err
	}
	v.code, v.message = door.Code, door.Error
	if same(direct, door) {
		v.state = "plain"
		return v, nil
	}
	copied, err := w.ask(ctx, w.server.DSN(q.db+"_masked"), q.sql)
	if err != nil {
		return v, err
	}
	switch {
	case same(copied, door):
		v.state = "masked"
	case door.Failed():
		v.state = "refused"
	case tieSized(copied, door) || tieSized(direct, door):
		v.state = "unsettled"
	default:
		v.state = "wrong"
	}
	return v, nil
}

// same compares answers with rows as a multiset; the place of a column's origin may differ.
func same(a, b wire.Answer) bool {
	if a.Code != b.Code {
		return false
	}
	ra, rb := rowsOf(a), rowsOf(b)
	sort.Strings(ra)
	sort.Strings(rb)
	return strings.Join(ra, "\n") == strings.Join(rb, "\n")
}

// tieSized finds answers that differ in a few rows only and are equally long, as a LIMIT among ties
// leaves them. They are not counted as the same.
func tieSized(a, b wire.Answer) bool {
	return !a.Failed() && !b.Failed() && a.Rows == b.Rows && a.Rows > 0
}

func rowsOf(a wire.Answer) []string {
	var rows []string
	for _, l := range a.Lines {
		if strings.HasPrefix(l, "D") {
			rows = append(rows, l)
		}
	}
	return rows
}

func defogFigures(all []verdict, detected, cells int) []results.Figure {
	n := map[string]int{}
	for _, v := range all {
		n[v.state]++
	}
	accepted := len(all) - n["rejected"]
	good := n["plain"] + n["masked"]
	share := results.Share("benign.defog.answered_share", good, accepted)
	share.Note = "of the statements that the server accepts: answered, and the same as the direct answer or as that of a copy which holds the masks"
	counts := []struct{ name, state, note string }{
		{"same_as_direct", "plain", "equal to the direct answer"},
		{"same_as_masked_copy", "masked", "read labelled columns; equal to the masked copy's answer"},
		{"refused", "refused", "refused or failed at the door only"},
		{"different", "wrong", "answered otherwise"},
		{"different_rows_same_count", "unsettled", "answered with as many rows, but others (a LIMIT among ties does that); not counted as the same"},
		{"rejected_by_server", "rejected", "not accepted by the server itself: left out"},
	}
	figures := []results.Figure{share}
	for _, c := range counts {
		f := results.Count("benign.defog."+c.name, n[c.state], len(all))
		f.Note = c.note
		figures = append(figures, f)
	}
	f := results.Count("benign.defog.detected_cells", detected, cells)
	f.Note = "unlabelled cells that the detectors hid, of all unlabelled cells"
	return append(figures, f)
}

// list names each statement that was not answered the same.
func list(corpus string, all []verdict) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s statements that were refused or answered otherwise\n\n", corpus)
	for _, v := range all {
		switch v.state {
		case "refused", "wrong", "unsettled", "rightly":
			fmt.Fprintf(&b, "- %s (%s) %s: %s %s\n", v.id, v.db, v.state, v.code, strings.Join(strings.Fields(v.message), " "))
		}
	}
	return b.String() + "\n"
}

func save(listing string, all []verdict) error {
	dir, err := harness.Out("benign")
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, v := range all {
		fmt.Fprintf(&b, "%s\t%s\t%s\t%s %s\t%s\n", v.state, v.db, v.id, v.code, strings.Join(strings.Fields(v.message), " "), strings.Join(strings.Fields(v.sql), " "))
	}
	if err := os.WriteFile(filepath.Join(dir, "verdicts.tsv"), []byte(b.String()), 0o644); err != nil {
		return err
	}
	root, err := harness.Root()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(root, "evals", "listings"), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, "evals", "listings", "benign.md"), []byte(listing), 0o644)
}
