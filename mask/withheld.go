package mask

import (
	"maps"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
)

// withheld are the columns of system relations that tell of values, with types for NULL in their place. How long
// masked values are shows in page counts, how many rows one has sent to a partition in row counts, where
// partitions are divided in relpartbound; attmissingval is the value of all rows older than their column.
var withheld = map[access.Name]map[string]string{
	{Schema: "pg_catalog", Name: "pg_class"}: {
		"relpages": "int4", "reltuples": "float4", "relallvisible": "int4", "relallfrozen": "int4", "relpartbound": "pg_node_tree",
	},
	{Schema: "pg_catalog", Name: "pg_attribute"}: {"attmissingval": "_text"}, // there is no NULL of its type, anyarray
	roleSettings: {"setconfig": "_text"},
}

// roleSettings holds what ALTER ROLE and ALTER DATABASE SET gave, keys of applications among it. Nobody who is judged
// sees that, masked columns or not.
var roleSettings = access.Name{Schema: "pg_catalog", Name: "pg_db_role_setting"}

// Withholds reports whether a statement has to be compiled even where no column is masked.
func Withholds(f *access.Facts) bool {
	return slices.ContainsFunc(f.Relations, func(r access.RelationUse) bool { return r.Name == roleSettings })
}

// withheldCalls are the registry's classes of functions that tell the same, with the type of NULL.
var withheldCalls = map[string]string{"sizes": "int8", "bounds": "text"}

func isWithheld(id access.ColumnID) bool { return withheld[id.Relation][id.Column] != "" }

func withholds(r *pgtree.Ref) bool { return r != nil && withheld[r.Relation.Name] != nil }

// withhold puts NULL in the place of what is withheld, in every statement of a principal with masked columns:
// what lists tables (psql's \d family, pg_dump) still works, with unknown sizes and bounds. A star over such a
// relation is written out first.
//
// What a statement uses without naming it (a whole row, a join by common names) cannot be replaced; the
// statement is refused.
func (c *compiler) withhold() error {
	c.systemStars()
	if err := c.unnamed(); err != nil {
		return err
	}
	walkNode(c.in.Tree.Stmt, func(n any) bool {
		node, ok := n.(*pg.Node)
		if !ok {
			return true
		}
		typ := ""
		if cr := node.GetColumnRef(); cr != nil {
			if col := c.in.Tree.Cols[cr]; col != nil && withholds(col.Ref) {
				typ = withheld[col.Ref.Relation.Name][col.Name]
			}
		} else if f := node.GetFuncCall(); f != nil {
			typ = withheldCalls[c.in.Tree.Funcs[f].Class]
		}
		if typ != "" {
			node.Node = nullOf(typ)
			return false
		}
		return true
	})
	return nil
}

// systemStars writes out x.* and, where nothing else is in FROM, * in select lists.
func (c *compiler) systemStars() {
	walkNode(c.in.Tree.Stmt, func(n any) bool {
		s, ok := n.(*pg.SelectStmt)
		if !ok {
			return true
		}
		var list []*pg.Node
		for _, item := range s.TargetList {
			if ref := c.systemStar(s, item.GetResTarget().GetVal().GetColumnRef()); ref != nil {
				list = append(list, c.columns(ref)...)
			} else {
				list = append(list, item)
			}
		}
		s.TargetList = list
		return true
	})
}

func (c *compiler) systemStar(s *pg.SelectStmt, cr *pg.ColumnRef) *pgtree.Ref {
	col := c.in.Tree.Cols[cr]
	if col == nil || !col.Star || len(col.Stars) != 1 || !withholds(col.Stars[0]) || len(col.Stars[0].Var.GetAlias().GetColnames()) > 0 {
		return nil
	}
	ref := col.Stars[0]
	if len(cr.Fields) == 1 && (len(s.FromClause) != 1 || s.FromClause[0].GetRangeVar() != ref.Var) {
		return nil
	}
	return ref
}

// unnamed refuses statements that use what is withheld without naming it.
func (c *compiler) unnamed() error {
	for _, col := range c.in.Tree.Cols {
		if (col.Star || col.WholeRow) && (withholds(col.Ref) || slices.ContainsFunc(col.Stars, withholds)) && c.still(col) {
			return notNamed()
		}
	}
	for _, col := range c.in.Tree.FuncCols {
		if withholds(col.Ref) {
			return notNamed()
		}
	}
	system := false
	for _, ref := range c.in.Tree.Refs {
		if withholds(ref) {
			if system = true; len(ref.Var.GetAlias().GetColnames()) > 0 {
				return notNamed()
			}
		}
	}
	bad := false
	walkNode(c.in.Tree.Stmt, func(n any) bool {
		switch x := n.(type) {
		case *pg.JoinExpr:
			bad = bad || x.IsNatural && system
			for _, name := range x.UsingClause {
				bad = bad || system && slices.ContainsFunc(slices.Collect(maps.Values(withheld)), func(cols map[string]string) bool { return cols[name.GetString_().GetSval()] != "" })
			}
		case *pg.CopyStmt:
			bad = bad || withholds(c.in.Tree.Refs[x.Relation])
		case *pg.RangeFunction: // NULL cannot stand in FROM
			walk(x.ProtoReflect(), func(n any) bool {
				f, ok := n.(*pg.FuncCall)
				bad = bad || ok && withheldCalls[c.in.Tree.Funcs[f].Class] != ""
				return true
			})
		}
		return !bad
	})
	if bad {
		return notNamed()
	}
	return nil
}

// still tells whether a star or whole row stands in the statement, and has not been written out.
func (c *compiler) still(col *pgtree.Col) bool {
	found := false
	walkNode(c.in.Tree.Stmt, func(n any) bool {
		cr, ok := n.(*pg.ColumnRef)
		found = found || ok && c.in.Tree.Cols[cr] == col
		return !found
	})
	return found
}

func notNamed() error {
	return unsupported("a statement that takes sizes, row counts, partition bounds or values from the catalog without naming them in its select list or conditions is not available where columns are masked",
		"name the columns that you need, without joining by common names")
}

// nullOf is NULL::pg_catalog.typ.
func nullOf(typ string) *pg.Node_TypeCast {
	return &pg.Node_TypeCast{TypeCast: &pg.TypeCast{
		Arg:      &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Isnull: true}}},
		TypeName: &pg.TypeName{Names: []*pg.Node{pg.MakeStrNode("pg_catalog"), pg.MakeStrNode(typ)}, Typemod: -1},
	}}
}
