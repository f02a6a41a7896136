package evidence

import (
	"bytes"
	_ "embed"
	"strings"
	"text/template"

	"sallyport/audit/internal/show"
)

//go:embed VERIFY.md.tmpl
var guideText string

var guide = template.Must(template.New("VERIFY.md").Funcs(template.FuncMap{"clean": show.Clean}).Parse(guideText))

// instructions writes VERIFY.md.
func instructions(d *Document, in *Input, files []File) ([]byte, error) {
	var b bytes.Buffer
	err := guide.Execute(&b, map[string]any{"Document": d, "Public": in.Public, "KeyName": in.Signer.Name(), "Texts": len(in.Policy.Files)+len(in.Labels) > 0,
		"Extra": len(in.Extra) > 0, "Leaves": in.Leaves && d.Log.Proven > 0, "About": about(d),
		"Vouched": in.Vouched, "Stamped": len(in.Vouched.Token) > 0, "Witnesses": len(in.Vouched.Policy) > 0})
	return b.Bytes(), err
}

// about says in a few words what the bundle is about.
func about(d *Document) string {
	s := d.Scope
	words := s.Kind
	if s.ID != "" {
		words += " " + show.Clean(s.ID)
	}
	const layout = "2006-01-02 15:04:05 UTC"
	if s.From != nil {
		words += " from " + s.From.Format(layout)
	}
	if s.To != nil {
		words += " to " + s.To.Format(layout)
	}
	return strings.TrimSpace(words)
}
