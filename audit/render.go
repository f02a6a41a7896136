package audit

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"sallyport/audit/internal/show"
	"sallyport/audit/internal/trace"
	"sallyport/internal/access"
)

// RenderOptions for Render. The zero value is plain text, 100 cells wide, in UTC, 10 rows a result.
type RenderOptions struct {
	Color    bool           // ANSI colours; for a terminal
	Rows     int            // rows shown of each result; 0 is 10, negative is none
	Width    int            // cells a line; 0 is 100
	Location *time.Location // nil is UTC
}

// Render writes records, in the order of the log, as a trace for people: each session with who, what
// for and through which door, and in it one block a step. What came from a client or a database is
// stripped of everything that could move a terminal's cursor or hide text.
func Render(w io.Writer, recs []*access.Record, opt RenderOptions) error {
	p := &printer{out: bufio.NewWriter(w), RenderOptions: opt, told: map[*trace.Approval]bool{}}
	if p.Rows == 0 {
		p.Rows = 10
	}
	if p.Width <= 0 {
		p.Width = 100
	}
	p.Width = max(p.Width, 40)
	if p.Location == nil {
		p.Location = time.UTC
	}
	sessions := trace.Group(recs)
	for i, s := range sessions {
		if i > 0 {
			p.line("")
		}
		p.session(s)
	}
	p.summary(sessions)
	return p.out.Flush()
}

// JSON writes records one a line, as they are in the log. Characters that could attack a terminal are
// written as JSON escapes, which decode to the same.
func JSON(w io.Writer, recs []*access.Record) error {
	out := bufio.NewWriter(w)
	var buf []byte
	for _, rec := range recs {
		var err error
		if buf, err = appendRecord(buf[:0], rec); err != nil {
			return fmt.Errorf("record %d: %w", rec.Position, err)
		}
		buf = bytes.ReplaceAll(buf, []byte("\n"), []byte(" ")) // only a plan has line breaks, between its tokens
		out.Write(show.CleanJSON(nil, buf))
		out.WriteByte('\n')
	}
	return out.Flush()
}

// style is an ANSI SGR sequence.
type style string

const (
	none   style = ""
	bold   style = "1"
	dim    style = "2"
	red    style = "1;31"
	green  style = "1;32"
	yellow style = "1;33"
	violet style = "35"
	cyan   style = "36"
)

var verdictStyles = map[trace.Verdict]style{
	trace.Allowed: green, trace.Refused: red, trace.Held: yellow, trace.Failed: yellow, trace.Uncertain: yellow, trace.Declared: cyan, trace.Proven: cyan, trace.Viewed: cyan, trace.Asked: yellow,
}

type printer struct {
	RenderOptions
	out  *bufio.Writer
	told map[*trace.Approval]bool
	head *access.Record // of the session that is written
}

func (p *printer) paint(s style, text string) string {
	if !p.Color || s == none || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

func (p *printer) line(text string) {
	p.out.WriteString(text) // a failure stays in the writer until Flush
	p.out.WriteByte('\n')
}

const (
	labelAt = 4  // column where labels begin
	textAt  = 14 // column where what they label begins
)

// field writes text, which may have several lines, beside label. Text is clean already.
func (p *printer) field(label string, s style, text ...string) {
	prefix := strings.Repeat(" ", labelAt) + p.paint(dim, show.Pad(label, textAt-labelAt))
	for _, t := range text {
		for _, part := range show.Wrap(t, p.Width-textAt) {
			p.line(strings.TrimRight(prefix+p.paint(s, part), " "))
			prefix = strings.Repeat(" ", textAt)
		}
	}
}

// raw writes lines that are laid out already.
func (p *printer) raw(label string, text []string) {
	prefix := strings.Repeat(" ", labelAt) + p.paint(dim, show.Pad(label, textAt-labelAt))
	for _, t := range text {
		p.line(strings.TrimRight(prefix+t, " "))
		prefix = strings.Repeat(" ", textAt)
	}
}

func (p *printer) session(s *trace.Session) {
	title, id := "session", show.Clean(s.ID)
	if id == "" {
		title, id = "outside of sessions", ""
	}
	rule := max(3, p.Width-show.Width(title)-show.Width(id)-5)
	p.line(p.paint(dim, "──") + " " + strings.TrimSpace(p.paint(bold, title)+" "+p.paint(bold, id)) + " " + p.paint(dim, strings.Repeat("─", rule)))
	sameDay := s.From.In(p.Location).Format(time.DateOnly) == s.To.In(p.Location).Format(time.DateOnly)
	head := s.Any
	if s.Open != nil {
		head = s.Open
	}
	p.head = head
	if s.ID == "" {
		sameDay = false
	} else {
		p.who(head)
		p.field("time", none, p.span(s))
		p.field("records", none, s.Completeness())
		if s.Close != nil && s.Close.Error != "" {
			p.field("ended", yellow, show.Lines(s.Close.Error)...)
		}
	}
	task := ""
	for _, st := range s.Steps {
		p.line("")
		if st.Task != task && st.Kind != access.RecordTask {
			p.taskLine(st)
			task = st.Task
		}
		p.step(st, sameDay)
	}
}

// who writes what the open record says, or any record where that is not in view.
func (p *printer) who(rec *access.Record) {
	who := show.Clean(rec.Principal)
	if who == "" {
		who = "nobody"
	}
	if len(rec.Groups) > 0 {
		who += "  (" + show.CleanList(rec.Groups) + ")"
	}
	p.field("who", bold, who)
	if rec.Actor != "" {
		p.field("actor", none, show.Join(", behind it ", show.Clean(rec.Actor), show.CleanList(rec.Behind)))
	}
	if proven := trace.ProvenBy(rec, p.Location); proven != "" {
		p.field("proven", none, "by "+proven)
	}
	if through := show.Join(" → ", show.Clean(string(rec.Door)), show.Clean(rec.Connection)); through != "" {
		p.field("through", none, through)
	}
	if rec.Client != "" {
		p.field("client", none, show.Clean(rec.Client))
	}
}

func (p *printer) taskLine(st *trace.Step) {
	if st.Task == "" {
		p.line("  " + p.paint(dim, "▸ no task"))
		p.line("")
		return
	}
	goal, ticket := st.Goal, st.Ticket
	if st.TaskRecord != nil {
		goal, ticket = st.TaskRecord.Goal, st.TaskRecord.Ticket
	}
	p.line("  " + p.paint(cyan, "▸ task "+show.Clean(st.Task)))
	if goal != "" {
		p.field("goal", none, show.Lines(goal)...)
	}
	if ticket != "" {
		p.field("ticket", none, show.Clean(ticket))
	}
	p.line("")
}

func (p *printer) span(s *trace.Session) string {
	from, to := s.From.In(p.Location), s.To.In(p.Location)
	const day, clock = time.DateOnly, time.TimeOnly
	if from.Format(day) == to.Format(day) {
		return fmt.Sprintf("%s %s to %s (%s)", from.Format(day), from.Format(clock), to.Format(clock+" MST"), show.Duration(to.Sub(from)))
	}
	return fmt.Sprintf("%s to %s (%s)", from.Format(day+" "+clock), to.Format(day+" "+clock+" MST"), show.Duration(to.Sub(from)))
}

func (p *printer) summary(sessions []*trace.Session) {
	if len(sessions) == 0 {
		p.line("no records match")
		return
	}
	var named, steps, rows int64
	count := map[trace.Verdict]int64{}
	masked := map[string]bool{}
	for _, s := range sessions {
		if s.ID != "" {
			named++
		}
		for _, st := range s.Steps {
			v := st.Verdict()
			count[v]++
			if v != trace.Declared && v != trace.Proven && v != trace.Viewed && v != trace.Asked {
				steps++
			}
			rows += st.Released()
			for _, m := range st.Plan.Masks {
				masked[m.Column] = true
			}
		}
	}
	parts := []string{show.Plural(named, "session"), show.Plural(steps, "step")}
	for _, v := range []struct {
		verdict trace.Verdict
		text    string
	}{{trace.Refused, "refused"}, {trace.Held, "held for review"}, {trace.Failed, "failed"}, {trace.Uncertain, "with unknown outcome"}} {
		if n := count[v.verdict]; n > 0 {
			parts = append(parts, p.paint(verdictStyles[v.verdict], fmt.Sprintf("%d %s", n, v.text)))
		}
	}
	parts = append(parts, show.Plural(rows, "row")+" released")
	if len(masked) > 0 {
		parts = append(parts, show.Plural(int64(len(masked)), "column")+" masked")
	}
	broken := 0
	requests := trace.Approvals(sessions)
	for _, a := range requests {
		if _, is := a.Glass(); is {
			broken++
		}
	}
	if len(requests) > 0 {
		parts = append(parts, show.Plural(int64(len(requests)), "request")+" for approval")
	}
	if broken > 0 {
		parts = append(parts, p.paint(red, fmt.Sprintf("%d WITH BROKEN GLASS", broken)))
	}
	p.line("")
	p.line(p.paint(dim, "── ") + strings.Join(parts, p.paint(dim, " · ")))
}
