package mask

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
)

// dependencies keeps `SELECT c.id, c.name ... GROUP BY c.id` working. The server lets c.name stand there because
// the primary key decides it, and cannot know that of a subquery. So where a query level groups by the whole
// primary key of a relation that becomes one, the relation's other columns in use are added to GROUP BY: each
// is decided by the key, masked or not, so the groups stay the same.
func (c *compiler) dependencies() error {
	walkNode(c.in.Tree.Stmt, func(n any) bool {
		if s, ok := n.(*pg.SelectStmt); ok && len(s.GroupClause) > 0 {
			for _, ref := range c.levelRefs(s) {
				c.addDependents(s, ref)
			}
		}
		return true
	})
	return nil
}

// levelRefs are the masked relations in FROM of one query level.
func (c *compiler) levelRefs(s *pg.SelectStmt) []*pgtree.Ref {
	var refs []*pgtree.Ref
	for _, from := range s.FromClause {
		walkNode(from, func(n any) bool {
			switch n := n.(type) {
			case *pg.SelectStmt:
				return false
			case *pg.RangeVar:
				if ref := c.in.Tree.Refs[n]; ref != nil && !ref.Target && c.masked(ref) != nil {
					refs = append(refs, ref)
				}
			}
			return true
		})
	}
	return refs
}

func (c *compiler) addDependents(s *pg.SelectStmt, ref *pgtree.Ref) {
	key := primaryKey(ref.Relation)
	grouped := map[string]bool{}
	for _, g := range s.GroupClause {
		if g.GetGroupingSet() != nil {
			return // a key column can then be missing from some of the sets
		}
		if i := g.GetAConst().GetIval(); i != nil && int(i.Ival) >= 1 && int(i.Ival) <= len(s.TargetList) {
			g = s.TargetList[i.Ival-1].GetResTarget().GetVal() // GROUP BY 1
		}
		if col := c.in.Tree.Cols[g.GetColumnRef()]; col != nil && col.Ref == ref && !col.Star && !col.WholeRow {
			grouped[col.Name] = true
		}
	}
	if len(key) == 0 || slices.ContainsFunc(key, func(k string) bool { return !grouped[k] }) {
		return
	}
	add := func(n any) bool {
		cr, ok := n.(*pg.ColumnRef)
		col := c.in.Tree.Cols[cr]
		if !ok || col == nil || col.Ref != ref || col.Star || col.WholeRow || grouped[col.Name] {
			return true
		}
		grouped[col.Name] = true
		again := clone(cr)
		c.in.Tree.Cols[again] = col
		s.GroupClause = append(s.GroupClause, &pg.Node{Node: &pg.Node_ColumnRef{ColumnRef: again}})
		return true
	}
	for _, list := range [][]*pg.Node{s.TargetList, {s.HavingClause}, s.SortClause, s.WindowClause, s.DistinctClause} {
		for _, n := range list {
			walkNode(n, add)
		}
	}
}

func primaryKey(rel *access.Relation) []string {
	for _, con := range rel.Constraints {
		if con.Type == 'p' {
			return con.Columns
		}
	}
	return nil
}
