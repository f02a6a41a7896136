package mask

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
)

// estimated are the columns of pg_class that the planner keeps for itself, with their types. How long masked
// values are shows in page counts, and how many rows a masked value has sent to a partition in row counts.
var estimated = map[string]string{"relpages": "int4", "reltuples": "float4", "relallvisible": "int4"}

var pgClass = access.Name{Schema: "pg_catalog", Name: "pg_class"}

// classSizes is the registry's class of functions that tell how large a relation is.
const classSizes = "sizes"

// estimates puts NULL in the place of row and page counts and of relation sizes, in every statement of a
// principal with masked columns: what lists tables (psql's \dt+, pg_dump) still works, with unknown sizes.
//
// A count that a statement uses without naming it (a star, a whole row, a join by common names) cannot be
// replaced; the statement is refused.
func (c *compiler) estimates() error {
	if err := c.unnamedEstimates(); err != nil {
		return err
	}
	walkNode(c.in.Tree.Stmt, func(n any) bool {
		node, ok := n.(*pg.Node)
		if !ok {
			return true
		}
		typ := ""
		if cr := node.GetColumnRef(); cr != nil {
			if col := c.in.Tree.Cols[cr]; col != nil && col.Ref != nil && col.Ref.Relation.Name == pgClass {
				typ = estimated[col.Name]
			}
		} else if f := node.GetFuncCall(); f != nil && c.in.Tree.Funcs[f].Class == classSizes {
			typ = "int8"
		}
		if typ != "" {
			node.Node = nullOf(typ)
			return false
		}
		return true
	})
	return nil
}

func (c *compiler) unnamedEstimates() error {
	used := false
	for _, use := range c.in.Facts.Relations {
		if use.Name != pgClass {
			continue
		}
		used = used || use.Whole
		for _, col := range use.Columns {
			used = used || estimated[col.Name] != ""
		}
	}
	if !used {
		return nil
	}
	refused := unsupported("a statement that takes row or page counts from pg_class without naming them is not available where columns are masked",
		"name the columns that you need")
	isClass := func(r *pgtree.Ref) bool { return r != nil && r.Relation.Name == pgClass }
	for _, col := range c.in.Tree.Cols {
		if (col.Star || col.WholeRow) && (isClass(col.Ref) || slices.ContainsFunc(col.Stars, isClass)) {
			return refused
		}
	}
	for _, col := range c.in.Tree.FuncCols {
		if isClass(col.Ref) {
			return refused
		}
	}
	for _, ref := range c.in.Tree.Refs {
		if isClass(ref) && len(ref.Var.GetAlias().GetColnames()) > 0 {
			return refused
		}
	}
	bad := false
	walkNode(c.in.Tree.Stmt, func(n any) bool {
		j, ok := n.(*pg.JoinExpr)
		bad = bad || ok && (j.IsNatural || len(j.UsingClause) > 0)
		return true
	})
	if bad {
		return refused
	}
	return nil
}

// nullOf is NULL::pg_catalog.typ.
func nullOf(typ string) *pg.Node_TypeCast {
	return &pg.Node_TypeCast{TypeCast: &pg.TypeCast{
		Arg:      &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Isnull: true}}},
		TypeName: &pg.TypeName{Names: []*pg.Node{pg.MakeStrNode("pg_catalog"), pg.MakeStrNode(typ)}, Typemod: -1},
	}}
}
