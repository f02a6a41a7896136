package postgres

import (
	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
)

// statement analyses a whole statement. What has no case is refused.
func (a *analyzer) statement(n *pg.Node) {
	switch s := n.GetNode().(type) {
	case *pg.Node_SelectStmt:
		if s.SelectStmt.IntoClause != nil {
			a.createAs(n, s.SelectStmt.IntoClause)
			return
		}
		a.readStatement(n)
	case *pg.Node_InsertStmt, *pg.Node_UpdateStmt, *pg.Node_DeleteStmt, *pg.Node_MergeStmt:
		a.outputs(a.query(newScope(nil), n, access.UseOutput))
	default:
		a.unknown("a statement", s)
	}
}

// readStatement analyses a query whose rows are the answer.
func (a *analyzer) readStatement(n *pg.Node) {
	a.facts.Pure = true // until something says otherwise
	a.outputs(a.query(newScope(nil), n, access.UseOutput))
}

// createAs analyses SELECT INTO and CREATE TABLE AS: what the query gives is stored.
func (a *analyzer) createAs(q *pg.Node, into *pg.IntoClause) {
	a.facts.Stores, a.impure = true, true
	rv := into.GetRel()
	if rv == nil {
		a.unknown("CREATE TABLE AS", into)
	}
	a.visit(rv)
	a.object("table", a.newName(rv))
	a.defElems(nil, into.Options)
	if s := q.GetSelectStmt(); s != nil && s.IntoClause != nil {
		s.IntoClause = nil
		defer func() { s.IntoClause = into }()
	}
	a.query(newScope(nil), q, access.UseStore)
}

func (a *analyzer) object(kind string, name access.Name) {
	a.facts.Objects = append(a.facts.Objects, access.Object{Kind: kind, Name: name})
}

// newName is the name that something to be created at rv gets.
func (a *analyzer) newName(rv *pg.RangeVar) access.Name {
	a.checkDatabase(rv.Catalogname, rv.Catalogname+"."+rv.Schemaname+"."+rv.Relname, rv.Location)
	if rv.Relpersistence == "t" && rv.Schemaname == "" {
		return access.Name{Schema: "pg_temp", Name: rv.Relname}
	}
	return a.creation(rv.Schemaname, rv.Relname)
}
