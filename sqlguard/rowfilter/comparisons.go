package rowfilter

import (
	pg "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/proto"
)

// Comparison is a column with what a condition compares it with: another column, or else the text of a constant or
// of an attribute, which the server reads as a value of the column's type.
type Comparison struct{ Column, Other, Text string }

// Comparisons lists those of columns with columns and with texts. Numbers and NULL mean the same everywhere.
func (f *Filter) Comparisons(attribute func(name string) (value string, ok bool)) []Comparison {
	where := proto.Clone(f.where).(*pg.Node)
	bind(where, attribute)
	return comparisonsIn(where, nil)
}

func comparisonsIn(n *pg.Node, out []Comparison) []Comparison {
	for _, arg := range n.GetBoolExpr().GetArgs() {
		out = comparisonsIn(arg, out)
	}
	e := n.GetAExpr()
	left, right := column(e.GetLexpr()), column(e.GetRexpr())
	if left == "" {
		left, right, e = right, left, &pg.A_Expr{Rexpr: e.GetLexpr()}
	}
	text := e.GetRexpr().GetAConst().GetSval()
	if left == "" || right == "" && text == nil {
		return out
	}
	return append(out, Comparison{Column: left, Other: right, Text: text.GetSval()})
}

func column(n *pg.Node) string {
	if f := n.GetColumnRef().GetFields(); len(f) == 1 {
		return f[0].GetString_().GetSval()
	}
	return ""
}
