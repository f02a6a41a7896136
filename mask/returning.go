package mask

import (
	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/pgtree"
)

// returningLists expands the stars of every RETURNING list whose target has masked columns, so that
// each column can be masked by itself.
func (c *compiler) returningLists(n *pg.Node) error {
	var err error
	walkNode(n, func(n any) bool {
		if err != nil {
			return false
		}
		switch s := n.(type) {
		case *pg.InsertStmt:
			s.ReturningList, err = c.expand(s.Relation, nil, s.ReturningList)
		case *pg.UpdateStmt:
			s.ReturningList, err = c.expand(s.Relation, s.FromClause, s.ReturningList)
		case *pg.DeleteStmt:
			s.ReturningList, err = c.expand(s.Relation, s.UsingClause, s.ReturningList)
		}
		return true
	})
	return err
}

func (c *compiler) expand(target *pg.RangeVar, from, list []*pg.Node) ([]*pg.Node, error) {
	ref := c.in.Tree.Refs[target]
	if c.masked(ref) == nil {
		return list, nil
	}
	var out []*pg.Node
	for _, n := range list {
		cr := n.GetResTarget().GetVal().GetColumnRef()
		col := c.in.Tree.Cols[cr]
		switch {
		case cr == nil || col == nil || !col.Star || col.WholeRow || col.Excluded:
			out = append(out, n)
		case col.Ref == ref: // target.*
			out = append(out, c.columns(ref)...)
		case col.Ref == nil && len(cr.Fields) == 1: // *
			out = append(out, c.columns(ref)...)
			rest, err := c.stars(from)
			if err != nil {
				return nil, err
			}
			out = append(out, rest...)
		default:
			out = append(out, n)
		}
	}
	return out, nil
}

// columns lists all columns of a target as select-list items; rewrite masks them like any other.
func (c *compiler) columns(ref *pgtree.Ref) []*pg.Node {
	var out []*pg.Node
	for i := range ref.Relation.Columns {
		name := ref.Relation.Columns[i].Name
		n := columnRef(c.name(ref), name)
		cr := n.GetColumnRef()
		cr.Location = -1
		c.in.Tree.Cols[cr] = &pgtree.Col{Ref: ref, Name: name}
		out = append(out, pg.MakeResTargetNodeWithNameAndVal(name, n, -1))
	}
	return out
}

// stars lists item.* for each item of a FROM list.
func (c *compiler) stars(from []*pg.Node) ([]*pg.Node, error) {
	var out []*pg.Node
	for _, n := range from {
		name := ""
		switch x := n.GetNode().(type) {
		case *pg.Node_RangeVar:
			if name = x.RangeVar.Relname; x.RangeVar.Alias != nil {
				name = x.RangeVar.Alias.Aliasname
			}
			if ref := c.in.Tree.Refs[x.RangeVar]; ref != nil {
				name = c.name(ref)
			}
		case *pg.Node_RangeSubselect:
			name = x.RangeSubselect.Alias.GetAliasname()
		case *pg.Node_RangeFunction:
			name = x.RangeFunction.Alias.GetAliasname()
		case *pg.Node_JoinExpr:
			switch j := x.JoinExpr; {
			case j.Alias != nil:
				name = j.Alias.Aliasname
			case len(j.UsingClause) == 0 && !j.IsNatural:
				sides, err := c.stars([]*pg.Node{j.Larg, j.Rarg})
				if err != nil {
					return nil, err
				}
				out = append(out, sides...)
				continue
			}
		}
		if name == "" {
			return nil, cannotExpand()
		}
		cr := pg.MakeColumnRefNode([]*pg.Node{pg.MakeStrNode(name), pg.MakeAStarNode()}, ownLocation)
		out = append(out, pg.MakeResTargetNodeWithVal(cr, -1))
	}
	return out, nil
}

func cannotExpand() error {
	return unsupported("RETURNING * over this FROM list is not available where columns are masked", "name the columns that you need")
}
