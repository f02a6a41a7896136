package postgres

import (
	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
)

// define analyses statements that define, change or drop something. Only the common kinds are known;
// roles and privileges, extensions, foreign servers, rules, policies, casts, operators, databases,
// replication and the rest are refused: they need a principal for whom nothing is resolved.
func (a *analyzer) define(n *pg.Node) {
	a.impure = true
	switch s := n.GetNode().(type) {
	case *pg.Node_CreateStmt:
		a.createTable(s.CreateStmt)
	case *pg.Node_CreateTableAsStmt:
		a.createAs(s.CreateTableAsStmt.Query, s.CreateTableAsStmt.Into, objectKind(s.CreateTableAsStmt.Objtype))
	case *pg.Node_ViewStmt:
		a.createView(s.ViewStmt)
	case *pg.Node_RefreshMatViewStmt:
		a.altered(s.RefreshMatViewStmt.Relation, "refresh")
	case *pg.Node_IndexStmt:
		a.createIndex(s.IndexStmt)
	case *pg.Node_CreateSeqStmt:
		a.created("sequence", s.CreateSeqStmt.Sequence)
		a.sequenceOptions(s.CreateSeqStmt.Options)
	case *pg.Node_AlterSeqStmt:
		if a.existing(s.AlterSeqStmt.Sequence, s.AlterSeqStmt.MissingOk) {
			a.altered(s.AlterSeqStmt.Sequence, "alter")
		}
		a.sequenceOptions(s.AlterSeqStmt.Options)
	case *pg.Node_CreateSchemaStmt:
		if len(s.CreateSchemaStmt.SchemaElts) > 0 {
			a.refuse(-1, "create the schema first, then what is in it", "CREATE SCHEMA with objects in it is not supported")
		}
		a.object("schema", access.Name{Name: s.CreateSchemaStmt.Schemaname})
	case *pg.Node_CreateEnumStmt:
		a.object("type", a.definedName(s.CreateEnumStmt.TypeName))
	case *pg.Node_AlterEnumStmt:
		a.object("type", a.definedName(s.AlterEnumStmt.TypeName))
	case *pg.Node_CompositeTypeStmt:
		a.created("type", s.CompositeTypeStmt.Typevar)
		a.columnDefs(s.CompositeTypeStmt.Coldeflist, value{})
	case *pg.Node_CreateDomainStmt:
		a.createDomain(s.CreateDomainStmt)
	case *pg.Node_CreateFunctionStmt:
		a.createFunction(s.CreateFunctionStmt)
	case *pg.Node_CreateTrigStmt:
		a.createTrigger(s.CreateTrigStmt)
	case *pg.Node_CreateStatsStmt:
		a.createStatistics(s.CreateStatsStmt)
	case *pg.Node_AlterTableStmt:
		a.alterTable(s.AlterTableStmt)
	case *pg.Node_DropStmt:
		a.drop(s.DropStmt)
	case *pg.Node_CommentStmt:
		a.comment(s.CommentStmt)
	case *pg.Node_RenameStmt:
		a.moved(s.RenameStmt.RenameType, s.RenameStmt.Relation, s.RenameStmt.Object, s.RenameStmt.MissingOk)
	case *pg.Node_AlterObjectSchemaStmt:
		a.object("schema", access.Name{Name: s.AlterObjectSchemaStmt.Newschema})
		a.moved(s.AlterObjectSchemaStmt.ObjectType, s.AlterObjectSchemaStmt.Relation, s.AlterObjectSchemaStmt.Object, s.AlterObjectSchemaStmt.MissingOk)
	case *pg.Node_ClusterStmt:
		if s.ClusterStmt.Relation == nil {
			a.refuse(-1, "name the table", "CLUSTER without a table is not supported")
		}
		a.defElems(s.ClusterStmt.Params)
		a.altered(s.ClusterStmt.Relation, "cluster")
	case *pg.Node_ReindexStmt:
		a.reindex(s.ReindexStmt)
	default:
		name := a.facts.Tag
		if name == "" || name == "DDL" {
			name = "this kind of statement"
		}
		a.refuse(-1, "ask somebody who may run any statement on this connection", "%s is not supported through the gateway", name)
	}
}

// created notes a relation to be made at rv.
func (a *analyzer) created(kind string, rv *pg.RangeVar) access.Name {
	if rv == nil {
		a.unknown("a definition", rv)
	}
	a.visit(rv)
	a.checkDatabase(rv.Catalogname, rv.Catalogname+"."+rv.Schemaname+"."+rv.Relname, rv.Location)
	name := a.creation(rv.Schemaname, rv.Relname)
	if rv.Relpersistence == "t" && rv.Schemaname == "" {
		name.Schema = "pg_temp"
	}
	a.t.New[rv] = name
	a.object(kind, name)
	return name
}

// altered notes that an existing relation is changed, and gives it.
func (a *analyzer) altered(rv *pg.RangeVar, verb string) *pgtree.Ref {
	if rv == nil {
		a.unknown("a definition", rv)
	}
	a.visit(rv)
	a.impure = true
	ref := a.reference(rv, true)
	a.act(ref.Relation, access.ActDDL, verb)
	a.object(relationKind(ref.Relation), ref.Relation.Name)
	return ref
}

// existing is false where rv names nothing and that is allowed.
func (a *analyzer) existing(rv *pg.RangeVar, missingOK bool) bool {
	if missingOK && rv != nil && a.findRelation(rv) == nil {
		a.visit(rv)
		a.object("relation", a.creation(rv.Schemaname, rv.Relname))
		return false
	}
	return true
}

func relationKind(r *access.Relation) string {
	switch r.Kind {
	case access.View:
		return "view"
	case access.MatView:
		return "materialized view"
	case access.ForeignTable:
		return "foreign table"
	case access.Sequence:
		return "sequence"
	}
	return "table"
}

// definedName is the name of something that is not a relation, made or meant by name.
func (a *analyzer) definedName(name []*pg.Node) access.Name {
	schema, base := a.qualified(text(name), -1)
	return a.creation(schema, base)
}

// createAs analyses SELECT INTO, CREATE TABLE AS and CREATE MATERIALIZED VIEW: what the query gives
// is stored.
func (a *analyzer) createAs(q *pg.Node, into *pg.IntoClause, kind string) {
	a.facts.Stores, a.impure = true, true
	a.created(kind, into.GetRel())
	a.defElems(into.Options)
	s := q.GetSelectStmt()
	if s == nil {
		a.refuse(-1, "use CREATE TABLE AS with a query", "CREATE TABLE AS EXECUTE is not supported")
	}
	if s.IntoClause != nil {
		s.IntoClause = nil
		defer func() { s.IntoClause = into }()
	}
	a.query(newScope(nil), q, access.UseStore)
}

func (a *analyzer) createView(s *pg.ViewStmt) {
	a.created("view", s.View)
	a.defElems(s.Options)
	if s.Query.GetSelectStmt() == nil {
		a.unknown("CREATE VIEW", s.Query.GetNode())
	}
	a.query(newScope(nil), s.Query, access.UseOutput)
}

func (a *analyzer) createIndex(s *pg.IndexStmt) {
	ref := a.altered(s.Relation, "index")
	if s.Idxname != "" {
		a.object("index", access.Name{Schema: ref.Relation.Name.Schema, Name: s.Idxname})
	}
	a.defElems(s.Options)
	sc := a.tableScope(ref)
	for _, n := range append(append([]*pg.Node{}, s.IndexParams...), s.IndexIncludingParams...) {
		a.indexElem(sc, n, access.UsePredicate)
	}
	a.where(sc, s.WhereClause)
	a.readsTarget(ref)
}

// tableScope is a level in which the columns of a table can be named.
func (a *analyzer) tableScope(ref *pgtree.Ref) *scope {
	sc := newScope(nil)
	sc.items = []*item{a.targetItem(ref)}
	return sc
}

func (a *analyzer) sequenceOptions(ns []*pg.Node) {
	for _, n := range ns {
		d := n.GetDefElem()
		if d.GetDefname() == "owned_by" {
			if parts := text(d.Arg.GetList().GetItems()); len(parts) > 1 {
				schema, name := a.qualified(parts[:len(parts)-1], d.Location)
				a.altered(&pg.RangeVar{Schemaname: schema, Relname: name, Location: d.Location}, "own")
			}
			continue
		}
		if d.GetDefname() == "as" {
			a.typeName(d.Arg.GetTypeName())
			continue
		}
		a.defElems([]*pg.Node{n})
	}
}

func (a *analyzer) createDomain(s *pg.CreateDomainStmt) {
	a.object("domain", a.definedName(s.Domainname))
	a.typeName(s.TypeName)
	sc := newScope(nil)
	sc.items = []*item{{cols: []column{{name: "value"}}, colsVisible: true, lateralOK: true}}
	for _, n := range s.Constraints {
		a.constraint(sc, n.GetConstraint())
	}
}

func (a *analyzer) createFunction(s *pg.CreateFunctionStmt) {
	kind := "function"
	if s.IsProcedure {
		kind = "procedure"
	}
	a.object(kind, a.definedName(s.Funcname))
	if s.SqlBody != nil {
		a.refuse(-1, "give the body as a string", "a function with a body in SQL-standard syntax is not supported")
	}
	for _, n := range s.Parameters {
		p := n.GetFunctionParameter()
		if p == nil {
			a.unknown("a parameter", n.GetNode())
		}
		a.typeName(p.ArgType)
		a.expr(newScope(nil), p.Defexpr, access.UseStore)
	}
	a.typeName(s.ReturnType)
	for _, n := range s.Options {
		d := n.GetDefElem()
		if v := d.GetArg().GetVariableSetStmt(); v != nil { // SET in the function, not in the session
			for _, arg := range v.Args {
				a.optionValue(arg)
			}
			continue
		}
		a.defElems([]*pg.Node{n})
	}
}

// createTrigger notes the trigger's function as called: it will be, by whoever writes the table.
func (a *analyzer) createTrigger(s *pg.CreateTrigStmt) {
	ref := a.altered(s.Relation, "trigger")
	a.object("trigger", access.Name{Schema: ref.Relation.Name.Schema, Name: s.Trigname})
	for _, c := range a.functionsOrFail(s.Funcname, -1) {
		a.use(c.use)
	}
	for _, name := range text(s.Columns) {
		if ref.Relation.Column(name) == nil {
			a.fail(-1, "42703", "column %q of relation %q does not exist", name, ref.Relation.Name.Name)
		}
	}
	if s.Constrrel != nil {
		a.altered(s.Constrrel, "trigger")
	}
	sc := newScope(nil)
	for _, name := range []string{"old", "new"} {
		it := a.targetItem(ref)
		it.name = name
		sc.items = append(sc.items, it)
	}
	a.where(sc, s.WhenClause)
	a.readsTarget(ref)
}

func (a *analyzer) createStatistics(s *pg.CreateStatsStmt) {
	if len(s.Defnames) > 0 {
		a.object("statistics", a.definedName(s.Defnames))
	}
	if len(s.Relations) != 1 {
		a.unknown("CREATE STATISTICS", s.Relations)
	}
	ref := a.altered(s.Relations[0].GetRangeVar(), "statistics")
	sc := a.tableScope(ref)
	for _, n := range s.Exprs {
		e := n.GetStatsElem()
		if e == nil {
			a.unknown("CREATE STATISTICS", n.GetNode())
		}
		a.namedColumn(sc, e.Name, access.UsePredicate)
		a.expr(sc, e.Expr, access.UsePredicate)
	}
	a.readsTarget(ref)
}

// namedColumn marks a column that is given as a bare name, where there is one.
func (a *analyzer) namedColumn(sc *scope, name string, use access.Use) {
	if name == "" {
		return
	}
	c, _, ok := a.lookup(sc, name, -1, true)
	if !ok {
		a.fail(-1, "42703", "column %q does not exist", name)
	}
	a.mark(sc, c.value, use)
}

func (a *analyzer) reindex(s *pg.ReindexStmt) {
	a.defElems(s.Params)
	switch s.Kind {
	case pg.ReindexObjectType_REINDEX_OBJECT_TABLE:
		a.altered(s.Relation, "reindex")
	case pg.ReindexObjectType_REINDEX_OBJECT_INDEX:
		a.visit(s.Relation)
		a.object("index", a.creation(s.Relation.GetSchemaname(), s.Relation.GetRelname()))
	default:
		a.refuse(-1, "reindex tables one by one", "REINDEX of a whole schema or database is not supported")
	}
}

func (a *analyzer) object(kind string, name access.Name) {
	o := access.Object{Kind: kind, Name: name}
	for _, have := range a.facts.Objects {
		if have == o {
			return
		}
	}
	a.facts.Objects = append(a.facts.Objects, o)
}
