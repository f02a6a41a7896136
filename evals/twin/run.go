package twin

import (
	"context"
	"fmt"
	"sort"
	"strings"

	"sallyport/evals/doors"
)

// Outcome is what one shape did at one door.
type Outcome struct {
	Shape     Shape
	Door      string
	Reads     bool   // its direct answers differ between the twins: it reads labelled data
	Verdict   string // Same and the others
	Refused   bool
	Code      string // of the first side's answer
	Message   string
	Canary    string // a raw value seen in an answer
	Chance    string // one that is there by chance
	Why       string // for Different: the first lines that differ
	DirectErr string // error of the direct run on the first side
}

// Run puts the shapes through the doors of the world and compares the sides.
func Run(ctx context.Context, w *World, entrances []doors.Door, shapes []Shape, progress func(string)) ([]Outcome, error) {
	reads, direct, err := Direct(ctx, w, shapes)
	if err != nil {
		return nil, err
	}
	judge, err := NewJudge(ctx, w)
	if err != nil {
		return nil, err
	}
	defer judge.Close()
	var all []Outcome
	for _, d := range entrances {
		pair := judge.Pair()
		n := 0
		for i, s := range shapes {
			if !d.Applies(s.Statement) {
				continue
			}
			o, err := judge.Ask(ctx, pair, d, w.placed(s, through).Statement)
			if err != nil {
				return all, fmt.Errorf("shape %s: %w", s.Name, err)
			}
			o.Shape, o.Reads, o.DirectErr = s, reads[i], direct[i]
			files, err := w.written()
			if err != nil {
				return all, err
			}
			if len(files) > 0 {
				o.Verdict, o.Why = Different, fmt.Sprintf("the server wrote the files %v", files)
			}
			n++
			all = append(all, o)
		}
		pair.Close()
		progress(fmt.Sprintf("%-8s %-16s %d shapes, %s", w.Kind, d.Name, n, Tally(all, d.Name)))
	}
	return all, nil
}

// Direct runs the shapes around the gateway and tells which read labelled data, and the first side's
// error of each, if any.
func Direct(ctx context.Context, w *World, shapes []Shape) (reads []bool, errs []string, err error) {
	a, b := w.A.Around(), w.B.Around()
	defer a.Close()
	defer b.Close()
	for _, s := range shapes {
		if s.NoTx && changes(s) { // would leave its mark on the twins
			reads, errs = append(reads, false), append(errs, "")
			continue
		}
		s = w.placed(s, around)
		ra, rb := w.A.Clean(a.Run(ctx, doors.Direct, s.Statement)), w.B.Clean(b.Run(ctx, doors.Direct, s.Statement))
		if ra.Code == "CLOSED" && rb.Code == "CLOSED" && len(ra.Lines) == 1 {
			return nil, nil, fmt.Errorf("direct run of %s: %s", s.Name, ra.Error)
		}
		reads = append(reads, ra.Text() != rb.Text())
		text := ""
		if ra.Failed() {
			text = ra.Code + " " + ra.Error
		}
		errs = append(errs, text)
	}
	for _, side := range []*Side{w.A, w.B} { // sequences do not roll back
		if err := side.Server.Exec(ctx, Database, "select setval('seq1', 1, false)"); err != nil {
			return nil, nil, err
		}
	}
	return reads, errs, nil
}

// client asks for a database of the side through its doors.
func (s *Side) client(database string) *doors.Client {
	return &doors.Client{Target: doors.Target{DSN: s.Gateway.DSN(Human, Secret, database), MCPURL: s.Gateway.MCPURL, Token: Secret + "-token-0123456789", Connection: database}}
}

// Around asks around the gateway.
func (s *Side) Around() *doors.Client { return &doors.Client{Target: doors.Target{DSN: s.Direct()}} }

// changes spots shapes that run outside a transaction and change something that lasts.
func changes(s Shape) bool {
	return strings.Contains(s.SQL(), "DROP TABLE")
}

// Tally sums up one door's outcomes in a line.
func Tally(all []Outcome, door string) string {
	counts := map[string]int{}
	reading, answered, canaries := 0, 0, 0
	for _, o := range all {
		if o.Door != door {
			continue
		}
		counts[o.Verdict]++
		if o.Canary != "" {
			canaries++
		}
		if o.Reads {
			reading++
			if !o.Refused {
				answered++
			}
		}
	}
	var parts []string
	for v, n := range counts {
		parts = append(parts, fmt.Sprintf("%d %s", n, v))
	}
	sort.Strings(parts)
	return fmt.Sprintf("%s; %d of %d that read labelled data answered; %d canaries", strings.Join(parts, ", "), answered, reading, canaries)
}
