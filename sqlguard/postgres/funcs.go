package postgres

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
)

// call analyses a function call: what it can mean, and what its value depends on.
func (a *analyzer) call(sc *scope, f *pg.FuncCall, use access.Use) value {
	a.visit(f)
	if v, ok := a.functionalColumn(sc, f, use); ok {
		return v
	}
	cands := a.resolveCall(f)
	args := a.callArgs(sc, f, use)
	v := a.compares(join(args))
	v.typ = a.callType(cands, args.typ)
	if len(f.Args) > 1 {
		a.passed = union(a.passed, v.src)
	}
	a.settingCall(f)
	if returnsSet(cands) {
		// A set-returning function decides how many rows there are.
		a.mark(sc, v, access.UsePredicate)
		a.facts.Sets = true
	}
	if len(v.row) == 0 {
		v.row = a.resultRow(cands, v.src)
	}
	return v
}

// callArgs walks what a call is made with. The type is that of a built-in's result, where that follows from theirs.
func (a *analyzer) callArgs(sc *scope, f *pg.FuncCall, use access.Use) value {
	var v value
	typ := someBuiltin
	for _, n := range f.Args {
		arg := a.expr(sc, n, use)
		v, typ = join(v, arg), computed(typ, arg.typ)
	}
	for _, n := range f.AggOrder {
		v = join(v, a.sortBy(sc, n, use))
	}
	if f.AggFilter != nil {
		v = join(v, a.expr(sc, f.AggFilter, use))
	}
	if f.Over != nil {
		v = join(v, a.window(sc, f.Over))
	}
	v.typ = typ
	return v
}

// candidate is one thing that a function's name can mean.
type candidate struct {
	use access.FunctionUse
	fn  *access.Function // nil for a built-in
}

// resolveCall finds every function that the name of f can mean and records them all: which overload
// the server takes depends on types that the guard does not know. It fails where there is none.
func (a *analyzer) resolveCall(f *pg.FuncCall) []candidate {
	cands := a.functions(text(f.Funcname), f.Location)
	if len(cands) == 0 {
		a.noFunction(f.Funcname, f.Location)
	}
	use := cands[0].use
	for _, c := range cands {
		a.use(c.use)
		if c.use.Name != use.Name {
			// Several: there is no one name to qualify the call with.
			use = access.FunctionUse{Name: access.Name{Name: c.use.Name.Name}}
		}
	}
	a.t.Funcs[f] = use
	return cands
}

func (a *analyzer) noFunction(name []*pg.Node, loc int32) {
	panic(stop{&access.Error{Kind: access.Invalid, Code: "42883", Position: a.position(loc),
		Message: "function " + strings.Join(text(name), ".") + " does not exist",
		Hint:    "no function of that name is known on the search_path"}})
}

// functions lists what a function name can mean: over the path, or in the schema given.
func (a *analyzer) functions(parts []string, loc int32) []candidate {
	schema, name := a.qualified(parts, loc)
	if schema != "" {
		return a.functionsIn(nil, schema, name)
	}
	var out []candidate
	for _, s := range a.env.Path {
		out = a.functionsIn(out, s, name)
	}
	return out
}

func (a *analyzer) functionsIn(out []candidate, schema, name string) []candidate {
	full := access.Name{Schema: schema, Name: name}
	if schema == "pg_catalog" {
		if class, ok := a.env.Registry.Function(name); ok {
			out = append(out, candidate{use: access.FunctionUse{Name: full, Builtin: true, Class: class}})
		} else if a.env.Registry.Type(name) { // a cast in functional notation: money(x)
			out = append(out, candidate{use: access.FunctionUse{Name: full, Builtin: true, Class: "pure"}})
		}
	}
	for _, fn := range a.env.Catalog.Functions[full] {
		out = append(out, candidate{use: access.FunctionUse{Name: full}, fn: fn})
	}
	if t := a.env.Catalog.Types[full]; t != nil && len(out) == 0 {
		a.userType(t, anyType)
		out = append(out, candidate{use: access.FunctionUse{Name: full}})
	}
	return out
}

// functionalColumn handles email(c), which is c.email where c is a row. As at the server, a function
// of that name goes first; but whether it fits a row is not known here, so both then count.
func (a *analyzer) functionalColumn(sc *scope, f *pg.FuncCall, use access.Use) (value, bool) {
	if len(f.Funcname) != 1 || len(f.Args) != 1 || f.AggOrder != nil || f.AggFilter != nil || f.AggStar || f.AggDistinct ||
		f.Over != nil || f.FuncVariadic {
		return value{}, false
	}
	name := text(f.Funcname)[0]
	if len(a.functions([]string{name}, f.Location)) > 0 {
		return value{}, false // the argument, a whole row, counts with all its columns
	}
	v := a.rowValue(sc, f.Args[0], use)
	for _, c := range v.row {
		if c.name != name {
			continue
		}
		col := &pgtree.Col{Ref: c.ref, Name: c.col, Use: use &^ (touched | compared)}
		if c.ref == nil {
			col.Name = name
		}
		a.t.FuncCols[f] = col
		a.mark(sc, c.value, use)
		return c.value, true
	}
	a.noFunction(f.Funcname, f.Location)
	return value{}, false
}

// settingCall records settings named by set_config and current_setting, once the arguments are resolved.
func (a *analyzer) settingCall(f *pg.FuncCall) {
	use := a.t.Funcs[f]
	if use.Name.Name != "set_config" && use.Name.Name != "current_setting" || len(f.Args) == 0 {
		return
	}
	name := ""
	if c, ok := f.Args[0].GetNode().(*pg.Node_AConst); ok {
		name = strings.ToLower(c.AConst.GetSval().GetSval())
	} else if a.t.SQL == pgDumpSetting {
		name = "restrict_nonsystem_relation_kind"
	}
	if use.Name.Name == "current_setting" {
		if a.listed(f.Args[0].GetColumnRef()) {
			name = "all" // psql's \dconfig: what SHOW ALL shows
		}
		a.facts.Shows = append(a.facts.Shows, name)
		return
	}
	if name == "client_encoding" {
		a.refuse(f.Location, "it has to stay UTF8", "set_config of client_encoding is not supported")
	}
	a.facts.Settings = append(a.facts.Settings, name)
	a.facts.PathChange = a.facts.PathChange || name == "" || changesPath(name)
}

// listed reports whether a name comes out of pg_settings, which lists no placeholders: neither the gateway's own
// settings nor those of applications.
func (a *analyzer) listed(cr *pg.ColumnRef) bool {
	col := a.t.Cols[cr]
	return cr != nil && col != nil && col.Ref != nil && !col.Star && !col.WholeRow && col.Name == "name" &&
		col.Ref.Relation.Name == access.Name{Schema: "pg_catalog", Name: "pg_settings"}
}

// pgDumpSetting is how pg_dump (15.8 and later) sets a setting that older servers lack. The name is not a
// constant there, but with this text it can be no other.
const pgDumpSetting = `SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings WHERE name = 'restrict_nonsystem_relation_kind'`

func changesPath(setting string) bool {
	switch setting {
	case "search_path", "role", "session_authorization", "all":
		return true
	}
	return false
}

// returnsSet says whether any candidate can give more or fewer rows than one.
func returnsSet(cands []candidate) bool {
	for _, c := range cands {
		if c.fn != nil && c.fn.ReturnsSet {
			return true
		}
		if c.use.Builtin && builtinReturnsSet(c.use.Name.Name) {
			return true
		}
	}
	return false
}

// resultRow gives the columns of what a call returns, where that is a row of known shape.
func (a *analyzer) resultRow(cands []candidate, src []int32) []column {
	names, _ := a.resultColumns(cands)
	if len(names) < 2 {
		return nil
	}
	out := make([]column, len(names))
	for i, n := range names {
		out[i] = column{name: n, value: value{src: src}}
	}
	return out
}
