package mask

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
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

// Listed is how many values a list written as text holds at most: an array, or what else types that are taken for arrays
// are written like, `1 2` (int2vector) or `[1,2]`.
func Listed(text string) int64 {
	n, quoted := int64(1), false
	if !strings.Contains(text, "{") {
		for i := range len(text) {
			if strings.IndexByte(", \t\r\n\v\f", text[i]) >= 0 {
				n++
			}
		}
		return n
	}
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
// each row of VALUES is a guess. How many rows come from elsewhere is not known, and ON CONFLICT answers for each. UPDATE and
// DELETE ask one thing where they concern one row, or give all rows the same value; else that none of their rows is in the
// way is as many answers as there are rows.
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
		case *pg.UpdateStmt:
			if ref := c.in.Tree.Refs[s.Relation]; ref != nil && (alike(ref.Relation, s.TargetList) || c.oneRow(ref, &s.WhereClause)) {
				c.probes.Fixed++
			} else {
				c.probes.Unknown = true
			}
		case *pg.DeleteStmt:
			if ref := c.in.Tree.Refs[s.Relation]; ref != nil && c.oneRow(ref, &s.WhereClause) {
				c.probes.Fixed++
			} else {
				c.probes.Unknown = true
			}
		case *pg.MergeStmt:
			c.probes.Unknown = true
		}
		return true
	})
	return nil
}

// oneRow reports whether a condition holds for one row of ref at most: it compares all columns of a key with constants.
// Where that depends on the types of parameters, which nobody knows here, and a budget asks for it, it adds comparisons with
// what the parameters are as values of the columns' types.
func (c *compiler) oneRow(ref *pgtree.Ref, where **pg.Node) bool {
	rel := ref.Relation
	if rel.Kind != access.Partitioned && len(c.in.Catalog.Below(rel)) > 1 {
		return false // a key is of each table for itself
	}
	fixed := c.fixed(ref, *where, nil)
	key := func(holds func(f fixedColumn) bool) []string {
		for _, con := range rel.Constraints {
			if (con.Type == 'p' || con.Type == 'u') && len(con.Columns) > 0 && !slices.ContainsFunc(con.Columns, func(name string) bool {
				return !slices.ContainsFunc(fixed, func(f fixedColumn) bool { return f.col.Name == name && holds(f) })
			}) {
				return con.Columns
			}
		}
		return nil
	}
	exact := func(f fixedColumn) bool { return !coarse(rel.Column(f.col.Name).TypeOID, f.value) }
	if key(exact) != nil {
		return true
	}
	names := key(func(f fixedColumn) bool { return exact(f) || c.keyType(f) != "" })
	if names == nil || len(c.in.Decision.Obligations.Probes) == 0 {
		return false
	}
	conds := slices.Clone(conjuncts(*where))
	for _, f := range fixed {
		if !slices.Contains(names, f.col.Name) || exact(f) {
			continue
		}
		cr := clone(f.ref)
		c.in.Tree.Cols[cr.GetColumnRef()] = f.col
		cast := &pg.Node{Node: &pg.Node_TypeCast{TypeCast: &pg.TypeCast{Arg: clone(f.value),
			TypeName: &pg.TypeName{Names: []*pg.Node{pg.MakeStrNode("pg_catalog"), pg.MakeStrNode(c.keyType(f))}, Typemod: -1}}}}
		conds = append(conds, pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{pg.MakeStrNode("pg_catalog"), pg.MakeStrNode("=")}, cr, cast, -1))
	}
	*where = all(conds)
	return true
}

// keyType is the type that a parameter can be cast to so that the column is equal to it in the way of a key, or "". A cast
// that somebody has made for the type might be called then.
func (c *compiler) keyType(f fixedColumn) string {
	oid := f.col.Ref.Relation.Column(f.col.Name).TypeOID
	if oid == oidVarchar {
		oid = oidText
	}
	if f.value.GetParamRef() == nil || slices.ContainsFunc(c.in.Catalog.Casts, func(c access.Cast) bool { return c.Target == oid }) {
		return ""
	}
	return keyTypes[oid]
}

var keyTypes = map[uint32]string{oidInt2: "int2", oidInt4: "int4", oidInt8: "int8", oidNumeric: "numeric", oidText: "text", oidUUID: "uuid",
	oidDate: "date", oidTimestamp: "timestamp", oidTimestamptz: "timestamptz"}

// fixedColumn is a column that a condition compares with a constant.
type fixedColumn struct {
	col        *pgtree.Col
	ref, value *pg.Node
}

// fixed lists the columns of ref, masked ones aside, that a condition compares with a constant for equality.
func (c *compiler) fixed(ref *pgtree.Ref, where *pg.Node, out []fixedColumn) []fixedColumn {
	if and := where.GetBoolExpr(); and.GetBoolop() == pg.BoolExprType_AND_EXPR {
		for _, arg := range and.GetArgs() {
			out = c.fixed(ref, arg, out)
		}
		return out
	}
	e := where.GetAExpr()
	if e == nil || e.Kind != pg.A_Expr_Kind_AEXPR_OP || len(e.Name) != 1 || e.Name[0].GetString_().GetSval() != "=" {
		return out
	}
	for _, sides := range [][2]*pg.Node{{e.Lexpr, e.Rexpr}, {e.Rexpr, e.Lexpr}} {
		col := c.in.Tree.Cols[sides[0].GetColumnRef()]
		if col == nil || col.Ref != ref || ref.Relation.Column(col.Name) == nil || !constant(sides[1]) ||
			slices.Contains(c.in.Decision.Masked, access.ColumnID{Relation: ref.Relation.Name, Column: col.Name}) {
			continue
		}
		out = append(out, fixedColumn{col, sides[0], sides[1]})
	}
	return out
}

// coarse reports whether a constant may be of a type that has it equal several values of a column's type: bigints are compared
// with double precision as double precision, varchars with char without the spaces at their ends.
func coarse(column uint32, n *pg.Node) bool {
	switch column {
	case oidInt2, oidInt4, oidText, oidUUID:
		cast := n.GetTypeCast().GetTypeName().GetNames()
		return cast != nil && !slices.Contains([]string{"int2", "int4", "int8", "text", "varchar", "uuid"}, lastName(cast))
	case oidInt8, oidVarchar:
		cast := n.GetTypeCast().GetTypeName().GetNames()
		return n.GetAConst() == nil && !slices.Contains([]string{"int2", "int4", "int8", "text", "varchar"}, lastName(cast))
	}
	return n.GetAConst() == nil
}

// alike reports whether SET puts the same value into all rows wherever it is compared with others. Beside other columns
// of a key the same value is another guess in each row.
func alike(rel *access.Relation, set []*pg.Node) bool {
	if slices.ContainsFunc(set, func(n *pg.Node) bool { return !constant(n.GetResTarget().GetVal()) }) {
		return false
	}
	within := func(columns []string) bool {
		return len(columns) == 1 || !slices.ContainsFunc(set, func(n *pg.Node) bool { return slices.Contains(columns, n.GetResTarget().GetName()) })
	}
	for _, con := range rel.Constraints {
		if len(con.Columns) == 0 || con.Type == 'i' || con.Type == 'x' || !within(con.Columns) {
			return false
		}
	}
	for _, r := range rel.Referenced {
		if !within(r.Keys) {
			return false
		}
	}
	return true
}
