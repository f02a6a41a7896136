package replay

import (
	"time"

	"sallyport/audit/internal/show"
	"sallyport/audit/internal/trace"
	"sallyport/internal/access"
)

// Options for Make. The zero value is 100 by 30 cells, waits of at most 2 s, 10 rows a result, in UTC.
type Options struct {
	Cols, Rows int            // of the terminal; at least 60 by 10
	Idle       time.Duration  // longest wait; what is longer is shortened to it, and said
	Results    int            // rows shown of each result; negative is none
	Location   *time.Location // of the clock
}

func (o Options) filled() Options {
	if o.Cols == 0 {
		o.Cols = 100
	}
	if o.Rows == 0 {
		o.Rows = 30
	}
	o.Cols, o.Rows = max(o.Cols, 60), max(o.Rows, 10)
	if o.Idle <= 0 {
		o.Idle = 2 * time.Second
	}
	if o.Results == 0 {
		o.Results = 10
	}
	if o.Location == nil {
		o.Location = time.UTC
	}
	return o
}

// Make renders records, in the order of the log and each session's whole or in part, as audit.Collect gives them.
func Make(recs []*access.Record, opt Options) *Cast {
	opt = opt.filled()
	sessions := trace.Group(recs)
	c := &Cast{Header: Header{Version: 3, Term: Term{Cols: opt.Cols, Rows: opt.Rows, Type: "xterm-256color"},
		Title: title(sessions), Tags: []string{"sallyport"},
		Source: Source{Renderer: Version, Records: len(recs), Idle: opt.Idle.Seconds()}}}
	for _, rec := range recs {
		if c.Header.Source.First == 0 || rec.Position < c.Header.Source.First {
			c.Header.Source.First = rec.Position
		}
		c.Header.Source.Last = max(c.Header.Source.Last, rec.Position)
	}
	d := &drawer{Options: opt, met: map[*trace.Session]bool{}, told: map[*trace.Approval]bool{}}
	all := moments(sessions)
	if len(all) == 0 {
		d.line(paint(dim, "no records"))
		c.Events = append(c.Events, Event{Code: Output, Data: d.take()})
		return c
	}
	c.Header.Timestamp = all[0].at.Unix()
	var at time.Duration
	before := all[0].at
	for i, m := range all {
		wait := m.at.Sub(before)
		before = m.at
		if wait > opt.Idle {
			answer := m.what == ended && i > 0 && all[i-1].step == m.step
			d.wait(wait, answer, m.what == asked && m.step.Request != nil && m.step.Request.Waited() > wait/2)
			c.Events = append(c.Events, Event{At: at + opt.Idle/2, Code: Output, Data: d.take()})
			wait = opt.Idle
		}
		at += wait
		d.moment(m)
		if m.what == asked {
			c.Events = append(c.Events, Event{At: at, Code: Marker, Data: marker(m.step)})
		}
		c.Events = append(c.Events, Event{At: at, Code: Output, Data: d.take()})
	}
	return c
}

// title says whose session it is, or of how many sessions, and for which task where there is one.
func title(sessions []*trace.Session) string {
	var named []*trace.Session
	tasks := map[string]bool{}
	for _, s := range sessions {
		if s.ID != "" && !onlyTasks(s) {
			named = append(named, s)
		}
		for _, st := range s.Steps {
			tasks[st.Task] = true
		}
	}
	if len(named) != 1 {
		text := show.Plural(int64(len(named)), "session")
		for task := range tasks {
			if len(tasks) == 1 && task != "" {
				text = "task " + show.Clean(task) + " · " + text
			}
		}
		return show.Clip("Sallyport: "+text, 200)
	}
	rec := named[0].Any
	return show.Clip("Sallyport: "+show.Join(" · ", who(rec), through(rec), show.Clean(named[0].ID)), 200)
}

// marker names a step for the list of a player.
func marker(st *trace.Step) string {
	return show.Clip(show.Join(" ", number(st), string(st.Verdict()), st.About()), 80)
}
