package postgres

import (
	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
)

// documentExpr walks the SQL/XML and SQL/JSON syntax that is not spelled as a function call. All of it
// computes on its arguments only.
func (a *analyzer) documentExpr(sc *scope, node any, use access.Use) value {
	switch n := node.(type) {
	case *pg.Node_XmlExpr:
		v := a.resTargets(sc, n.XmlExpr.NamedArgs, use)
		return join(v, a.exprs(sc, n.XmlExpr.Args, use))
	case *pg.Node_XmlSerialize:
		a.typeName(n.XmlSerialize.TypeName)
		return join(a.expr(sc, n.XmlSerialize.Expr, use))
	case *pg.Node_JsonObjectConstructor:
		a.jsonOutput(n.JsonObjectConstructor.Output)
		return a.exprs(sc, n.JsonObjectConstructor.Exprs, use)
	case *pg.Node_JsonArrayConstructor:
		a.jsonOutput(n.JsonArrayConstructor.Output)
		return a.exprs(sc, n.JsonArrayConstructor.Exprs, use)
	case *pg.Node_JsonArrayQueryConstructor:
		a.jsonOutput(n.JsonArrayQueryConstructor.Output)
		res := a.query(newScope(sc), n.JsonArrayQueryConstructor.Query, use)
		v := value{src: union(res.all().src, res.decides)}
		a.mark(sc, v, use)
		return v
	case *pg.Node_JsonObjectAgg:
		v := a.jsonAgg(sc, n.JsonObjectAgg.Constructor, use)
		return join(v, a.jsonPair(sc, n.JsonObjectAgg.Arg, use))
	case *pg.Node_JsonArrayAgg:
		v := a.jsonAgg(sc, n.JsonArrayAgg.Constructor, use)
		return join(v, a.jsonValue(sc, n.JsonArrayAgg.Arg, use))
	case *pg.Node_JsonIsPredicate:
		return join(a.expr(sc, n.JsonIsPredicate.Expr, use))
	case *pg.Node_JsonValueExpr:
		return a.jsonValue(sc, n.JsonValueExpr, use)
	case *pg.Node_JsonKeyValue:
		return a.jsonPair(sc, n.JsonKeyValue, use)
	default:
		a.unknown("an XML or JSON expression", n)
		return value{}
	}
}

func (a *analyzer) jsonValue(sc *scope, v *pg.JsonValueExpr, use access.Use) value {
	if v == nil {
		return value{}
	}
	return join(a.expr(sc, v.RawExpr, use), a.expr(sc, v.FormattedExpr, use))
}

func (a *analyzer) jsonPair(sc *scope, p *pg.JsonKeyValue, use access.Use) value {
	if p == nil {
		return value{}
	}
	return join(a.expr(sc, p.Key, use), a.jsonValue(sc, p.Value, use))
}

func (a *analyzer) jsonOutput(o *pg.JsonOutput) {
	if o != nil {
		a.typeName(o.TypeName)
	}
}

func (a *analyzer) jsonAgg(sc *scope, c *pg.JsonAggConstructor, use access.Use) value {
	if c == nil {
		return value{}
	}
	a.jsonOutput(c.Output)
	v := join(a.expr(sc, c.AggFilter, use))
	for _, n := range c.AggOrder {
		v = join(v, a.sortBy(sc, n, use))
	}
	if c.Over != nil {
		v = join(v, a.window(sc, c.Over))
	}
	return v
}

// resTargets walks expressions that are wrapped as targets, as XMLFOREST's are.
func (a *analyzer) resTargets(sc *scope, ns []*pg.Node, use access.Use) value {
	var v value
	for _, n := range ns {
		t := n.GetResTarget()
		if t == nil {
			a.unknown("a named argument", n.GetNode())
		}
		v = join(v, a.expr(sc, t.Val, use))
	}
	return v
}
