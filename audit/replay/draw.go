package replay

import (
	"slices"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"sallyport/audit/internal/show"
	"sallyport/audit/internal/trace"
	"sallyport/internal/access"
)

// sgr is the parameter of a Select Graphic Rendition sequence: the only sequences in a replay.
type sgr string

const (
	plain  sgr = ""
	bold   sgr = "1"
	dim    sgr = "2"
	red    sgr = "1;31"
	green  sgr = "1;32"
	yellow sgr = "1;33"
	violet sgr = "35"
	cyan   sgr = "36"
)

func paint(s sgr, text string) string {
	if s == plain || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// drawer draws one moment after another. It keeps what a viewer has in front of them, to say no more than is new.
type drawer struct {
	Options
	buf     strings.Builder
	met     map[*trace.Session]bool
	told    map[*trace.Approval]bool
	session *trace.Session // that the last line belongs to
	step    *trace.Step
	task    string
	day     string
}

// take gives what was drawn since the last time.
func (d *drawer) take() string {
	s := d.buf.String()
	d.buf.Reset()
	return s
}

// line draws one line. Letters with marks are composed where Unicode can, for players give a mark that stands alone a cell of
// its own; what would take other room composed (musical symbols) stays.
func (d *drawer) line(text string) {
	if !norm.NFC.IsNormalString(text) {
		if composed := norm.NFC.String(text); show.Width(composed) == show.Width(text) {
			text = composed
		}
	}
	d.buf.WriteString(strings.TrimRight(text, " "))
	d.buf.WriteString("\r\n")
}

// field draws text, which is clean and may have several lines, behind a label. Further lines stand below the first.
func (d *drawer) field(label string, s sgr, text ...string) {
	d.below(label, strings.Repeat(" ", show.Width(label)), dim, s, text)
}

// below is field with what stands in front of further lines, and the colour of both.
func (d *drawer) below(first, further string, front, s sgr, text []string) {
	prefix := first
	for _, t := range text {
		for i, part := range show.Wrap(t, d.Cols-show.Width(first)) {
			if i > 0 {
				prefix = strings.Repeat(" ", show.Width(first))
			}
			d.line(paint(front, prefix) + paint(s, part))
			prefix = further
		}
	}
}

func (d *drawer) moment(m moment) {
	d.enter(m)
	switch m.what {
	case asked:
		d.asked(m.step, m.at)
	case released:
		text := show.Plural(m.rec.Rows, "row") + ", " + show.Size(m.rec.Bytes) + " released so far"
		if trace.Blank(m.rec) {
			text = gone
		}
		d.field("… ", dim, text)
	case ended:
		d.ended(m.step)
	case closed:
		d.line("")
		d.field("── ", dim, "records: "+m.session.Completeness())
		if m.session.Close != nil && m.session.Close.Error != "" {
			d.field("   ", yellow, show.Lines(m.session.Close.Error)...)
		}
	}
	d.step = m.step
}

// enter says whose moment it is, where that is not what the last line was about.
func (d *drawer) enter(m moment) {
	switch {
	case !d.met[m.session]:
		d.met[m.session] = true
		if d.session != nil {
			d.line("")
		}
		d.heading(m)
	case m.session != d.session:
		d.line("")
		d.field("── ", dim, show.Clip(name(m.session), d.Cols-3))
	}
	if m.what != asked && m.step != nil && m.step != d.step {
		d.field("↳ ", dim, show.Clip(marker(m.step), d.Cols-2))
	}
	d.session = m.session
}

func name(s *trace.Session) string {
	if s.ID == "" {
		return "outside of sessions"
	}
	return "session " + show.Clean(s.ID)
}

// heading introduces a session.
func (d *drawer) heading(m moment) {
	text := show.Clip(name(m.session), d.Cols-8)
	d.line(paint(dim, "── ") + paint(bold, text) + paint(dim, " "+strings.Repeat("─", d.Cols-4-show.Width(text))))
	d.day = m.at.In(d.Location).Format(time.DateOnly)
	if m.session.ID != "" {
		head := m.session.Any
		if m.session.Open != nil {
			head = m.session.Open
		}
		d.person(head)
	}
	d.field("   ", dim, m.at.In(d.Location).Format(time.DateTime+" MST"))
}

func (d *drawer) person(rec *access.Record) {
	text := who(rec)
	if len(rec.Groups) > 0 {
		text += " (" + show.CleanList(rec.Groups) + ")"
	}
	d.field("   ", plain, show.Join(" · ", text, through(rec), show.Clean(rec.Client)))
	if proven := trace.ProvenBy(rec, d.Location); proven != "" {
		d.field("   ", dim, "proven by "+proven)
	}
}

// who is the principal, and the actor that acts for them.
func who(rec *access.Record) string {
	text := show.Clean(rec.Principal)
	switch {
	case trace.Blank(rec):
		text = gone
	case text == "":
		text = "nobody"
	}
	for _, actor := range slices.Backward(trace.Actors(rec)) {
		text = show.Clean(actor) + " for " + text
	}
	return text
}

func through(rec *access.Record) string {
	return show.Join(" → ", show.Clean(string(rec.Door)), show.Clean(rec.Connection))
}

// wait says that a wait is shown shorter than it was.
func (d *drawer) wait(span time.Duration, forAnswer, forApproval bool) {
	text := " without anything"
	switch {
	case forApproval:
		text = " until somebody had decided"
	case forAnswer:
		text = " until the answer"
	}
	d.field("⋯ ", dim, show.Duration(span)+text+" (shown as "+show.Duration(d.Idle)+")")
}
