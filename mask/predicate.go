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
	c.eachPredicate(func(p rawPredicate) bool {
		comparisonsOnly(p.cond, func(cr *pg.ColumnRef, e *pg.A_Expr) bool {
			if e != nil && e.Kind == pg.A_Expr_Kind_AEXPR_OP && len(e.Name) == 1 {
				e.Name = []*pg.Node{pg.MakeStrNode("pg_catalog"), e.Name[0]}
			}
			return true
		})
		for _, cr := range p.cols {
			c.raw[cr] = true
			cr.Fields = []*pg.Node{pg.MakeStrNode(c.in.Tree.Cols[cr].Name)}
		}
		c.probes.Fixed += p.probes.Fixed
		c.probes.Lists = append(c.probes.Lists, p.probes.Lists...)
		c.probes.Varies = c.probes.Varies || p.probes.Varies
		c.pushed[p.ref] = append(c.pushed[p.ref], p.cond)
		return true
	})
	return nil
}

// rawPredicate is a condition that may compare raw values.
type rawPredicate struct {
	cond   *pg.Node
	ref    *pgtree.Ref // the relation that it looks at
	cols   []*pg.ColumnRef
	probes Probes
}

// eachPredicate calls f for every such condition; f tells whether it took it away.
func (c *compiler) eachPredicate(f func(rawPredicate) bool) {
	granted := false
	for _, m := range c.masks {
		granted = granted || len(m.predicate) > 0
	}
	if !granted {
		return
	}
	take := func(where *pg.Node, from []*pg.Node) *pg.Node {
		refs, left := c.plainRefs(from), []*pg.Node(nil)
		if where == nil || len(refs) == 0 {
			return where
		}
		for _, cond := range conjuncts(where) {
			if p, ok := c.rawPredicate(cond, refs); !ok || !f(p) {
				left = append(left, cond)
			}
		}
		if len(left) == len(conjuncts(where)) {
			return where
		}
		return all(left)
	}
	walkNode(c.in.Tree.Stmt, func(n any) bool {
		switch s := n.(type) {
		case *pg.SelectStmt:
			s.WhereClause = take(s.WhereClause, s.FromClause)
		case *pg.UpdateStmt:
			s.WhereClause = take(s.WhereClause, s.FromClause)
		case *pg.DeleteStmt:
			s.WhereClause = take(s.WhereClause, s.UsingClause)
		}
		return true
	})
}

func (c *compiler) rawPredicate(cond *pg.Node, refs map[*pgtree.Ref]bool) (rawPredicate, bool) {
	p := rawPredicate{cond: cond}
	raw, fits := false, true
	ok := comparisonsOnly(cond, func(cr *pg.ColumnRef, e *pg.A_Expr) bool {
		col := c.in.Tree.Cols[cr]
		if col == nil || col.Ref == nil || !refs[col.Ref] || p.ref != nil && col.Ref != p.ref || col.Star || col.WholeRow || col.Ref.Target {
			return false
		}
		p.ref = col.Ref
		m := c.masked(p.ref)
		if m == nil || m.rel.Column(col.Name) == nil || m.rel.Column(col.Name).TypeOID >= firstUserOID || e != nil && m.tokens(col.Name, e) {
			return false
		}
		if _, masked := m.cols[col.Name]; masked {
			fits = fits && m.predicate[col.Name]
			raw = true
			if e == nil {
				p.probes.Fixed++ // IS NULL
			} else {
				p.probes.compare(e)
			}
		}
		p.cols = append(p.cols, cr)
		return true
	})
	return p, ok && fits && raw
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
