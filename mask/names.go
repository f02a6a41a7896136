package mask

import (
	pg "github.com/pganalyze/pg_query_go/v5"
)

// noteNames keeps the name that each unnamed select-list item has in the original statement.
func (c *compiler) noteNames() {
	walkNode(c.in.Tree.Stmt, func(n any) bool {
		if t, ok := n.(*pg.ResTarget); ok && t.Name == "" && t.Val != nil && !isStar(t.Val) {
			c.names[t] = figureName(t.Val)
		}
		return true
	})
}

// keepNames gives items whose name the rewriting changed their old name back, with AS. All are found before any is
// named: an item may have its name from one below it, and the same statement has to become the same text each time.
func (c *compiler) keepNames() error {
	var lost []*pg.ResTarget
	for t, name := range c.names {
		if name != "" && figureName(t.Val) != name {
			lost = append(lost, t)
		}
	}
	for _, t := range lost {
		t.Name = c.names[t]
	}
	return nil
}

func isStar(n *pg.Node) bool {
	fields := n.GetColumnRef().GetFields()
	if ind := n.GetAIndirection(); ind != nil {
		fields = ind.Indirection
	}
	return len(fields) > 0 && fields[len(fields)-1].GetAStar() != nil
}

// figureName is FigureColname of PostgreSQL's parse_target.c as far as it can depend on a column
// reference; for anything else it gives "" before and after the rewriting alike.
func figureName(n *pg.Node) string {
	name, _ := figure(n)
	return name
}

// figure gives the name and whether it is a good one (strength 2 there).
func figure(n *pg.Node) (string, bool) {
	switch x := n.GetNode().(type) {
	case *pg.Node_ColumnRef:
		return lastName(x.ColumnRef.Fields), true
	case *pg.Node_AIndirection:
		if s := lastName(x.AIndirection.Indirection); s != "" {
			return s, true
		}
		return figure(x.AIndirection.Arg)
	case *pg.Node_FuncCall:
		return lastName(x.FuncCall.Funcname), true
	case *pg.Node_CollateClause:
		return figure(x.CollateClause.Arg)
	case *pg.Node_TypeCast:
		if s, good := figure(x.TypeCast.Arg); good {
			return s, true
		}
		return lastName(x.TypeCast.TypeName.GetNames()), false
	case *pg.Node_CaseExpr:
		if s, good := figure(x.CaseExpr.Defresult); good {
			return s, true
		}
		return "case", false
	case *pg.Node_SubLink:
		if x.SubLink.SubLinkType != pg.SubLinkType_EXPR_SUBLINK {
			return "", x.SubLink.SubLinkType == pg.SubLinkType_ARRAY_SUBLINK || x.SubLink.SubLinkType == pg.SubLinkType_EXISTS_SUBLINK
		}
		q := x.SubLink.Subselect.GetSelectStmt()
		for q != nil && q.Larg != nil {
			q = q.Larg // the leftmost arm names the columns of a set operation
		}
		if q == nil || len(q.TargetList) == 0 {
			return "", false
		}
		t := q.TargetList[0].GetResTarget()
		if t.GetName() != "" {
			return t.Name, true
		}
		return figure(t.GetVal())
	}
	return "", false
}

// lastName gives the last plain name of a list, or "".
func lastName(ns []*pg.Node) string {
	for i := len(ns) - 1; i >= 0; i-- {
		if s := ns[i].GetString_(); s != nil {
			return s.Sval
		}
	}
	return ""
}
