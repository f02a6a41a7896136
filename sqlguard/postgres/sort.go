package postgres

import (
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
)

func itoa(i int) string { return strconv.Itoa(i) }

// sortOp notes the operator of ORDER BY ... USING.
func (a *analyzer) sortOp(sb *pg.SortBy) {
	if len(sb.UseOp) > 0 {
		a.operator(sb.UseOp, sb.Location)
	}
}

// sortKey resolves an ORDER BY, GROUP BY or DISTINCT ON item as findTargetlistEntrySQL92 does: a bare
// name is an output column first (GROUP BY: an input column first), a number is an ordinal, and
// anything else is an expression over input columns.
func (a *analyzer) sortKey(sc *scope, n *pg.Node, res *result, use access.Use, group bool) value {
	if cr := n.GetColumnRef(); cr != nil {
		if parts, star := refParts(cr); len(parts) == 1 && !star {
			input := false
			if group {
				_, _, input = a.lookup(sc, parts[0], cr.Location, true)
			}
			if !input {
				if c, ok := a.outputNamed(res, parts[0], cr.Location); ok {
					a.t.Cols[cr] = &pgtree.Col{Name: parts[0], Use: use}
					a.mark(sc, c.value, use)
					return c.value
				}
			}
		}
	}
	if c := n.GetAConst(); c != nil {
		if i, ok := c.Val.(*pg.A_Const_Ival); ok {
			ord := int(i.Ival.Ival)
			if ord >= 1 && ord <= len(res.cols) && !res.open {
				a.mark(sc, res.cols[ord-1].value, use)
				return res.cols[ord-1].value
			}
			if res.open && ord >= 1 {
				v := res.all()
				a.mark(sc, v, use)
				return v
			}
			a.fail(c.Location, "42P10", "position %d is not in select list", ord)
		}
	}
	return a.expr(sc, n, use)
}

// outputNamed finds an output column by its name. Two of that name are ambiguous unless they are the
// same expression; the guard takes two with the same sources as that, and the server decides.
func (a *analyzer) outputNamed(res *result, name string, loc int32) (column, bool) {
	var hit *column
	for i := range res.cols {
		c := &res.cols[i]
		if c.name != name {
			continue
		}
		if hit != nil {
			m := column{name: name, value: join(hit.value, c.value)}
			hit = &m
			continue
		}
		hit = c
	}
	if hit == nil {
		return column{}, false
	}
	return *hit, true
}

// groupKey walks a GROUP BY item: an expression or a grouping set of them.
func (a *analyzer) groupKey(sc *scope, n *pg.Node, res *result) {
	switch g := n.GetNode().(type) {
	case *pg.Node_GroupingSet:
		for _, c := range g.GroupingSet.Content {
			a.groupKey(sc, c, res)
		}
	case *pg.Node_RowExpr:
		if g.RowExpr.RowFormat == pg.CoercionForm_COERCE_IMPLICIT_CAST { // (a, b): a list, not a row
			for _, c := range g.RowExpr.Args {
				a.groupKey(sc, c, res)
			}
			return
		}
		a.expr(sc, n, access.UseGroup)
	default:
		a.sortKey(sc, n, res, access.UseGroup, true)
	}
}

// sortBy walks ORDER BY inside an aggregate, where names are input columns and numbers are numbers.
// It decides no row, but the value of the aggregate depends on it.
func (a *analyzer) sortBy(sc *scope, n *pg.Node, use access.Use) value {
	sb := n.GetSortBy()
	if sb == nil {
		a.unknown("ORDER BY", n.GetNode())
	}
	a.sortOp(sb)
	return join(a.expr(sc, sb.Node, use|access.UseOrder))
}

// window walks what comes after OVER. What it looks at is part of the value of the function over it.
func (a *analyzer) window(sc *scope, w *pg.WindowDef) value {
	if w.Name != "" {
		return a.namedWindow(sc, w.Name, len(sc.windows), w.Location)
	}
	return a.windowDef(sc, w, len(sc.windows))
}

// windowDef walks a definition, which may build on one of the first limit of the WINDOW clause.
func (a *analyzer) windowDef(sc *scope, w *pg.WindowDef, limit int) value {
	var v value
	if w.Refname != "" {
		v = a.namedWindow(sc, w.Refname, limit, w.Location)
	}
	for _, n := range w.PartitionClause {
		v = join(v, a.expr(sc, n, access.UseGroup))
	}
	for _, n := range w.OrderClause {
		sb := n.GetSortBy()
		if sb == nil {
			a.unknown("a window's ORDER BY", n.GetNode())
		}
		a.sortOp(sb)
		v = join(v, a.expr(sc, sb.Node, access.UseOrder))
	}
	return join(v, a.where(sc, w.StartOffset), a.where(sc, w.EndOffset))
}

func (a *analyzer) namedWindow(sc *scope, name string, limit int, loc int32) value {
	for i, n := range sc.windows[:limit] {
		if w := n.GetWindowDef(); w.GetName() == name {
			return a.windowDef(sc, w, i)
		}
	}
	a.fail(loc, "42704", "window %q does not exist", name)
	return value{}
}
