package mask

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/pgtree"
)

// lookups moves each equality that the decision grants below the mask: `email = $1` as a top-level
// AND condition of the WHERE of the level that the relation stands in. There it compares the raw
// value, as the grant says; anywhere else the comparison stays and sees the mask's output. For a
// target, which has no subquery to move it into, the reference in the condition stays raw.
//
// A parameter may be a value or a token: it is compared as what it is. The server finds that out before it looks at a
// row, so an index still serves values.
func (c *compiler) lookups() error {
	var err error
	either := func(ref *pgtree.Ref, cr *pg.ColumnRef, cond *pg.Node) {
		n, e := c.masked(ref).either(c.in.Masks, c.in.Tree.Cols[cr].Name, cr, cond)
		if e != nil && err == nil {
			err = e
		}
		if n != nil {
			cond.Node = n.Node
		}
	}
	c.eachLookup(func(ref *pgtree.Ref, cr *pg.ColumnRef, cond *pg.Node) bool {
		c.probes.compare(cond.GetAExpr())
		c.raw[cr] = true
		if ref.Target {
			either(ref, cr, cond)
			return false
		}
		col := c.in.Tree.Cols[cr]
		cr.Fields = []*pg.Node{pg.MakeStrNode(col.Name)}
		if e := cond.GetAExpr(); e.Kind == pg.A_Expr_Kind_AEXPR_OP && c.masked(ref).rel.Column(col.Name).TypeOID < firstUserOID {
			e.Name = []*pg.Node{pg.MakeStrNode("pg_catalog"), pg.MakeStrNode("=")}
		}
		either(ref, cr, cond)
		c.pushed[ref] = append(c.pushed[ref], cond)
		return true
	})
	return err
}

// eachLookup calls f for every condition that is a granted lookup; f tells whether it took it away.
func (c *compiler) eachLookup(f func(*pgtree.Ref, *pg.ColumnRef, *pg.Node) bool) {
	granted := false
	for _, m := range c.masks {
		granted = granted || len(m.lookup) > 0
	}
	if !granted {
		return
	}
	walkNode(c.in.Tree.Stmt, func(n any) bool {
		switch s := n.(type) {
		case *pg.SelectStmt:
			s.WhereClause = c.conjuncts(s.WhereClause, c.plainRefs(s.FromClause), f)
		case *pg.UpdateStmt:
			s.WhereClause = c.conjuncts(s.WhereClause, c.withTarget(s.Relation, s.FromClause), f)
		case *pg.DeleteStmt:
			s.WhereClause = c.conjuncts(s.WhereClause, c.withTarget(s.Relation, s.UsingClause), f)
		}
		return true
	})
}

// plainRefs are the relations of a FROM list that no outer join can extend with NULLs: a condition on
// those means the same below the join.
func (c *compiler) plainRefs(from []*pg.Node) map[*pgtree.Ref]bool {
	out := map[*pgtree.Ref]bool{}
	var item func(n *pg.Node)
	item = func(n *pg.Node) {
		switch n := n.GetNode().(type) {
		case *pg.Node_RangeVar:
			if ref := c.in.Tree.Refs[n.RangeVar]; ref != nil {
				out[ref] = true
			}
		case *pg.Node_RangeTableSample:
			// Filtering before sampling is not filtering after: such a lookup sees masked values.
		case *pg.Node_JoinExpr:
			j := n.JoinExpr
			if j.Jointype == pg.JoinType_JOIN_INNER || j.Jointype == pg.JoinType_JOIN_LEFT {
				item(j.Larg)
			}
			if j.Jointype == pg.JoinType_JOIN_INNER || j.Jointype == pg.JoinType_JOIN_RIGHT {
				item(j.Rarg)
			}
		}
	}
	for _, n := range from {
		item(n)
	}
	return out
}

func (c *compiler) withTarget(target *pg.RangeVar, from []*pg.Node) map[*pgtree.Ref]bool {
	out := c.plainRefs(from)
	if ref := c.in.Tree.Refs[target]; ref != nil {
		out[ref] = true
	}
	return out
}

// conjuncts offers each AND condition of where to f and gives what is left of it.
func (c *compiler) conjuncts(where *pg.Node, refs map[*pgtree.Ref]bool, f func(*pgtree.Ref, *pg.ColumnRef, *pg.Node) bool) *pg.Node {
	if where == nil || len(refs) == 0 {
		return where
	}
	if b := where.GetBoolExpr(); b != nil && b.Boolop == pg.BoolExprType_AND_EXPR {
		var left []*pg.Node
		for _, arg := range b.Args {
			if arg = c.conjuncts(arg, refs, f); arg != nil {
				left = append(left, arg)
			}
		}
		switch len(left) {
		case 0:
			return nil
		case 1:
			return left[0]
		}
		b.Args = left
		return where
	}
	e := where.GetAExpr()
	if e == nil {
		return where
	}
	cr := c.comparison(e)
	if cr == nil {
		return where
	}
	col := c.in.Tree.Cols[cr]
	if col == nil || col.Ref == nil || !refs[col.Ref] || col.Star || col.WholeRow || col.Excluded {
		return where
	}
	if m := c.masked(col.Ref); m == nil || !m.lookup[col.Name] || m.tokens(col.Name, e) {
		return where
	}
	if f(col.Ref, cr, where) {
		return nil
	}
	return where
}

// tokens says whether a comparison is with tokens of the column, and so with what its mask gives. That is for
// texts and uuids; a number could be a token or a value.
func (m *maskedRelation) tokens(column string, e *pg.A_Expr) bool {
	g, ok := m.sentinels[column]
	if !ok || m.cols[column].Kind != Token {
		return false
	}
	all, some := true, false
	_, array := listItems(e)
	walk(e.ProtoReflect(), func(n any) bool {
		switch n := n.(type) {
		case *pg.ParamRef:
			all = false
		case *pg.A_Const:
			some = true
			items := []string{n.GetSval().GetSval()}
			if array {
				items, _ = arrayItems(items[0])
			}
			all = all && n.GetSval() != nil && !g.number && len(items) > 0 && !slices.ContainsFunc(items, func(s string) bool { return !g.matches(s) })
		}
		return true
	})
	return some && all
}

// comparison gives the column of `column = constant`, `constant = column`, `column IN (constants)` or
// `column = ANY (constant)`, else nil. Whole values only: no operator but the one named =.
func (c *compiler) comparison(e *pg.A_Expr) *pg.ColumnRef {
	if len(e.Name) != 1 || e.Name[0].GetString_().GetSval() != "=" {
		return nil
	}
	l, r := e.Lexpr, e.Rexpr
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_OP:
		if l.GetColumnRef() == nil {
			l, r = r, l
		}
		if constant(r) {
			return l.GetColumnRef()
		}
	case pg.A_Expr_Kind_AEXPR_IN:
		for _, item := range r.GetList().GetItems() {
			if !constant(item) {
				return nil
			}
		}
		if r.GetList() != nil {
			return l.GetColumnRef()
		}
	case pg.A_Expr_Kind_AEXPR_OP_ANY:
		if a := r.GetAArrayExpr(); a != nil {
			for _, item := range a.Elements {
				if !constant(item) {
					return nil
				}
			}
			return l.GetColumnRef()
		}
		if constant(r) {
			return l.GetColumnRef()
		}
	}
	return nil
}

// constant tells whether a node is a value that the client gave: nothing in it can look at a row.
func constant(n *pg.Node) bool {
	switch n := n.GetNode().(type) {
	case *pg.Node_AConst, *pg.Node_ParamRef:
		return true
	case *pg.Node_TypeCast:
		return constant(n.TypeCast.Arg)
	}
	return false
}
