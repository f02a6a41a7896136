package postgres

import (
	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
)

// expr walks an expression at level sc whose value is used as use says, and gives what the value can
// depend on. It has a case for every node that the grammar can put into an expression; any other is
// refused.
func (a *analyzer) expr(sc *scope, n *pg.Node, use access.Use) value {
	a.spend(10)
	switch n := n.GetNode().(type) {
	case nil:
		return value{}
	case *pg.Node_ColumnRef:
		return a.columnRef(sc, n.ColumnRef, use)
	case *pg.Node_AConst:
		return value{typ: constType(n.AConst)}
	case *pg.Node_SetToDefault:
		return value{}
	case *pg.Node_CurrentOfExpr:
		a.facts.CurrentRow = true
		return value{}
	case *pg.Node_ParamRef:
		a.param(n.ParamRef)
		return value{typ: a.paramType(n.ParamRef)}
	case *pg.Node_AExpr:
		return a.aexpr(sc, n.AExpr, use)
	case *pg.Node_BoolExpr:
		return a.exprs(sc, n.BoolExpr.Args, use).of(boolean)
	case *pg.Node_NullTest:
		return join(a.expr(sc, n.NullTest.Arg, use)).of(boolean)
	case *pg.Node_BooleanTest:
		return join(a.expr(sc, n.BooleanTest.Arg, use)).of(boolean)
	case *pg.Node_TypeCast:
		return a.typeCast(sc, n.TypeCast, use)
	case *pg.Node_CollateClause:
		return a.expr(sc, n.CollateClause.Arg, use) // the value is passed through
	case *pg.Node_FuncCall:
		return a.call(sc, n.FuncCall, use)
	case *pg.Node_NamedArgExpr:
		return a.expr(sc, n.NamedArgExpr.Arg, use)
	case *pg.Node_SubLink:
		return a.subLink(sc, n.SubLink, use)
	case *pg.Node_CaseExpr:
		return a.caseExpr(sc, n.CaseExpr, use)
	case *pg.Node_AArrayExpr:
		v := a.exprs(sc, n.AArrayExpr.Elements, use)
		a.passed = union(a.passed, v.src)
		return v.of(computed(v.typ))
	case *pg.Node_RowExpr:
		return a.rowExpr(sc, n.RowExpr, use)
	case *pg.Node_List:
		return a.exprs(sc, n.List.Items, use)
	case *pg.Node_CoalesceExpr:
		return a.exprs(sc, n.CoalesceExpr.Args, use)
	case *pg.Node_MinMaxExpr:
		return a.compares(a.exprs(sc, n.MinMaxExpr.Args, use))
	case *pg.Node_GroupingFunc:
		return a.exprs(sc, n.GroupingFunc.Args, use).of(someBuiltin)
	case *pg.Node_SqlvalueFunction:
		return value{typ: someBuiltin} // current_user, current_date ...: the session's own, no data
	case *pg.Node_AIndirection:
		return a.indirection(sc, n.AIndirection, use)
	case *pg.Node_MultiAssignRef:
		return a.expr(sc, n.MultiAssignRef.Source, use)
	case *pg.Node_XmlExpr, *pg.Node_XmlSerialize, *pg.Node_JsonObjectConstructor, *pg.Node_JsonArrayConstructor,
		*pg.Node_JsonArrayQueryConstructor, *pg.Node_JsonObjectAgg, *pg.Node_JsonArrayAgg, *pg.Node_JsonIsPredicate,
		*pg.Node_JsonValueExpr, *pg.Node_JsonKeyValue:
		return a.documentExpr(sc, n, use)
	default:
		a.unknown("an expression", n)
		return value{}
	}
}

// exprs walks several expressions. The type is that of one of them, whichever is taken.
func (a *analyzer) exprs(sc *scope, ns []*pg.Node, use access.Use) value {
	var v value
	typ := untyped
	for _, n := range ns {
		one := a.expr(sc, n, use)
		v, typ = join(v, one), common(typ, one.typ)
	}
	return v.of(typ.settled())
}

// of gives v the type t.
func (v value) of(t exprType) value {
	v.typ = t
	return v
}

// compares marks the columns that a value depends on as compared; see implicit.
func (a *analyzer) compares(v value) value {
	a.cols.mark(v.src, compared)
	return v
}

func (a *analyzer) param(p *pg.ParamRef) {
	a.facts.Params = max(a.facts.Params, int(p.Number))
}

func (a *analyzer) aexpr(sc *scope, e *pg.A_Expr, use access.Use) value {
	a.visit(e)
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_OP, pg.A_Expr_Kind_AEXPR_OP_ANY, pg.A_Expr_Kind_AEXPR_OP_ALL,
		pg.A_Expr_Kind_AEXPR_DISTINCT, pg.A_Expr_Kind_AEXPR_NOT_DISTINCT, pg.A_Expr_Kind_AEXPR_NULLIF,
		pg.A_Expr_Kind_AEXPR_IN, pg.A_Expr_Kind_AEXPR_LIKE, pg.A_Expr_Kind_AEXPR_ILIKE, pg.A_Expr_Kind_AEXPR_SIMILAR:
		a.operator(e.Name, e.Location)
	case pg.A_Expr_Kind_AEXPR_BETWEEN, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN,
		pg.A_Expr_Kind_AEXPR_BETWEEN_SYM, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
		for _, op := range []string{"<", "<=", ">", ">="} {
			a.operatorNamed("", op, e.Location)
		}
	default:
		a.unknown("an operator expression", e.Kind)
	}
	l, r := a.expr(sc, e.Lexpr, use), a.expr(sc, e.Rexpr, use)
	if e.Lexpr == nil { // a prefix operator
		l.typ = someBuiltin
	}
	return a.compares(join(l, r)).of(a.exprsType(e, l, r))
}

func (a *analyzer) typeCast(sc *scope, c *pg.TypeCast, use access.Use) value {
	ref, name := a.namedType(c.TypeName)
	arg := a.expr(sc, c.Arg, use)
	a.cast(ref, name, arg.typ)
	v := join(arg).of(ref.exprType())
	if ref.relation != nil {
		v.row = fields(ref.relation, v.src)
	}
	return v
}

func (a *analyzer) caseExpr(sc *scope, c *pg.CaseExpr, use access.Use) value {
	v, typ := a.compares(join(a.expr(sc, c.Arg, use))), untyped
	if c.Arg != nil {
		a.operatorNamed("", "=", c.Location)
	}
	for _, n := range c.Args {
		w := n.GetCaseWhen()
		if w == nil {
			a.unknown("CASE", n.GetNode())
		}
		when, then := a.expr(sc, w.Expr, use), a.expr(sc, w.Result, use)
		v, typ = join(v, when, then), common(typ, then.typ)
	}
	if c.Defresult == nil {
		return join(v).of(typ.settled())
	}
	other := a.expr(sc, c.Defresult, use)
	return join(v, other).of(common(typ, other.typ).settled())
}

// rowExpr walks ROW(...), in which r.* stands for the columns of r.
func (a *analyzer) rowExpr(sc *scope, r *pg.RowExpr, use access.Use) value {
	return a.rowItems(sc, r.Args, use)
}

// rowItems walks a list in which the server expands stars: ROW(...) and VALUES.
func (a *analyzer) rowItems(sc *scope, ns []*pg.Node, use access.Use) value {
	var v value
	width := 0
	for _, n := range ns {
		if width++; width > maxColumns {
			a.fail(-1, "54011", "ROW expressions can have at most %d entries", maxColumns)
		}
		if cr := starRef(n); cr != nil {
			cols, _, rest := a.expandStar(sc, cr, use)
			width += len(cols) - 1
			v = join(v, rest)
			for _, c := range cols {
				v = join(v, c.value)
			}
			continue
		}
		v = join(v, a.expr(sc, n, use))
	}
	return v
}

// starRef gives the reference that n is, if it ends in a star.
func starRef(n *pg.Node) *pg.ColumnRef {
	cr := n.GetColumnRef()
	if cr == nil {
		return nil
	}
	if _, star := refParts(cr); !star {
		return nil
	}
	return cr
}

// subLink walks a subquery in an expression. Its value depends on what it gives and on what decides
// which rows it has.
func (a *analyzer) subLink(sc *scope, s *pg.SubLink, use access.Use) value {
	v := a.compares(join(a.expr(sc, s.Testexpr, use)))
	switch s.SubLinkType {
	case pg.SubLinkType_ANY_SUBLINK, pg.SubLinkType_ALL_SUBLINK:
		if len(s.OperName) > 0 {
			a.operator(s.OperName, s.Location)
		} else {
			a.operatorNamed("", "=", s.Location) // IN
		}
	case pg.SubLinkType_EXISTS_SUBLINK, pg.SubLinkType_EXPR_SUBLINK, pg.SubLinkType_ARRAY_SUBLINK:
	default:
		a.unknown("a subquery", s.SubLinkType)
	}
	inner := use
	if s.SubLinkType == pg.SubLinkType_EXISTS_SUBLINK {
		inner = 0 // its columns are never looked at
	}
	res := a.query(newScope(sc), s.Subselect, inner)
	sub := value{src: res.decides}
	if s.SubLinkType != pg.SubLinkType_EXISTS_SUBLINK {
		sub.src = union(sub.src, res.all().src)
	}
	a.mark(sc, sub, use)
	v = join(v, sub).of(boolean)
	switch {
	case s.SubLinkType != pg.SubLinkType_EXPR_SUBLINK && s.SubLinkType != pg.SubLinkType_ARRAY_SUBLINK:
		return v
	case len(res.cols) != 1 || res.open:
		return v.of(anyType)
	case s.SubLinkType == pg.SubLinkType_ARRAY_SUBLINK:
		return v.of(computed(res.cols[0].typ))
	}
	v.row = res.cols[0].row
	return v.of(res.cols[0].typ)
}

// indirection walks (x).field, x[i] and mixtures.
func (a *analyzer) indirection(sc *scope, ind *pg.A_Indirection, use access.Use) value {
	v := a.rowValue(sc, ind.Arg, use)
	first := true
	for _, n := range ind.Indirection {
		switch n := n.GetNode().(type) {
		case *pg.Node_AIndices:
			idx := join(a.expr(sc, n.AIndices.Lidx, use), a.expr(sc, n.AIndices.Uidx, use))
			v = value{src: union(v.src, idx.src), typ: computed(v.typ)}
		case *pg.Node_String_:
			v = a.field(sc, v, n.String_.Sval, first, use)
		case *pg.Node_AStar:
			a.mark(sc, v, use) // (x).*, a whole row outside a select list
		default:
			a.unknown("a field selection", n)
		}
		first = false
	}
	a.mark(sc, v, use)
	return v
}

// field picks a field off a row value. A row of known shape gives the column itself.
func (a *analyzer) field(sc *scope, v value, name string, first bool, use access.Use) value {
	if v.row == nil {
		// Of a value whose columns are not known here the server takes (v).f as f(v) where it can.
		if len(a.functions([]string{name}, -1)) > 0 {
			a.refuse(-1, "write a function as f(x)", "(...).%s can mean a call of the function %s", name, name)
		}
		return value{src: v.src, row: nil}
	}
	for _, c := range v.row {
		if c.name == name {
			out := c.value
			out.plain = out.plain && first
			return out
		}
	}
	// The server takes (r).f as f(r) where r has no column f.
	a.refuse(-1, "write a function of a row as f(r)", "column %q does not exist in this row", name)
	return value{}
}
