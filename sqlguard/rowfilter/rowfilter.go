// Package rowfilter reads the conditions of @where annotations: which rows of a relation somebody may see, in SQL
// over the relation's columns and what is known about the principal.
//
//	tenant_id = principal.tenant AND NOT archived
//
// The language is small on purpose. A condition is put below everything that a client can write, so it must not
// fail, and must mean the same whatever the search_path: columns, constants, principal.ATTRIBUTE, the six
// comparisons, IN with a list, IS [NOT] NULL, AND, OR and NOT. Start with Parse.
package rowfilter

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/proto"
)

// Filter is a condition that was understood.
type Filter struct {
	text    string
	where   *pg.Node
	columns []string
	asks    []string
}

// principal is the name by which a condition speaks of who asks. A column of that name cannot be used.
const principal = "principal"

var comparisons = []string{"=", "<>", "<", "<=", ">", ">="}

// Parse reads a condition. Its error says what is not understood, in words for whoever writes policies.
func Parse(text string) (*Filter, error) {
	tree, err := pg.Parse("SELECT FROM t WHERE " + text)
	if err != nil {
		return nil, fmt.Errorf("not a condition in SQL: %w", err)
	}
	if len(tree.Stmts) != 1 {
		return nil, errors.New("more than a condition")
	}
	q := tree.Stmts[0].Stmt.GetSelectStmt()
	if q == nil || q.WhereClause == nil {
		return nil, errors.New("not a condition")
	}
	rest := proto.Clone(q).(*pg.SelectStmt)
	rest.WhereClause = nil
	bare, err := pg.Parse("SELECT FROM t")
	if err != nil || !proto.Equal(rest, bare.Stmts[0].Stmt.GetSelectStmt()) {
		return nil, errors.New("more than a condition")
	}
	f := &Filter{text: text}
	if f.where, err = f.condition(q.WhereClause); err != nil {
		return nil, err
	}
	if len(f.columns) == 0 {
		return nil, errors.New("it looks at no column")
	}
	return f, nil
}

// Text is the condition as written.
func (f *Filter) Text() string { return f.text }

// Columns are the columns that the condition looks at, each once.
func (f *Filter) Columns() []string { return f.columns }

// Asks lists the attributes of the principal that the condition speaks of, each once.
func (f *Filter) Asks() []string { return f.asks }

// SQL is the condition for one principal: every operator is the server's own, every attribute a constant. An
// attribute that the principal does not have is NULL, which no comparison is true of.
func (f *Filter) SQL(attribute func(name string) (value string, ok bool)) (string, error) {
	for _, name := range f.asks {
		if v, _ := attribute(name); strings.ContainsRune(v, 0) || !utf8.ValidString(v) {
			return "", fmt.Errorf("principal.%s is no text", name)
		}
	}
	where := proto.Clone(f.where).(*pg.Node)
	bind(where, attribute)
	sql, err := pg.Deparse(&pg.ParseResult{Stmts: []*pg.RawStmt{{Stmt: &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: &pg.SelectStmt{
		TargetList:  []*pg.Node{pg.MakeResTargetNodeWithVal(where, -1)},
		LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE,
	}}}}}})
	if err != nil {
		return "", fmt.Errorf("row filter %q: %w", f.text, err)
	}
	return sql[len("SELECT "):], nil
}

// condition copies what is true or false.
func (f *Filter) condition(n *pg.Node) (*pg.Node, error) {
	switch x := n.Node.(type) {
	case *pg.Node_BoolExpr:
		out := &pg.BoolExpr{Boolop: x.BoolExpr.Boolop}
		for _, arg := range x.BoolExpr.Args {
			a, err := f.condition(arg)
			if err != nil {
				return nil, err
			}
			out.Args = append(out.Args, a)
		}
		return &pg.Node{Node: &pg.Node_BoolExpr{BoolExpr: out}}, nil
	case *pg.Node_NullTest:
		arg, err := f.value(x.NullTest.Arg)
		if err != nil {
			return nil, err
		}
		return &pg.Node{Node: &pg.Node_NullTest{NullTest: &pg.NullTest{Arg: arg, Nulltesttype: x.NullTest.Nulltesttype}}}, nil
	case *pg.Node_AExpr:
		return f.comparison(x.AExpr)
	case *pg.Node_ColumnRef: // a column of type boolean
		return f.value(n)
	}
	return nil, errors.New("only comparisons, IN, IS NULL, boolean columns, AND, OR and NOT are understood")
}

// comparison copies a comparison, and IN as equalities: its operator cannot be qualified.
func (f *Filter) comparison(e *pg.A_Expr) (*pg.Node, error) {
	if len(e.Name) != 1 || !slices.Contains(comparisons, e.Name[0].GetString_().GetSval()) {
		return nil, errors.New("the comparisons are =, <>, <, <=, > and >=")
	}
	op := e.Name[0].GetString_().GetSval()
	left, err := f.value(e.Lexpr)
	if err != nil {
		return nil, err
	}
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_OP:
		right, err := f.value(e.Rexpr)
		if err != nil {
			return nil, err
		}
		return compare(op, left, right), nil
	case pg.A_Expr_Kind_AEXPR_IN:
		in := &pg.BoolExpr{Boolop: pg.BoolExprType_OR_EXPR}
		if op == "<>" {
			in.Boolop = pg.BoolExprType_AND_EXPR
		}
		for _, item := range e.Rexpr.GetList().GetItems() {
			right, err := f.value(item)
			if err != nil {
				return nil, err
			}
			in.Args = append(in.Args, compare(op, proto.Clone(left).(*pg.Node), right))
		}
		switch len(in.Args) {
		case 0:
			return nil, errors.New("IN takes a list of values")
		case 1:
			return in.Args[0], nil
		}
		return &pg.Node{Node: &pg.Node_BoolExpr{BoolExpr: in}}, nil
	}
	return nil, errors.New("of comparisons, only those of two values and IN are understood")
}

func compare(op string, left, right *pg.Node) *pg.Node {
	return &pg.Node{Node: &pg.Node_AExpr{AExpr: &pg.A_Expr{Kind: pg.A_Expr_Kind_AEXPR_OP,
		Name: []*pg.Node{pg.MakeStrNode("pg_catalog"), pg.MakeStrNode(op)}, Lexpr: left, Rexpr: right}}}
}

// value copies a column, an attribute of the principal or a constant.
func (f *Filter) value(n *pg.Node) (*pg.Node, error) {
	switch x := n.GetNode().(type) {
	case *pg.Node_AConst:
		return &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Val: x.AConst.Val, Isnull: x.AConst.Isnull}}}, nil
	case *pg.Node_ColumnRef:
		var parts []string
		for _, field := range x.ColumnRef.Fields {
			parts = append(parts, field.GetString_().GetSval())
		}
		switch {
		case slices.Contains(parts, ""):
			return nil, errors.New("* is not a value")
		case len(parts) == 1 && parts[0] != principal:
			f.columns = appendNew(f.columns, parts[0])
		case len(parts) == 2 && parts[0] == principal:
			f.asks = appendNew(f.asks, parts[1])
		default:
			return nil, errors.New("columns are written without their table, attributes as principal.NAME")
		}
		return pg.MakeColumnRefNode(x.ColumnRef.Fields, -1), nil
	}
	return nil, errors.New("only columns, constants and principal.NAME can be compared")
}

// bind puts constants in the place of attributes.
func bind(n *pg.Node, attribute func(string) (string, bool)) {
	switch x := n.Node.(type) {
	case *pg.Node_BoolExpr:
		for _, arg := range x.BoolExpr.Args {
			bind(arg, attribute)
		}
	case *pg.Node_NullTest:
		bind(x.NullTest.Arg, attribute)
	case *pg.Node_AExpr:
		bind(x.AExpr.Lexpr, attribute)
		bind(x.AExpr.Rexpr, attribute)
	case *pg.Node_ColumnRef:
		if len(x.ColumnRef.Fields) != 2 {
			return
		}
		c := &pg.A_Const{Isnull: true}
		if v, ok := attribute(x.ColumnRef.Fields[1].GetString_().GetSval()); ok {
			c = &pg.A_Const{Val: &pg.A_Const_Sval{Sval: &pg.String{Sval: v}}}
		}
		n.Node = &pg.Node_AConst{AConst: c}
	}
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}
