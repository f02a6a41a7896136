package crash

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"

	"sallyport/audit"
	"sallyport/audit/verify"
	"sallyport/evals/harness"
	"sallyport/evals/results"
	"sallyport/internal/access"
)

// recorded is what the record says, by mark.
type recorded struct {
	rows     map[string]int    // released
	intents  map[string]uint64 // position
	outcomes map[uint64]bool   // intents whose outcome is a success
	last     map[string]string // by session: the mark of the statement that runs
}

var markOf = regexp.MustCompile(`\bk\d+c\d+i\d+\b`)

func readRecord(dir string) (*recorded, error) {
	r := &recorded{rows: map[string]int{}, intents: map[string]uint64{}, outcomes: map[uint64]bool{}, last: map[string]string{}}
	err := audit.Read(dir, func(rec *access.Record) error {
		mark := markOf.FindString(rec.SQL)
		if mark == "" {
			mark = markOf.FindString(strings.Join(rec.Params, " "))
		}
		if mark == "" && rec.Kind == access.RecordRelease {
			mark = r.last[rec.Session] // a later part of the same result
		}
		r.last[rec.Session] = mark
		switch rec.Kind {
		case access.RecordStatement:
			if rec.Code == "" && rec.Digest != "" {
				r.rows[mark] = max(r.rows[mark], int(rec.Rows))
			}
		case access.RecordRelease:
			r.rows[mark] = max(r.rows[mark], int(rec.Rows))
		case access.RecordIntent:
			r.intents[mark] = rec.Position
		case access.RecordOutcome:
			r.outcomes[rec.Intent] = rec.Code == ""
		}
		return nil
	})
	return r, err
}

// judge compares what clients received, and what is in the database, with the record of a gateway that has ended.
func (d *drill) judge(ctx context.Context, g *harness.Gateway, s *seen, t *tally) error {
	dir := filepath.Join(g.Data(), "log")
	report, err := audit.Check(dir)
	if err != nil {
		return err
	}
	t.records += report.Records
	for _, p := range report.Problems {
		t.unsound = append(t.unsound, p.String())
	}
	if n := len(report.Open) + len(report.Dangling); n > 0 {
		t.unsound = append(t.unsound, fmt.Sprintf("%d sessions and intents are still open after a clean end", n))
	}
	proof, err := verify.Dir(dir, "")
	if err != nil {
		return err
	}
	t.unsound = append(t.unsound, proof.Problems...)
	r, err := readRecord(dir)
	if err != nil {
		return err
	}
	for mark, rows := range s.rows {
		if r.rows[mark] < rows {
			t.unrecorded = append(t.unrecorded, fmt.Sprintf("%s: %d rows received, %d on record", mark, rows, r.rows[mark]))
		}
	}
	for mark := range s.acks {
		if at := r.intents[mark]; at == 0 || !r.outcomes[at] {
			t.lost = append(t.lost, fmt.Sprintf("%s: acknowledged, intent at %d, outcome on record: %v", mark, at, r.outcomes[at]))
		}
	}
	t.large += len(s.large)
	t.reads += len(s.rows) - len(s.large)
	t.acks += len(s.acks)
	if err := d.effects(ctx, r, t); err != nil {
		return err
	}
	for _, list := range [][]string{t.unrecorded, t.unintended, t.lost, t.unsound} {
		for _, text := range list[:min(len(list), 20)] {
			fmt.Println("FOUND", text)
		}
	}
	return nil
}

// effects looks for an intent of everything that the database holds, and takes it away.
func (d *drill) effects(ctx context.Context, r *recorded, t *tally) error {
	conn, err := pgx.Connect(ctx, d.server.DSN(connection))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, "SELECT mark FROM orders WHERE mark <> ''")
	if err != nil {
		return err
	}
	marks, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, mark := range marks {
		if r.intents[mark] == 0 {
			t.unintended = append(t.unintended, mark+": is in the database and has no intent")
		}
	}
	t.effects += len(marks)
	_, err = conn.Exec(ctx, "UPDATE orders SET mark = '' WHERE mark <> ''")
	return err
}

// figures of the kills.
func (t *tally) figures(prefix string) []results.Figure {
	received := t.reads + t.large + t.acks
	count := func(name, note string, hits, n int) results.Figure {
		f := results.Count(prefix+name, hits, n)
		f.Note = note
		return f
	}
	return []results.Figure{
		count("kills", fmt.Sprintf("SIGKILL, %d of them before the doors were open", t.starting), t.kills, t.kills),
		count("released_unrecorded", fmt.Sprintf("results of which clients received more rows than are on record; among %d small and %d large ones (or their beginnings), of both doors", t.reads, t.large), len(t.unrecorded), t.reads+t.large),
		count("effects_unrecorded", "changes found in the database without an intent on record", len(t.unintended), t.effects),
		count("lost", "acknowledged writes without intent and outcome on record after the last start", len(t.lost), t.acks),
		count("starts_unexplained", fmt.Sprintf("starts that did not open the doors and gave no reason; %d were refused with one", t.refused), len(t.unexplained), t.kills),
		count("logs_unsound", "problems that the two checkers find at the end", len(t.unsound), int(min(t.records, 1<<40))),
		count("received", "results and acknowledgements that clients received in all", received, received),
	}
}
