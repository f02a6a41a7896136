package postgres

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
)

// columnRef resolves a reference as transformColumnRef does, notes it in t.Cols and gives its value.
func (a *analyzer) columnRef(sc *scope, cr *pg.ColumnRef, use access.Use) value {
	v := a.resolveRef(sc, cr, use)
	a.mark(sc, v, use)
	if col := a.t.Cols[cr]; col.WholeRow && col.Ref != nil && !col.Excluded {
		a.touch(col.Ref.Relation).whole = true
	}
	return v
}

// rowValue is expr for the left side of a field selection: a whole row there is not used as a whole.
func (a *analyzer) rowValue(sc *scope, n *pg.Node, use access.Use) value {
	if cr := n.GetColumnRef(); cr != nil {
		return a.resolveRef(sc, cr, use)
	}
	return a.expr(sc, n, use)
}

func (a *analyzer) resolveRef(sc *scope, cr *pg.ColumnRef, use access.Use) value {
	parts, star := refParts(cr)
	if star {
		return a.starValue(sc, cr, parts, use)
	}
	switch len(parts) {
	case 1:
		if c, it, ok := a.lookup(sc, parts[0], cr.Location, false); ok {
			return a.noteColumn(cr, c, it, use)
		}
		// Not a column: perhaps the name of an item, which stands for its whole row.
		if it := a.lookupItem(sc, "", parts[0], cr.Location); it != nil {
			return a.wholeRow(cr, it, use)
		}
		if a.argument(sc, cr, parts, use) {
			return value{}
		}
		a.fail(cr.Location, "42703", "column %q does not exist", parts[0])
	case 2, 3, 4:
		if a.argument(sc, cr, parts, use) {
			return value{}
		}
		it := a.refItem(sc, cr, parts[:len(parts)-1])
		name := parts[len(parts)-1]
		if c, ok := it.find(a, name, cr.Location); ok {
			return a.noteColumn(cr, c, it, use)
		}
		if it.open && len(a.functions([]string{name}, cr.Location)) == 0 { // it could be that function's value, see below
			return a.noteColumn(cr, column{name: name, value: value{src: it.rest.src}}, it, use)
		}
		if len(a.functions([]string{name}, cr.Location)) > 0 {
			// r.f is f(r) at the server where r has no column f.
			a.refuse(cr.Location, "write "+name+"("+parts[len(parts)-2]+")", "%s is not a column, and calling a function in that notation is not supported", strings.Join(parts, "."))
		}
		a.fail(cr.Location, "42703", "column %s does not exist", strings.Join(parts, "."))
	default:
		a.fail(cr.Location, "42601", "improper qualified name (too many dotted names): %s", strings.Join(parts, "."))
	}
	return value{}
}

// refParts splits a reference into its names and whether it ends in a star.
func refParts(cr *pg.ColumnRef) (parts []string, star bool) {
	if n := len(cr.Fields); n > 0 {
		_, star = cr.Fields[n-1].GetNode().(*pg.Node_AStar)
	}
	return text(cr.Fields), star
}

// refItem finds the item that the qualifier of a reference names.
func (a *analyzer) refItem(sc *scope, cr *pg.ColumnRef, quals []string) *item {
	schema, name := "", quals[len(quals)-1]
	if len(quals) > 1 {
		schema = quals[len(quals)-2]
	}
	if len(quals) > 2 {
		a.checkDatabase(quals[0], strings.Join(quals, "."), cr.Location)
	}
	it := a.lookupItem(sc, schema, name, cr.Location)
	if it == nil {
		a.fail(cr.Location, "42P01", "missing FROM-clause entry for table %q", name)
	}
	return it
}

func (a *analyzer) noteColumn(cr *pg.ColumnRef, c column, it *item, use access.Use) value {
	col := &pgtree.Col{Ref: c.ref, Name: c.name, Use: noted(use), Excluded: it.excluded}
	if c.ref != nil {
		col.Name = c.col
	} else if it.relVisible {
		col.Item = it.name
	}
	a.t.Cols[cr] = col
	return c.value
}

// noted is the use that a reference is noted with: inside a subquery the value is an output of it.
func noted(use access.Use) access.Use {
	if use &^= touched | compared; use == 0 {
		return access.UseOutput
	}
	return use
}

// wholeRow is a reference to all of an item at once.
func (a *analyzer) wholeRow(cr *pg.ColumnRef, it *item, use access.Use) value {
	a.t.Cols[cr] = &pgtree.Col{Ref: it.ref, WholeRow: true, Use: noted(use), Excluded: it.excluded}
	return a.rowOf(it)
}

// rowOf is the value of a whole row. Where a function gives one plain value, that is the value.
func (a *analyzer) rowOf(it *item) value {
	v := value{src: it.rest.src}
	cols := it.columns(a)
	for _, c := range cols {
		v.src = union(v.src, c.src)
	}
	if !it.open {
		v.row = cols
	}
	return v
}

// starValue is r.* where the grammar allows an expression: a whole row, as in count(r.*).
func (a *analyzer) starValue(sc *scope, cr *pg.ColumnRef, parts []string, use access.Use) value {
	if len(parts) == 0 {
		a.fail(cr.Location, "42601", "row expansion via \"*\" is not supported here")
	}
	it := a.refItem(sc, cr, parts)
	col := &pgtree.Col{Ref: it.ref, WholeRow: true, Star: true, Use: noted(use), Stars: []*pgtree.Ref{it.ref}, Excluded: it.excluded}
	a.t.Cols[cr] = col
	return a.rowOf(it)
}

// expandStar gives the columns that a star in a select list stands for.
func (a *analyzer) expandStar(sc *scope, cr *pg.ColumnRef, use access.Use) (cols []column, open bool, rest value) {
	parts, _ := refParts(cr)
	col := &pgtree.Col{Star: true, Use: noted(use)}
	a.t.Cols[cr] = col
	var items []*item
	if len(parts) > 0 {
		it := a.refItem(sc, cr, parts)
		col.Ref, col.Excluded = it.ref, it.excluded
		items = []*item{it}
	} else {
		for _, it := range sc.items {
			if it.colsVisible && sc.sees(it) {
				items = append(items, it)
			}
		}
		if len(items) == 0 {
			a.fail(cr.Location, "42601", "SELECT * with no tables specified is not valid")
		}
	}
	for _, it := range items {
		col.Stars = append(col.Stars, it.ref)
		if it.open {
			open = true
			rest = join(rest, it.rest)
		}
		cols = append(cols, it.columns(a)...)
	}
	for _, c := range cols {
		a.mark(sc, c.value, use)
	}
	a.mark(sc, rest, use)
	return cols, open, rest
}
