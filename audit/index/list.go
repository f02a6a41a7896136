package index

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"sallyport/audit/internal/show"
	"sallyport/audit/internal/trace"
	"sallyport/internal/access"
)

// ListOptions of List. The zero value is UTC, and lines as long as they are, within reason.
type ListOptions struct {
	Location *time.Location
	Width    int // cells of a line; 0 is 200
}

const (
	columnMost = 24 // cells of a column
	textLeast  = 24 // cells of the text
)

// List writes records for a person, a line each, and the reason below where there is one. What came from clients or
// databases is stripped of control characters.
func List(w io.Writer, recs []*access.Record, opt ListOptions) error {
	out := bufio.NewWriter(w)
	lines := make([]listed, len(recs))
	var wide [columns]int
	for i, rec := range recs {
		lines[i] = line(rec, cmp.Or(opt.Location, time.UTC))
		for c, text := range lines[i].cells {
			wide[c] = min(columnMost, max(wide[c], show.Width(text)))
		}
	}
	before := 0
	for _, n := range wide {
		before += n + 2
	}
	room := max(textLeast, cmp.Or(opt.Width, 200)-before)
	for _, l := range lines {
		var b strings.Builder
		for c, text := range l.cells {
			if text = show.Clip(text, wide[c]); c == positionColumn {
				text = strings.Repeat(" ", wide[c]-show.Width(text)) + text
			}
			b.WriteString(show.Pad(text, wide[c]) + "  ")
		}
		b.WriteString(show.Clip(l.text, room))
		fmt.Fprintln(out, strings.TrimRight(b.String(), " "))
		if l.reason != "" {
			fmt.Fprintln(out, strings.Repeat(" ", before)+show.Clip("because "+l.reason, room))
		}
	}
	return out.Flush()
}

const (
	positionColumn = 1
	columns        = 6
)

type listed struct {
	cells        [columns]string // time, position, session, who, connection, what
	text, reason string
}

func line(rec *access.Record, in *time.Location) listed {
	who := show.Clean(rec.Principal)
	if rec.Actor != "" {
		who += " by " + show.Clean(rec.Actor)
	}
	l := listed{reason: oneLine(rec.Reason)}
	l.cells = [columns]string{rec.Time.In(in).Format(time.DateTime), strconv.FormatUint(rec.Position, 10), show.Clean(rec.Session), who, show.Clean(rec.Connection), what(rec)}
	switch {
	case rec.Erased && rec.SQL == "":
		l.text = "(erased)"
	case rec.Kind == access.RecordReview:
		l.text = trace.Group([]*access.Record{rec})[0].Steps[0].Request.Told()
	case trace.IsOrder(rec.Kind), trace.IsProof(rec.Kind):
		l.text = trace.Group([]*access.Record{rec})[0].Steps[0].About()
	case rec.SQL != "":
		l.text = oneLine(rec.SQL)
	case rec.Kind == access.RecordTask:
		l.text = show.Join(" ", show.Clean(rec.Task), oneLine(rec.Goal))
	case rec.Error != "":
		l.text = oneLine(rec.Error)
	case rec.Intent != 0:
		l.text = show.Join(", ", "of record "+strconv.FormatUint(rec.Intent, 10), oneLine(rec.Command))
	}
	return l
}

// what is the record's kind, or for a refusal why.
func what(rec *access.Record) string {
	if rec.Kind == access.RecordRefused && decision(rec, planOf(rec).Effect) == access.Review.String() {
		return "review"
	}
	return show.Clean(string(rec.Kind))
}

// oneLine is a text with its line breaks and indentation as single spaces. Only so much is looked at as may show.
func oneLine(s string) string {
	const most = 4096
	if len(s) > most {
		s = s[:most]
	}
	return show.Clean(strings.Join(strings.Fields(s), " "))
}
