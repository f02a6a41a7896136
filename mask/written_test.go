package mask

import (
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v5"
)

// TestBoundsOfPartitions: what looks like a column there is MINVALUE or MAXVALUE, or refused as the server does.
func TestBoundsOfPartitions(t *testing.T) {
	for name, ok := range map[string]bool{"minvalue": true, "maxvalue": true, "email": false} {
		n := pg.MakeColumnRefNode([]*pg.Node{pg.MakeStrNode(name)}, -1)
		if err := bounds(&pg.PartitionBoundSpec{Lowerdatums: []*pg.Node{n}}); (err == nil) != ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWhatIsNotReadAsItWasMeant is not run: the text of a tree has to be one statement, of that tree.
func TestWhatIsNotReadAsItWasMeant(t *testing.T) {
	one := func() *pg.Node { return pg.MakeAConstIntNode(1, -1) }
	statement := func(n *pg.Node) *pg.Node {
		return &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: &pg.SelectStmt{TargetList: []*pg.Node{pg.MakeResTargetNodeWithVal(n, -1)},
			LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}}}
	}
	operator := func(name string) *pg.Node {
		return &pg.Node{Node: &pg.Node_AExpr{AExpr: &pg.A_Expr{Kind: pg.A_Expr_Kind_AEXPR_OP, Name: []*pg.Node{pg.MakeStrNode(name)}, Lexpr: one(), Rexpr: one()}}}
	}
	if sql, got, err := writeBack(statement(operator("+"))); err != nil || got == nil || sql != "SELECT 1 + 1" {
		t.Fatal(sql, err)
	}
	for why, n := range map[string]*pg.Node{
		"deparse: ":      {Node: &pg.Node_Alias{Alias: &pg.Alias{Aliasname: "x"}}},
		"does not parse": statement(operator(")")),
		"another tree":   statement(&pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Val: &pg.A_Const_Fval{Fval: &pg.Float{Fval: "1"}}}}}),
	} {
		if sql, got, err := writeBack(n); err == nil || got != nil || sql != "" || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %s %v", why, sql, err)
		}
	}
	if sql, _, err := writeBack(statement(operator("; SELECT 1 +"))); err == nil {
		t.Errorf("two statements: %s", sql)
	}
}

// TestVerifierKnowsItsFields: a part of a statement that is not there under its name is not taken for one without anything in it.
func TestVerifierKnowsItsFields(t *testing.T) {
	v := &verifier{}
	v.only((&pg.SelectStmt{}).ProtoReflect(), reach{}, "from_clause")
	if v.why != "" {
		t.Error(v.why)
	}
	if v.only((&pg.SelectStmt{}).ProtoReflect(), reach{}, "nothing"); v.why == "" {
		t.Error("a field that there is not is visited")
	}
}
