package audit

import (
	"fmt"
	"strings"
	"time"

	"sallyport/audit/internal/show"
	"sallyport/audit/internal/trace"
	"sallyport/internal/access"
)

const (
	sqlMost   = 60  // lines of a statement that are shown
	paramMost = 20  // parameters
	valueMost = 200 // cells of a parameter
)

// step writes one block: a heading with time, number, verdict and what it was about, then its fields.
// sameDay leaves the date out.
func (p *printer) step(st *trace.Step, sameDay bool) {
	v := st.Verdict()
	number := "    "
	if st.Seq != 0 {
		number = fmt.Sprintf("%4d", st.Seq)
	}
	clock := "15:04:05.000"
	if !sameDay {
		clock = time.DateOnly + " " + clock
	}
	head := "  " + p.paint(dim, st.Time.In(p.Location).Format(clock)) + " " + number + "  " +
		p.paint(verdictStyles[v], show.Pad(string(v), 7)) + "  "
	p.line(strings.TrimRight(head+p.paint(bold, show.Clip(st.About(), max(20, p.Width-30))), " "))

	if st.Session == "" || st.Principal != "" && st.Principal != p.head.Principal { // what happens before somebody has a session is in the gateway's own
		p.who(st.Record)
	}
	if v == trace.Declared {
		if st.Goal != "" {
			p.field("goal", none, show.Lines(st.Goal)...)
		}
		if st.Ticket != "" {
			p.field("ticket", none, show.Clean(st.Ticket))
		}
	}
	if st.Reason != "" {
		p.field("reason", none, show.Lines(st.Reason)...)
	}
	p.statement(st.Record)
	p.decision(st, v)
	p.approval(st)
	if v != trace.Asked {
		p.ending(st, v)
	}
}

// approval writes the history of the request that a step ran under or waits for, the first time that it comes up.
func (p *printer) approval(st *trace.Step) {
	if st.Preview != "" {
		p.field("preview", violet, "tried to show a reviewer of request "+show.Clean(st.Preview)+" what it would do, and rolled back: nobody was given a row")
	}
	a := st.Request
	if a == nil {
		if id, preview := trace.RequestOf(st.Record); id != "" && !preview {
			p.field("approval", none, show.Clean(id)+": its records are not in this view")
		}
		return
	}
	colour := none
	if _, broken := a.Glass(); broken {
		colour = red
	}
	p.field("approval", colour, a.Summary())
	if p.told[a] {
		return
	}
	p.told[a] = true
	for i := range a.Turns {
		t := &a.Turns[i]
		colour := dim
		if t.Glass != "" && t.From == "" {
			colour = red
		}
		p.field("", colour, t.Record.Time.In(p.Location).Format(time.DateTime)+"  "+t.Words())
	}
	if asked := a.Asked(); asked != nil {
		p.field("", dim, "digest "+show.Clean(asked.Digest))
	}
}

func (p *printer) statement(rec *access.Record) {
	if rec.Erased {
		p.field("erased", dim, "what was asked and answered can no longer be read")
	}
	if rec.SQL != "" {
		sql := show.Lines(rec.SQL)
		if more := len(sql) - sqlMost; more > 0 {
			sql = append(sql[:sqlMost], fmt.Sprintf("… %s (--json has all)", show.Plural(int64(more), "more line")))
		}
		p.field("sql", cyan, sql...)
	}
	for i, v := range rec.Params {
		label := ""
		if i == 0 {
			label = "params"
		}
		if i == paramMost {
			p.field(label, dim, fmt.Sprintf("… %s (--json has all)", show.Plural(int64(len(rec.Params)-i), "more parameter")))
			break
		}
		p.field(label, none, fmt.Sprintf("$%d = %s", i+1, show.Clip(show.Param(v, rec.NullParam(i)), valueMost)))
	}
}

// decision writes what the policy said, what it asked for, and what was masked by which rule.
func (p *printer) decision(st *trace.Step, v trace.Verdict) {
	plan := &st.Plan
	if len(plan.Policies) > 0 {
		text := show.CleanList(plan.Policies)
		if plan.PolicyVersion != "" {
			text += p.paint(dim, "  (policy version "+show.Clip(show.Clean(plan.PolicyVersion), 12)+")")
		}
		p.raw("policy", []string{text})
	}
	if limits := trace.Limits(plan.Obligations); len(limits) > 0 {
		p.field("limits", none, strings.Join(limits, ", "))
	}
	wide := 0
	for _, m := range plan.Masks {
		wide = max(wide, min(50, show.Width(show.Clean(m.Column))))
	}
	var masks []string
	for _, m := range plan.Masks {
		masks = append(masks, show.Pad(show.Clean(m.Column), wide)+"  "+p.paint(violet, show.Clean(m.Transform))+p.paint(dim, "  label "+show.Clean(string(m.Label))))
	}
	if len(masks) > 0 {
		p.raw("masked", masks)
	}
}

// ending writes how the step ended: a refusal, an error, or what was released.
func (p *printer) ending(st *trace.Step, v trace.Verdict) {
	switch v {
	case trace.Declared, trace.Proven, trace.Viewed, trace.Erased:
		return
	case trace.Refused, trace.Held:
		p.failure("refused", red, st.Record)
		if st.Hint != "" {
			p.field("hint", none, show.Lines(st.Hint)...)
		}
		return
	case trace.Uncertain:
		if st.End != nil {
			p.failure("outcome", yellow, st.End)
			return
		}
		if n := len(st.Releases); n > 0 && !trace.Blank(st.Releases[n-1]) {
			last := st.Releases[n-1]
			p.field("released", yellow, show.Join(" · ", show.Plural(last.Rows, "row"), show.Size(last.Bytes))+", then nothing is recorded: how it ended is unknown")
			return
		}
		p.field("outcome", yellow, "not recorded: it was sent to the database or about to be, and how it ended is unknown")
		return
	}
	end := st.End
	if v == trace.Failed {
		p.failure("error", yellow, end)
		if end.Hint != "" {
			p.field("hint", none, show.Lines(end.Hint)...)
		}
	}
	p.field("result", none, trace.Result(end, len(st.Releases)))
	if end.Detected > 0 {
		p.field("detected", violet, show.Plural(int64(end.Detected), "value")+" without a label hidden in the result")
	}
	if end.Unchecked > 0 {
		p.field("unchecked", violet, show.Plural(int64(end.Unchecked), "value")+" hidden whole: the model behind the detectors said nothing of them")
	}
	p.rows(end)
}

func (p *printer) failure(label string, s style, rec *access.Record) {
	text := show.Lines(rec.Error)
	if rec.Code != "" {
		text[len(text)-1] = show.Join(" ", text[len(text)-1], "["+show.Clean(rec.Code)+"]")
	}
	p.field(label, s, text...)
}

// rows shows the first released rows, as the client saw them.
func (p *printer) rows(end *access.Record) {
	if len(end.Result) == 0 || p.Rows < 0 {
		return
	}
	rows, total, err := show.DecodeRows(end.Result, end.Formats, p.Rows)
	if err != nil {
		p.field("", dim, "("+err.Error()+"; --json has the bytes)")
	}
	if len(rows) == 0 {
		return
	}
	out := show.Table(end.Columns, rows, p.Width-textAt, func(text string, heading, null bool) string {
		switch {
		case heading:
			return p.paint(bold, text)
		case null:
			return p.paint(dim, text)
		}
		return text
	})
	more := max(end.Rows, int64(total)) - int64(len(rows))
	if more > 0 {
		out = append(out, p.paint(dim, "… "+show.Plural(more, "more row")))
	}
	p.raw("", out)
}
