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
			a.createAs(n, s.SelectStmt.IntoClause, "table")
			return
		}
		a.facts.Pure = true // until something says otherwise
		a.outputs(a.query(newScope(nil), n, access.UseOutput))
	case *pg.Node_InsertStmt, *pg.Node_UpdateStmt, *pg.Node_DeleteStmt, *pg.Node_MergeStmt:
		a.outputs(a.query(newScope(nil), n, access.UseOutput))
	case *pg.Node_ExplainStmt:
		a.explain(s.ExplainStmt)
	case *pg.Node_CopyStmt:
		a.copy(s.CopyStmt)
	case *pg.Node_PrepareStmt:
		a.prepare(s.PrepareStmt)
	case *pg.Node_ExecuteStmt:
		a.exprs(newScope(nil), s.ExecuteStmt.Params, access.UsePredicate)
	case *pg.Node_DeclareCursorStmt:
		a.outputs(a.query(newScope(nil), s.DeclareCursorStmt.Query, access.UseOutput))
	case *pg.Node_CallStmt:
		a.call(newScope(nil), s.CallStmt.Funccall, access.UseOutput)
	case *pg.Node_VariableSetStmt:
		for _, arg := range s.VariableSetStmt.Args {
			a.optionValue(arg)
		}
	case *pg.Node_VariableShowStmt:
		a.facts.Pure = true
	case *pg.Node_ConstraintsSetStmt:
		for _, c := range s.ConstraintsSetStmt.Constraints {
			a.visit(c.GetRangeVar()) // names of constraints
		}
	case *pg.Node_TransactionStmt:
		a.defElems(s.TransactionStmt.Options)
	case *pg.Node_FetchStmt, *pg.Node_ClosePortalStmt, *pg.Node_DeallocateStmt, *pg.Node_DiscardStmt,
		*pg.Node_ListenStmt, *pg.Node_UnlistenStmt, *pg.Node_NotifyStmt:
		// Sketch has said all that there is to say.
	case *pg.Node_LockStmt:
		a.lock(s.LockStmt)
	case *pg.Node_TruncateStmt:
		a.facts.Uncounted = true
		verb := "truncate"
		if s.TruncateStmt.Behavior == pg.DropBehavior_DROP_CASCADE {
			verb = "truncate cascade"
		}
		for _, r := range s.TruncateStmt.Relations {
			ref := a.target(r.GetRangeVar(), verb)
			a.everyRow(ref, verb)
		}
	case *pg.Node_VacuumStmt:
		a.vacuum(s.VacuumStmt)
	default:
		a.define(n)
	}
}

// explain analyses the explained statement. Running it is no part of EXPLAIN, but planning it may
// call functions, and ANALYZE does run it.
func (a *analyzer) explain(s *pg.ExplainStmt) {
	a.defElems(s.Options)
	for _, o := range s.Options {
		if d := o.GetDefElem(); lower(d.GetDefname()) == "analyze" && !isOff(d.GetArg()) {
			a.impure = true
			a.facts.Uncounted = true
		}
	}
	switch q := s.Query.GetNode().(type) {
	case *pg.Node_SelectStmt, *pg.Node_InsertStmt, *pg.Node_UpdateStmt, *pg.Node_DeleteStmt, *pg.Node_MergeStmt,
		*pg.Node_ExecuteStmt, *pg.Node_DeclareCursorStmt, *pg.Node_CreateTableAsStmt, *pg.Node_RefreshMatViewStmt:
		a.statement(s.Query)
	default:
		a.unknown("EXPLAIN", q)
	}
	a.facts.Outputs = nil // the answer is a plan, in columns of its own
}

// isOff reports whether the value of an option is plainly false, as defGetBoolean reads it (src/backend/commands/define.c).
func isOff(n *pg.Node) bool {
	switch v := n.GetNode().(type) {
	case *pg.Node_Integer:
		return v.Integer.Ival == 0
	case *pg.Node_String_:
		s := lower(v.String_.Sval)
		return s == "false" || s == "off"
	}
	return false
}

func (a *analyzer) copy(s *pg.CopyStmt) {
	if s.Filename != "" || s.IsProgram {
		a.refuse(-1, "use COPY ... FROM STDIN or TO STDOUT, or psql's \\copy", "COPY with a file or a program on the server is not supported")
	}
	a.defElems(s.Options)
	switch {
	case s.Query != nil:
		switch q := s.Query.GetNode().(type) {
		case *pg.Node_SelectStmt, *pg.Node_InsertStmt, *pg.Node_UpdateStmt, *pg.Node_DeleteStmt, *pg.Node_MergeStmt:
			a.outputs(a.query(newScope(nil), s.Query, access.UseOutput))
		default:
			a.unknown("COPY", q)
		}
	case s.IsFrom:
		a.copyFrom(s)
	default:
		a.copyTo(s)
	}
}

func (a *analyzer) copyTo(s *pg.CopyStmt) {
	if s.Relation == nil {
		a.unknown("COPY", s)
	}
	a.visit(s.Relation)
	ref := a.reference(s.Relation, false)
	a.act(ref.Relation, access.ActRead, "copy")
	it := a.relationItem(ref, nil)
	var res result
	for _, name := range text(s.Attlist) {
		c, ok := it.find(a, name, -1)
		if !ok || ref.Relation.Column(name) == nil {
			a.fail(-1, "42703", "column %q of relation %q does not exist", name, ref.Relation.Name.Name)
		}
		res.cols = append(res.cols, c)
	}
	if s.Attlist == nil {
		for i, c := range it.columns(a) {
			if !ref.Relation.Columns[i].Generated {
				res.cols = append(res.cols, c)
			}
		}
	}
	a.mark(nil, res.all(), access.UseOutput)
	a.outputs(res)
}

// copyFrom writes what the client sends. Its WHERE looks at the client's own rows.
func (a *analyzer) copyFrom(s *pg.CopyStmt) {
	ref := a.target(s.Relation, "copy")
	act := a.act(ref.Relation, access.ActWrite, "copy")
	incoming := &item{name: ref.Alias, excluded: true, relVisible: true, colsVisible: true, lateralOK: true}
	for i := range ref.Relation.Columns {
		c := &ref.Relation.Columns[i]
		incoming.cols = append(incoming.cols, column{name: c.Name, ref: ref, col: c.Name})
		if s.Attlist == nil && !c.Generated {
			act.assign(c.Name)
		}
	}
	for _, name := range text(s.Attlist) {
		if ref.Relation.Column(name) == nil {
			a.fail(-1, "42703", "column %q of relation %q does not exist", name, ref.Relation.Name.Name)
		}
		act.assign(name)
	}
	sc := newScope(nil)
	sc.items = []*item{incoming}
	a.where(sc, s.WhereClause)
}

// prepare analyses the prepared statement; its $n are filled by EXECUTE, not by the client.
func (a *analyzer) prepare(s *pg.PrepareStmt) {
	for _, t := range s.Argtypes {
		a.typeName(t.GetTypeName())
	}
	switch q := s.Query.GetNode().(type) {
	case *pg.Node_SelectStmt, *pg.Node_InsertStmt, *pg.Node_UpdateStmt, *pg.Node_DeleteStmt, *pg.Node_MergeStmt:
		a.statement(s.Query)
	default:
		a.unknown("PREPARE", q)
	}
	a.facts.Params = 0
	a.impure = true
}

// lock is LOCK TABLE. The weakest mode is what every SELECT takes, and only that counts as a read.
func (a *analyzer) lock(s *pg.LockStmt) {
	const accessShare = 1
	for _, n := range s.Relations {
		rv := n.GetRangeVar()
		if rv == nil {
			a.unknown("LOCK", n.GetNode())
		}
		a.visit(rv)
		ref := a.reference(rv, true)
		if s.Mode == accessShare {
			a.act(ref.Relation, access.ActRead, "lock")
		} else {
			a.act(ref.Relation, access.ActWrite, "lock")
		}
	}
}

func (a *analyzer) vacuum(s *pg.VacuumStmt) {
	a.defElems(s.Options)
	verb := "analyze"
	if s.IsVacuumcmd {
		verb = "vacuum"
	}
	if len(s.Rels) == 0 {
		a.refuse(-1, "name the tables", "%s without a table is not supported", a.facts.Tag)
	}
	for _, n := range s.Rels {
		v := n.GetVacuumRelation()
		if v.GetRelation() == nil {
			a.unknown(a.facts.Tag, n.GetNode())
		}
		a.altered(v.Relation, verb)
	}
}
