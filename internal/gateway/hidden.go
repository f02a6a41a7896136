package gateway

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/access"
	"sallyport/internal/approval"
)

// hidden says of each relation that a statement uses what of it is kept from who asks: which rows there are, and of which columns they are given what
// instead. The same text finds and changes other rows for somebody else, or for the same person with another tenant, other groups, a reveal that
// has come into force or has ended.
func (p *plan) hidden() []approval.Hidden {
	if p.scope == nil || !p.scope.masked {
		return nil
	}
	var out []approval.Hidden
	snap := p.scope.snap
	for _, use := range p.facts.Relations {
		h := approval.Hidden{Relation: use.Name.String()}
		if slices.ContainsFunc(out, func(o approval.Hidden) bool { return o.Relation == h.Relation }) {
			continue
		}
		for _, name := range append([]access.Name{use.Name}, snap.labels.Reads(use.Name)...) { // what is kept of a table is kept of its views
			h.What = append(h.What, p.hiddenOf(name)...)
		}
		if len(h.What) > 0 {
			slices.Sort(h.What)
			out = append(out, h)
		}
	}
	return out
}

func (p *plan) hiddenOf(name access.Name) (out []string) {
	d := &p.decision
	for _, f := range d.Filters {
		if f.Relation == name {
			out = append(out, "rows of "+name.String()+" but where "+f.Condition)
		}
	}
	rel := p.scope.snap.cat.Relations[name]
	for _, id := range d.Masked {
		if id.Relation != name || rel == nil {
			continue
		}
		what := id.Relation.String() + "." + id.Column
		if c := rel.Column(id.Column); c != nil {
			what += ": " + p.scope.snap.maskOf(rel, c, p.scope.writable).Transform
		}
		for _, by := range []struct {
			name    string
			columns []access.ColumnID
		}{{"write", d.Writable}, {"lookup", d.Lookup}, {"predicate", d.Predicate}, {"order", d.Order}, {"group", d.Group}} {
			if slices.Contains(by.columns, id) {
				what += ", with " + by.name
			}
		}
		for _, a := range d.Aggregate {
			if a.Column == id {
				what += fmt.Sprintf(", with aggregate over %d and more by (%s)", a.MinGroup, strings.Join(a.By, ", "))
			}
		}
		out = append(out, what)
	}
	return out
}

// errCurrentRow refuses what is about the row that a cursor is at: whoever moves the cursor chooses it after a reviewer has said yes.
var errCurrentRow = &access.Error{Kind: access.Unsupported, Code: "0A000", Message: "WHERE CURRENT OF is not available in a statement that needs approval: which row a cursor is at is nothing that can be approved",
	Hint: "name the row by its key, WHERE id = ..."}
