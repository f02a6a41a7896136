package mask

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"
)

// Probes counts the guesses at masked values that one run of a statement answers: the constants that it compares
// with raw values, one by one.
type Probes struct {
	Fixed int64
	// Lists are parameters that hold a list of guesses each, by number from 1.
	Lists []int
	// Varies is true where a constant of the text is such a list, so that another in its place may hold another number.
	Varies bool
	// Unknown is true where there are guesses that cannot be counted.
	Unknown bool
}

// None is true for a statement that asks nothing.
func (p Probes) None() bool { return p.Fixed == 0 && len(p.Lists) == 0 && !p.Unknown }

// Listed is how many values a list written as text holds at most: an array, or else a single value.
func Listed(text string) int64 {
	if !strings.Contains(text, "{") {
		return 1
	}
	n, quoted := int64(1), false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			n++
		}
	}
	return n
}

// compare counts the guesses of one comparison with a raw value. Its constants are those that constant knows.
func (p *Probes) compare(e *pg.A_Expr) {
	list := e.Kind == pg.A_Expr_Kind_AEXPR_OP_ANY || e.Kind == pg.A_Expr_Kind_AEXPR_OP_ALL
	guess := func(n *pg.Node) {
		for n.GetTypeCast() != nil {
			n = n.GetTypeCast().Arg
		}
		switch param := n.GetParamRef(); {
		case list && param != nil:
			p.Lists = append(p.Lists, int(param.Number))
		case list:
			p.Varies = true
			p.Fixed += Listed(n.GetAConst().GetSval().GetSval())
		default:
			p.Fixed++
		}
	}
	for _, side := range []*pg.Node{e.Lexpr, e.Rexpr} {
		switch {
		case side.GetColumnRef() != nil:
		case side.GetList() != nil:
			for _, n := range side.GetList().Items {
				guess(n)
			}
		case side.GetAArrayExpr() != nil:
			for _, n := range side.GetAArrayExpr().Elements {
				guess(n)
			}
		default:
			guess(side)
		}
	}
}

// compared counts what a write asks through constraints that compare its rows with values that may be looked up:
// each row of VALUES is a guess. A write that fails as a whole answers one; how many rows come from elsewhere is not
// known, and ON CONFLICT answers for each.
func (c *compiler) compared() error {
	if !c.in.Decision.Compares {
		return nil
	}
	if c.in.Facts.CopyIn {
		c.probes.Unknown = true
	}
	walkNode(c.in.Tree.Stmt, func(n any) bool {
		switch s := n.(type) {
		case *pg.InsertStmt:
			switch q := s.SelectStmt.GetSelectStmt(); {
			case s.SelectStmt == nil:
				c.probes.Fixed++
			case len(q.GetValuesLists()) > 1 || len(q.GetValuesLists()) == 1 && !c.in.Facts.Sets: // one row is computed like a SELECT
				c.probes.Fixed += int64(len(q.ValuesLists))
			default:
				c.probes.Unknown = true
			}
		case *pg.UpdateStmt, *pg.DeleteStmt:
			c.probes.Fixed++
		case *pg.MergeStmt:
			c.probes.Unknown = true
		}
		return true
	})
	return nil
}
