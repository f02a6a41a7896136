package mask

import (
	"regexp"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
)

// MaskPattern matches the mask of a column as it stands in a compiled statement; its group is the column.
type MaskPattern struct {
	Column string
	Expr   *regexp.Regexp
}

// MaskPatterns gives the patterns of all labelled columns of a catalog.
func MaskPatterns(cat *access.Catalog, l *Labels, m *Masks) []MaskPattern {
	var out []MaskPattern
	seen := map[string]bool{}
	for _, c := range l.All() {
		col := cat.Relations[c.Column.Relation].Column(c.Column.Column)
		expr := m.For(col, cat, c.Labels, c.Derived).expression(shapeOf(cat, col))
		n, err := parseSelect("SELECT " + expr)
		if err != nil {
			panic(err)
		}
		sql, err := pg.Deparse(&pg.ParseResult{Stmts: []*pg.RawStmt{{Stmt: n}}})
		if err != nil {
			panic(err)
		}
		pattern := regexp.QuoteMeta(strings.TrimPrefix(sql, "SELECT "))
		pattern = strings.ReplaceAll(pattern, colRef, `([\w".]+)`)
		if !strings.Contains(expr, colRef) {
			pattern += ` AS (` + regexp.QuoteMeta(ident(col.Name)) + `|` + regexp.QuoteMeta(col.Name) + `\b)`
		}
		if !seen[pattern] {
			seen[pattern] = true
			out = append(out, MaskPattern{Column: col.Name, Expr: regexp.MustCompile(pattern)})
		}
	}
	return out
}

// Verify runs the verifier alone on a statement, with these columns masked and those open to lookups, under these row
// filters. It gives what the verifier objects to, or "".
func Verify(cat *access.Catalog, l *Labels, m *Masks, masked, lookup []access.ColumnID, sql string, filters ...access.RowFilter) string {
	return VerifyDecision(cat, l, m, access.Decision{Effect: access.Allow, Masked: masked, Lookup: lookup, Filters: filters}, sql)
}

// Resolution is the subquery that finds the value of a token for a column.
func Resolution(cat *access.Catalog, l *Labels, m *Masks, d access.Decision, id access.ColumnID, token string) string {
	c, err := newCompiler(Input{Tree: &pgtree.Tree{Stmt: &pg.Node{}}, Facts: &access.Facts{}, Catalog: cat, Labels: l, Masks: m, Decision: d})
	if err != nil {
		panic(err)
	}
	if err := c.finders(); err != nil {
		panic(err)
	}
	n, err := c.masks[id.Relation].finders[id.Column].build(m, pg.MakeAConstStrNode(token, -1))
	if err != nil {
		panic(err)
	}
	q := &pg.SelectStmt{TargetList: []*pg.Node{pg.MakeResTargetNodeWithVal(n, -1)}, LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}
	sql, err := pg.Deparse(&pg.ParseResult{Stmts: []*pg.RawStmt{{Stmt: &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: q}}}}})
	if err != nil {
		panic(err)
	}
	return strings.TrimPrefix(sql, "SELECT ")
}

// VerifyDecision runs the verifier alone on a statement that was so decided on.
func VerifyDecision(cat *access.Catalog, l *Labels, m *Masks, d access.Decision, sql string) string {
	tree, err := pg.Parse(sql)
	if err != nil {
		panic(err)
	}
	c, err := newCompiler(Input{Tree: &pgtree.Tree{Stmt: tree.Stmts[0].Stmt}, Facts: &access.Facts{}, Catalog: cat, Labels: l, Masks: m, Decision: d})
	if err != nil {
		panic(err)
	}
	if err := c.finders(); err != nil {
		panic(err)
	}
	strip(tree.ProtoReflect())
	v := verifier{masks: c.masks, trees: c.in.Masks, items: map[access.ColumnID]*pg.Node{}, celled: map[*pg.ColumnRef]bool{}}
	v.visit(tree.Stmts[0].Stmt.ProtoReflect(), reach{})
	return v.why
}
