package postgres

import (
	pg "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/reflect/protoreflect"

	"sallyport/internal/pgtree"
)

// narrows says whether a condition, once walked, depends on which row of ref it is asked about. One that
// does not (true, 1 = 1, a condition on other tables) is true for every row or for none. It stops mistakes
// and the cheap ways around it; a condition that happens to hold for every row narrows.
func (a *analyzer) narrows(cond *pg.Node, ref *pgtree.Ref) bool {
	switch n := cond.GetNode().(type) {
	case nil:
		return false
	case *pg.Node_CurrentOfExpr:
		return true
	case *pg.Node_BoolExpr:
		enough := n.BoolExpr.Boolop != pg.BoolExprType_OR_EXPR // one argument that narrows; OR needs all
		for _, arg := range n.BoolExpr.Args {
			if a.narrows(arg, ref) == enough {
				return enough
			}
		}
		return !enough
	case *pg.Node_AExpr:
		if l := a.columnOf(n.AExpr.Lexpr, ref); l != "" && l == a.columnOf(n.AExpr.Rexpr, ref) {
			return false // id = id
		}
	case *pg.Node_NullTest:
		if c := ref.Relation.Column(a.columnOf(n.NullTest.Arg, ref)); c != nil && c.NotNull {
			return false
		}
	}
	return a.looksAt(cond.ProtoReflect(), ref)
}

// columnOf is the column of ref that an expression is, or "".
func (a *analyzer) columnOf(n *pg.Node, ref *pgtree.Ref) string {
	if col := a.t.Cols[n.GetColumnRef()]; col != nil && col.Ref == ref {
		return col.Name
	}
	return ""
}

// looksAt says whether anything below m refers to ref.
func (a *analyzer) looksAt(m protoreflect.Message, ref *pgtree.Ref) bool {
	switch n := m.Interface().(type) {
	case *pg.ColumnRef:
		col := a.t.Cols[n]
		return col != nil && col.Ref == ref
	case *pg.FuncCall:
		if col := a.t.FuncCols[n]; col != nil && col.Ref == ref {
			return true
		}
	}
	found := false
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.Message() == nil:
		case fd.IsList():
			for i := 0; i < v.List().Len() && !found; i++ {
				found = a.looksAt(v.List().Get(i).Message(), ref)
			}
		default:
			found = a.looksAt(v.Message(), ref)
		}
		return !found
	})
	return found
}
