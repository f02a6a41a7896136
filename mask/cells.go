package mask

import (
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
)

// A column that may be aggregated raw gets a second form in the subquery of its relation, under a name that no
// statement can refer to: its value where the cell of its row has enough values, else NULL. Calls of the aggregates below
// are led to that form where the rows that they see are whole cells; everything else keeps to the mask.

// cellPrefix begins the names of those forms. A column's number follows.
const cellPrefix = "sallyport cell "

// cellAggregates are the aggregates that give no row's value, and two moments of a cell at most. All of them pass over
// NULL.
var cellAggregates = []string{"count", "sum", "avg", "stddev", "stddev_pop", "stddev_samp", "variance", "var_pop", "var_samp"}

// cellOf is the SQL of that form of a column, over its relation.
func cellOf(a access.AggregateColumn) string {
	col := ident(a.Column.Column)
	by := make([]string, len(a.By))
	for i, c := range a.By {
		by[i] = ident(c)
	}
	over := ""
	if len(by) > 0 {
		over = "PARTITION BY " + strings.Join(by, ", ")
	}
	return fmt.Sprintf("CASE WHEN pg_catalog.count(%s) OVER (%s) OPERATOR(pg_catalog.>=) %d THEN %s END", col, over, a.MinGroup, col)
}

// cellItem is a select-list item with it.
func (m *maskedRelation) cellItem(masks *Masks, name string) (*pg.Node, error) {
	n, err := masks.parsed(cellOf(m.cells[name]))
	if err != nil {
		return nil, err
	}
	return pg.MakeResTargetNodeWithNameAndVal(m.cellName(name), clone(n), -1), nil
}

// cellName is what the form of a column is called.
func (m *maskedRelation) cellName(column string) string {
	return fmt.Sprintf("%s%d", cellPrefix, m.rel.Column(column).Num)
}

// aggregates leads the arguments of aggregates to the form of their columns that whole cells have.
func (c *compiler) aggregates() error {
	if len(c.in.Decision.Aggregate) == 0 || c.unclear() {
		return nil
	}
	walkNode(c.in.Tree.Stmt, func(n any) bool {
		if s, ok := n.(*pg.SelectStmt); ok {
			if ref := c.wholeCells(s); ref != nil {
				c.cellArguments(s, ref)
			}
		}
		return true
	})
	return nil
}

// unclear tells whether a statement uses a row of some relation as a whole, which would hold the second forms too, or
// code of the database's own users, which might not answer alike each time.
func (c *compiler) unclear() bool {
	if slices.ContainsFunc(c.in.Facts.Functions, func(f access.FunctionUse) bool { return f.Class == "" }) {
		return true
	}
	for _, col := range c.in.Tree.Cols {
		if col.Star || col.WholeRow {
			return true
		}
	}
	return slices.ContainsFunc(c.in.Facts.Relations, func(r access.RelationUse) bool { return r.Whole })
}

// wholeCells gives the relation that a query reads if its rows, and its groups, are made of whole cells: it stands alone in
// FROM, and conditions and GROUP BY look at nothing but the columns that divide it.
func (c *compiler) wholeCells(s *pg.SelectStmt) *pgtree.Ref {
	if len(s.FromClause) != 1 || len(s.LockingClause) > 0 || len(s.WindowClause) > 0 {
		return nil
	}
	rv := s.FromClause[0].GetRangeVar()
	ref := c.in.Tree.Refs[rv]
	m := c.masked(ref)
	if rv == nil || m == nil || len(m.cells) == 0 || ref.Target || len(c.pushed[ref]) > 0 || len(rv.GetAlias().GetColnames()) > 0 {
		return nil
	}
	by := m.by()
	divides := func(n *pg.Node) bool {
		col := c.in.Tree.Cols[n.GetColumnRef()]
		return col != nil && col.Ref == ref && slices.Contains(by, col.Name)
	}
	if !cellCondition(s.WhereClause, divides, true) {
		return nil
	}
	for _, n := range s.GroupClause {
		if i := n.GetAConst().GetIval(); i != nil && i.Ival >= 1 && int(i.Ival) <= len(s.TargetList) {
			n = s.TargetList[i.Ival-1].GetResTarget().GetVal()
		}
		if !divides(n) {
			return nil
		}
	}
	return ref
}

// by are the columns that divide a relation for all of its columns that may be aggregated.
func (m *maskedRelation) by() []string {
	var out []string
	first := true
	for _, a := range m.cells {
		if first {
			out, first = slices.Clone(a.By), false
		}
		out = slices.DeleteFunc(out, func(c string) bool { return !slices.Contains(a.By, c) })
	}
	return out
}

// cellCondition tells whether a condition is true of whole cells: it compares columns that divide a relation with constants.
// own makes the comparisons name the server's own operators.
func cellCondition(n *pg.Node, divides func(*pg.Node) bool, own bool) bool {
	if n == nil {
		return true
	}
	if divides(n) { // a boolean
		return true
	}
	if b := n.GetBoolExpr(); b != nil {
		return !slices.ContainsFunc(b.Args, func(n *pg.Node) bool { return !cellCondition(n, divides, own) })
	}
	if t := n.GetNullTest(); t != nil {
		return divides(t.Arg)
	}
	e := n.GetAExpr()
	if e == nil {
		return false
	}
	op := lastName(e.Name)
	if !slices.Contains([]string{"=", "<>", "<", "<=", ">", ">="}, op) || len(e.Name) > 2 || len(e.Name) == 2 && e.Name[0].GetString_().GetSval() != "pg_catalog" {
		if e.Kind != pg.A_Expr_Kind_AEXPR_BETWEEN && e.Kind != pg.A_Expr_Kind_AEXPR_NOT_BETWEEN {
			return false
		}
	}
	values := []*pg.Node{e.Rexpr}
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_OP:
		if own && len(e.Name) == 1 {
			e.Name = []*pg.Node{pg.MakeStrNode("pg_catalog"), pg.MakeStrNode(op)}
		}
	case pg.A_Expr_Kind_AEXPR_IN, pg.A_Expr_Kind_AEXPR_BETWEEN, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN:
		values = e.Rexpr.GetList().GetItems()
	default:
		return false
	}
	return divides(e.Lexpr) && len(values) > 0 && !slices.ContainsFunc(values, func(n *pg.Node) bool { return n.GetAConst() == nil && n.GetParamRef() == nil })
}

// cellArguments re-points the arguments of the aggregates of one query.
func (c *compiler) cellArguments(s *pg.SelectStmt, ref *pgtree.Ref) {
	m := c.masked(ref)
	eachAggregate(s, func(f *pg.FuncCall) {
		cr := cellCall(f)
		col := c.in.Tree.Cols[cr]
		if use := c.in.Tree.Funcs[f]; cr == nil || !use.Builtin || use.Name.Schema != "pg_catalog" || col == nil || col.Ref != ref {
			return
		}
		if _, ok := m.cells[col.Name]; !ok {
			return
		}
		cr.Fields = []*pg.Node{pg.MakeStrNode(c.name(ref)), pg.MakeStrNode(m.cellName(col.Name))}
		c.cell[cr] = true
		if !slices.Contains(c.celled[ref], col.Name) {
			c.celled[ref] = append(c.celled[ref], col.Name)
		}
	})
}

// eachAggregate calls f for the calls in a query that could be its own aggregates, not those of queries inside.
func eachAggregate(s *pg.SelectStmt, f func(*pg.FuncCall)) {
	nodes := slices.Concat(s.TargetList, s.SortClause, []*pg.Node{s.HavingClause})
	for _, n := range nodes {
		if n == nil {
			continue
		}
		walkNode(n, func(n any) bool {
			switch n := n.(type) {
			case *pg.SubLink, *pg.SelectStmt:
				return false
			case *pg.FuncCall:
				f(n)
			}
			return true
		})
	}
}

// cellCall gives the argument of a call that aggregates a plain column in one of the ways above, or nil.
func cellCall(f *pg.FuncCall) *pg.ColumnRef {
	if len(f.Args) != 1 || len(f.AggOrder) > 0 || f.AggFilter != nil || f.Over != nil || f.AggWithinGroup || f.AggStar || f.AggDistinct || f.FuncVariadic {
		return nil
	}
	if len(f.Funcname) > 2 || len(f.Funcname) == 2 && f.Funcname[0].GetString_().GetSval() != "pg_catalog" || !slices.Contains(cellAggregates, lastName(f.Funcname)) {
		return nil
	}
	return f.Args[0].GetColumnRef()
}
