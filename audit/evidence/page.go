package evidence

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strings"
	"time"

	"sallyport/audit/internal/show"
)

//go:embed trace.html.tmpl
var pageText string

// mostText is how much of a text the page shows; trace.json has all.
const mostText = 20_000

var pageTemplate = template.Must(template.New("trace.html").Funcs(template.FuncMap{
	"text":   text,
	"lines":  func(s string) string { return strings.Join(show.Lines(shorten(s)), "\n") },
	"list":   func(list []string) string { return text(strings.Join(list, ", ")) },
	"time":   func(t time.Time) string { return t.Format("2006-01-02 15:04:05.000000 UTC") },
	"clock":  func(t time.Time) string { return t.Format("15:04:05.000") },
	"stamp":  func(t time.Time) string { return t.Format(time.RFC3339Nano) },
	"span":   func(us int64) string { return show.Duration(time.Duration(us) * time.Microsecond) },
	"size":   show.Size,
	"style":  func() template.CSS { return template.CSS(show.PageStyle) },
	"moment": func(t *time.Time) string { return t.Format("2006-01-02 15:04:05 UTC") },
	"wait":   func(ms int64) string { return show.Duration(time.Duration(ms) * time.Millisecond) },
	"asked":  (*Document).request,
	"about":  about,
	"words":  func(o Outcome) string { return outcomeWords[o] },
}).Parse(pageText))

// outcomeWords say what the colour of an outcome says too.
var outcomeWords = map[Outcome]string{
	Allowed: "allowed", Refused: "refused", Held: "held for review", Failed: "allowed, failed", Unknown: "outcome unknown", Declared: "declared", Erased: "erased",
}

// request gives a request of the document, nil where it has none of that name.
func (d *Document) request(id string) *Approval {
	for i := range d.Approvals {
		if d.Approvals[i].ID == id {
			return &d.Approvals[i]
		}
	}
	return nil
}

// text is s for the page: one line, harmless, not too long.
func text(s string) string { return show.Clean(shorten(s)) }

func shorten(s string) string {
	if len(s) <= mostText {
		return s
	}
	return fmt.Sprintf("%s … (%d bytes more in trace.json)", strings.ToValidUTF8(s[:mostText], ""), len(s)-mostText)
}

// page writes trace.html.
func page(d *Document) ([]byte, error) {
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, d)
	return b.Bytes(), err
}
