package mask

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
)

// A sentinel is what stands in the place of a masked value: "***", a***@example.org, a token. Whoever reads a
// row, changes a column and writes the row back would put sentinels where values were, so none is taken for
// a masked column: as a constant, as a parameter, in the data of COPY.

// Guarded is a parameter that a statement assigns to a masked column.
type Guarded struct {
	Param   int    // n of $n
	TypeOID uint32 // of the column, as a client's driver sees it
	sentinel
}

// sentinel knows the forms of one column's sentinels.
type sentinel struct {
	column  access.ColumnID
	uuid    bool
	number  bool
	pattern *regexp.Regexp
	as      Transform
	// document has the sentinels of columns that take documents; what is above is of other ones.
	document *documentForms
}

// Refuse gives why a parameter's text must not be stored, or nil.
func (g Guarded) Refuse(text string) error {
	return g.refuse("$"+strconv.Itoa(g.Param), text)
}

// refuse refuses a text that is a sentinel, or an array that has one.
func (s sentinel) refuse(what, text string) error {
	if s.document != nil {
		return s.document.refuse(what, text)
	}
	items, _ := arrayItems(text)
	if !s.matches(text) && !slices.ContainsFunc(items, s.matches) {
		return nil
	}
	return writtenBack(what, s.column, s.as)
}

// matches tells whether a text is a sentinel.
func (s sentinel) matches(text string) bool {
	if s.uuid {
		text = plainUUID(text)
	}
	return s.pattern.MatchString(strings.TrimRight(text, " "))
}

func writtenBack(what string, id access.ColumnID, t Transform) error {
	hint := "leave the column out of what is written, or give its real value; masked values cannot be written back"
	if t.Kind == Token {
		hint += ". A token that you may look up is stored as its value where it is assigned by itself: in SET column =, VALUES, and the select list of INSERT ... SELECT without UNION"
	}
	return denied(fmt.Sprintf("%s has the form of a masked value of %s.%s (%s), and would be stored instead of a real one", what, id.Relation, id.Column, t), hint)
}

// SentinelError is how the server's error begins where COPY meets a sentinel: the compiled statement makes it
// fail to read this as a number.
const SentinelError = "sallyport: a masked value"

// CopyRefused is the error for the client in that case.
func CopyRefused() *access.Error {
	return access.AsError(denied("a row of this COPY holds the masked form of a value, which would be stored instead of a real one",
		"leave the column out of what is copied, or give its real value; masked values cannot be written back"))
}

// plainUUID writes a uuid as the server does, from any form that it reads or from its bytes.
func plainUUID(text string) string {
	digits := strings.NewReplacer("-", "", "{", "", "}", "", `\x`, "").Replace(strings.ToLower(strings.TrimSpace(text)))
	if len(digits) != 32 {
		return text
	}
	return digits[:8] + "-" + digits[8:12] + "-" + digits[12:16] + "-" + digits[16:20] + "-" + digits[20:]
}

// form is a regular expression, for Go and PostgreSQL alike, of what t shows of the values of a column of
// shape s, and of the redaction that others may see instead. "" where that cannot be told from a value: a NULL,
// a year, a rounded number.
func (t Transform) form(s shape) string {
	if t.fits(s) != "" {
		t = Transform{}
	}
	one := t.one(s)
	switch {
	case one == "":
		return ""
	case s.array:
		return `[{,]"?(` + one + `)"?[,}]`
	}
	return "^(" + one + ")$"
}

func (t Transform) one(s shape) string {
	const stars = "[*][*][*]"
	switch s.family {
	case intFamily:
		switch {
		case t.Kind != Token:
			return ""
		case s.oid == oidInt4:
			return "[1-9][0-9]{8}"
		}
		return "[89][0-9]{18}"
	case uuidFamily:
		if t.Kind != Token {
			return ""
		}
		return "f[0-9a-f]{7}-f[0-9a-f]{3}-8[0-9a-f]{3}-a[0-9a-f]{3}-f0[0-9a-f]{10}"
	case charFamily:
		return "[*]"
	case textFamily:
	default:
		return ""
	}
	redacted := stars
	if s.width == 1 || s.width == 2 {
		redacted = strings.Repeat("[*]", s.width)
	}
	switch t.Kind {
	case Token:
		least := 24
		if s.width > 0 {
			least = min(24, s.width-len("tok_"))
		}
		return redacted + "|[tT][oO][kK]_[" + tokenLetters + strings.ToUpper(tokenLetters) + "]{" + strconv.Itoa(least) + ",24}"
	case Generalise:
		return redacted + "|.{0," + t.Bucket + "}" + stars
	case Partial:
		switch t.Style {
		case "email":
			return redacted + "|." + stars + "@[A-Za-z0-9][A-Za-z0-9.-]*"
		case "phone":
			return redacted + "|[*]{8}[0-9]{2}"
		case "card":
			return redacted + "|[*]{8}[0-9]{4}"
		}
		return redacted + "|." + stars
	}
	return redacted
}

// MayBeSentinel says whether a literal, quotes included, could be a sentinel of any column: what is decided on a
// statement with another literal in its place does not hold for it then.
func MayBeSentinel(literal string) bool {
	return strings.Contains(literal, "*") || strings.Contains(literal, `\u`) || len(literal) >= 9 && tokenLike.MatchString(literal)
}

var tokenLike = regexp.MustCompile(`(?i)tok_|[0-9]{9}|f[0-9a-f]{7}`)

// sentinels refuses the constants, and notes the parameters, that would store a sentinel.
func (c *compiler) sentinels() error {
	var err error
	walkNode(c.in.Tree.Stmt, func(n any) bool {
		if err != nil {
			return false
		}
		switch s := n.(type) {
		case *pg.InsertStmt:
			if err = c.inserted(s); err == nil && s.OnConflictClause != nil {
				err = c.set(c.in.Tree.Refs[s.Relation], s.OnConflictClause.TargetList)
			}
		case *pg.UpdateStmt:
			err = c.set(c.in.Tree.Refs[s.Relation], s.TargetList)
		case *pg.MergeStmt:
			err = c.merged(s)
		}
		return true
	})
	return err
}

func (c *compiler) set(ref *pgtree.Ref, list []*pg.Node) error {
	for _, n := range list {
		t := n.GetResTarget()
		if m := t.GetVal().GetMultiAssignRef(); m != nil {
			// SET (a, b) = (x, y) says SET a = x, b = y, which the deparser can write in all forms. Each column has a copy of
			// the row.
			if row := m.Source.GetRowExpr(); row != nil && len(row.Args) == int(m.Ncolumns) {
				t.Val = row.Args[m.Colno-1]
			}
		}
		val, check := t.GetVal(), c.takes
		if m := val.GetMultiAssignRef(); m != nil {
			val, check = m.Source, c.assigned
		}
		if err := check(ref, t.GetName(), val); err != nil {
			return err
		}
	}
	return nil
}

func (c *compiler) inserted(s *pg.InsertStmt) error {
	ref := c.in.Tree.Refs[s.Relation]
	if ref == nil || s.SelectStmt == nil {
		return nil
	}
	names := targetNames(ref, s.Cols)
	q := s.SelectStmt.GetSelectStmt()
	for i, name := range names {
		if _, ok := c.guard(ref, name); !ok {
			continue
		}
		take := c.takes
		if c.excluded(s, name) || ordersValues(q) {
			take = c.assigned
		}
		if q == nil || len(q.ValuesLists) == 0 {
			item := selected(q, i)
			if !constant(item) {
				take, item = func(ref *pgtree.Ref, name string, _ *pg.Node) error { return c.anywhere(ref, name) }, nil
			}
			if err := take(ref, name, item); err != nil {
				return err
			}
			continue
		}
		for _, row := range q.ValuesLists {
			if items := row.GetList().GetItems(); i < len(items) {
				if err := take(ref, name, items[i]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// ordersValues tells whether rows of VALUES are put in order: which of them come first, and so whether LIMIT keeps them, would
// tell how the value of a token compares with others.
func ordersValues(q *pg.SelectStmt) bool {
	return len(q.GetValuesLists()) > 0 && len(q.GetSortClause()) > 0
}

// selected is what a query gives for its column number i, or nil where that cannot be told.
func selected(q *pg.SelectStmt, i int) *pg.Node {
	if q.GetOp() != pg.SetOperation_SETOP_NONE || i >= len(q.GetTargetList()) {
		return nil
	}
	for _, n := range q.TargetList[:i] {
		val := n.GetResTarget().GetVal()
		fields := val.GetColumnRef().GetFields()
		if ind := val.GetAIndirection().GetIndirection(); len(ind) > 0 {
			fields = ind
		}
		if len(fields) > 0 && fields[len(fields)-1].GetAStar() != nil {
			return nil
		}
	}
	return q.TargetList[i].GetResTarget().GetVal()
}

func (c *compiler) merged(s *pg.MergeStmt) error {
	ref := c.in.Tree.Refs[s.Relation]
	for _, n := range s.MergeWhenClauses {
		w := n.GetMergeWhenClause()
		if w.GetCommandType() != pg.CmdType_CMD_INSERT {
			if err := c.set(ref, w.GetTargetList()); err != nil {
				return err
			}
			continue
		}
		for i, name := range targetNames(ref, w.TargetList) {
			if i < len(w.Values) {
				if err := c.takes(ref, name, w.Values[i]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// targetNames are the columns that INSERT fills, in order.
func targetNames(ref *pgtree.Ref, list []*pg.Node) []string {
	var names []string
	for _, n := range list {
		names = append(names, n.GetResTarget().GetName())
	}
	if list == nil && ref != nil {
		for i := range ref.Relation.Columns {
			names = append(names, ref.Relation.Columns[i].Name)
		}
	}
	return names
}

// guard gives the sentinels of a column, or false where it has none.
func (c *compiler) guard(ref *pgtree.Ref, name string) (sentinel, bool) {
	if m := c.masked(ref); m != nil {
		if g, ok := m.sentinels[name]; ok {
			return g, true
		}
	}
	return c.documentGuard(ref, name)
}

// takes resolves a token that is stored in a column, or checks what is.
func (c *compiler) takes(ref *pgtree.Ref, name string, val *pg.Node) error {
	if done, err := c.stored(ref, name, val); done || err != nil {
		return err
	}
	return c.assigned(ref, name, val)
}

// assigned checks an expression that is stored in a column.
func (c *compiler) assigned(ref *pgtree.Ref, name string, val *pg.Node) error {
	g, ok := c.guard(ref, name)
	if !ok {
		return nil
	}
	elsewhere := false // it comes out of another part of the statement
	walkNode(val, func(n any) bool {
		if cr, ok := n.(*pg.ColumnRef); ok {
			col := c.in.Tree.Cols[cr]
			elsewhere = elsewhere || col == nil || col.Ref == nil || col.Excluded && col.Name != name
		}
		return true
	})
	if elsewhere {
		return c.anywhere(ref, name)
	}
	return c.constants(g, ref, val)
}

// anywhere checks every value that some query of the statement gives: which of them comes to be stored in the
// column is not followed.
func (c *compiler) anywhere(ref *pgtree.Ref, name string) error {
	g, ok := c.guard(ref, name)
	if !ok {
		return nil
	}
	var err error
	check := func(n *pg.Node) {
		if err == nil {
			err = c.constants(g, ref, n)
		}
	}
	walkNode(c.in.Tree.Stmt, func(n any) bool {
		if s, ok := n.(*pg.SelectStmt); ok {
			for _, row := range s.ValuesLists {
				check(row)
			}
			for _, item := range s.TargetList {
				check(item)
			}
		}
		if f, ok := n.(*pg.RangeFunction); ok { // unnest(ARRAY[...])
			for _, n := range f.Functions {
				check(n)
			}
		}
		return err == nil
	})
	return err
}

// constants checks the constants below n, and notes the parameters.
func (c *compiler) constants(g sentinel, ref *pgtree.Ref, n *pg.Node) error {
	var err error
	walkNode(n, func(n any) bool {
		switch n := n.(type) {
		case *pg.Node:
			return !c.found[n]
		case *pg.A_Const:
			if text := constText(n); err == nil && text != "" {
				err = g.refuse("a constant", text)
			}
		case *pg.ParamRef:
			s := shapeOf(c.in.Catalog, ref.Relation.Column(g.column.Column))
			oid := s.oid
			if s.family == textFamily {
				oid = oidText
			}
			c.guarded = append(c.guarded, Guarded{Param: int(n.Number), TypeOID: oid, sentinel: g})
		}
		return err == nil
	})
	return err
}

func constText(c *pg.A_Const) string {
	switch v := c.GetVal().(type) {
	case *pg.A_Const_Sval:
		return v.Sval.GetSval()
	case *pg.A_Const_Ival:
		return strconv.Itoa(int(v.Ival.GetIval()))
	case *pg.A_Const_Fval:
		return v.Fval.GetFval()
	}
	return ""
}

// copyFrom has the server itself look for sentinels in the rows that it is sent: COPY's WHERE sees them before
// they are stored, and fails.
func (c *compiler) copyFrom(s *pg.CopyStmt, ref *pgtree.Ref) error {
	var names []string
	for _, col := range ref.Relation.Columns {
		if !col.Generated && len(s.Attlist) == 0 { // COPY leaves them out
			names = append(names, col.Name)
		}
	}
	for _, n := range s.Attlist {
		names = append(names, n.GetString_().GetSval())
	}
	if m := c.masked(ref); m != nil {
		c.copyTokens(s, m, names)
	}
	for _, name := range names {
		g, ok := c.guard(ref, name)
		if !ok {
			continue
		}
		text := "CAST(" + ident(name) + " AS pg_catalog.text)"
		q, err := parseSelect("SELECT CASE WHEN " + text + ` COLLATE pg_catalog."C" OPERATOR(pg_catalog.~) '` + strings.ReplaceAll(g.form(), "'", "''") +
			"' THEN CAST(pg_catalog.concat('" + SentinelError + "', pg_catalog.left(" + text + ", 0)) AS pg_catalog.int4) IS NULL ELSE true END")
		if err != nil {
			return err
		}
		cond := q.GetSelectStmt().TargetList[0].GetResTarget().Val
		if s.WhereClause != nil {
			cond = pg.MakeBoolExprNode(pg.BoolExprType_AND_EXPR, []*pg.Node{cond, s.WhereClause}, -1)
		}
		s.WhereClause = cond
	}
	return nil
}

// form is the expression as PostgreSQL takes it.
func (s sentinel) form() string {
	if s.document != nil {
		return s.document.sql()
	}
	return strings.TrimPrefix(s.pattern.String(), "(?s)")
}

// newSentinel knows the sentinels of a column with mask t.
func newSentinel(cat *access.Catalog, id access.ColumnID, col *access.Column, t Transform) (sentinel, bool) {
	s := shapeOf(cat, col)
	form := t.form(s)
	if form == "" {
		return sentinel{}, false
	}
	return sentinel{column: id, uuid: s.family == uuidFamily && !s.array, number: s.family == intFamily, pattern: regexp.MustCompile("(?s)" + form), as: t}, true
}
