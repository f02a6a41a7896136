package mask

import (
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
)

// sample turns TABLESAMPLE of a masked relation into a condition on random(). Where a row lies depends on how
// long the values before it are, so drawing rows or blocks by place would tell of masked values; drawing them
// by chance does not, and is what BERNOULLI promises. SYSTEM only promises about as many rows. REPEATABLE
// would have to draw by place and is refused.
func sample(s *pg.RangeTableSample, rel access.Name) (*pg.Node, error) {
	percent, ok := 0.0, false
	if method := lastName(s.Method); (method == "bernoulli" || method == "system") && len(s.Args) == 1 && s.Repeatable == nil {
		percent, ok = constNumber(s.Args[0].GetAConst())
	}
	if !ok || percent < 0 || percent > 100 {
		return nil, unsupported("this TABLESAMPLE of "+rel.String()+" is not available where its columns are masked",
			"BERNOULLI or SYSTEM with a constant percentage and without REPEATABLE are")
	}
	tree, err := parseSelect("SELECT WHERE pg_catalog.random() OPERATOR(pg_catalog.<) " + strconv.FormatFloat(percent/100, 'f', 10, 64))
	if err != nil {
		return nil, err
	}
	return tree.GetSelectStmt().WhereClause, nil
}

func constNumber(c *pg.A_Const) (float64, bool) {
	switch v := c.GetVal().(type) {
	case *pg.A_Const_Ival:
		return float64(v.Ival.Ival), true
	case *pg.A_Const_Fval:
		f, err := strconv.ParseFloat(v.Fval.Fval, 64)
		return f, err == nil
	}
	return 0, false
}

// samples reports whether a condition is one that sample makes.
func samples(n *pg.Node) bool {
	e := n.GetAExpr()
	if e == nil || e.Kind != pg.A_Expr_Kind_AEXPR_OP || lastName(e.Name) != "<" || len(e.Name) != 2 || e.Name[0].GetString_().GetSval() != "pg_catalog" {
		return false
	}
	f := e.Lexpr.GetFuncCall()
	return f != nil && len(f.Funcname) == 2 && f.Funcname[0].GetString_().GetSval() == "pg_catalog" && lastName(f.Funcname) == "random" &&
		len(f.Args) == 0 && e.Rexpr.GetAConst().GetFval() != nil
}
