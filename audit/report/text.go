package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"sallyport/audit/internal/show"
)

// Report is one of the reports.
type Report interface{ print(p *printer) }

// JSON writes a report for programs. Characters that could attack a terminal are JSON escapes.
func JSON(w io.Writer, r Report) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		return err
	}
	_, err := w.Write(show.CleanJSON(nil, b.Bytes()))
	return err
}

// Text writes a report for people. What comes from records is made harmless.
func Text(w io.Writer, r Report) error {
	p := &printer{out: bufio.NewWriter(w)}
	r.print(p)
	return p.out.Flush()
}

type printer struct{ out *bufio.Writer }

const mostCell = 100 // cells of a column

// table prints rows under columns. Cells may hold anything.
func (p *printer) table(title string, columns []string, rows [][]string) {
	fmt.Fprintf(p.out, "\n%s\n", title)
	if len(rows) == 0 {
		fmt.Fprintln(p.out, "  none")
		return
	}
	t := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  "+strings.Join(columns, "\t"))
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, c := range row {
			cells[i] = show.Clip(show.Clean(c), mostCell)
		}
		fmt.Fprintln(t, "  "+strings.Join(cells, "\t"))
	}
	t.Flush() // into p.out, which keeps a failure
}

func (p *printer) line(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

func (p *printer) limits(list []string) {
	p.line("\nWhat this does not tell")
	for _, l := range list {
		p.line("  - %s", l)
	}
}

func stamp(t time.Time) string { return t.Format("2006-01-02 15:04:05Z") }

func list(items []string) string { return strings.Join(items, ", ") }

func number[T int | int64](n T) string { return strconv.FormatInt(int64(n), 10) }

func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (r *AccessReport) print(p *printer) {
	p.line("Who consulted the data of %s, and why (GDPR article 15)", show.Clean(list(r.Person)))
	p.line("%s, %d looked at", show.Plural(int64(len(r.Entries)), "step"), r.Steps)
	var rows [][]string
	for _, e := range r.Entries {
		who := e.Principal
		if e.Actor != "" {
			who += " through " + e.Actor
		}
		rows = append(rows, []string{stamp(e.Time), number(int64(e.Position)), who, e.Outcome, list(e.Found), list(e.Relations), orNone(list(e.Purposes)), orNone(e.Goal), orNone(e.Reason)})
	}
	p.table("Steps", []string{"time", "record", "who", "outcome", "found in", "relations", "purposes", "goal (claimed)", "reason (claimed)"}, rows)
	p.limits(r.Limits)
}

func (r *BreachReport) print(p *printer) {
	p.line("What %s has seen and done (GDPR article 33)", show.Clean(r.Principal))
	p.line("%s ran, %d refused; %s released (%s), %d of them by steps that saw a labelled column as it is; %s hidden by the detectors",
		show.Plural(int64(r.Steps), "step"), r.Refused, show.Plural(r.Rows, "row"), show.Size(r.Bytes), r.Unmasked, show.Plural(int64(r.Detected), "value"))
	var rows [][]string
	for _, c := range r.Columns {
		how := "AS IT IS"
		if c.Masked {
			how = "masked"
		}
		rows = append(rows, []string{how, c.Label, c.Connection, c.Column, number(c.Steps), number(c.Rows)})
	}
	p.table("Labelled columns", []string{"seen", "label", "connection", "column", "steps", "rows"}, rows)
	rows = nil
	for _, t := range r.Relations {
		rows = append(rows, []string{t.Connection, t.Relation, t.Action, number(t.Steps), number(t.Rows)})
	}
	p.table("Relations", []string{"connection", "relation", "action", "steps", "rows released"}, rows)
	rows = nil
	for _, s := range r.Sessions {
		rows = append(rows, []string{s.ID, stamp(s.From), stamp(s.To), s.Door, s.Connection, orNone(s.Actor), orNone(s.Client)})
	}
	p.table("Sessions", []string{"session", "from", "to", "door", "connection", "actor", "client"}, rows)
	p.limits(r.Limits)
}

func (r *ProcessingReport) print(p *printer) {
	p.line("Draft of a record of processing activities, from actual use (GDPR article 30)")
	for _, a := range r.Activities {
		p.line("\n%s: %s", show.Clean(a.Connection), show.Clean(orNone(a.Purpose)))
		facts := [][2]string{{"purpose", a.Text}, {"lawful basis", a.LawfulBasis}, {"categories", list(a.Categories)}, {"relations", list(a.Relations)}, {"measures", list(a.Measures)},
			{"use", fmt.Sprintf("%s, %s released, %s to %s", show.Plural(int64(a.Steps), "step"), show.Plural(a.Rows, "row"), stamp(a.First), stamp(a.Last))}}
		if a.Purpose == "" {
			facts[0][1] = "not stated by the policies"
		}
		for _, f := range facts {
			p.line("  %-14s%s", f[0], show.Clean(orNone(f[1])))
		}
		var rows [][]string
		for _, to := range a.Recipients {
			rows = append(rows, []string{to.Principal, orNone(list(to.Actors)), number(to.Steps), orNone(list(to.Unmasked))})
		}
		p.table("  Recipients", []string{"principal", "actors", "steps", "labels seen as they are"}, rows)
	}
	if len(r.Activities) == 0 {
		p.line("\nnothing was read or written")
	}
	p.line("\nTo be added by you")
	for _, m := range r.Missing {
		p.line("  - %s", m)
	}
	p.limits(r.Limits)
}

func (r *DriftReport) print(p *printer) {
	p.line("Tasks that touched what they do not speak of: %d of %d (GDPR article 5(1)(b))", len(r.Tasks), r.Seen)
	for _, t := range r.Tasks {
		p.line("\n%s  %s", show.Clean(t.Task), show.Clean(t.Principal))
		p.line("  goal      %s", show.Clip(show.Clean(orNone(t.Goal)), mostCell))
		p.line("  ticket    %s", show.Clip(show.Clean(orNone(t.Ticket)), mostCell))
		p.line("  purposes  %s", show.Clean(orNone(list(t.Purposes))))
		var rows [][]string
		for _, d := range t.Relations {
			rows = append(rows, []string{d.Relation, d.Why, number(d.Steps), number(d.Tried), fmt.Sprintf("%d of %d", d.Tasks, r.Seen), orNone(list(d.Labels))})
		}
		p.table("  Relations", []string{"relation", "why", "steps", "refused", "touched by tasks", "labels"}, rows)
	}
	p.limits(r.Limits)
}
