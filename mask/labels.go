package mask

import (
	"slices"
	"sort"

	"sallyport/internal/access"
)

// Labels says what the columns of one database hold. It is immutable once resolved and shared.
type Labels struct {
	rels  map[access.Name]*relation
	reads map[access.Name][]access.Name // by view, what its text names

	unjudged []Unjudged
}

type relation struct {
	cols    map[string]*column
	refused string
}

type column struct {
	labels  []access.Label
	why     []string
	derived bool
}

// Labelled is one labelled column, for reports.
type Labelled struct {
	Column  access.ColumnID
	Labels  []access.Label
	Why     string
	Derived bool
}

// Columns gives the labels of a relation's labelled columns.
func (l *Labels) Columns(rel access.Name) map[string][]access.Label {
	r := l.rels[rel]
	if r == nil || len(r.cols) == 0 {
		return nil
	}
	out := make(map[string][]access.Label, len(r.cols))
	for name, c := range r.cols {
		out[name] = c.labels
	}
	return out
}

// Why says which rule, comment or definition gave a column its labels.
func (l *Labels) Why(rel access.Name, col string) string {
	c := l.column(rel, col)
	if c == nil || len(c.why) == 0 {
		return ""
	}
	s := c.why[0]
	for _, w := range c.why[1:] {
		s += "; " + w
	}
	return s
}

// Derived tells whether a column is an expression over labelled columns, so that it can only be
// redacted.
func (l *Labels) Derived(rel access.Name, col string) bool {
	c := l.column(rel, col)
	return c != nil && c.derived
}

// Refused says why a masked principal may not use a relation, or "".
func (l *Labels) Refused(rel access.Name) string {
	if r := l.rels[rel]; r != nil {
		return r.refused
	}
	return ""
}

// Reads lists the relations that a view reads, those behind other views too. Of a view whose definition is not
// understood it lists nothing; Refused says so of that one.
func (l *Labels) Reads(view access.Name) []access.Name {
	var out []access.Name
	for next := slices.Clone(l.reads[view]); len(next) > 0; next = next[1:] {
		if !slices.Contains(out, next[0]) {
			out = append(out, next[0])
			next = append(next, l.reads[next[0]]...)
		}
	}
	return out
}

// All lists every labelled column, sorted.
func (l *Labels) All() []Labelled {
	var out []Labelled
	for name, r := range l.rels {
		for col, c := range r.cols {
			id := access.ColumnID{Relation: name, Column: col}
			out = append(out, Labelled{Column: id, Labels: c.labels, Why: l.Why(name, col), Derived: c.derived})
		}
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := out[i].Column, out[j].Column
		if a.Relation != b.Relation {
			return a.Relation.String() < b.Relation.String()
		}
		return a.Column < b.Column
	})
	return out
}

func (l *Labels) column(rel access.Name, col string) *column {
	if r := l.rels[rel]; r != nil {
		return r.cols[col]
	}
	return nil
}

func (l *Labels) relation(name access.Name) *relation {
	r := l.rels[name]
	if r == nil {
		r = &relation{cols: map[string]*column{}}
		l.rels[name] = r
	}
	return r
}

// add gives a column a label and tells whether anything changed.
func (l *Labels) add(rel access.Name, col string, label access.Label, why string, derived bool) bool {
	r := l.relation(rel)
	c := r.cols[col]
	if c == nil {
		c = &column{}
		r.cols[col] = c
	}
	changed := false
	if derived && !c.derived {
		c.derived, changed = true, true
	}
	if !slices.Contains(c.labels, label) {
		c.labels = append(c.labels, label)
		slices.Sort(c.labels)
		c.why = append(c.why, why)
		changed = true
	}
	return changed
}
