package postgres

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
	"sallyport/sqlguard/registry"
)

// text gives the strings of a list of String nodes, as names are spelled in a tree.
func text(nodes []*pg.Node) []string {
	out := make([]string, 0, len(nodes))
	for _, n := range nodes {
		if s, ok := n.GetNode().(*pg.Node_String_); ok {
			out = append(out, s.String_.Sval)
		}
	}
	return out
}

// qualified splits a possibly qualified name; a database name must be the current one.
func (a *analyzer) qualified(parts []string, loc int32) (schema, name string) {
	switch len(parts) {
	case 1:
		return "", parts[0]
	case 2:
		return parts[0], parts[1]
	case 3:
		a.checkDatabase(parts[0], strings.Join(parts, "."), loc)
		return parts[1], parts[2]
	}
	a.fail(loc, "42601", "improper qualified name (too many dotted names): %s", strings.Join(parts, "."))
	return "", ""
}

func (a *analyzer) checkDatabase(db, whole string, loc int32) {
	if db != "" && db != a.env.Catalog.Database {
		a.fail(loc, "0A000", "cross-database references are not implemented: %s", whole)
	}
}

// findRelation looks rv up in the catalog, over the path where it has no schema.
func (a *analyzer) findRelation(rv *pg.RangeVar) *access.Relation {
	a.checkDatabase(rv.Catalogname, rv.Catalogname+"."+rv.Schemaname+"."+rv.Relname, rv.Location)
	if rv.Schemaname != "" {
		return a.env.Catalog.Relations[access.Name{Schema: rv.Schemaname, Name: rv.Relname}]
	}
	a.fixed("relation", rv.Relname, rv.Location)
	for _, s := range a.env.Path {
		if rel := a.env.Catalog.Relations[access.Name{Schema: s, Name: rv.Relname}]; rel != nil {
			return rel
		}
	}
	return nil
}

// relation is findRelation that fails with the server's error.
func (a *analyzer) relation(rv *pg.RangeVar) *access.Relation {
	rel := a.findRelation(rv)
	if rel == nil {
		name := rv.Relname
		if rv.Schemaname != "" {
			name = rv.Schemaname + "." + name
		}
		panic(stop{&access.Error{Kind: access.Invalid, Code: "42P01", Position: a.position(rv.Location),
			Message: `relation "` + name + `" does not exist`,
			Hint:    "check the name and the search_path; temporary tables are not available through the gateway: use WITH name AS (...)"}})
	}
	return rel
}

// creation is the name that something created under parts gets.
func (a *analyzer) creation(schema, name string) access.Name {
	if schema != "" {
		return access.Name{Schema: schema, Name: name}
	}
	for _, s := range a.env.Path {
		if s != "pg_catalog" {
			return access.Name{Schema: s, Name: name}
		}
	}
	return access.Name{Schema: "pg_catalog", Name: name}
}

// use records a call of a function. It is not pure unless it is a built-in that only computes.
func (a *analyzer) use(f access.FunctionUse) {
	if !f.Builtin {
		f.Class = a.extensionClass(f.Name)
	}
	if f.Class != registry.Pure && f.Class != registry.Catalog {
		a.impure = true
	}
	if f.By != "" && slices.ContainsFunc(a.facts.Functions, func(have access.FunctionUse) bool { return have.Name == f.Name && !have.Builtin }) {
		return // asked for already
	}
	if !a.funcs[f] {
		a.funcs[f] = true
		a.facts.Functions = append(a.facts.Functions, f)
	}
}

// extensionClass is the class of a function outside pg_catalog, by the strictest of its overloads; "" is a
// user's function, unless all of them belong to known extensions.
func (a *analyzer) extensionClass(name access.Name) string {
	class := ""
	for i, f := range a.env.Catalog.Functions[name] {
		c, ok := registry.ExtensionFunction(f)
		if !ok {
			return ""
		}
		if i == 0 || c != registry.Pure {
			class = c
		}
	}
	return class
}

// operator records the use of an operator: the functions behind every user-defined one that the name
// can mean. Operands are not looked at, so an operator that only might be meant counts too.
func (a *analyzer) operator(name []*pg.Node, loc int32) {
	schema, op := a.qualified(text(name), loc)
	a.operatorNamed(schema, op, loc)
}

func (a *analyzer) operatorNamed(schema, op string, loc int32) {
	found := (schema == "" || schema == "pg_catalog") && a.env.Registry.Operator(op)
	for _, o := range a.env.Catalog.Operators[op] {
		if schema == "" && a.onPath(o.Name.Schema) || schema == o.Name.Schema {
			found = true
			a.use(access.FunctionUse{Name: o.Function})
		}
	}
	if !found {
		a.fail(loc, "42883", "operator does not exist: %s", op)
	}
}

func (a *analyzer) onPath(schema string) bool {
	for _, s := range a.env.Path {
		if s == schema {
			return true
		}
	}
	return false
}

// typeName resolves a type and records the functions that using it for values of whatever type can call.
func (a *analyzer) typeName(t *pg.TypeName) typeRef {
	ref, name := a.namedType(t)
	a.cast(ref, name, anyType)
	return ref
}

// namedType resolves a type and records the checks of domains.
func (a *analyzer) namedType(t *pg.TypeName) (typeRef, string) {
	if t == nil {
		return typeRef{}, ""
	}
	a.visit(t)
	for _, m := range t.Typmods {
		a.typmod(m)
	}
	if t.PctType {
		a.refuse(t.Location, "name the type", "%%TYPE references are not supported")
	}
	schema, name := a.qualified(text(t.Names), t.Location)
	ref, ok := a.findType(schema, name)
	if !ok {
		a.fail(t.Location, "42704", "type %q does not exist", strings.Join(text(t.Names), "."))
	}
	if ref.user != nil {
		a.typesNamed = append(a.typesNamed, ref.user.OID)
		for _, c := range ref.user.Calls {
			a.use(access.FunctionUse{Name: c.Function, By: c.String()})
		}
	}
	ref.array = len(t.ArrayBounds) > 0 || t.Setof
	if len(t.ArrayBounds) > 0 {
		ref.relation = nil
	}
	return ref, name
}

// typmod walks a type modifier: constants, or bare names for user-defined types.
func (a *analyzer) typmod(n *pg.Node) {
	switch n := n.GetNode().(type) {
	case *pg.Node_AConst:
	case *pg.Node_ColumnRef: // a keyword-like modifier, as in geometry(Point, 4326)
		if len(n.ColumnRef.Fields) != 1 {
			a.unknown("a type modifier", n)
		}
	default:
		a.unknown("a type modifier", n)
	}
}

// typeRef is a resolved type.
type typeRef struct {
	builtin  bool
	user     *access.Type     // nil for a built-in or a relation's row type
	relation *access.Relation // whose row type it is
	array    bool             // an array of it is meant
}

// exprType is the type of a value of it.
func (r typeRef) exprType() exprType {
	switch {
	case r.builtin:
		return someBuiltin
	case r.user != nil && !r.array:
		return exprType(r.user.OID)
	}
	return anyType
}

func (a *analyzer) findType(schema, name string) (typeRef, bool) {
	if schema != "" {
		return a.typeIn(schema, name)
	}
	var found typeRef
	ok := false
	for _, s := range a.env.Path {
		ref, here := a.typeIn(s, name)
		if here && ok {
			a.fixed("type", name, -1)
		}
		if here && !ok {
			found, ok = ref, true
		}
	}
	return found, ok
}

func (a *analyzer) typeIn(schema, name string) (typeRef, bool) {
	if schema == "pg_catalog" && a.env.Registry.Type(name) {
		return typeRef{builtin: true}, true
	}
	if t := a.env.Catalog.Types[access.Name{Schema: schema, Name: name}]; t != nil {
		ref := typeRef{user: t}
		if t.Kind == 'c' {
			ref.relation = a.env.Catalog.Relations[t.Relation]
		}
		return ref, true
	}
	if rel := a.env.Catalog.Relations[access.Name{Schema: schema, Name: name}]; rel != nil && rel.Kind != access.Sequence {
		return typeRef{relation: rel}, true
	}
	if elem, ok := strings.CutPrefix(name, "_"); ok && elem != "" { // the array type of a user's type
		if ref, ok := a.typeIn(schema, elem); ok {
			ref.relation = nil
			return ref, true
		}
	}
	return typeRef{}, false
}

// userType records what using a user-defined type can call: input and output functions of a base
// type, checks of a domain, and the functions of casts from it, and to it from what may be of type from.
func (a *analyzer) userType(t *access.Type, from exprType) {
	for _, seen := 0, map[*access.Type]bool{}; t != nil && !seen[t]; {
		seen[t] = true
		switch t.Kind {
		case 'b':
			if t.Elem != 0 && t.Category == 'A' {
				t = a.env.Catalog.TypeByOID[t.Elem]
				continue
			}
			if !registry.ExtensionType(t) {
				a.use(access.FunctionUse{Name: t.Name})
			}
		case 'd':
			a.impure = a.impure || t.Checks
			a.casts(t.OID, from)
			a.casts(t.Base, from) // what a cast to the domain is made of
			if t.Base < firstUserOID {
				return // a built-in: the registry knows what it does
			}
			t = a.env.Catalog.TypeByOID[t.Base]
			continue
		case 'e', 'c':
		default:
			a.impure = true
		}
		a.casts(t.OID, from)
		return
	}
}

// casts records the user-defined functions that cast values of a type, and those of type from to it.
func (a *analyzer) casts(oid uint32, from exprType) {
	for _, c := range a.env.Catalog.Casts {
		if (c.Source == oid || c.Target == oid && a.castable(from, c.Source)) && c.Function.Name != "" {
			a.use(access.FunctionUse{Name: c.Function})
		}
	}
}

// rowType gives the relation whose row a type holds, or nil.
func (a *analyzer) rowType(oid uint32) *access.Relation {
	if oid < firstUserOID {
		return nil
	}
	if t := a.env.Catalog.TypeByOID[oid]; t != nil && t.Kind == 'c' {
		return a.env.Catalog.Relations[t.Relation]
	}
	return nil
}

// fields are the columns of a row of rel, all of which depend on src.
func fields(rel *access.Relation, src []int32) []column {
	out := make([]column, len(rel.Columns))
	for i := range rel.Columns {
		out[i] = column{name: rel.Columns[i].Name, value: value{src: src, typ: exprType(rel.Columns[i].TypeOID)}}
	}
	return out
}
