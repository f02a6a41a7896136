package report

import (
	_ "embed"
	"html/template"
	"io"

	"sallyport/audit/internal/show"
)

//go:embed page.html.tmpl
var pageText string

var pageTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"text":  show.Clean,
	"style": func() template.CSS { return template.CSS(show.PageStyle) },
}).Parse(pageText))

// HTML writes a report as one page: no script, nothing from elsewhere, and fit for paper.
func HTML(w io.Writer, r Report) error {
	p := &printer{}
	r.print(p)
	return pageTemplate.Execute(w, map[string]any{"Title": p.blocks[0].Line, "Blocks": p.blocks[1:]})
}
