package replay

import (
	"fmt"
	"strings"
	"time"

	"sallyport/audit/internal/show"
	"sallyport/audit/internal/trace"
	"sallyport/internal/access"
)

const (
	sqlMost    = 24  // lines of a statement that are shown
	paramMost  = 12  // parameters
	valueMost  = 200 // cells of a parameter
	masksMost  = 8   // masks that are named
	promptMost = 40  // cells of a prompt
)

var verdictColours = map[trace.Verdict]sgr{
	trace.Allowed: green, trace.Failed: green, trace.Uncertain: green, trace.Erased: green, trace.Refused: red, trace.Held: yellow, trace.Declared: cyan, trace.Proven: cyan, trace.Viewed: cyan, trace.Asked: yellow,
}

// asked draws what somebody wanted and what was decided.
func (d *drawer) asked(st *trace.Step, at time.Time) {
	d.line("")
	if st.Kind == access.RecordTask {
		d.field(d.clock(at)+"  ", plain, who(st.Record)+" declares a task")
		d.underTask(st)
		return
	}
	if trace.IsProof(st.Kind) {
		d.field(d.clock(at)+"  ", plain, show.Join(" ", who(st.Record), st.About()))
		return
	}
	if st.Task != d.task && st.Task != "" {
		d.underTask(st)
		d.line("")
	}
	d.task = st.Task
	head := show.Join("  ", d.clock(at), number(st))
	switch {
	case st.Part:
		d.field(head+"  ", dim, "(its beginning is not in this view)")
	case st.Reason != "":
		d.field(head+"  reason  ", plain, show.Lines(st.Reason)...)
	default:
		d.field(head, plain, "")
	}
	if st.Session == "" {
		d.person(st.Record)
	}
	d.statement(st)
	if st.Kind == access.RecordReview {
		d.approval(st)
		return
	}
	d.decision(st)
	d.approval(st)
}

// approval draws the history of the request that a step ran under or waits for, the first time that it comes up.
func (d *drawer) approval(st *trace.Step) {
	if st.Preview != "" {
		d.field("PREVIEW ", violet, "tried to show a reviewer of request "+show.Clean(st.Preview)+" what it would do, and rolled back")
	}
	a := st.Request
	if a == nil {
		return
	}
	colour := yellow
	if _, broken := a.Glass(); broken {
		colour = red
	}
	d.field("REQUEST ", colour, a.Summary())
	if d.told[a] {
		return
	}
	d.told[a] = true
	for i := range a.Turns {
		t := &a.Turns[i]
		colour := dim
		if t.Glass != "" && t.From == "" {
			colour = red
		}
		d.field("        ", colour, t.Record.Time.In(d.Location).Format(time.TimeOnly)+"  "+t.Words())
	}
}

// underTask says what the task is that the next steps are for.
func (d *drawer) underTask(st *trace.Step) {
	goal, ticket := st.Goal, st.Ticket
	if st.TaskRecord != nil {
		goal, ticket = st.TaskRecord.Goal, st.TaskRecord.Ticket
	}
	d.field("▸ ", cyan, "task "+show.Clean(st.Task))
	if goal != "" {
		d.field("  goal    ", plain, show.Lines(goal)...)
	}
	if ticket != "" {
		d.field("  ticket  ", plain, show.Clean(ticket))
	}
	d.task = st.Task
}

// statement draws the SQL behind a prompt: as psql has it, or with the name of the agent.
func (d *drawer) statement(st *trace.Step) {
	sql, colour := show.Lines(st.SQL), cyan
	switch {
	case trace.Blank(st.Record):
		d.field("", dim, gone)
		return
	case st.Erased:
		sql, colour = []string{gone}, dim
	case st.SQL == "":
		return
	}
	prompt := show.Clip(show.Clean(st.Connection), promptMost) + "=> "
	further := strings.TrimSuffix(prompt, "=> ") + "-> "
	if st.Door == access.DoorMCP {
		asker := st.Actor
		if asker == "" {
			asker = st.Principal
		}
		prompt = show.Clip(show.Clean(asker)+"@"+show.Clean(st.Connection), promptMost) + " ▸ "
		further = strings.Repeat(" ", show.Width(prompt)-2) + "· "
	}
	more := 0
	if len(sql) > sqlMost {
		sql, more = sql[:sqlMost], len(sql)-sqlMost
	}
	for i, l := range sql {
		if most := sqlMost * d.Cols; len(l) > most { // a line of a megabyte
			sql[i] = show.Clip(l, most)
		}
	}
	d.below(prompt, further, bold, colour, sql)
	if more > 0 {
		d.field("   ", dim, "… "+show.Plural(int64(more), "more line"))
	}
	for i, v := range st.Params {
		if i == paramMost {
			d.field("   ", dim, "… "+show.Plural(int64(len(st.Params)-i), "more parameter"))
			break
		}
		d.field(fmt.Sprintf("   $%d = ", i+1), plain, show.Clip(show.Param(v, st.NullParam(i)), valueMost))
	}
}

// decision draws the verdict with the policies that gave it and what they asked for, and the masks.
func (d *drawer) decision(st *trace.Step) {
	v := st.Verdict()
	word, colour := string(v), verdictColours[v]
	switch v {
	case trace.Refused, trace.Held:
		d.verdict(word, colour, failure(st.Record))
		if st.Hint != "" {
			d.field("        ", dim, show.Lines(st.Hint)...)
		}
		return
	case trace.Failed, trace.Uncertain, trace.Erased: // how it ended comes later
		word = string(trace.Allowed)
	}
	text := strings.Join(trace.Limits(st.Plan.Obligations), ", ")
	if len(st.Plan.Policies) > 0 {
		text = show.Join(" · ", "by "+show.CleanList(st.Plan.Policies), text)
	}
	d.verdict(word, colour, []string{text})
	for i, m := range st.Plan.Masks {
		if i == masksMost {
			d.field("      ▒ ", dim, "… "+show.Plural(int64(len(st.Plan.Masks)-i), "more column"))
			break
		}
		d.field("      ▒ ", dim, show.Clean(m.Column)+": "+show.Clean(m.Transform)+", label "+show.Clean(string(m.Label)))
	}
}

func (d *drawer) verdict(word string, colour sgr, text []string) {
	word = show.Pad(word, 8)
	d.below(word, strings.Repeat(" ", show.Width(word)), colour, plain, text)
}

// gone is what stands for what was erased.
const gone = "(erased: can no longer be read)"

func failure(rec *access.Record) []string {
	if rec.Erased {
		return []string{show.Join(" ", gone, show.Clean(rec.Code))}
	}
	text := show.Lines(rec.Error)
	if rec.Code != "" {
		text[len(text)-1] = show.Join(" ", text[len(text)-1], "["+show.Clean(rec.Code)+"]")
	}
	return text
}

func number(st *trace.Step) string {
	if st.Seq == 0 {
		return ""
	}
	return fmt.Sprintf("#%d", st.Seq)
}

// clock is the time of day, with the date where that is another than was last shown.
func (d *drawer) clock(t time.Time) string {
	t = t.In(d.Location)
	if day := t.Format(time.DateOnly); day != d.day {
		d.day = day
		return t.Format(time.DateTime)
	}
	return t.Format(time.TimeOnly)
}
