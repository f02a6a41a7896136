package postgres

import (
	"maps"
	"slices"
	"strings"
	"sync"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
)

// A function of the database's own users whose body is in SQL or PL/pgSQL does what its statements do. Where all of them can be
// analysed, and only read, they are judged as if the caller had written them out: access.FunctionUse.Body. What
// cannot be told so easily is left out, and takes the permission to call: other languages and kinds, SECURITY DEFINER,
// settings that the function brings along, defaults of arguments, writes, and what calls itself.

// Bodies keeps what the functions of one catalog do, for all statements that call them. The zero value is empty, and
// ready for use by several goroutines.
type Bodies struct{ known sync.Map } // bodyKey -> *access.Facts, nil for what is not known

// bodyKey is all that a body's meaning depends on, within one catalog.
type bodyKey struct {
	function *access.Function
	path     string
	secured  bool
}

// maxBodies is how deep functions may call one another.
const maxBodies = 8

// function is what a body is analysed in: the functions around it, itself last.
type function struct {
	*access.Function
	variables []string // in PL/pgSQL
	// path is the search_path that it runs with, nil where that is the session's, which can change while it runs:
	// between two rows that a client fetches.
	path     []string
	anywhere bool // its names are resolved by such a path
	calledBy *function
	*effort
}

// effort is what looking into one function may take, with all that it calls.
type effort struct {
	left    int  // bodies
	limited bool // something was not looked at for want of it, or for depth: elsewhere it may be
}

// maxEffort is how many bodies are looked into for one that a statement calls.
const maxEffort = 200

// has reports whether a name can mean an argument or a variable.
func (f *function) has(name string) bool {
	return name != "" && (slices.Contains(f.ArgNames, name) || slices.Contains(f.variables, name))
}

func (f *function) depth() int {
	n := 0
	for ; f != nil; f = f.calledBy {
		n++
	}
	return n
}

func (f *function) calls(fn *access.Function) bool {
	for ; f != nil; f = f.calledBy {
		if f.Function == fn {
			return true
		}
	}
	return false
}

// bodies adds what the user-defined functions among the facts do.
func (a *analyzer) bodies() {
	if a.env.Bodies == nil {
		return
	}
	for i := range a.facts.Functions {
		// What has the name of a type may stand for the functions of that type.
		if f := &a.facts.Functions[i]; !f.Builtin && f.Class == "" && a.env.Catalog.Types[f.Name] == nil {
			f.Body = a.env.bodyOf(f.Name)
		}
	}
}

// bodyOf is what the functions of a name do, all overloads together, or nil.
func (env Env) bodyOf(name access.Name) *access.Facts {
	fns := env.Catalog.Functions[name]
	if len(fns) == 0 {
		return nil
	}
	all := &access.Facts{Class: access.ClassRead}
	for _, fn := range fns {
		one := env.body(fn)
		if one == nil || len(fns) == 1 {
			return one
		}
		add(all, one)
	}
	return all
}

// add puts the reads and calls of one body to those of another.
func add(all, one *access.Facts) {
	all.Relations = append(all.Relations, one.Relations...)
	all.Functions = append(all.Functions, one.Functions...)
	all.RowSecurity = append(all.RowSecurity, one.RowSecurity...)
}

// body is what one function does, or nil.
func (env Env) body(fn *access.Function) *access.Facts {
	in, ok := env.in(fn)
	if !ok || fn.Language != "sql" && fn.Language != "plpgsql" || fn.Kind != 'f' || fn.Security || fn.Defaults {
		return nil
	}
	key := bodyKey{fn, strings.Join(in.within.path, "\x00"), env.Secured}
	if known, ok := env.Bodies.known.Load(key); ok {
		return known.(*access.Facts)
	}
	if in.within.left == 0 || env.within.depth() >= maxBodies || env.within.calls(fn) {
		in.within.limited = true
		return nil
	}
	in.within.left--
	facts := in.statements(fn)
	if env.within == nil || !in.within.limited {
		env.Bodies.known.Store(key, facts)
	}
	return facts
}

// in is what a function's body is analysed in. It runs with the search_path of its caller unless it brings its own;
// other settings could change what the body means.
func (env Env) in(fn *access.Function) (Env, bool) {
	within := &function{Function: fn, calledBy: env.within, effort: &effort{left: maxEffort}}
	if env.within != nil {
		within.path, within.effort = env.within.path, env.within.effort
	}
	for _, c := range fn.Config {
		list, ok := strings.CutPrefix(c, "search_path=")
		if !ok {
			return Env{}, false
		}
		items := PathItems(list)
		if slices.Contains(items, "$user") {
			return Env{}, false // depends on the role
		}
		within.path = EffectivePath(items)
	}
	env.within = within
	switch {
	case fn.Standard: // resolved when it was defined, and printed under an empty search_path
		env.Path = []string{"pg_catalog"}
	case within.path != nil:
		env.Path = within.path
	default:
		within.anywhere = true
		env.Path = []string{"pg_catalog"}
		for _, s := range slices.Sorted(maps.Keys(env.Catalog.Schemas)) {
			if s != "pg_catalog" {
				env.Path = append(env.Path, s)
			}
		}
	}
	return env, true
}

// fixed ends the analysis of a body in which a name could mean one thing or another as the session's search_path is.
// Functions and operators of all schemas count where that is so; relations and types have to be named.
func (a *analyzer) fixed(kind, name string, loc int32) {
	if a.env.within != nil && a.env.within.anywhere {
		a.refuse(loc, "write it with its schema, or give the function a search_path", "which %s is meant by %s depends on search_path", kind, name)
	}
}

// statements analyses a body. It must consist of reads.
func (env Env) statements(fn *access.Function) *access.Facts {
	if fn.Language == "plpgsql" {
		return env.plpgsqlFacts(fn)
	}
	text := fn.Source
	if fn.Standard {
		text = strings.TrimSpace(text)
		if expr, ok := strings.CutPrefix(text, "RETURN "); ok {
			text = "SELECT " + expr
		} else if block, ok := strings.CutPrefix(text, "BEGIN ATOMIC"); ok {
			text = strings.TrimSuffix(block, "END")
		} else {
			return nil
		}
	}
	trees, err := Parse(text)
	if err != nil || len(trees) == 0 { // arguments are given their types all the same, see ownTypes
		return nil
	}
	all := &access.Facts{Class: access.ClassRead}
	for _, t := range trees {
		facts, err := analyze(t, env, nil)
		if err != nil || !reads(facts) {
			return nil
		}
		add(all, facts)
	}
	return all
}

// reads reports whether a statement of a body does nothing but read.
func reads(f *access.Facts) bool {
	return f.Class == access.ClassRead && f.Tag == "SELECT" && !f.Locks && !f.Stores && !f.Uncounted && !f.PathChange &&
		len(f.Settings)+len(f.Shows)+len(f.Channels)+len(f.Objects) == 0
}

// ownTypes makes the types that values go through on their way into and out of a body count as named in it.
func (a *analyzer) ownTypes() {
	fn := a.env.within
	if fn == nil {
		return
	}
	for _, oid := range slices.Concat([]uint32{fn.ReturnType}, fn.ArgTypes, fn.OutTypes) {
		if t := a.env.Catalog.TypeByOID[oid]; t != nil && oid >= firstUserOID {
			a.typesNamed = append(a.typesNamed, oid)
			for _, c := range t.Calls {
				a.use(access.FunctionUse{Name: c.Function, By: c.String()})
			}
		}
	}
}

// polymorphic are the pseudo-types of arguments and results that can be of any type (pg_type.dat): "any", record, record[] and the
// families of anyelement and anycompatible.
var polymorphic = []uint32{2249, 2276, 2277, 2283, 2287, 2776, 3500, 3831, 4537, 4538, 5077, 5078, 5079, 5080}

// generic reports whether values of types that only its callers know go into a function or come out of it: its body may
// assign them to others.
func generic(fn *access.Function) bool {
	types := fn.ArgTypes
	if len(fn.OutTypes) == 0 {
		types = append(types[:len(types):len(types)], fn.ReturnType)
	}
	return slices.ContainsFunc(types, func(oid uint32) bool { return slices.Contains(polymorphic, oid) })
}

// argument resolves a reference to an argument of the function that is analysed: f.arg, arg, or a field of one. Columns
// come before arguments (sql_fn_post_column_ref).
func (a *analyzer) argument(sc *scope, cr *pg.ColumnRef, parts []string, use access.Use) bool {
	fn := a.env.within
	if fn == nil || len(parts) > 3 {
		return false
	}
	if len(parts) > 1 && a.lookupItem(sc, "", parts[len(parts)-2], cr.Location) != nil {
		return false
	}
	rest := parts
	if len(parts) > 1 && parts[0] == fn.Name.Name && !fn.has(parts[0]) {
		rest = parts[1:]
	}
	if len(rest) > 2 || !fn.has(rest[0]) {
		return false
	}
	if len(rest) == 2 && fn.Language == "sql" && !a.argumentField(rest[0], rest[1]) && len(a.functions(rest[1:], cr.Location)) > 0 {
		a.refuse(cr.Location, "write "+rest[1]+"("+rest[0]+")", "%s is not a field, and calling a function in that notation is not supported", strings.Join(parts, "."))
	}
	a.t.Cols[cr] = &pgtree.Col{Name: parts[len(parts)-1], Use: noted(use)}
	return true
}

// argumentField reports whether an argument of the function that is analysed is a row with such a field.
func (a *analyzer) argumentField(arg, name string) bool {
	fn := a.env.within
	i := slices.Index(fn.ArgNames, arg)
	if i < 0 || i >= len(fn.ArgTypes) {
		return false
	}
	t := a.env.Catalog.TypeByOID[fn.ArgTypes[i]]
	if t == nil || t.Kind != 'c' {
		return false
	}
	rel := a.env.Catalog.Relations[t.Relation]
	return rel != nil && rel.Column(name) != nil
}
