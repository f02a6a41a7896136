package postgres

import (
	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
)

// createTable walks CREATE TABLE. Its expressions see the columns that it will have.
func (a *analyzer) createTable(s *pg.CreateStmt) {
	a.created("table", s.Relation)
	if s.OfTypename != nil {
		a.refuse(-1, "list the columns", "CREATE TABLE OF is not supported")
	}
	it := &item{name: s.Relation.Relname, relVisible: true, colsVisible: true, lateralOK: true}
	for _, n := range s.InhRelations {
		// A child is read through its parent, so it changes what the parent gives.
		ref := a.altered(n.GetRangeVar(), "inherit")
		for i := range ref.Relation.Columns {
			it.cols = append(it.cols, column{name: ref.Relation.Columns[i].Name})
		}
	}
	for _, n := range s.TableElts {
		switch e := n.GetNode().(type) {
		case *pg.Node_ColumnDef:
			if _, dup := it.find(a, e.ColumnDef.Colname, -1); !dup {
				it.cols = append(it.cols, column{name: e.ColumnDef.Colname})
			}
		case *pg.Node_TableLikeClause:
			a.visit(e.TableLikeClause.Relation)
			ref := a.reference(e.TableLikeClause.Relation, true)
			a.act(ref.Relation, access.ActRead, "like")
			for i := range ref.Relation.Columns {
				it.cols = append(it.cols, column{name: ref.Relation.Columns[i].Name})
			}
		}
	}
	sc := newScope(nil)
	sc.items = []*item{it}
	for _, n := range s.TableElts {
		switch e := n.GetNode().(type) {
		case *pg.Node_ColumnDef:
			a.columnDef(sc, e.ColumnDef)
		case *pg.Node_Constraint:
			a.constraint(sc, e.Constraint)
		case *pg.Node_TableLikeClause:
		default:
			a.unknown("CREATE TABLE", e)
		}
	}
	for _, n := range s.Constraints {
		a.constraint(sc, n.GetConstraint())
	}
	a.defElems(s.Options)
	a.partitionBy(sc, s.Partspec)
	a.partitionBound(s.Partbound)
}

func (a *analyzer) partitionBy(sc *scope, p *pg.PartitionSpec) {
	for _, n := range p.GetPartParams() {
		e := n.GetPartitionElem()
		if e == nil {
			a.unknown("PARTITION BY", n.GetNode())
		}
		a.namedColumn(sc, e.Name, access.UsePredicate)
		a.expr(sc, e.Expr, access.UsePredicate)
	}
}

func (a *analyzer) partitionBound(b *pg.PartitionBoundSpec) {
	if b == nil {
		return
	}
	none := newScope(nil)
	for _, n := range b.Listdatums {
		a.expr(none, n, access.UsePredicate)
	}
	for _, n := range append(append([]*pg.Node{}, b.Lowerdatums...), b.Upperdatums...) {
		switch d := n.GetNode().(type) {
		case *pg.Node_ColumnRef: // MINVALUE and MAXVALUE before they are told apart
			if len(text(d.ColumnRef.Fields)) != 1 {
				a.unknown("a partition bound", d)
			}
		default:
			a.expr(none, n, access.UsePredicate)
		}
	}
}

func (a *analyzer) columnDef(sc *scope, d *pg.ColumnDef) {
	if d.TypeName != nil && !serial(d.TypeName) {
		a.typeName(d.TypeName)
	} else if d.TypeName != nil {
		a.visit(d.TypeName)
	}
	a.expr(sc, d.RawDefault, access.UseStore)
	for _, n := range d.Constraints {
		a.constraint(sc, n.GetConstraint())
	}
	a.defElems(d.Fdwoptions)
}

// serial says whether a type is one of the names that CREATE TABLE takes for an integer with a
// sequence; they are no types.
func serial(t *pg.TypeName) bool {
	if len(t.Names) != 1 || len(t.ArrayBounds) > 0 || t.Setof || t.PctType {
		return false
	}
	switch text(t.Names)[0] {
	case "serial", "serial2", "serial4", "serial8", "bigserial", "smallserial":
		return true
	}
	return false
}

// constraint walks a constraint of a table, column or domain.
func (a *analyzer) constraint(sc *scope, c *pg.Constraint) {
	if c == nil {
		a.unknown("a constraint", c)
	}
	switch c.Contype {
	case pg.ConstrType_CONSTR_NULL, pg.ConstrType_CONSTR_NOTNULL, pg.ConstrType_CONSTR_ATTR_DEFERRABLE,
		pg.ConstrType_CONSTR_ATTR_NOT_DEFERRABLE, pg.ConstrType_CONSTR_ATTR_DEFERRED, pg.ConstrType_CONSTR_ATTR_IMMEDIATE:
	case pg.ConstrType_CONSTR_DEFAULT, pg.ConstrType_CONSTR_GENERATED:
		a.expr(sc, c.RawExpr, access.UseStore)
	case pg.ConstrType_CONSTR_IDENTITY:
		a.sequenceOptions(c.Options)
	case pg.ConstrType_CONSTR_CHECK:
		a.where(sc, c.RawExpr)
	case pg.ConstrType_CONSTR_PRIMARY, pg.ConstrType_CONSTR_UNIQUE:
		for _, name := range append(text(c.Keys), text(c.Including)...) {
			a.namedColumn(sc, name, access.UsePredicate)
		}
		a.defElems(c.Options)
	case pg.ConstrType_CONSTR_EXCLUSION:
		for _, n := range c.Exclusions {
			pair := n.GetList().GetItems()
			if len(pair) != 2 {
				a.unknown("EXCLUDE", n.GetNode())
			}
			a.indexElem(sc, pair[0], access.UsePredicate)
			a.operator(pair[1].GetList().GetItems(), c.Location)
		}
		a.defElems(c.Options)
		a.where(sc, c.WhereClause)
	case pg.ConstrType_CONSTR_FOREIGN:
		for _, name := range text(c.FkAttrs) {
			a.namedColumn(sc, name, access.UsePredicate)
		}
		a.referenced(c)
	default:
		a.unknown("a constraint", c.Contype)
	}
}

// referenced walks the other side of a foreign key. Every row checked against it asks whether a value
// is there, so it is a read.
func (a *analyzer) referenced(c *pg.Constraint) {
	rv := c.Pktable
	if rv == nil {
		a.unknown("REFERENCES", c)
	}
	a.visit(rv)
	ref := a.reference(rv, true)
	act := a.act(ref.Relation, access.ActRead, "references")
	act.whole = len(c.PkAttrs) == 0
	sc := a.tableScope(ref)
	for _, name := range text(c.PkAttrs) {
		a.namedColumn(sc, name, access.UsePredicate)
	}
}

// alterTable walks ALTER TABLE and its kin for views, sequences, indexes and types.
func (a *analyzer) alterTable(s *pg.AlterTableStmt) {
	if s.Objtype == pg.ObjectType_OBJECT_INDEX {
		a.visit(s.Relation)
		a.object("index", a.creation(s.Relation.GetSchemaname(), s.Relation.GetRelname()))
	} else if !a.existing(s.Relation, s.MissingOk) {
		a.refuse(-1, "", "relation %q does not exist", s.Relation.Relname)
	}
	var sc *scope
	var ref *pgtree.Ref
	switch {
	case s.Objtype == pg.ObjectType_OBJECT_INDEX:
		sc = newScope(nil)
	default:
		ref = a.alteredKind(s.Relation)
		sc = a.tableScope(ref)
		// Columns that this statement adds can be named by what it adds next.
		extra := &item{colsVisible: true, lateralOK: true}
		for _, n := range s.Cmds {
			if d := n.GetAlterTableCmd().GetDef().GetColumnDef(); d != nil && d.Colname != "" && ref.Relation.Column(d.Colname) == nil {
				extra.cols = append(extra.cols, column{name: d.Colname})
			}
		}
		sc.items = append(sc.items, extra)
	}
	for _, n := range s.Cmds {
		c := n.GetAlterTableCmd()
		if c == nil {
			a.unknown("ALTER TABLE", n.GetNode())
		}
		a.alterCmd(sc, c)
	}
	if ref != nil {
		a.readsTarget(ref)
	}
}

// alteredKind is altered for a relation that may also be a composite type.
func (a *analyzer) alteredKind(rv *pg.RangeVar) *pgtree.Ref {
	rel := a.relation(rv)
	if rel.Kind != access.CompositeRel {
		return a.altered(rv, "alter")
	}
	a.visit(rv)
	ref := &pgtree.Ref{Var: rv, Relation: rel, Alias: rv.Relname, Target: true}
	a.t.Refs[rv] = ref
	a.act(rel, access.ActDDL, "alter")
	a.object("type", rel.Name)
	return ref
}

// alterCmd walks one command of ALTER TABLE.
func (a *analyzer) alterCmd(sc *scope, c *pg.AlterTableCmd) {
	a.cascade(c.Behavior)
	switch d := c.Def.GetNode().(type) {
	case nil:
	case *pg.Node_ColumnDef:
		if c.Subtype == pg.AlterTableType_AT_AlterColumnType {
			a.namedColumn(sc, c.Name, access.UsePredicate)
		}
		a.columnDef(sc, d.ColumnDef)
	case *pg.Node_Constraint:
		a.constraint(sc, d.Constraint)
	case *pg.Node_List:
		a.defElems(d.List.Items) // those of an identity's sequence too: the grammar lets no names in
	case *pg.Node_PartitionCmd:
		a.altered(d.PartitionCmd.Name, "attach")
		a.partitionBound(d.PartitionCmd.Bound)
	case *pg.Node_RangeVar: // INHERIT
		a.altered(d.RangeVar, "inherit")
	case *pg.Node_String_, *pg.Node_Integer, *pg.Node_ReplicaIdentityStmt:
	default:
		if c.Subtype == pg.AlterTableType_AT_ColumnDefault {
			a.expr(sc, c.Def, access.UseStore)
			return
		}
		a.unknown("ALTER TABLE", d)
	}
}
