package postgres

import (
	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
)

// Sketch says what can be said without resolving a name: class, tag, fingerprint and the flags of
// transaction control, COPY, PREPARE and cursors. Its facts are never those of a pure read.
func Sketch(t *pgtree.Tree) *access.Facts {
	f := &access.Facts{Class: access.ClassMisc}
	f.Fingerprint, _ = pg.Fingerprint(t.SQL)
	switch n := t.Stmt.GetNode().(type) {
	case *pg.Node_SelectStmt:
		f.Class, f.Tag = access.ClassRead, "SELECT"
	case *pg.Node_InsertStmt:
		f.Class, f.Tag = access.ClassWrite, "INSERT"
	case *pg.Node_UpdateStmt:
		f.Class, f.Tag = access.ClassWrite, "UPDATE"
	case *pg.Node_DeleteStmt:
		f.Class, f.Tag = access.ClassWrite, "DELETE"
	case *pg.Node_MergeStmt:
		f.Class, f.Tag = access.ClassWrite, "MERGE"
	default:
		_ = n
	}
	return f
}
