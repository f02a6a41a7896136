package mask

import (
	"slices"
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"
)

// listItems are the items of `column IN (...)` and `column = ANY (ARRAY[...])`; one says that the right side is a single
// constant, which is an array. Neither: it is no list.
func listItems(e *pg.A_Expr) (items []*pg.Node, one bool) {
	switch {
	case e.GetKind() == pg.A_Expr_Kind_AEXPR_IN:
		return e.Rexpr.GetList().GetItems(), false
	case e.GetKind() == pg.A_Expr_Kind_AEXPR_OP_ANY && e.Rexpr.GetAArrayExpr() != nil:
		return e.Rexpr.GetAArrayExpr().Elements, false
	case e.GetKind() == pg.A_Expr_Kind_AEXPR_OP_ANY:
		return []*pg.Node{e.Rexpr}, true
	}
	return nil, false
}

// eitherOf is either for a list: rows whose raw value is in it, or, where the list has tokens, what the mask shows.
// The server finds out whether parameters are tokens before it looks at a row, from what is immutable, so that an index
// serves lists of values.
func (m *maskedRelation) eitherOf(masks *Masks, name, typ string, cr *pg.ColumnRef, cond *pg.Node) (*pg.Node, error) {
	items, array := listItems(cond.GetAExpr())
	g, known := m.sentinels[name]
	if !known {
		return nil, nil
	}
	tokens, tests := false, []*pg.Node(nil)
	for _, item := range items {
		inner := item
		for inner.GetTypeCast() != nil {
			inner = inner.GetTypeCast().Arg
		}
		switch text := constText(inner.GetAConst()); {
		case inner.GetParamRef() != nil:
			test, err := masks.parsed(tokenTest(m.cols[name], typ, array))
			if err != nil {
				return nil, err
			}
			tests = append(tests, put(clone(test), givenParam, item))
		case array:
			list, _ := arrayItems(text)
			tokens = tokens || slices.ContainsFunc(list, g.matches)
		default:
			tokens = tokens || text != "" && g.matches(text)
		}
	}
	if !tokens && len(tests) == 0 {
		return nil, nil
	}
	mask, err := masks.splice(m.exprs[name], cr)
	if err != nil {
		return nil, err
	}
	raw, shown := clone(cond), clone(cond)
	raw.GetAExpr().Lexpr.GetColumnRef().Location, shown.GetAExpr().Lexpr = ownLocation, mask
	both := pg.MakeBoolExprNode(pg.BoolExprType_OR_EXPR, []*pg.Node{raw, shown}, -1)
	if tokens {
		return both, nil
	}
	n, err := masks.parsed("CASE WHEN true THEN true END")
	if err != nil {
		return nil, err
	}
	n = clone(n)
	when := n.GetCaseExpr().Args[0].GetCaseWhen()
	when.Expr, when.Result = tests[0], both
	if len(tests) > 1 {
		when.Expr = pg.MakeBoolExprNode(pg.BoolExprType_OR_EXPR, tests, -1)
	}
	n.GetCaseExpr().Defresult = clone(raw)
	return n, nil
}

// tokenTest is a condition in SQL over givenParam: it has the form of a token, or is an array in which something begins
// like one.
func tokenTest(t Transform, typ string, array bool) string {
	if !array {
		return "CAST(CAST(" + givenParam + " AS pg_catalog." + typ + `) AS pg_catalog.text) COLLATE pg_catalog."C" OPERATOR(pg_catalog.~) '` + tokenForm(t, typ) + "'"
	}
	begins := "tok_"
	if typ == "uuid" {
		begins = "f"
	}
	return "'" + begins + `' COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) ANY (CAST(CAST(` + givenParam + " AS pg_catalog." + typ + "[]) AS pg_catalog.varchar(" + strconv.Itoa(len(begins)) + ")[]))"
}

// tokenForm is a regular expression of the tokens of a column of text or uuid.
func tokenForm(t Transform, typ string) string {
	if typ == "uuid" {
		return "^" + t.one(shape{family: uuidFamily}) + "$"
	}
	return "^tok_[" + tokenLetters + "]+$"
}

// arrayItems reads the text form of an array, whatever its dimensions. false is what is none, as far as can be seen.
func arrayItems(text string) (items []string, ok bool) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "[") { // bounds
		_, text, _ = strings.Cut(text, "=")
		text = strings.TrimSpace(text)
	}
	if !strings.HasPrefix(text, "{") {
		return nil, false
	}
	var item []byte
	quoted, begun := false, false
	end := func() {
		if begun {
			items = append(items, strings.TrimRight(string(item), " \t\r\n\v\f"))
		}
		item, begun = item[:0], false
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			item, begun = append(item, text[i]), true
		case c == '"':
			quoted, begun = !quoted, true
		case !quoted && (c == '{' || c == '}' || c == ','):
			end()
		case !quoted && !begun && strings.IndexByte(" \t\r\n\v\f", c) >= 0:
		default:
			item, begun = append(item, c), true
		}
	}
	end()
	return items, true
}
