package mask

import (
	"slices"

	"sallyport/internal/access"
)

// Unjudged is a column of a table that no rule, comment or decision speaks of.
type Unjudged struct {
	Column access.ColumnID
	Type   string
	Listed bool // the labels file has a proposal for it
	Masked bool // it is masked: by the label that is proposed, or as access.Unjudged
}

// Unjudged lists the columns that nobody has judged, sorted: those of tables, for views take their labels from them. Of an
// inheritance tree it lists a column once, where it is at the top.
func (l *Labels) Unjudged() []Unjudged { return l.unjudged }

// judged gives columns the labels of the labels file, and says which of its columns are not there any more.
func (r *resolver) judged(judged *access.Judgements) {
	for _, j := range judged.Columns {
		if rel := r.cat.Relations[j.Column.Relation]; rel == nil || rel.Column(j.Column.Column) == nil {
			r.problems = append(r.problems, Problem{Source: j.Source, Message: "there is no column " + j.Column.Relation.String() + "." + j.Column.Column + " any more",
				Hint: "take it out of the labels file", Safe: true})
		} else if j.Label != "" {
			r.labels.add(j.Column.Relation, j.Column.Column, j.Label, j.Source, false)
		}
	}
}

// unjudged finds the columns that nobody has judged, and hides those that may hold text where the connection has a
// labels file that is not told to show them.
func (r *resolver) unjudged(judged *access.Judgements) {
	listed, decided := map[access.ColumnID]bool{}, map[access.ColumnID]bool{}
	file := ""
	if judged != nil {
		file = judged.File
		for _, j := range judged.Columns {
			listed[j.Column] = true
			decided[j.Column] = j.Decided
		}
	}
	r.throughTrees(listed, true)
	r.throughTrees(decided, false) // what one child of a table holds says nothing of the next
	// Hiding one column must not label the next before it was looked at: a child of a table that is hidden is
	// unjudged itself.
	var hide []access.ColumnID
	for _, name := range r.names {
		rel := r.cat.Relations[name]
		if rel.Kind != access.Table && rel.Kind != access.Partitioned && rel.Kind != access.ForeignTable {
			continue
		}
		for i := range rel.Columns {
			col := &rel.Columns[i]
			id := access.ColumnID{Relation: name, Column: col.Name}
			labelled := r.labels.column(name, col.Name) != nil
			if decided[id] || labelled && !listed[id] {
				continue
			}
			if judged != nil && !judged.Show && !labelled && mayHoldText(r.cat, col.TypeOID) {
				hide = append(hide, id)
			}
			if !r.inheritedColumn(rel, col.Name) {
				r.labels.unjudged = append(r.labels.unjudged, Unjudged{Column: id, Type: col.Type, Listed: listed[id]})
			}
		}
	}
	for _, id := range hide {
		r.labels.add(id.Relation, id.Column, access.Unjudged, "nobody has judged it in "+file, false)
	}
	r.spread()
	for i := range r.labels.unjudged {
		u := &r.labels.unjudged[i]
		u.Masked = r.labels.column(u.Column.Relation, u.Column.Column) != nil
	}
}

// throughTrees spreads what is known of a column to the columns of the same name below it, and above it where told so.
func (r *resolver) throughTrees(known map[access.ColumnID]bool, up bool) {
	for changed := true; changed; {
		changed = false
		for _, name := range r.names {
			for _, parent := range r.cat.Relations[name].Parents {
				for _, col := range r.cat.Relations[parent].Columns {
					above, below := access.ColumnID{Relation: parent, Column: col.Name}, access.ColumnID{Relation: name, Column: col.Name}
					if known[above] && !known[below] || up && known[below] && !known[above] {
						known[above], known[below], changed = true, true, true
					}
				}
			}
		}
	}
}

func (r *resolver) inheritedColumn(rel *access.Relation, col string) bool {
	return slices.ContainsFunc(rel.Parents, func(p access.Name) bool {
		parent := r.cat.Relations[p]
		return parent != nil && parent.Column(col) != nil
	})
}

// textless are the built-in types whose values are numbers, times, addresses of networks or shapes. Of any other type it is
// not known that it holds no text.
var textless = func() map[uint32]bool {
	m := map[uint32]bool{}
	for _, oid := range []uint32{
		16, 20, 21, 23, 26, 28, 29, 700, 701, 790, 1700, // boolean, integers, oid, xid, cid, floats, money, numeric
		1082, 1083, 1114, 1184, 1186, 1266, // dates and times
		600, 601, 602, 603, 604, 628, 718, // geometric
		650, 829, 869, 774, // networks
		1560, 1562, 2950, 27, 3220, 2278, // bits, uuid, tid, pg_lsn, void
		3904, 3906, 3908, 3910, 3912, 3926, // ranges
		4451, 4532, 4533, 4534, 4535, 4536, // multiranges
	} {
		m[oid] = true
	}
	return m
}()

// mayHoldText tells whether values of a type can hold words of their writer's choice: text, json, xml, bytea and their
// like, and whatever is made of them. Enums cannot: their values are part of the schema.
func mayHoldText(cat *access.Catalog, oid uint32) bool { return holdsText(cat, oid, maxDomains) }

func holdsText(cat *access.Catalog, oid uint32, depth int) bool {
	if textless[oid] {
		return false
	}
	t := cat.TypeByOID[oid]
	if t == nil || depth == 0 {
		return true
	}
	switch {
	case t.Kind == 'e':
		return false
	case t.Kind == 'd':
		return holdsText(cat, t.Base, depth-1)
	case t.Kind == 'c':
		rel := cat.Relations[t.Relation]
		return rel == nil || slices.ContainsFunc(rel.Columns, func(c access.Column) bool { return holdsText(cat, c.TypeOID, depth-1) })
	case t.Elem != 0 && (t.Category == 'A' || t.Kind == 'r' || t.Kind == 'm'):
		return holdsText(cat, t.Elem, depth-1)
	}
	return true
}
