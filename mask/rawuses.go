package mask

import (
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/pgtree"
)

// A column that rows may be ordered or grouped by raw stands in the subquery of its relation a second time, under a name that
// no statement can refer to. Items of ORDER BY that are that column and nothing else are led to it; to GROUP BY it is added,
// beside the mask, which is the same for all rows of such a group. Nothing else sees it.

// rawPrefix begins the names of those columns. The column's number follows.
const rawPrefix = "sallyport raw "

func (m *maskedRelation) rawName(column string) string {
	return fmt.Sprintf("%s%d", rawPrefix, m.rel.Column(column).Num)
}

// rawItem is a select-list item with the column.
func (m *maskedRelation) rawItem(column string) *pg.Node {
	return pg.MakeResTargetNodeWithNameAndVal(m.rawName(column), columnRef(column), -1)
}

// rawUses leads orderings and groupings to the raw column where the decision lets them.
func (c *compiler) rawUses() error {
	granted := false
	for _, m := range c.masks {
		granted = granted || len(m.order) > 0 || len(m.group) > 0
	}
	if !granted || c.unclear() || c.merges(c.in.Tree.Stmt) {
		return nil
	}
	walkNode(c.in.Tree.Stmt, func(n any) bool {
		s, ok := n.(*pg.SelectStmt)
		if !ok {
			return true
		}
		refs := map[*pgtree.Ref]bool{}
		joined(s.FromClause, func(n *pg.Node) {
			if ref := c.in.Tree.Refs[n.GetRangeVar()]; ref != nil && !ref.Target && ref.Var == n.GetRangeVar() && len(ref.Var.GetAlias().GetColnames()) == 0 {
				refs[ref] = true
			}
		})
		if ordersRows(s) {
			for _, n := range s.SortClause {
				c.orderRaw(s, n.GetSortBy(), refs)
			}
		}
		for _, n := range slices.Clone(s.GroupClause) {
			col := c.in.Tree.Cols[n.GetColumnRef()]
			if n.GetGroupingSet() != nil {
				break
			}
			if col != nil && refs[col.Ref] && groupsRows(s) && c.masked(col.Ref) != nil && c.masked(col.Ref).group[col.Name] {
				s.GroupClause = append(s.GroupClause, c.rawRef(col.Ref, col.Name))
			}
		}
		return true
	})
	return nil
}

// rawRef is a reference to the second form of a column, which is then made.
func (c *compiler) rawRef(ref *pgtree.Ref, column string) *pg.Node {
	if !slices.Contains(c.rawed[ref], column) {
		c.rawed[ref] = append(c.rawed[ref], column)
	}
	return columnRef(c.name(ref), c.masked(ref).rawName(column))
}

// orderRaw re-points one item of ORDER BY. A bare name is an output column first: that has to be the plain column.
func (c *compiler) orderRaw(s *pg.SelectStmt, by *pg.SortBy, refs map[*pgtree.Ref]bool) {
	cr := by.GetNode().GetColumnRef()
	col := c.in.Tree.Cols[cr]
	if cr == nil || col == nil || len(by.UseOp) > 0 {
		return
	}
	if col.Ref == nil {
		name := col.Name
		col = nil
		for _, t := range s.TargetList {
			inner := t.GetResTarget().GetVal().GetColumnRef()
			if t.GetResTarget().GetName() != name && (t.GetResTarget().GetName() != "" || figureName(t.GetResTarget().GetVal()) != name) {
				continue
			}
			if col != nil || inner == nil {
				return
			}
			col = c.in.Tree.Cols[inner]
		}
	}
	if col == nil || !refs[col.Ref] {
		return
	}
	if m := c.masked(col.Ref); m != nil && m.order[col.Name] {
		by.Node = c.rawRef(col.Ref, col.Name)
	}
}

// ordersRows tells whether ORDER BY of a query decides about the order of its rows and nothing else: WITH TIES would tell
// which rows are equal.
func ordersRows(s *pg.SelectStmt) bool {
	return s.Op == pg.SetOperation_SETOP_NONE && len(s.DistinctClause) == 0 && len(s.GroupClause) == 0 && s.HavingClause == nil &&
		s.LimitOption != pg.LimitOption_LIMIT_OPTION_WITH_TIES
}

// groupsRows tells whether GROUP BY of a query is a plain list.
func groupsRows(s *pg.SelectStmt) bool {
	return s.Op == pg.SetOperation_SETOP_NONE && !slices.ContainsFunc(s.GroupClause, func(n *pg.Node) bool { return n.GetGroupingSet() != nil })
}

// joined calls f for the items of a FROM list, those of joins too.
func joined(from []*pg.Node, f func(*pg.Node)) {
	for _, n := range from {
		if j := n.GetJoinExpr(); j != nil {
			if j.Alias != nil { // its items cannot be named
				continue
			}
			joined([]*pg.Node{j.Larg, j.Rarg}, f)
			continue
		}
		f(n)
	}
}

// rawUses notes the references of a query to second forms of columns that stand where they may: as an item of its ORDER BY
// or GROUP BY.
func (v *verifier) rawUses(s *pg.SelectStmt) {
	joined(s.FromClause, func(n *pg.Node) {
		sub := n.GetRangeSubselect()
		if sub == nil || sub.Lateral || len(sub.GetAlias().GetColnames()) > 0 || !v.isMask(sub) {
			return
		}
		m := v.source(sub.Subquery.GetSelectStmt().FromClause[0])
		stands := func(n *pg.Node, granted map[string]bool) {
			if p := n.GetColumnRef(); p != nil && len(p.Fields) == 2 && parts(p)[0] == sub.Alias.Aliasname && granted[rawColumn(m, parts(p)[1])] {
				v.celled[p] = true
			}
		}
		if ordersRows(s) {
			for _, n := range s.SortClause {
				if len(n.GetSortBy().GetUseOp()) == 0 {
					stands(n.GetSortBy().GetNode(), m.order)
				}
			}
		}
		if groupsRows(s) {
			for _, n := range s.GroupClause {
				stands(n, m.group)
			}
		}
	})
}

// rawColumn is the column that such a name stands for, or "".
func rawColumn(m *maskedRelation, name string) string {
	for _, c := range m.rel.Columns {
		if strings.HasPrefix(name, rawPrefix) && m.rawName(c.Name) == name && (m.order[c.Name] || m.group[c.Name]) {
			return c.Name
		}
	}
	return ""
}
