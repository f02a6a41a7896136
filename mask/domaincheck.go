package mask

import (
	"regexp"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
)

// checkRef stands for the value in a domain's constraint.
const checkRef = "sallyport_check"

// maxCheckRefs bounds how often a constraint may name the value: the mask is written out for each.
const maxCheckRefs = 8

// readCheck turns a CHECK constraint of a domain, as pg_get_expr prints it under an empty search_path, into
// a condition over checkRef with every name qualified. It takes only constraints that cannot fail on any
// value, whatever the session's settings: comparisons and patterns over the value and constants. A function
// of a user, a cast of the value, a calculation: it does not know what they do, and says so.
func readCheck(cat *access.Catalog, sql string) (string, bool) {
	if strings.Contains(sql, "sallyport_") { // a literal must not be taken for the placeholder
		return "", false
	}
	tree, err := pg.Parse("SELECT " + sql)
	if err != nil || len(tree.Stmts) != 1 {
		return "", false
	}
	targets := tree.Stmts[0].Stmt.GetSelectStmt().GetTargetList()
	if len(targets) != 1 {
		return "", false
	}
	r := checkReader{cat: cat}
	val := targets[0].GetResTarget().GetVal()
	if !r.total(val) || r.refs > maxCheckRefs {
		return "", false
	}
	text, err := pg.Deparse(&pg.ParseResult{Stmts: []*pg.RawStmt{{Stmt: &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: &pg.SelectStmt{
		TargetList: []*pg.Node{pg.MakeResTargetNodeWithVal(val, -1)}, LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE,
	}}}}}})
	if err != nil {
		return "", false
	}
	return strings.TrimPrefix(text, "SELECT "), true
}

type checkReader struct {
	cat  *access.Catalog
	refs int
}

// total tells whether an expression has a result, not an error, for every value; it renames the value and
// qualifies operators and functions on its way.
func (r *checkReader) total(n *pg.Node) bool {
	switch x := n.GetNode().(type) {
	case *pg.Node_AConst:
		return true
	case *pg.Node_ColumnRef:
		f := x.ColumnRef.Fields
		if len(f) != 1 || f[0].GetString_().GetSval() != "value" {
			return false
		}
		x.ColumnRef.Fields = []*pg.Node{pg.MakeStrNode(checkRef)}
		r.refs++
		return true
	case *pg.Node_TypeCast:
		return r.cast(x.TypeCast)
	case *pg.Node_BoolExpr:
		return r.all(x.BoolExpr.Args)
	case *pg.Node_NullTest:
		return r.total(x.NullTest.Arg)
	case *pg.Node_BooleanTest:
		return r.total(x.BooleanTest.Arg)
	case *pg.Node_AArrayExpr:
		return r.all(x.AArrayExpr.Elements)
	case *pg.Node_AExpr:
		return r.operator(x.AExpr)
	case *pg.Node_FuncCall:
		return r.function(x.FuncCall)
	}
	return false
}

func (r *checkReader) all(ns []*pg.Node) bool {
	return !slices.ContainsFunc(ns, func(n *pg.Node) bool { return !r.total(n) })
}

// comparing are operators without errors: of those that take patterns, the pattern is a constant.
var comparing = []string{"=", "<>", "<", "<=", ">", ">="}
var matching = []string{"~", "!~", "~*", "!~*", "~~", "!~~", "~~*", "!~~*"}

func (r *checkReader) operator(e *pg.A_Expr) bool {
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_OP, pg.A_Expr_Kind_AEXPR_OP_ANY, pg.A_Expr_Kind_AEXPR_OP_ALL:
	default:
		return false
	}
	op := lastName(e.Name)
	pattern := slices.Contains(matching, op)
	if e.Lexpr == nil || !pattern && !slices.Contains(comparing, op) || pattern && !constant(e.Rexpr) {
		return false
	}
	switch {
	case len(e.Name) == 1:
		e.Name = []*pg.Node{pg.MakeStrNode("pg_catalog"), e.Name[0]}
	case len(e.Name) == 2 && r.citextOperator(access.Name{Schema: e.Name[0].GetString_().GetSval(), Name: op}):
	default:
		return false
	}
	return r.total(e.Lexpr) && r.total(e.Rexpr)
}

// citextOperator tells whether an operator outside pg_catalog is one of the extension citext. Other
// extensions may have one of the same name for their own types, users may not.
func (r *checkReader) citextOperator(name access.Name) bool {
	found := false
	for _, op := range r.cat.Operators[name.Name] {
		if op.Name != name {
			continue
		}
		fs := r.cat.Functions[op.Function]
		if len(fs) == 0 || slices.ContainsFunc(fs, func(f *access.Function) bool { return f.Extension == "" }) {
			return false
		}
		found = found || fs[0].Extension == "citext"
	}
	return found
}

var totalFunctions = []string{"length", "char_length", "lower", "upper", "btrim", "ltrim", "rtrim", "cardinality", "array_ndims"}

func (r *checkReader) function(f *pg.FuncCall) bool {
	name := lastName(f.Funcname)
	if len(f.Funcname) > 2 || len(f.Funcname) == 2 && f.Funcname[0].GetString_().GetSval() != "pg_catalog" || !slices.Contains(totalFunctions, name) ||
		f.Over != nil || f.AggDistinct || f.AggStar || f.AggFilter != nil || f.AggOrder != nil || f.FuncVariadic {
		return false
	}
	f.Funcname, f.Funcformat = []*pg.Node{pg.MakeStrNode("pg_catalog"), pg.MakeStrNode(name)}, pg.CoercionForm_COERCE_EXPLICIT_CALL
	return r.all(f.Args)
}

// constantTypes read the same value out of a literal under any settings.
var constantTypes = []string{"text", "varchar", "bpchar", "int2", "int4", "int8", "numeric", "float4", "float8", "bool"}

var isoDate = regexp.MustCompile(`^\d{4}-\d\d-\d\d$`)

// cast takes casts of constants, and of anything to text.
func (r *checkReader) cast(c *pg.TypeCast) bool {
	t := c.TypeName
	name := lastName(t.GetNames())
	if len(t.GetNames()) == 2 && t.Names[0].GetString_().GetSval() != "pg_catalog" {
		ty := r.cat.Types[access.Name{Schema: t.Names[0].GetString_().GetSval(), Name: name}]
		return ty != nil && ty.Name.Name == "citext" && ty.Kind == 'b' && ty.Category == 'S' && constant(c.Arg)
	}
	if len(t.GetNames()) > 2 {
		return false
	}
	if literal := c.Arg.GetAConst(); literal != nil {
		return slices.Contains(constantTypes, name) || name == "date" && isoDate.MatchString(literal.GetSval().GetSval())
	}
	if len(t.ArrayBounds) > 0 && c.Arg.GetAArrayExpr() == nil {
		return false // text need not be a good array
	}
	return (name == "text" || name == "varchar") && len(t.Typmods) == 0 && r.total(c.Arg)
}
