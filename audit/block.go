package audit

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/access"
)

const (
	sqlMost   = 60  // lines of a statement that are shown
	paramMost = 20  // parameters
	valueMost = 200 // cells of a parameter
)

// step writes one block: a heading with time, number, verdict and what it was about, then its fields.
// sameDay leaves the date out.
func (p *printer) step(st *step, sameDay bool) {
	v := st.verdict()
	number := "    "
	if st.Seq != 0 {
		number = fmt.Sprintf("%4d", st.Seq)
	}
	about := join(" ", clean(st.plan.Tag), cleanList(st.plan.Relations))
	switch {
	case v == declared:
		about = join(" ", "declared", clean(st.Task))
	case st.part:
		about = "(its beginning is not in this view)"
	case st.Session == "" && about == "" && st.SQL == "":
		about = "log-in"
	}
	clock := "15:04:05.000"
	if !sameDay {
		clock = time.DateOnly + " " + clock
	}
	head := "  " + p.paint(dim, st.Time.In(p.Location).Format(clock)) + " " + number + "  " +
		p.paint(verdictStyles[v], pad(string(v), 7)) + "  "
	p.line(strings.TrimRight(head+p.paint(bold, clip(about, max(20, p.Width-30))), " "))

	if st.Session == "" {
		p.who(st.Record)
	}
	if v == declared {
		if st.Goal != "" {
			p.field("goal", none, lines(st.Goal)...)
		}
		if st.Ticket != "" {
			p.field("ticket", none, clean(st.Ticket))
		}
	}
	if st.Reason != "" {
		p.field("reason", none, lines(st.Reason)...)
	}
	p.statement(st.Record)
	p.decision(st, v)
	p.ending(st, v)
}

func (p *printer) statement(rec *access.Record) {
	if rec.SQL != "" {
		sql := lines(rec.SQL)
		if more := len(sql) - sqlMost; more > 0 {
			sql = append(sql[:sqlMost], fmt.Sprintf("… %s (--json has all)", plural(int64(more), "more line")))
		}
		p.field("sql", cyan, sql...)
	}
	for i, v := range rec.Params {
		label := ""
		if i == 0 {
			label = "params"
		}
		if i == paramMost {
			p.field(label, dim, fmt.Sprintf("… %s (--json has all)", plural(int64(len(rec.Params)-i), "more parameter")))
			break
		}
		p.field(label, none, fmt.Sprintf("$%d = %s", i+1, clip(clean(v), valueMost)))
	}
}

// decision writes what the policy said, what it asked for, and what was masked by which rule.
func (p *printer) decision(st *step, v verdict) {
	plan := &st.plan
	if len(plan.Policies) > 0 {
		text := cleanList(plan.Policies)
		if plan.PolicyVersion != "" {
			text += p.paint(dim, "  (policy version "+clip(clean(plan.PolicyVersion), 12)+")")
		}
		p.raw("policy", []string{text})
	}
	if o := plan.Obligations; o != nil {
		var limits []string
		if o.Rows > 0 {
			limits = append(limits, "at most "+plural(o.Rows, "row"))
		}
		if o.Bytes > 0 {
			limits = append(limits, "at most "+plural(o.Bytes, "byte")+" of rows")
		}
		if o.Affected > 0 {
			limits = append(limits, "changes at most "+plural(o.Affected, "row"))
		}
		if o.Timeout > 0 {
			limits = append(limits, "at most "+duration(o.Timeout))
		}
		if o.Cost > 0 {
			limits = append(limits, "costs at most "+strconv.FormatInt(o.Cost, 10)+" by the planner")
		}
		if o.LockTimeout > 0 {
			limits = append(limits, "waits at most "+duration(o.LockTimeout)+" for locks")
		}
		if o.IdleTimeout > 0 {
			limits = append(limits, "idle in a transaction at most "+duration(o.IdleTimeout))
		}
		if o.Concurrent > 0 {
			limits = append(limits, "at most "+plural(o.Concurrent, "statement")+" at a time")
		}
		if o.Reason {
			limits = append(limits, "reason required")
		}
		if len(o.Review) > 0 {
			limits = append(limits, "review by "+cleanList(o.Review))
		}
		if o.MinGroup > 0 {
			text := fmt.Sprintf("groups of at least %d", o.MinGroup)
			if len(o.GroupBy) > 0 {
				text += " by " + cleanList(o.GroupBy)
			}
			limits = append(limits, text)
		}
		for _, b := range o.Probes {
			limits = append(limits, fmt.Sprintf("at most %d guesses in %s", b.Most, duration(b.Window)))
		}
		for _, w := range o.Where {
			limits = append(limits, "only rows with "+clean(w))
		}
		for _, r := range o.Role {
			limits = append(limits, "as the database's role "+clean(r))
		}
		for _, s := range o.Settings {
			limits = append(limits, "set to "+clean(s))
		}
		if len(limits) > 0 {
			p.field("limits", none, strings.Join(limits, ", "))
		}
	}
	wide := 0
	for _, m := range plan.Masks {
		wide = max(wide, min(50, width(clean(m.Column))))
	}
	var masks []string
	for _, m := range plan.Masks {
		masks = append(masks, pad(clean(m.Column), wide)+"  "+p.paint(violet, clean(m.Transform))+p.paint(dim, "  label "+clean(string(m.Label))))
	}
	if len(masks) > 0 {
		p.raw("masked", masks)
	}
}

// ending writes how the step ended: a refusal, an error, or what was released.
func (p *printer) ending(st *step, v verdict) {
	switch v {
	case declared:
		return
	case refused, held:
		p.failure("refused", red, st.Record)
		if st.Hint != "" {
			p.field("hint", none, lines(st.Hint)...)
		}
		return
	case uncertain:
		if st.end != nil {
			p.failure("outcome", yellow, st.end)
			return
		}
		if n := len(st.releases); n > 0 {
			last := st.releases[n-1]
			p.field("released", yellow, join(" · ", plural(last.Rows, "row"), size(last.Bytes))+", then nothing is recorded: how it ended is unknown")
			return
		}
		p.field("outcome", yellow, "not recorded: it was sent to the database or about to be, and how it ended is unknown")
		return
	}
	end := st.end
	if v == failed {
		p.failure("error", yellow, end)
		if end.Hint != "" {
			p.field("hint", none, lines(end.Hint)...)
		}
	}
	p.field("result", none, result(end, len(st.releases)))
	if end.Detected > 0 {
		p.field("detected", violet, plural(int64(end.Detected), "value")+" without a label hidden in the result")
	}
	if end.Unchecked > 0 {
		p.field("unchecked", violet, plural(int64(end.Unchecked), "value")+" hidden whole: the model behind the detectors said nothing of them")
	}
	p.rows(end)
}

func (p *printer) failure(label string, s style, rec *access.Record) {
	text := lines(rec.Error)
	if rec.Code != "" {
		text[len(text)-1] = join(" ", text[len(text)-1], "["+clean(rec.Code)+"]")
	}
	p.field(label, s, text...)
}

func result(end *access.Record, releases int) string {
	var parts []string
	if end.Command == "" && end.Rows == 0 {
		parts = append(parts, "nothing released")
	}
	if end.Command != "" {
		parts = append(parts, clean(end.Command))
	}
	if len(end.Columns) > 0 || end.Rows > 0 {
		parts = append(parts, plural(end.Rows, "row"))
	}
	if end.Bytes > 0 {
		parts = append(parts, size(end.Bytes))
	}
	if end.Micros > 0 {
		parts = append(parts, duration(time.Duration(end.Micros)*time.Microsecond))
	}
	if releases > 0 {
		parts = append(parts, "released in "+plural(int64(releases+1), "part"))
	}
	if end.Truncated {
		parts = append(parts, "cut short by a limit")
	}
	if end.Digest != "" {
		parts = append(parts, "sha256 "+clip(clean(end.Digest), 12))
	}
	return strings.Join(parts, " · ")
}

// rows shows the first released rows, as the client saw them.
func (p *printer) rows(end *access.Record) {
	if len(end.Result) == 0 || p.Rows < 0 {
		return
	}
	rows, total, err := decodeRows(end.Result, end.Formats, p.Rows)
	if err != nil {
		p.field("", dim, "("+err.Error()+"; --json has the bytes)")
	}
	if len(rows) == 0 {
		return
	}
	out := table(end.Columns, rows, p.Width-textAt, func(text string, heading, null bool) string {
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
		out = append(out, p.paint(dim, "… "+plural(more, "more row")))
	}
	p.raw("", out)
}

func size(n int64) string {
	switch {
	case n < 10_000:
		return strconv.FormatInt(n, 10) + " B"
	case n < 10_000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

func duration(d time.Duration) string {
	short := func(n time.Duration, unit string) string {
		return strconv.FormatFloat(float64(d)/float64(n), 'g', 3, 64) + " " + unit
	}
	switch {
	case d <= 0:
		return "0 s"
	case d < time.Millisecond:
		return strconv.FormatInt(d.Microseconds(), 10) + " µs"
	case d < 999*time.Millisecond:
		return short(time.Millisecond, "ms")
	case d < time.Minute:
		return short(time.Second, "s")
	}
	s := d.Round(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
