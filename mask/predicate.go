package mask

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/pgtree"
)

// predicates moves conditions over columns that may be compared raw below the mask, as lookups does: there they decide
// which rows there are, and nothing else of the statement sees what they look at. A condition goes as a whole, if it is
// made of comparisons of one relation's columns with constants, and each masked column in it may be compared. In
// other places, and in any other form, it sees the mask.
func (c *compiler) predicates() error {
	granted := false
	for _, m := range c.masks {
		granted = granted || len(m.predicate) > 0
	}
	if !granted {
		return nil
	}
	walkNode(c.in.Tree.Stmt, func(n any) bool {
		if s, ok := n.(*pg.SelectStmt); ok {
			s.WhereClause = c.pushPredicates(s.WhereClause, c.plainRefs(s.FromClause))
		}
		return true
	})
	return nil
}

// pushPredicates gives what is left of a WHERE.
func (c *compiler) pushPredicates(where *pg.Node, refs map[*pgtree.Ref]bool) *pg.Node {
	if where == nil || len(refs) == 0 {
		return where
	}
	var left []*pg.Node
	for _, cond := range conjuncts(where) {
		if !c.pushPredicate(cond, refs) {
			left = append(left, cond)
		}
	}
	return all(left)
}

func (c *compiler) pushPredicate(cond *pg.Node, refs map[*pgtree.Ref]bool) bool {
	var ref *pgtree.Ref
	raw, fits := false, true
	var cols []*pg.ColumnRef
	var probes Probes
	ok := comparisonsOnly(cond, func(cr *pg.ColumnRef, e *pg.A_Expr) bool {
		col := c.in.Tree.Cols[cr]
		if col == nil || col.Ref == nil || !refs[col.Ref] || ref != nil && col.Ref != ref || col.Star || col.WholeRow || col.Ref.Target {
			return false
		}
		ref = col.Ref
		m := c.masked(ref)
		if m == nil || m.rel.Column(col.Name) == nil || m.rel.Column(col.Name).TypeOID >= firstUserOID || e != nil && m.tokens(col.Name, e) {
			return false
		}
		if _, masked := m.cols[col.Name]; masked {
			fits = fits && m.predicate[col.Name]
			raw = true
			if e == nil {
				probes.Fixed++ // IS NULL
			} else {
				probes.compare(e)
			}
		}
		cols = append(cols, cr)
		return true
	})
	if !ok || !fits || !raw {
		return false
	}
	comparisonsOnly(cond, func(cr *pg.ColumnRef, e *pg.A_Expr) bool {
		if e != nil && e.Kind == pg.A_Expr_Kind_AEXPR_OP && len(e.Name) == 1 {
			e.Name = []*pg.Node{pg.MakeStrNode("pg_catalog"), e.Name[0]}
		}
		return true
	})
	for _, cr := range cols {
		c.raw[cr] = true
		cr.Fields = []*pg.Node{pg.MakeStrNode(c.in.Tree.Cols[cr].Name)}
	}
	c.probes.Fixed += probes.Fixed
	c.probes.Lists = append(c.probes.Lists, probes.Lists...)
	c.probes.Varies = c.probes.Varies || probes.Varies
	c.pushed[ref] = append(c.pushed[ref], cond)
	return true
}

// comparisonsOnly tells whether a condition is made by AND, OR and NOT of comparisons of a column with constants that f
// lets pass; e is nil for IS NULL. None of them calls what has an effect, and a constant is no other type's than it looks.
func comparisonsOnly(n *pg.Node, f func(cr *pg.ColumnRef, e *pg.A_Expr) bool) bool {
	if b := n.GetBoolExpr(); b != nil {
		return !slices.ContainsFunc(b.Args, func(n *pg.Node) bool { return !comparisonsOnly(n, f) })
	}
	if t := n.GetNullTest(); t != nil {
		return t.Arg.GetColumnRef() != nil && f(t.Arg.GetColumnRef(), nil)
	}
	e := n.GetAExpr()
	if e == nil || len(e.Name) > 2 || len(e.Name) == 2 && e.Name[0].GetString_().GetSval() != "pg_catalog" {
		return false
	}
	ops, values := []string{"=", "<>", "<", "<=", ">", ">="}, []*pg.Node{e.Rexpr}
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_OP:
	case pg.A_Expr_Kind_AEXPR_LIKE, pg.A_Expr_Kind_AEXPR_ILIKE:
		ops = []string{"~~", "!~~", "~~*", "!~~*"}
	case pg.A_Expr_Kind_AEXPR_OP_ANY:
		ops = ops[:1]
		if a := e.Rexpr.GetAArrayExpr(); a != nil {
			values = a.Elements
		}
	case pg.A_Expr_Kind_AEXPR_IN:
		ops, values = ops[:2], e.Rexpr.GetList().GetItems()
	case pg.A_Expr_Kind_AEXPR_BETWEEN, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN:
		ops, values = []string{"BETWEEN", "NOT BETWEEN"}, e.Rexpr.GetList().GetItems()
	default:
		return false
	}
	if !slices.Contains(ops, lastName(e.Name)) || len(values) == 0 || e.Lexpr.GetColumnRef() == nil {
		return false
	}
	for _, v := range values {
		if v.GetAConst() == nil && v.GetParamRef() == nil {
			return false
		}
	}
	return f(e.Lexpr.GetColumnRef(), e)
}

// predicate tells whether a condition in the subquery of a relation is one that looks at what may be compared raw, and at
// columns that are not masked.
func (v *verifier) predicate(m *maskedRelation, n *pg.Node) bool {
	return len(m.predicate) > 0 && comparisonsOnly(n, func(cr *pg.ColumnRef, e *pg.A_Expr) bool {
		name := parts(cr)
		if len(name) != 1 || m.rel.Column(name[0]) == nil || e != nil && e.Kind == pg.A_Expr_Kind_AEXPR_OP && len(e.Name) != 2 {
			return false
		}
		_, masked := m.cols[name[0]]
		return !masked || m.predicate[name[0]]
	})
}
