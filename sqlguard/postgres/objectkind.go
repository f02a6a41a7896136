package postgres

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"
)

// objectKind names a kind of object as error messages and policies do: "materialized view".
func objectKind(t pg.ObjectType) string {
	switch t {
	case pg.ObjectType_OBJECT_TABLE:
		return "table"
	case pg.ObjectType_OBJECT_VIEW:
		return "view"
	case pg.ObjectType_OBJECT_MATVIEW:
		return "materialized view"
	case pg.ObjectType_OBJECT_FOREIGN_TABLE:
		return "foreign table"
	case pg.ObjectType_OBJECT_SEQUENCE:
		return "sequence"
	case pg.ObjectType_OBJECT_INDEX:
		return "index"
	case pg.ObjectType_OBJECT_TYPE:
		return "type"
	case pg.ObjectType_OBJECT_DOMAIN:
		return "domain"
	case pg.ObjectType_OBJECT_SCHEMA:
		return "schema"
	case pg.ObjectType_OBJECT_FUNCTION:
		return "function"
	case pg.ObjectType_OBJECT_PROCEDURE:
		return "procedure"
	case pg.ObjectType_OBJECT_ROUTINE:
		return "routine"
	case pg.ObjectType_OBJECT_AGGREGATE:
		return "aggregate"
	case pg.ObjectType_OBJECT_TRIGGER:
		return "trigger"
	case pg.ObjectType_OBJECT_RULE:
		return "rule"
	case pg.ObjectType_OBJECT_POLICY:
		return "policy"
	case pg.ObjectType_OBJECT_COLUMN:
		return "column"
	case pg.ObjectType_OBJECT_ATTRIBUTE:
		return "attribute"
	case pg.ObjectType_OBJECT_TABCONSTRAINT:
		return "constraint"
	case pg.ObjectType_OBJECT_DOMCONSTRAINT:
		return "domain constraint"
	case pg.ObjectType_OBJECT_STATISTIC_EXT:
		return "statistics"
	case pg.ObjectType_OBJECT_EXTENSION:
		return "extension"
	case pg.ObjectType_OBJECT_OPERATOR:
		return "operator"
	case pg.ObjectType_OBJECT_COLLATION:
		return "collation"
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
