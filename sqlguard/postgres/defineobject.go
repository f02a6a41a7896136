package postgres

import (
	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
)

// drop walks DROP. Relations must exist, or be allowed to be missing; the rest is named only.
func (a *analyzer) drop(s *pg.DropStmt) {
	a.cascade(s.Behavior)
	for _, n := range s.Objects {
		if isRelationKind(s.RemoveType) {
			rv := rangeVarOf(a, n)
			if a.existing(rv, s.MissingOk) {
				a.altered(rv, "drop")
			}
			continue
		}
		switch s.RemoveType {
		case pg.ObjectType_OBJECT_INDEX, pg.ObjectType_OBJECT_STATISTIC_EXT, pg.ObjectType_OBJECT_TYPE, pg.ObjectType_OBJECT_DOMAIN,
			pg.ObjectType_OBJECT_SCHEMA, pg.ObjectType_OBJECT_FUNCTION, pg.ObjectType_OBJECT_PROCEDURE, pg.ObjectType_OBJECT_ROUTINE,
			pg.ObjectType_OBJECT_TRIGGER:
			a.named(s.RemoveType, n, s.MissingOk)
		default:
			a.refuse(-1, "ask somebody who may run any statement on this connection", "%s is not supported through the gateway", a.facts.Tag)
		}
	}
}

// cascade notes a definition that takes along what depends on the object.
func (a *analyzer) cascade(b pg.DropBehavior) {
	a.facts.Cascade = a.facts.Cascade || b == pg.DropBehavior_DROP_CASCADE
}

// rangeVarOf makes a RangeVar of a list of names.
func rangeVarOf(a *analyzer, n *pg.Node) *pg.RangeVar {
	parts := text(n.GetList().GetItems())
	schema, name := a.qualified(parts, -1)
	return &pg.RangeVar{Schemaname: schema, Relname: name, Location: -1}
}

// named notes an object that a statement names: what it is called, and what it belongs to.
func (a *analyzer) named(kind pg.ObjectType, n *pg.Node, missingOK bool) {
	switch kind {
	case pg.ObjectType_OBJECT_SCHEMA:
		name := n.GetString_().GetSval()
		if name == "" {
			a.unknown("a schema's name", n.GetNode())
		}
		a.object("schema", access.Name{Name: name})
		return
	case pg.ObjectType_OBJECT_TRIGGER, pg.ObjectType_OBJECT_TABCONSTRAINT, pg.ObjectType_OBJECT_COLUMN:
		items := n.GetList().GetItems()
		if len(items) < 2 {
			a.unknown("a name", n.GetNode())
		}
		rv := rangeVarOf(a, &pg.Node{Node: &pg.Node_List{List: &pg.List{Items: items[:len(items)-1]}}})
		if a.existing(rv, missingOK) {
			a.alteredKind(rv)
		}
		return
	}
	switch o := n.GetNode().(type) {
	case *pg.Node_List:
		a.object(objectKind(kind), a.definedName(o.List.Items))
	case *pg.Node_TypeName:
		if missingOK {
			a.visit(o.TypeName)
		} else {
			a.typeName(o.TypeName)
		}
		a.object(objectKind(kind), a.definedName(o.TypeName.Names))
	case *pg.Node_ObjectWithArgs:
		for _, t := range o.ObjectWithArgs.Objargs {
			if t.GetTypeName() != nil {
				a.typeName(t.GetTypeName())
			}
		}
		for _, p := range o.ObjectWithArgs.Objfuncargs {
			fp := p.GetFunctionParameter()
			if fp == nil {
				a.unknown("an argument", p.GetNode())
			}
			a.typeName(fp.ArgType)
			a.expr(newScope(nil), fp.Defexpr, access.UseStore)
		}
		a.object(objectKind(kind), a.definedFunction(o.ObjectWithArgs.Objname))
	default:
		a.unknown("a name", o)
	}
}

// definedFunction is the name of an existing function over the path, or what it would be called.
func (a *analyzer) definedFunction(name []*pg.Node) access.Name {
	for _, c := range a.functions(text(name), -1) {
		if !c.use.Builtin {
			return c.use.Name
		}
	}
	return a.definedName(name)
}

func (a *analyzer) comment(s *pg.CommentStmt) {
	switch {
	case isRelationKind(s.Objtype):
		a.altered(rangeVarOf(a, s.Object), "comment")
	case s.Objtype == pg.ObjectType_OBJECT_COLUMN, s.Objtype == pg.ObjectType_OBJECT_TABCONSTRAINT, s.Objtype == pg.ObjectType_OBJECT_TRIGGER,
		s.Objtype == pg.ObjectType_OBJECT_INDEX, s.Objtype == pg.ObjectType_OBJECT_SCHEMA, s.Objtype == pg.ObjectType_OBJECT_TYPE,
		s.Objtype == pg.ObjectType_OBJECT_DOMAIN, s.Objtype == pg.ObjectType_OBJECT_FUNCTION, s.Objtype == pg.ObjectType_OBJECT_PROCEDURE,
		s.Objtype == pg.ObjectType_OBJECT_ROUTINE, s.Objtype == pg.ObjectType_OBJECT_STATISTIC_EXT:
		a.named(s.Objtype, s.Object, false)
	default:
		a.refuse(-1, "ask somebody who may run any statement on this connection", "COMMENT ON %s is not supported through the gateway", tagKind(s.Objtype))
	}
}

// moved walks RENAME and SET SCHEMA.
func (a *analyzer) moved(kind pg.ObjectType, rv *pg.RangeVar, object *pg.Node, missingOK bool) {
	switch {
	case kind == pg.ObjectType_OBJECT_INDEX && rv != nil:
		a.visit(rv)
		a.object("index", a.creation(rv.Schemaname, rv.Relname))
	case rv != nil:
		if a.existing(rv, missingOK) {
			a.alteredKind(rv)
		}
	case kind == pg.ObjectType_OBJECT_FUNCTION, kind == pg.ObjectType_OBJECT_PROCEDURE, kind == pg.ObjectType_OBJECT_ROUTINE,
		kind == pg.ObjectType_OBJECT_TYPE, kind == pg.ObjectType_OBJECT_DOMAIN, kind == pg.ObjectType_OBJECT_SCHEMA:
		if object == nil && kind == pg.ObjectType_OBJECT_SCHEMA {
			if s := a.t.Stmt.GetRenameStmt(); s != nil {
				a.object("schema", access.Name{Name: s.Subname})
				return
			}
		}
		a.named(kind, object, missingOK)
	default:
		a.refuse(-1, "ask somebody who may run any statement on this connection", "%s is not supported through the gateway", a.facts.Tag)
	}
}
