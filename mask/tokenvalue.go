package mask

import (
	"regexp"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
)

// A token that a statement assigns to a column is stored as the value that it stands for, where the decision lists
// columns to find it in. There is no table of tokens: the server computes those of the columns' values and takes the
// value whose token it is. It goes from column to column inside of the server; neither client nor gateway sees it, but for
// rows of COPY, which the gateway has to write (tokencopy.go).

// valueFinder finds the values of tokens for one column.
type valueFinder struct {
	sql   string // over tokenRef
	typ   string // of the value, in pg_catalog
	token *regexp.Regexp
	guard sentinel // what must not be stored all the same
	bare  bool     // guard is of no use: the column has no other sentinels
	batch string   // a query for many tokens at once, see TokenColumn
}

// tokenRef stands for the token in a valueFinder's SQL; build replaces it in the tree.
const tokenRef = "sallyport_token"

// unresolved are how the server's error begins where a token is nobody's or more than one value's. The statement makes
// it fail to read this as a number.
var unresolved = map[string]string{
	"sallyport: no value has":        "no value that may be looked up has this token",
	"sallyport: several values have": "several values have this token",
}

// Unresolved is the error for the client where the server's error says that a token could not be resolved, or nil.
func Unresolved(message string) *access.Error {
	for mark, text := range unresolved {
		if strings.Contains(message, mark) {
			return notResolved(text)
		}
	}
	return nil
}

func notResolved(why string) *access.Error {
	return access.AsError(denied(why+", so nothing was stored", "give the value itself, or choose rows that have it and copy nothing"))
}

// finders finds out which columns of a relation take tokens for values.
func (c *compiler) finders() error {
	for _, m := range c.masks {
		for name, t := range m.cols {
			if t.Kind != Token || !m.lookup[name] {
				continue
			}
			if r := c.finder(m, name, t); r != nil {
				m.finders[name] = r
			}
		}
	}
	return nil
}

// finder gives nil for a column that takes no tokens, or that no value can be found for.
func (c *compiler) finder(m *maskedRelation, name string, t Transform) *valueFinder {
	s := shapeOf(c.in.Catalog, m.rel.Column(name))
	if s.array || s.family != textFamily && s.family != uuidFamily && s.family != intFamily || m.types[name] == "" && userType(c.in.Catalog, m.rel.Column(name).TypeOID) != nil || c.computes(m.rel, name) {
		return nil
	}
	var arms, batch []string
	for _, r := range c.in.Decision.Resolve {
		id, rel := r.Source, c.in.Catalog.Relations[r.Source.Relation]
		if r.Target != (access.ColumnID{Relation: m.rel.Name, Column: name}) || rel == nil || rel.Column(id.Column) == nil {
			continue
		}
		col, from := rel.Column(id.Column), c.in.Labels.Columns(id.Relation)[id.Column]
		of, u := shapeOf(c.in.Catalog, col), c.in.Masks.For(col, c.in.Catalog, from, c.in.Labels.Derived(id.Relation, id.Column))
		if u.Kind != Token || of.array || of.family != s.family || of.citext != s.citext || s.family == intFamily && of.oid != s.oid || s.width > 0 && (of.width == 0 || of.width > s.width) {
			continue // where a value might not fit, whether it does would tell its length
		}
		masked := strings.ReplaceAll(u.expression(of), colRef, ident(id.Column))
		value, source := `CAST(`+ident(id.Column)+` AS pg_catalog.text) COLLATE pg_catalog."C"`, ident(id.Relation.Schema)+"."+ident(id.Relation.Name)
		masked = "CAST(" + masked + ` AS pg_catalog.text) COLLATE pg_catalog."C"`
		if s.citext { // its token is that of all spellings
			value += " AS v, pg_catalog.lower(CAST(" + ident(id.Column) + ` AS pg_catalog.text)) COLLATE pg_catalog."C" AS l`
		} else {
			value += " AS v"
		}
		arms = append(arms, "SELECT "+value+" FROM "+source+" WHERE "+masked+" OPERATOR(pg_catalog.=) "+tokenRef)
		batch = append(batch, "SELECT "+value+", "+masked+" AS k FROM "+source+" WHERE "+masked+" OPERATOR(pg_catalog.=) ANY ($1)")
	}
	if len(arms) == 0 {
		return nil
	}
	r := &valueFinder{typ: "text", token: regexp.MustCompile(tokenForm(t, "text"))}
	switch s.family {
	case uuidFamily:
		r.typ, r.bare, r.token = "uuid", true, regexp.MustCompile(tokenForm(t, "uuid"))
	case intFamily:
		r.typ, r.bare, r.token = m.types[name], true, regexp.MustCompile(t.form(s))
	}
	if !r.bare {
		r.guard = m.sentinels[name]
		r.guard.pattern = regexp.MustCompile("(?s)" + Transform{}.form(s))
	}
	values := "v"
	if s.citext {
		values = "l"
	}
	r.batch = "SELECT k, pg_catalog.max(v), pg_catalog.count(DISTINCT " + values + ") FROM (" + strings.Join(batch, " UNION ALL ") + ") AS sallyport_values GROUP BY k"
	count := "pg_catalog.count(DISTINCT " + values + ") OPERATOR(pg_catalog.=) "
	r.sql = "(SELECT CAST(CASE WHEN " + count + "1 THEN pg_catalog.max(v) ELSE CAST(CAST(pg_catalog.concat(CASE WHEN " + count +
		"0 THEN 'sallyport: no value has' ELSE 'sallyport: several values have' END, pg_catalog.left(pg_catalog.max(v), 0)) AS pg_catalog.int4) AS pg_catalog.text) END AS pg_catalog." +
		r.typ + ") FROM (" + strings.Join(arms, " UNION ALL ") + ") AS sallyport_values)"
	return r
}

// computes reports whether the server computes something of the values of a column as it stores them: what it computes,
// or that it fails, could tell more of a value than that it is somebody's. Nor may a foreign key carry them on, to columns
// under labels of their own. What domains check is finder's.
func (c *compiler) computes(rel *access.Relation, name string) bool {
	for _, r := range c.in.Catalog.Below(rel) {
		if r.RowSecurity || slices.ContainsFunc(r.Columns, func(c access.Column) bool { return c.Generated }) { // WITH CHECK sees the row; whom it binds may be a pinned role
			return true
		}
		if slices.ContainsFunc(r.Referenced, func(f access.Reference) bool { return f.OnUpdate == 'c' && slices.Contains(f.Keys, name) }) {
			return true
		}
		for _, con := range r.Constraints {
			if (con.Type == 'c' || con.Type == 'x' || con.Type == 'i') && (len(con.Columns) == 0 || slices.Contains(con.Columns, name)) {
				return true
			}
		}
	}
	return false
}

// excluded reports whether ON CONFLICT does something else with the value that a row was to have in a column than
// storing it there: nothing else of it is masked, for clients know what they send.
func (c *compiler) excluded(s *pg.InsertStmt, name string) bool {
	same := map[*pg.ColumnRef]bool{}
	for _, n := range s.OnConflictClause.GetTargetList() {
		if t := n.GetResTarget(); t.GetName() == name && len(t.GetIndirection()) == 0 {
			same[t.GetVal().GetColumnRef()] = true
		}
	}
	found := false
	if s.OnConflictClause != nil {
		walk(s.OnConflictClause.ProtoReflect(), func(n any) bool {
			if cr, ok := n.(*pg.ColumnRef); ok && !same[cr] {
				col := c.in.Tree.Cols[cr]
				found = found || col == nil || col.Excluded && (col.Name == name || col.WholeRow || col.Star)
			}
			return true
		})
	}
	return found
}

// number tells whether values, too, may have the form of tokens.
func (r *valueFinder) number() bool { return r.typ == "int4" || r.typ == "int8" }

// build gives the subquery that finds the value of a token.
func (r *valueFinder) build(masks *Masks, token *pg.Node) (*pg.Node, error) {
	n, err := masks.parsed(r.sql)
	if err != nil {
		return nil, err
	}
	return put(clone(n), tokenRef, token), nil
}

// either gives the expression that stores a parameter, or the value of the token that it is.
func (r *valueFinder) either(masks *Masks, param *pg.Node) (*pg.Node, error) {
	n, err := masks.parsed("CASE WHEN CAST(CAST(" + givenParam + " AS pg_catalog." + r.typ + `) AS pg_catalog.text) COLLATE pg_catalog."C" OPERATOR(pg_catalog.~) '` +
		r.token.String() + "' THEN " + tokenRef + " ELSE CAST(" + givenParam + " AS pg_catalog." + r.typ + ") END")
	if err != nil {
		return nil, err
	}
	text, err := masks.parsed("CAST(CAST(" + givenParam + " AS pg_catalog." + r.typ + ") AS pg_catalog.text)")
	if err != nil {
		return nil, err
	}
	value, err := r.build(masks, put(clone(text), givenParam, param))
	if err != nil {
		return nil, err
	}
	return put(put(clone(n), givenParam, param), tokenRef, value), nil
}

// put puts a node in the place of a name in SQL of the compiler's own, and gives the tree.
func put(tree *pg.Node, name string, n *pg.Node) *pg.Node {
	walkNode(tree, func(x any) bool {
		if x, ok := x.(*pg.Node); ok {
			if cr := x.GetColumnRef(); cr != nil && len(cr.Fields) == 1 && lastName(cr.Fields) == name {
				x.Node = clone(n).Node
				return false
			}
		}
		return true
	})
	return tree
}

// stored puts the value of a token in the place of an expression that is stored in a column, if it is one or may be.
func (c *compiler) stored(ref *pgtree.Ref, name string, val *pg.Node) (bool, error) {
	m := c.masked(ref)
	if m == nil || m.finders[name] == nil {
		return false, nil
	}
	r := m.finders[name]
	plain := val
	for plain.GetTypeCast() != nil && len(plain.GetTypeCast().TypeName.GetTypmods()) == 0 && len(plain.GetTypeCast().TypeName.GetArrayBounds()) == 0 &&
		slices.Contains([]string{"text", "varchar", "citext", "uuid", "int4", "int8"}, lastName(plain.GetTypeCast().TypeName.GetNames())) {
		plain = plain.GetTypeCast().Arg
	}
	var n *pg.Node
	var err error
	switch x := plain.GetNode().(type) {
	case *pg.Node_AConst:
		text := constText(x.AConst)
		if r.typ == "uuid" {
			text = plainUUID(text)
		}
		if !r.token.MatchString(text) {
			return false, nil
		}
		n, err = r.build(c.in.Masks, pg.MakeAConstStrNode(text, -1))
	case *pg.Node_ParamRef:
		if !r.bare {
			c.guarded = append(c.guarded, Guarded{Param: int(x.ParamRef.Number), TypeOID: oidText, sentinel: r.guard})
		}
		n, err = r.either(c.in.Masks, plain)
	default:
		return false, nil
	}
	if err == nil {
		val.Node = n.Node
		c.found[val] = true
		c.finds[access.ColumnID{Relation: m.rel.Name, Column: name}] = true
	}
	return true, err
}

// givenParam stands for the client's parameter in SQL of the compiler's own.
const givenParam = "sallyport_param"

// either gives the comparison of a column with what may be values or tokens: cond itself for values, what the mask shows
// for tokens. nil where there is no telling, or no token. The reference cr is that of cond.
func (m *maskedRelation) either(masks *Masks, name string, cr *pg.ColumnRef, cond *pg.Node) (*pg.Node, error) {
	e, typ := cond.GetAExpr(), m.types[name]
	switch {
	case typ == "":
		return nil, nil
	case typ == "int4" || typ == "int8":
		return m.eitherNumber(masks, name, cr, cond)
	}
	if e.GetKind() != pg.A_Expr_Kind_AEXPR_OP {
		return m.eitherOf(masks, name, typ, cr, cond)
	}
	param := e.Rexpr
	if param.GetColumnRef() != nil {
		param = e.Lexpr
	}
	inner := param
	for inner.GetTypeCast() != nil {
		inner = inner.GetTypeCast().Arg
	}
	if inner.GetParamRef() == nil {
		return nil, nil
	}
	const shown = "sallyport_shown"
	same := shown + " OPERATOR(pg_catalog.=) CAST(" + givenParam + " AS pg_catalog." + typ + ")"
	if strings.Contains(typ, ".") {
		same = "CAST(" + shown + " AS pg_catalog.text) OPERATOR(pg_catalog.=) CAST(CAST(" + givenParam + " AS " + typ + ") AS pg_catalog.text)"
	}
	n, err := masks.parsed("CASE WHEN " + tokenTest(m.cols[name], typ, false) + " THEN " + same + " END")
	if err != nil {
		return nil, err
	}
	mask, err := masks.splice(m.exprs[name], cr)
	if err != nil {
		return nil, err
	}
	n = put(put(clone(n), givenParam, param), shown, mask)
	n.GetCaseExpr().Defresult = &pg.Node{Node: cond.Node}
	return n, nil
}
