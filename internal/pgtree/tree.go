// Package pgtree is one parsed PostgreSQL statement with what the guard found out about its names.
// sqlguard/postgres makes and fills a Tree, mask compiles it: the two never import each other, this
// package is the ground that they share. It decides nothing.
package pgtree

import (
	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
)

// Tree is exactly one statement. Its maps are filled by postgres.Analyze; a RangeVar or ColumnRef
// that is not in them was not resolved, and whoever compiles must refuse it.
type Tree struct {
	SQL  string   // the bytes of this statement, as sent, without its semicolon
	Stmt *pg.Node // raw parse tree; the compiler may change it in place
	// Offset is where SQL begins in the batch it came in, in bytes: locations in Stmt count from the
	// batch's start. Before is the same in characters, for error positions.
	Offset, Before int

	// Refs has every RangeVar that names a relation of the catalog, in any position.
	Refs map[*pg.RangeVar]*Ref
	// CTEs has every RangeVar that names a common table expression in scope. A RangeVar after FOR
	// UPDATE OF names an item of FROM: it is in Refs, with the Ref of that item, or else in CTEs.
	CTEs map[*pg.RangeVar]bool
	// New has every RangeVar that names what the statement creates, with the name that it gets.
	New map[*pg.RangeVar]access.Name
	// Cols has every ColumnRef, except bare stars in count(*)-like calls.
	Cols map[*pg.ColumnRef]*Col
	// Funcs has every FuncCall with the built-in or user-defined name that it resolves to. A call
	// in functional notation that is a column, email(c), is in FuncCols instead. A name without
	// schema here can mean functions in several schemas: it must be left as it is written.
	Funcs    map[*pg.FuncCall]access.FunctionUse
	FuncCols map[*pg.FuncCall]*Col
}

// Ref is a reference to a catalog relation.
type Ref struct {
	Var      *pg.RangeVar
	Relation *access.Relation
	Alias    string // the name that the statement knows it by
	HasAlias bool   // Alias was written; otherwise it is the relation's own name
	// Target is true when this is what INSERT, UPDATE, DELETE, MERGE, COPY FROM, LOCK, TRUNCATE or
	// DDL works on: it cannot become a subquery. References to its columns are masked in place.
	Target bool
}

// Col is a reference to a column or to a whole row.
type Col struct {
	Ref      *Ref   // the catalog relation referred to, nil for a CTE, subquery, function or alias
	Name     string // column name; "" for a star or a whole row
	Item     string // where Ref is nil: the name of the item of FROM that it is a column of, if that can be written before it
	Star     bool   // r.* or *
	WholeRow bool   // r
	Use      access.Use
	// Excluded is true for EXCLUDED.x in ON CONFLICT: values that the client sent itself.
	Excluded bool
	// Stars lists, for a Star, the relations that it expands over (nil entries are not relations).
	Stars []*Ref
}
