package mask

import (
	"fmt"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
)

// deciding are the uses by which a column's values choose rows.
const deciding = access.UsePredicate | access.UseOrder | access.UseGroup

// checkStores refuses statements that would change data by what the asker sees instead of what is
// there: storing a masked value destroys the real one, and rows chosen by masked values are the wrong
// rows (with a salary masked to NULL, DELETE ... WHERE salary IS NULL would delete everybody).
// Tokens may choose rows: equal tokens are equal values.
func (c *compiler) checkStores() error {
	writes := c.in.Facts.Stores
	for _, r := range c.in.Facts.Relations {
		switch r.Verb {
		case "insert", "update", "delete", "merge":
			writes = writes || r.Action == access.ActWrite
		}
	}
	for _, r := range c.in.Facts.Relations {
		m := c.masks[r.Name]
		if m == nil || r.Action != access.ActRead {
			continue
		}
		for _, col := range r.Columns {
			t, ok := m.cols[col.Name]
			if !ok {
				continue
			}
			if col.Use&access.UseStore != 0 {
				return denied(fmt.Sprintf("this would store the masked values of %s.%s (%s)", r.Name, col.Name, t),
					"leave the column out of what is stored, or ask for `reveal` on its label")
			}
			if writes && col.Use&deciding != 0 && t.Kind != Token && !c.rawOnly(m, col.Name) {
				return denied(fmt.Sprintf("this would choose the rows to change by the masked values of %s.%s (%s)", r.Name, col.Name, t),
					"choose the rows by another column, compare with = if `lookup` is granted, or ask for `reveal`")
			}
		}
	}
	return nil
}

// rawOnly tells whether every reference to a column, but for RETURNING lists, is one that a granted lookup or predicate
// compares raw. An indirect use (through a star or a subquery) counts against it.
func (c *compiler) rawOnly(m *maskedRelation, name string) bool {
	if !m.lookup[name] && !m.predicate[name] {
		return false
	}
	granted, returned := c.rawRefs(), c.returned()
	for cr, col := range c.in.Tree.Cols {
		refers := col.Ref != nil && col.Ref.Relation.Name == m.rel.Name && (col.Name == name || col.Star || col.WholeRow)
		for _, ref := range col.Stars {
			refers = refers || ref != nil && ref.Relation.Name == m.rel.Name
		}
		if refers && !col.Excluded && !granted[cr] && !returned[cr] {
			return false
		}
	}
	for _, col := range c.in.Tree.FuncCols {
		if col.Ref != nil && col.Ref.Relation.Name == m.rel.Name && col.Name == name {
			return false
		}
	}
	return true
}

// returned has the column references in RETURNING lists.
func (c *compiler) returned() map[*pg.ColumnRef]bool {
	out := map[*pg.ColumnRef]bool{}
	walkNode(c.in.Tree.Stmt, func(n any) bool {
		var list []*pg.Node
		switch s := n.(type) {
		case *pg.InsertStmt:
			list = s.ReturningList
		case *pg.UpdateStmt:
			list = s.ReturningList
		case *pg.DeleteStmt:
			list = s.ReturningList
		}
		for _, item := range list {
			walkNode(item, func(n any) bool {
				if cr, ok := n.(*pg.ColumnRef); ok {
					out[cr] = true
				}
				return true
			})
		}
		return true
	})
	return out
}

// rawRefs has the column references in conditions that c.lookups and c.predicates will move or leave raw.
func (c *compiler) rawRefs() map[*pg.ColumnRef]bool {
	out := map[*pg.ColumnRef]bool{}
	c.eachLookup(func(_ *pgtree.Ref, cr *pg.ColumnRef, _ *pg.Node) bool {
		out[cr] = true
		return false
	})
	c.eachPredicate(func(p rawPredicate) bool {
		for _, cr := range p.cols {
			out[cr] = true
		}
		return false
	})
	return out
}
