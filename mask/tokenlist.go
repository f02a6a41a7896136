package mask

import (
	"slices"
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
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
	if !strings.Contains(typ, ".") {
		typ = "pg_catalog." + typ
	}
	if !array {
		return "CAST(CAST(" + givenParam + " AS " + typ + `) AS pg_catalog.text) COLLATE pg_catalog."C" OPERATOR(pg_catalog.~) '` + tokenForm(t, strings.TrimPrefix(typ, "pg_catalog.")) + "'"
	}
	begins := "tok_"
	if typ == "pg_catalog.uuid" {
		begins = "f"
	}
	return "'" + begins + `' COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) ANY (CAST(CAST(` + givenParam + " AS " + typ + "[]) AS pg_catalog.varchar(" + strconv.Itoa(len(begins)) + ")[]))"
}

// eitherNumber is either for numbers, of which a token's form can be a value's own: such a number is compared as both. The
// comparison of values comes first, so that parameters are of the types that they have in it.
func (m *maskedRelation) eitherNumber(masks *Masks, name string, cr *pg.ColumnRef, cond *pg.Node) (*pg.Node, error) {
	g, known := m.sentinels[name]
	raw := clone(cond)
	e := raw.GetAExpr()
	column := &e.Lexpr
	items, array := listItems(e)
	if e.Kind == pg.A_Expr_Kind_AEXPR_OP {
		if items = []*pg.Node{e.Rexpr}; e.Lexpr.GetColumnRef() == nil {
			column, items = &e.Rexpr, []*pg.Node{e.Lexpr}
		}
	}
	tokens, tests := false, []*pg.Node(nil)
	for _, item := range items {
		inner := item
		for inner.GetTypeCast() != nil {
			if !slices.Contains([]string{"int4", "int8"}, lastName(inner.GetTypeCast().TypeName.GetNames())) {
				return nil, nil // it may be rounded, or be of a type that is compared otherwise
			}
			inner = inner.GetTypeCast().Arg
		}
		switch text := constText(inner.GetAConst()); {
		case inner.GetParamRef() != nil:
			least, of := "100000000", givenParam
			if m.types[name] == "int8" {
				least = "8000000000000000000"
			}
			if array {
				of = "ANY (" + givenParam + ")"
			}
			test, err := masks.parsed("CAST('" + least + "' AS pg_catalog." + m.types[name] + ") OPERATOR(pg_catalog.<=) " + of)
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
	if !known || !tokens && len(tests) == 0 {
		return nil, nil
	}
	shown := clone(raw)
	(*column).GetColumnRef().Location = ownLocation
	mask, err := masks.splice(m.exprs[name], cr)
	if err != nil {
		return nil, err
	}
	if s := shown.GetAExpr(); s.Lexpr.GetColumnRef() != nil {
		s.Lexpr = mask
	} else {
		s.Rexpr = mask
	}
	if !tokens {
		n, err := masks.parsed("CASE WHEN true THEN true ELSE false END")
		if err != nil {
			return nil, err
		}
		n = clone(n)
		when := n.GetCaseExpr().Args[0].GetCaseWhen()
		when.Expr, when.Result = tests[0], shown
		if len(tests) > 1 {
			when.Expr = pg.MakeBoolExprNode(pg.BoolExprType_OR_EXPR, tests, -1)
		}
		shown = n
	}
	return pg.MakeBoolExprNode(pg.BoolExprType_OR_EXPR, []*pg.Node{raw, shown}, -1), nil
}

// tokenType is the type, in SQL, that tokens and values of a column are compared as, or "" where what a client gives is
// taken for a value. In pg_catalog are those without a schema.
func tokenType(cat *access.Catalog, col *access.Column) string {
	if s := shapeOf(cat, col); s.citext && !s.array && userType(cat, col.TypeOID).Kind == 'b' {
		return col.Type
	}
	return map[uint32]string{oidText: "text", oidVarchar: "text", oidUUID: "uuid", oidInt4: "int4", oidInt8: "int8"}[col.TypeOID]
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
