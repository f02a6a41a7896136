package postgres

import (
	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
)

// query analyses a query or a data-modifying statement with RETURNING at the fresh level sc. Its
// result columns are used as use says; use 0 leaves that to whoever refers to them.
func (a *analyzer) query(sc *scope, n *pg.Node, use access.Use) result {
	switch n := n.GetNode().(type) {
	case *pg.Node_SelectStmt:
		return a.selectStmt(sc, n.SelectStmt, use)
	case *pg.Node_InsertStmt:
		return a.insert(sc, n.InsertStmt, use)
	case *pg.Node_UpdateStmt:
		return a.update(sc, n.UpdateStmt, use)
	case *pg.Node_DeleteStmt:
		return a.delete(sc, n.DeleteStmt, use)
	case *pg.Node_MergeStmt:
		return a.merge(sc, n.MergeStmt)
	default:
		a.unknown("a query", n)
		return result{}
	}
}

func (a *analyzer) selectStmt(sc *scope, s *pg.SelectStmt, use access.Use) result {
	if s.IntoClause != nil {
		// Only the outermost query may have it; there createAs has taken it off already.
		a.refuse(s.IntoClause.GetRel().GetLocation(), "use CREATE TABLE AS", "SELECT INTO is not allowed here")
	}
	a.with(sc, s.WithClause)
	switch {
	case s.Op != pg.SetOperation_SETOP_NONE && s.Op != pg.SetOperation_SET_OPERATION_UNDEFINED:
		return a.setOperation(sc, s, use)
	case len(s.ValuesLists) > 0:
		return a.values(sc, s, use)
	}
	return a.plainSelect(sc, s, use)
}

// plainSelect follows transformSelectStmt, in its order.
func (a *analyzer) plainSelect(sc *scope, s *pg.SelectStmt, use access.Use) result {
	sc.windows = s.WindowClause
	a.from(sc, s.FromClause)
	res := a.targets(sc, s.TargetList, use)
	a.where(sc, s.WhereClause)
	a.where(sc, s.HavingClause)
	for _, n := range s.SortClause {
		sb := n.GetSortBy()
		if sb == nil {
			a.unknown("ORDER BY", n.GetNode())
		}
		a.sortOp(sb)
		a.sortKey(sc, sb.Node, &res, access.UseOrder, false)
	}
	for _, n := range s.GroupClause {
		a.groupKey(sc, n, &res)
	}
	if len(s.DistinctClause) == 1 && s.DistinctClause[0].GetNode() == nil { // plain DISTINCT
		a.mark(sc, res.all(), access.UseGroup)
	} else {
		for _, n := range s.DistinctClause {
			a.sortKey(sc, n, &res, access.UseGroup, false)
		}
	}
	a.where(sc, s.LimitOffset)
	a.where(sc, s.LimitCount)
	for i, n := range s.WindowClause {
		w := n.GetWindowDef()
		if w == nil {
			a.unknown("WINDOW", n.GetNode())
		}
		a.windowDef(sc, w, i)
	}
	a.locking(sc, s.LockingClause)
	for _, it := range sc.items {
		sc.decides = union(sc.decides, it.decides)
	}
	res.decides = sc.decides
	return res
}

// where walks a condition: whatever it looks at decides which rows there are.
func (a *analyzer) where(sc *scope, n *pg.Node) value {
	if n == nil {
		return value{}
	}
	return a.expr(sc, n, access.UsePredicate)
}

// maxColumns is the server's MaxTupleAttributeNumber.
const maxColumns = 1664

// targets walks a select or RETURNING list.
func (a *analyzer) targets(sc *scope, ns []*pg.Node, use access.Use) result {
	var res result
	for _, n := range ns {
		t := n.GetResTarget()
		if t == nil {
			a.unknown("a select list", n.GetNode())
		}
		if cr := starRef(t.Val); cr != nil {
			cols, open, rest := a.expandStar(sc, cr, use)
			a.spend(len(cols))
			res.cols = append(res.cols, cols...)
			res.open = res.open || open
			res.rest = join(res.rest, rest)
			a.checkWidth(res.cols)
			continue
		}
		if ind := t.Val.GetAIndirection(); ind != nil && endsInStar(ind) {
			a.expandRow(sc, ind, use, &res)
			continue
		}
		v := a.expr(sc, t.Val, use)
		v.typ = v.typ.settled()
		name := t.Name
		if name == "" {
			name = columnName(t.Val)
		}
		res.cols = append(res.cols, column{name: name, value: v})
		a.checkWidth(res.cols)
	}
	for i := range res.cols {
		// Where a value comes from is in its sources; who may be looked up by name is the query's.
		res.cols[i].ref, res.cols[i].col = nil, ""
	}
	return res
}

func (a *analyzer) checkWidth(cols []column) {
	if len(cols) > maxColumns {
		a.fail(-1, "54011", "target lists can have at most %d entries", maxColumns)
	}
}

func endsInStar(ind *pg.A_Indirection) bool {
	n := len(ind.Indirection)
	if n == 0 {
		return false
	}
	_, ok := ind.Indirection[n-1].GetNode().(*pg.Node_AStar)
	return ok
}

// expandRow handles (x).* in a select list.
func (a *analyzer) expandRow(sc *scope, ind *pg.A_Indirection, use access.Use, res *result) {
	v := a.rowValue(sc, ind.Arg, use)
	for i, n := range ind.Indirection[:len(ind.Indirection)-1] {
		switch n := n.GetNode().(type) {
		case *pg.Node_String_:
			v = a.field(sc, v, n.String_.Sval, i == 0, use)
		case *pg.Node_AIndices:
			idx := join(a.expr(sc, n.AIndices.Lidx, use), a.expr(sc, n.AIndices.Uidx, use))
			v = value{src: union(v.src, idx.src)}
		default:
			a.unknown("a field selection", n)
		}
	}
	a.mark(sc, v, use)
	if v.row == nil {
		res.open = true
		res.rest = join(res.rest, v)
		return
	}
	res.cols = append(res.cols, v.row...)
}

// setOperation walks UNION, INTERSECT and EXCEPT.
func (a *analyzer) setOperation(sc *scope, s *pg.SelectStmt, use access.Use) result {
	res := a.setTree(sc, s, use)
	// ORDER BY may name result columns only. It is looked up in a level of its own so that no
	// column of the arms is in sight.
	order := &scope{parent: sc.parent, ctes: sc.ctes}
	order.items = []*item{{cols: res.cols, open: res.open, rest: res.rest, colsVisible: true}}
	for _, n := range s.SortClause {
		sb := n.GetSortBy()
		if sb == nil {
			a.unknown("ORDER BY", n.GetNode())
		}
		a.sortOp(sb)
		a.sortKey(order, sb.Node, &res, access.UseOrder, false)
	}
	none := &scope{parent: sc.parent, ctes: sc.ctes}
	a.where(none, s.LimitOffset)
	a.where(none, s.LimitCount)
	if len(s.LockingClause) > 0 {
		a.refuse(-1, "", "FOR UPDATE is not allowed with UNION/INTERSECT/EXCEPT")
	}
	sc.decides = union(sc.decides, union(order.decides, none.decides))
	res.decides = union(res.decides, sc.decides)
	return res
}

// setTree walks one node of a tree of set operations. An arm with clauses of its own is a query of
// its own level; the others share the WITH of the whole.
func (a *analyzer) setTree(sc *scope, s *pg.SelectStmt, use access.Use) result {
	arm := func(q *pg.SelectStmt) result {
		if q == nil {
			a.unknown("a set operation", q)
		}
		if q.Op != pg.SetOperation_SETOP_NONE && q.WithClause == nil && q.SortClause == nil && q.LimitCount == nil &&
			q.LimitOffset == nil && q.LockingClause == nil && q.IntoClause == nil {
			return a.setTree(sc, q, use)
		}
		return a.selectStmt(newScope(sc), q, use)
	}
	l, r := arm(s.Larg), arm(s.Rarg)
	if !l.open && !r.open && len(l.cols) != len(r.cols) {
		a.fail(-1, "42601", "each set operation query must have the same number of columns")
	}
	out := result{open: l.open || r.open, rest: join(l.rest, r.rest), decides: union(l.decides, r.decides)}
	for i, c := range l.cols {
		m := column{name: c.name, value: value{src: c.src}}
		if i < len(r.cols) {
			m.src = union(m.src, r.cols[i].src)
			m.typ = common(c.typ, r.cols[i].typ)
		} else {
			m.src = union(m.src, r.rest.src)
		}
		out.cols = append(out.cols, m)
	}
	if l.open {
		out.rest = join(out.rest, r.all())
	}
	if s.Op != pg.SetOperation_SETOP_UNION || !s.All {
		v := out.all()
		a.cols.mark(v.src, access.UseGroup)
		out.decides = union(out.decides, v.src)
	}
	return out
}

// values walks VALUES (...), (...).
func (a *analyzer) values(sc *scope, s *pg.SelectStmt, use access.Use) result {
	var res result
	for _, row := range s.ValuesLists {
		list := row.GetList()
		if list == nil {
			a.unknown("VALUES", row.GetNode())
		}
		i := 0
		put := func(v value) {
			if i == len(res.cols) {
				res.cols = append(res.cols, column{name: "column" + itoa(i+1), value: value{typ: untyped}})
			}
			res.cols[i].value = value{src: union(res.cols[i].src, v.src), typ: common(res.cols[i].typ, v.typ)}
			i++
		}
		for _, n := range list.Items {
			if cr := starRef(n); cr != nil {
				cols, _, rest := a.expandStar(sc, cr, use)
				for _, c := range cols {
					put(join(c.value, rest))
				}
				continue
			}
			put(a.expr(sc, n, use))
		}
	}
	for i := range res.cols {
		res.cols[i].typ = res.cols[i].typ.settled()
	}
	order := &scope{parent: sc.parent, ctes: sc.ctes}
	order.items = []*item{{name: "*VALUES*", cols: res.cols, colsVisible: true, relVisible: true}}
	for _, n := range s.SortClause {
		sb := n.GetSortBy()
		if sb == nil {
			a.unknown("ORDER BY", n.GetNode())
		}
		a.sortOp(sb)
		a.sortKey(order, sb.Node, &res, access.UseOrder, false)
	}
	a.where(sc, s.LimitOffset)
	a.where(sc, s.LimitCount)
	if len(s.LockingClause) > 0 {
		a.refuse(-1, "", "FOR UPDATE cannot be applied to VALUES")
	}
	res.decides = union(sc.decides, order.decides)
	return res
}
