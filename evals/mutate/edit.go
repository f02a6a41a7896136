package mutate

import (
	"cmp"
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// edit puts text, or a rewritten copy of a part of the source, before an offset.
type edit struct {
	at       int
	text     string
	from, to int             // the part to copy, if any
	of       *ast.CaseClause // the clause that the copied part is the body of
	owner    *ast.CaseClause // the clause whose body the text encloses, if any
}

func (r *rewriter) insert(at token.Pos, text string, owner *ast.CaseClause) {
	r.edits = append(r.edits, edit{at: r.offset(at), text: text, owner: owner})
}

func (r *rewriter) copy(at token.Pos, c *ast.CaseClause, end token.Pos) {
	r.edits = append(r.edits, edit{at: r.offset(at), from: r.offset(c.Colon) + 1, to: r.offset(end), of: c})
}

// render applies the edits to the whole source.
func render(src []byte, edits []edit) string {
	slices.SortStableFunc(edits, func(a, b edit) int { return cmp.Compare(a.at, b.at) })
	return part(src, edits, 0, len(src), nil)
}

// part renders src[from:to]. What encloses the body of a clause stays out of its copies.
func part(src []byte, edits []edit, from, to int, without *ast.CaseClause) string {
	var b strings.Builder
	at := from
	for _, e := range edits {
		outside := e.at < from || e.at > to || without != nil && (e.at == to || e.owner == without)
		if outside {
			continue
		}
		b.Write(src[at:e.at])
		at = e.at
		b.WriteString(e.text)
		if e.of != nil {
			b.WriteString(part(src, edits, e.from, e.to, e.of))
		}
	}
	b.Write(src[at:to])
	return b.String()
}
