package mask

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"
)

// estimates is how much of the planner's estimates EXPLAIN shows.
type estimates uint8

const (
	noEstimates      estimates = iota // they could tell about values that stay masked, or rows that stay hidden
	roundedEstimates                  // they tell about values that the principal may ask about
	exactEstimates                    // they come from relations without labels
)

// explain drops VERBOSE and SETTINGS, which show expressions of the mask, and COSTS where estimates may not be shown.
// ANALYZE measures what raw values do to memory and pages, so it is refused.
func (c *compiler) explain(s *pg.ExplainStmt) error {
	show := c.estimates(s.Query)
	options, err := costsOff()
	if err != nil {
		return err
	}
	if show != noEstimates {
		options = nil
	}
	for _, n := range s.Options {
		d := n.GetDefElem()
		switch strings.ToLower(d.GetDefname()) {
		case "analyze":
			if !isFalse(d.Arg) {
				return unsupported("EXPLAIN ANALYZE is not available where columns are masked", "use EXPLAIN without ANALYZE")
			}
		case "format":
			options = append(options, n)
		case "costs":
			if show != noEstimates {
				options = append(options, n)
			}
		}
	}
	s.Options = options
	c.rounded = show == roundedEstimates
	if q := s.Query.GetCreateTableAsStmt(); q != nil {
		return c.creates("CREATE TABLE AS")
	}
	return c.shape(s.Query)
}

// estimates decides by what the planner's statistics are about. They are of raw values, and of all rows: how many
// different values a column has, how often each, how large the relation is. Rounding them hides little from whoever
// can add a known number of rows and watch where it tips over, so where a masked value or a hidden row plays a part there are
// none. Where each masked column that a statement uses is compared raw, as the principal may, they are rounded: every
// EXPLAIN is a guess then, and counted as one. Costs of a relation with masked columns go by its size, which its values
// make, so a statement that uses none of them gets none either.
func (c *compiler) estimates(query *pg.Node) estimates {
	switch query.GetNode().(type) {
	case *pg.Node_SelectStmt, *pg.Node_InsertStmt, *pg.Node_UpdateStmt, *pg.Node_DeleteStmt, *pg.Node_MergeStmt:
	default: // EXECUTE runs another statement
		return noEstimates
	}
	for _, f := range c.in.Facts.Functions {
		if f.Class == "" {
			return noEstimates // its body may become a part of the plan
		}
	}
	labelled := false
	for _, r := range c.in.Facts.Relations {
		for _, below := range c.in.Labels.Reads(r.Name) {
			if len(c.in.Labels.Columns(below)) > 0 || c.masks[below] != nil {
				return noEstimates
			}
		}
		m := c.masks[r.Name]
		if m == nil {
			continue
		}
		if m.fenced() || r.Whole {
			return noEstimates
		}
		labelled = true
	}
	if !labelled {
		return exactEstimates
	}
	asked := false
	for cr, col := range c.in.Tree.Cols {
		m := c.masked(col.Ref)
		if col.Star || col.WholeRow {
			return noEstimates
		}
		if m == nil {
			continue
		}
		if _, hidden := m.cols[col.Name]; hidden {
			if !c.raw[cr] {
				return noEstimates
			}
			asked = true
		}
	}
	for _, col := range c.in.Tree.FuncCols {
		if m := c.masked(col.Ref); m != nil && m.exprs[col.Name] != "" {
			return noEstimates
		}
	}
	if !asked || c.merges(query) {
		return noEstimates
	}
	return roundedEstimates
}

// merges tells whether a join compares columns, which may be masked, without naming them.
func (c *compiler) merges(query *pg.Node) bool {
	found := false
	walkNode(query, func(n any) bool {
		if j, ok := n.(*pg.JoinExpr); ok {
			found = found || j.IsNatural
			for _, name := range j.UsingClause {
				for _, m := range c.masks {
					found = found || m.exprs[name.GetString_().GetSval()] != ""
				}
			}
		}
		return !found
	})
	return found
}

func costsOff() ([]*pg.Node, error) {
	tree, err := pg.Parse("EXPLAIN (COSTS OFF) SELECT")
	if err != nil {
		return nil, internal(err.Error())
	}
	return tree.Stmts[0].Stmt.GetExplainStmt().Options, nil
}

// isFalse reads a boolean option as defGetBoolean does.
func isFalse(n *pg.Node) bool {
	switch v := n.GetNode().(type) {
	case *pg.Node_Integer:
		return v.Integer.Ival == 0
	case *pg.Node_String_:
		s := strings.ToLower(v.String_.Sval)
		return s == "false" || s == "off"
	}
	return false
}
