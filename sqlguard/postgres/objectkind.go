package postgres

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"
)

// objectKind names a kind of object as error messages and policies do: "materialized view".
func objectKind(t pg.ObjectType) string {
	switch t {
	case pg.ObjectType_OBJECT_MATVIEW:
		return "materialized view"
	case pg.ObjectType_OBJECT_TABCONSTRAINT:
		return "constraint"
	case pg.ObjectType_OBJECT_DOMCONSTRAINT:
		return "domain constraint"
	case pg.ObjectType_OBJECT_STATISTIC_EXT:
		return "statistics"
	}
	name := strings.TrimPrefix(t.String(), "OBJECT_")
	return strings.ToLower(strings.ReplaceAll(name, "_", " "))
}

func tagKind(t pg.ObjectType) string { return strings.ToUpper(objectKind(t)) }

// renamedKind is the kind that RENAME speaks of: a column is renamed by altering its table.
func renamedKind(s *pg.RenameStmt) pg.ObjectType {
	switch s.RenameType {
	case pg.ObjectType_OBJECT_COLUMN, pg.ObjectType_OBJECT_ATTRIBUTE, pg.ObjectType_OBJECT_TABCONSTRAINT:
		return pg.ObjectType_OBJECT_TABLE
	}
	return s.RenameType
}

// isRelationKind says whether objects of that kind live in pg_class under a relation's name.
func isRelationKind(t pg.ObjectType) bool {
	switch t {
	case pg.ObjectType_OBJECT_TABLE, pg.ObjectType_OBJECT_VIEW, pg.ObjectType_OBJECT_MATVIEW, pg.ObjectType_OBJECT_FOREIGN_TABLE,
		pg.ObjectType_OBJECT_SEQUENCE:
		return true
	}
	return false
}
