package postgres

import (
	"slices"

	"sallyport/internal/access"
)

// compared marks a column whose value goes into more than itself: an operator, a function, a sort.
const compared access.Use = 1 << 6

// implicit adds the functions that no name in the statement stands for: casts that the server applies
// where types do not fit, and operator classes by which it compares, sorts and groups. Types of
// expressions are not known here, so what could be applied to a type that occurs counts.
func (a *analyzer) implicit() {
	a.domains()
	cat := a.env.Catalog
	if len(cat.Casts) == 0 && len(cat.Classes) == 0 || a.work == 0 {
		return
	}
	for before := -1; before != len(a.facts.Functions); { // a cast's function brings its own types
		before = len(a.facts.Functions)
		types := a.types()
		for _, c := range cat.Casts {
			if c.Context == 'e' || c.Context == 'a' && !a.assigns() || c.Function.Name == "" {
				continue
			}
			_, source := types[c.Source]
			_, target := types[c.Target]
			if source || target || c.Source < firstUserOID && c.Target < firstUserOID {
				a.use(access.FunctionUse{Name: c.Function, By: "cast of " + a.typeText(c.Source) + " to " + a.typeText(c.Target)})
			}
		}
		for _, c := range cat.Classes {
			if types[c.Type] || c.Type < firstUserOID {
				a.use(access.FunctionUse{Name: c.Function, By: "comparison of values of " + a.typeText(c.Type)})
			}
		}
	}
}

// domains adds the checks of domains that a literal beside a column can be read into: beside an array, a row
// or a range in an operator, beside any value in a polymorphic function. A domain's own value is one of its
// base type in an operator, unless that is made of a function that may make another value of the domain.
func (a *analyzer) domains() {
	convert := func(rel *access.Relation, name string, passed bool) {
		c := rel.Column(name)
		if c == nil {
			return
		}
		if t := a.env.Catalog.TypeByOID[c.TypeOID]; t != nil && (passed || t.Kind != 'd') {
			for _, call := range t.Calls {
				a.use(access.FunctionUse{Name: call.Function, By: call.String()})
			}
		}
	}
	for _, id := range a.cols.expand(a.passed) {
		if rel := a.env.Catalog.Relations[a.cols.ids[id].Relation]; rel != nil {
			convert(rel, a.cols.ids[id].Column, true)
		}
	}
	made := a.callsGeneric()
	for _, r := range a.rels {
		for i := range r.rel.Columns {
			if a.cols.uses[r.base+int32(i)]&compared != 0 {
				convert(r.rel, r.rel.Columns[i].Name, made)
			}
		}
	}
}

// assigns reports whether casts on assignment can be applied.
func (a *analyzer) assigns() bool {
	if a.env.within != nil {
		return true // its result
	}
	for _, r := range a.facts.Relations {
		if r.Action != access.ActRead {
			return true
		}
	}
	return a.callsGeneric()
}

// callsGeneric reports whether a function is called that learns types from its arguments, and may assign to them.
func (a *analyzer) callsGeneric() bool {
	return slices.ContainsFunc(a.facts.Functions, func(f access.FunctionUse) bool {
		return slices.ContainsFunc(a.env.Catalog.Functions[f.Name], generic)
	})
}

// types are the user-defined types that occur in the statement, each with whether it may be compared.
func (a *analyzer) types() map[uint32]bool {
	out := map[uint32]bool{}
	for _, r := range a.rels {
		if t := a.env.Catalog.Types[r.rel.Name]; t != nil {
			out[t.OID] = out[t.OID] || r.whole
		}
		for i := range r.rel.Columns {
			use := a.cols.uses[r.base+int32(i)]
			if use != 0 || r.whole {
				a.occurs(out, r.rel.Columns[i].TypeOID, r.whole || use&(compared|deciding) != 0)
			}
		}
		for _, act := range r.acts {
			for _, name := range act.cols {
				a.occurs(out, r.rel.Column(name).TypeOID, false)
			}
		}
	}
	for _, oid := range a.typesNamed {
		a.occurs(out, oid, true)
	}
	for _, f := range a.facts.Functions {
		for _, fn := range a.env.Catalog.Functions[f.Name] {
			for _, oid := range slices.Concat([]uint32{fn.ReturnType}, fn.ArgTypes, fn.OutTypes) {
				a.occurs(out, oid, true)
			}
		}
	}
	return out
}

// occurs adds a type and those that its values are made of.
func (a *analyzer) occurs(out map[uint32]bool, oid uint32, compared bool) {
	was, there := out[oid]
	t := a.env.Catalog.TypeByOID[oid]
	if oid < firstUserOID || t == nil || there && (was || !compared) {
		return
	}
	out[oid] = compared
	a.occurs(out, t.Elem, compared)
	a.occurs(out, t.Base, compared)
	if rel := a.env.Catalog.Relations[t.Relation]; rel != nil && t.Kind == 'c' {
		for i := range rel.Columns {
			a.occurs(out, rel.Columns[i].TypeOID, compared)
		}
	}
}

func (a *analyzer) typeText(oid uint32) string {
	t := a.env.Catalog.TypeByOID[oid]
	switch {
	case t == nil:
		return "a type"
	case t.Name.Schema == "pg_catalog" || t.Name.Schema == "":
		return t.Name.Name
	}
	return t.Name.String()
}
