package mask

import (
	"fmt"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
)

// uses is what a statement needs of the relations that become subqueries. Columns that nothing refers to are
// left out of them: their masks would cost the server time to parse and plan, only to be dropped.
type uses struct {
	all     bool                            // of every relation, all columns: a star or a join that counts them
	whole   map[*pgtree.Ref]bool            // all columns of this one
	columns map[*pgtree.Ref]map[string]bool // by reference
	merged  map[string]bool                 // named in USING, of every relation
}

// noteUses goes by the resolution. A reference that it missed makes the server complain about an unknown
// column; it cannot show more.
func (c *compiler) noteUses() {
	u := &c.uses
	u.whole, u.columns, u.merged = map[*pgtree.Ref]bool{}, map[*pgtree.Ref]map[string]bool{}, map[string]bool{}
	column := func(ref *pgtree.Ref, name string) {
		if u.columns[ref] == nil {
			u.columns[ref] = map[string]bool{}
		}
		u.columns[ref][name] = true
	}
	for cr, col := range c.in.Tree.Cols {
		switch {
		case col.Star && len(cr.Fields) == 1:
			u.all = true
		case col.Star || col.WholeRow:
			u.whole[col.Ref] = true
			for _, ref := range col.Stars {
				u.whole[ref] = true
			}
		default:
			column(col.Ref, col.Name)
		}
	}
	for _, col := range c.in.Tree.FuncCols {
		column(col.Ref, col.Name)
	}
	for _, ref := range c.in.Tree.Refs {
		if len(ref.Var.GetAlias().GetColnames()) > 0 {
			u.whole[ref] = true // they count from the first column
		}
	}
	walkNode(c.in.Tree.Stmt, func(n any) bool {
		if j, ok := n.(*pg.JoinExpr); ok {
			u.all = u.all || j.IsNatural || j.Alias != nil
			for _, name := range j.UsingClause {
				u.merged[name.GetString_().GetSval()] = true
			}
		}
		return true
	})
}

func (u *uses) needs(ref *pgtree.Ref, name string) bool {
	return u.all || u.whole[ref] || u.merged[name] || u.columns[ref][name]
}

// subquery is the masked form of a relation: its columns in their order, of the same types, under the name
// that the statement knows the relation by.
func (c *compiler) subquery(ref *pgtree.Ref, rv *pg.RangeVar) (*pg.Node, error) {
	m := c.masks[ref.Relation.Name]
	q := &pg.SelectStmt{LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}
	for _, col := range m.rel.Columns {
		if !c.uses.needs(ref, col.Name) {
			continue
		}
		item, err := m.item(c.in.Masks, col.Name)
		if err != nil {
			return nil, err
		}
		q.TargetList = append(q.TargetList, item)
	}
	for _, name := range c.rawed[ref] {
		q.TargetList = append(q.TargetList, m.rawItem(name))
	}
	for _, name := range c.celled[ref] {
		item, err := m.cellItem(c.in.Masks, name)
		if err != nil {
			return nil, err
		}
		q.TargetList = append(q.TargetList, item)
	}
	q.FromClause = []*pg.Node{m.source(rv.Inh)}
	filters, err := m.conditions(c.in.Masks)
	if err != nil {
		return nil, err
	}
	if m.fenced() {
		fence(q)
	}
	q.WhereClause = all(append(filters, c.pushed[ref]...))
	alias := &pg.Alias{Aliasname: c.name(ref)}
	if rv.Alias != nil {
		alias.Colnames = rv.Alias.Colnames
	}
	return &pg.Node{Node: &pg.Node_RangeSubselect{RangeSubselect: &pg.RangeSubselect{
		Subquery: &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: q}}, Alias: alias,
	}}}, nil
}

// conditions gives the row filters of a relation as trees, each part of a conjunction by itself.
func (m *maskedRelation) conditions(masks *Masks) ([]*pg.Node, error) {
	var out []*pg.Node
	for _, f := range m.filters {
		n, err := masks.parsed(f)
		if err != nil {
			return nil, err
		}
		out = append(out, conjuncts(clone(n))...)
	}
	for _, n := range out {
		var err error
		walkNode(n, func(n any) bool {
			if cr, ok := n.(*pg.ColumnRef); ok && (len(cr.Fields) != 1 || m.rel.Column(lastName(cr.Fields)) == nil) {
				err = internal("a row filter looks at something else than its relation's columns")
			}
			return true
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// fenced tells whether conditions of the statement must not reach what the subquery of a relation leaves out.
func (m *maskedRelation) fenced() bool { return len(m.filters) > 0 || m.view }

// fence keeps the server from evaluating a condition of the outer query on rows that the subquery leaves out: it
// never moves conditions below OFFSET.
func fence(q *pg.SelectStmt) {
	q.LimitOffset = pg.MakeAConstIntNode(0, -1)
	q.LimitOption = pg.LimitOption_LIMIT_OPTION_COUNT
}

// conjuncts takes a conjunction apart.
func conjuncts(n *pg.Node) []*pg.Node {
	if b := n.GetBoolExpr(); b != nil && b.Boolop == pg.BoolExprType_AND_EXPR {
		return b.Args
	}
	return []*pg.Node{n}
}

// all is the conjunction of conds, as the parser makes it: flat.
func all(conds []*pg.Node) *pg.Node {
	switch len(conds) {
	case 0:
		return nil
	case 1:
		return conds[0]
	}
	return pg.MakeBoolExprNode(pg.BoolExprType_AND_EXPR, conds, -1)
}

// item is one column of that subquery: the plain column, or its mask under its name.
func (m *maskedRelation) item(masks *Masks, name string) (*pg.Node, error) {
	ref := columnRef(name)
	expr, ok := m.exprs[name]
	if !ok {
		return pg.MakeResTargetNodeWithVal(ref, -1), nil
	}
	val, err := masks.splice(expr, ref.GetColumnRef())
	if err != nil {
		return nil, err
	}
	return pg.MakeResTargetNodeWithNameAndVal(name, val, -1), nil
}

// splice gives the tree of a mask's SQL with the reference cr in the place of its placeholder. Parsed masks are
// kept: there are few, and parsing one costs more than compiling a statement.
func (m *Masks) splice(expr string, cr *pg.ColumnRef) (*pg.Node, error) {
	n, err := m.parsed(expr)
	if err != nil {
		return nil, err
	}
	val := clone(n)
	walkNode(val, func(n any) bool {
		if r, ok := n.(*pg.ColumnRef); ok && len(r.Fields) == 1 && r.Fields[0].GetString_().GetSval() == colRef {
			r.Fields = clone(cr).Fields
		}
		return true
	})
	return val, nil
}

func (m *Masks) parsed(expr string) (*pg.Node, error) {
	if m != nil {
		if n, ok := m.trees.Load(expr); ok {
			return n.(*pg.Node), nil
		}
	}
	q, err := parseSelect("SELECT " + expr)
	if err != nil {
		return nil, err
	}
	n := q.GetSelectStmt().TargetList[0].GetResTarget().Val
	if m != nil {
		m.trees.Store(expr, n)
	}
	return n, nil
}

// parseSelect parses SQL of the compiler's own making.
func parseSelect(sql string) (*pg.Node, error) {
	tree, err := pg.Parse(sql)
	if err != nil || len(tree.Stmts) != 1 || tree.Stmts[0].Stmt.GetSelectStmt() == nil {
		return nil, &access.Error{Kind: access.Internal, Code: "XX000", Message: "the statement could not be compiled with masks",
			Hint: "nothing was executed; the operator's log has the cause", Err: fmt.Errorf("own SQL does not parse: %w: %s", err, sql)}
	}
	own(tree.Stmts[0].Stmt)
	return tree.Stmts[0].Stmt, nil
}

// own marks every name in a tree as the compiler's, and qualifies its types: those outside pg_catalog are
// qualified already, and a temporary relation called "text" must not come first. (bpchar has to stay as it is,
// the deparser writes the qualified name as char, which is char(1).)
func own(n *pg.Node) {
	walkNode(n, func(n any) bool {
		switch n := n.(type) {
		case *pg.ColumnRef:
			n.Location = ownLocation
		case *pg.RangeVar: // of a view's body
			n.Location = ownLocation
		case *pg.TypeName:
			if len(n.Names) == 1 && lastName(n.Names) != "bpchar" {
				n.Names = []*pg.Node{pg.MakeStrNode("pg_catalog"), n.Names[0]}
			}
		}
		return true
	})
}

// ident quotes an identifier.
func ident(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
