package postgres

import (
	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
)

// target resolves what a statement writes to. As at the server, that is a relation of the catalog
// even where a WITH query has the same name.
func (a *analyzer) target(rv *pg.RangeVar, verb string) *pgtree.Ref {
	if rv == nil {
		a.unknown(verb, rv)
	}
	a.visit(rv)
	a.impure = true
	ref := a.reference(rv, true)
	a.act(ref.Relation, access.ActWrite, verb)
	return ref
}

// targetItem is the item by which a statement refers to the rows that it writes. Looking at them is a
// read of the relation, which is noted once a column is looked at.
func (a *analyzer) targetItem(ref *pgtree.Ref) *item { return a.relationItem(ref, nil) }

// readsTarget notes that the statement reads its target, if it looked at any column of it.
func (a *analyzer) readsTarget(ref *pgtree.Ref) {
	r := a.touch(ref.Relation)
	if r.whole {
		a.act(ref.Relation, access.ActRead, "select")
		return
	}
	for i := range ref.Relation.Columns {
		if a.cols.uses[r.base+int32(i)] != 0 {
			a.act(ref.Relation, access.ActRead, "select")
			return
		}
	}
}

func (a *analyzer) insert(sc *scope, s *pg.InsertStmt, use access.Use) result {
	a.with(sc, s.WithClause)
	ref := a.target(s.Relation, "insert")
	for _, n := range s.Cols {
		t := n.GetResTarget()
		if t == nil {
			a.unknown("INSERT", n.GetNode())
		}
		a.assign(newScope(nil), ref, t, "insert")
	}
	if s.SelectStmt != nil {
		src := a.query(newScope(sc), s.SelectStmt, access.UseStore)
		if q := s.SelectStmt.GetSelectStmt(); q == nil || len(q.ValuesLists) == 0 {
			a.facts.Stores = true
		}
		if s.Cols == nil {
			a.assignFirst(ref, len(src.cols), src.open)
		}
	}
	if s.OnConflictClause != nil {
		a.onConflict(sc, ref, s.OnConflictClause)
	}
	sc.items = []*item{a.targetItem(ref)}
	return a.returning(sc, ref, s.ReturningList, use)
}

// assign notes that a column of ref is written, and walks the subscripts of the assignment.
func (a *analyzer) assign(sc *scope, ref *pgtree.Ref, t *pg.ResTarget, verb string) string {
	c := ref.Relation.Column(t.Name)
	if c == nil {
		a.fail(t.Location, "42703", "column %q of relation %q does not exist", t.Name, ref.Relation.Name.Name)
	}
	for _, n := range t.Indirection {
		switch n := n.GetNode().(type) {
		case *pg.Node_AIndices:
			a.expr(sc, n.AIndices.Lidx, access.UseStore)
			a.expr(sc, n.AIndices.Uidx, access.UseStore)
		case *pg.Node_String_:
		default:
			a.unknown("an assignment", n)
		}
	}
	a.act(ref.Relation, access.ActWrite, verb).assign(c.Name)
	return c.Name
}

// assignFirst notes INSERT without a column list: as many columns as are given, from the first.
func (a *analyzer) assignFirst(ref *pgtree.Ref, n int, open bool) {
	act := a.act(ref.Relation, access.ActWrite, "insert")
	for i := range ref.Relation.Columns {
		if open || i < n {
			act.assign(ref.Relation.Columns[i].Name)
		}
	}
}

func (a *analyzer) onConflict(sc *scope, ref *pgtree.Ref, c *pg.OnConflictClause) {
	level := newScope(sc)
	if inf := c.Infer; inf != nil {
		it := a.targetItem(ref)
		it.relVisible = false
		level.items = []*item{it}
		for _, n := range inf.IndexElems {
			a.indexElem(level, n, access.UsePredicate)
		}
		a.where(level, inf.WhereClause)
	}
	if c.Action == pg.OnConflictAction_ONCONFLICT_UPDATE {
		excluded := &item{name: "excluded", excluded: true, relVisible: true, colsVisible: true, lateralOK: true}
		for i := range ref.Relation.Columns {
			n := ref.Relation.Columns[i].Name
			excluded.cols = append(excluded.cols, column{name: n, ref: ref, col: n})
		}
		level.items = []*item{excluded, a.targetItem(ref)}
		a.setClause(level, ref, c.TargetList, "update")
		a.act(ref.Relation, access.ActWrite, "update")
		a.where(level, c.WhereClause)
	}
	a.readsTarget(ref)
}

// setClause walks the assignments of UPDATE.
func (a *analyzer) setClause(sc *scope, ref *pgtree.Ref, ns []*pg.Node, verb string) {
	for _, n := range ns {
		t := n.GetResTarget()
		if t == nil {
			a.unknown("SET", n.GetNode())
		}
		a.assign(sc, ref, t, verb)
		a.expr(sc, t.Val, access.UseStore) // in (a, b) = (...) each column has its own copy of the source
	}
}

func (a *analyzer) returning(sc *scope, ref *pgtree.Ref, ns []*pg.Node, use access.Use) result {
	res := a.targets(sc, ns, use)
	a.readsTarget(ref)
	for _, it := range sc.items {
		sc.decides = union(sc.decides, it.decides)
	}
	res.decides = sc.decides
	return res
}

func (a *analyzer) update(sc *scope, s *pg.UpdateStmt, use access.Use) result {
	a.with(sc, s.WithClause)
	ref := a.target(s.Relation, "update")
	a.fromWithTarget(sc, ref, s.FromClause)
	a.setClause(sc, ref, s.TargetList, "update")
	a.where(sc, s.WhereClause)
	a.everyRow(ref, "update", s.WhereClause)
	return a.returning(sc, ref, s.ReturningList, use)
}

func (a *analyzer) delete(sc *scope, s *pg.DeleteStmt, use access.Use) result {
	a.with(sc, s.WithClause)
	ref := a.target(s.Relation, "delete")
	a.fromWithTarget(sc, ref, s.UsingClause)
	a.where(sc, s.WhereClause)
	a.everyRow(ref, "delete", s.WhereClause)
	return a.returning(sc, ref, s.ReturningList, use)
}

// everyRow notes a change of existing rows that none of its conditions, walked before, narrows down.
func (a *analyzer) everyRow(ref *pgtree.Ref, verb string, conditions ...*pg.Node) {
	for _, c := range conditions {
		if a.narrows(c, ref) {
			return
		}
	}
	a.act(ref.Relation, access.ActWrite, verb).every = true
}

// fromWithTarget adds the target and the FROM list to the level. FROM items cannot look at the
// target, not even LATERAL ones.
func (a *analyzer) fromWithTarget(sc *scope, ref *pgtree.Ref, ns []*pg.Node) {
	it := a.targetItem(ref)
	it.lateralOnly, it.lateralOK = true, false
	sc.items = []*item{it}
	a.from(sc, ns)
}

func (a *analyzer) merge(sc *scope, s *pg.MergeStmt) result {
	a.with(sc, s.WithClause)
	ref := a.target(s.Relation, "merge")
	_, space := a.fromItem(sc, s.SourceRelation)
	tgt := a.targetItem(ref)
	a.checkConflicts([]*item{tgt}, space)
	lateral(space, false, true)
	both := append(append([]*item{}, space...), tgt)
	sc.items = both
	a.where(sc, s.JoinCondition)
	a.facts.Stores = true
	for _, n := range s.MergeWhenClauses {
		w := n.GetMergeWhenClause()
		if w == nil {
			a.unknown("MERGE", n.GetNode())
		}
		a.mergeWhen(sc, ref, w, both, space)
		switch w.CommandType {
		case pg.CmdType_CMD_UPDATE:
			a.everyRow(ref, "update", s.JoinCondition, w.Condition)
		case pg.CmdType_CMD_DELETE:
			a.everyRow(ref, "delete", s.JoinCondition, w.Condition)
		}
	}
	a.readsTarget(ref)
	sc.items = both
	return result{decides: sc.decides}
}

// mergeWhen walks one WHEN clause. NOT MATCHED sees the source only.
func (a *analyzer) mergeWhen(sc *scope, ref *pgtree.Ref, w *pg.MergeWhenClause, both, source []*item) {
	sc.items = both
	if !w.Matched {
		sc.items = source
	}
	a.where(sc, w.Condition)
	switch w.CommandType {
	case pg.CmdType_CMD_UPDATE:
		a.act(ref.Relation, access.ActWrite, "update")
		a.setClause(sc, ref, w.TargetList, "update")
	case pg.CmdType_CMD_INSERT:
		a.act(ref.Relation, access.ActWrite, "insert")
		for _, n := range w.TargetList {
			t := n.GetResTarget()
			if t == nil {
				a.unknown("MERGE ... INSERT", n.GetNode())
			}
			a.assign(newScope(nil), ref, t, "insert")
		}
		a.rowItems(sc, w.Values, access.UseStore)
		if w.TargetList == nil {
			a.assignFirst(ref, len(w.Values), false)
		}
	case pg.CmdType_CMD_DELETE:
		a.act(ref.Relation, access.ActWrite, "delete")
	case pg.CmdType_CMD_NOTHING:
	default:
		a.unknown("MERGE", w.CommandType)
	}
}

// indexElem walks a column or expression of an index definition.
func (a *analyzer) indexElem(sc *scope, n *pg.Node, use access.Use) {
	e := n.GetIndexElem()
	if e == nil {
		a.unknown("an index", n.GetNode())
	}
	a.namedColumn(sc, e.Name, use)
	a.expr(sc, e.Expr, use)
	a.defElems(e.Opclassopts)
}

// defElems walks a list of name = value options. Values are constants, names and types.
func (a *analyzer) defElems(ns []*pg.Node) {
	for _, n := range ns {
		d := n.GetDefElem()
		if d == nil {
			a.unknown("an option list", n.GetNode())
		}
		a.optionValue(d.Arg)
	}
}

// optionValue walks the value of an option: no expression can stand there.
func (a *analyzer) optionValue(n *pg.Node) {
	switch n := n.GetNode().(type) {
	case nil, *pg.Node_String_, *pg.Node_Integer, *pg.Node_Float, *pg.Node_Boolean, *pg.Node_AConst, *pg.Node_AStar:
	case *pg.Node_List:
		for _, i := range n.List.Items {
			a.optionValue(i)
		}
	case *pg.Node_TypeName:
		// Options spell plain words as types; only the words count.
		a.visit(n.TypeName)
	case *pg.Node_TypeCast:
		a.typeName(n.TypeCast.TypeName)
		a.optionValue(n.TypeCast.Arg)
	case *pg.Node_DefElem:
		a.optionValue(n.DefElem.Arg)
	default:
		a.unknown("an option", n)
	}
}
