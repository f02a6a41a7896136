package postgres

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/access"
)

// bodyEnv is testEnv with functions of one argument: the source of each by its name.
func bodyEnv(t *testing.T, sources map[string]string) Env {
	env := testEnv(t)
	env.Bodies = new(Bodies)
	for name, source := range sources {
		full := access.Name{Schema: "public", Name: name}
		env.Catalog.Functions[full] = []*access.Function{{Name: full, Language: "sql", Kind: 'f', ReturnType: 25, ArgTypes: []uint32{25}, ArgNames: []string{"x"}, Source: source}}
	}
	return env
}

func bodyIn(t *testing.T, env Env, sql string) *access.Facts {
	t.Helper()
	trees, err := Parse(sql)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := Analyze(trees[0], env)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range facts.Functions {
		if !f.Builtin {
			return f.Body
		}
	}
	t.Fatalf("%s calls no function", sql)
	return nil
}

func TestBodiesOfDeepFunctionsAreNotKnown(t *testing.T) {
	sources := map[string]string{"f0": "SELECT x"}
	for i := range maxBodies + 1 {
		sources[fmt.Sprintf("f%d", i+1)] = fmt.Sprintf("SELECT public.f%d(x)", i)
	}
	env := bodyEnv(t, sources)
	known := func(name string) bool {
		for b := bodyIn(t, env, "SELECT "+name+"('')"); ; b = b.Functions[0].Body {
			if b == nil {
				return false
			}
			if len(b.Functions) == 0 {
				return true
			}
		}
	}
	if known(fmt.Sprintf("f%d", maxBodies+1)) {
		t.Error("a function too deep is known")
	}
	// What was too deep for another is not so for itself.
	if !known(fmt.Sprintf("f%d", maxBodies-1)) || !known("f0") {
		t.Error("a function that calls few is not known")
	}
}

// TestBodiesTakeBoundedEffort: functions that call many, which call many, are not followed without end.
func TestBodiesTakeBoundedEffort(t *testing.T) {
	sources := map[string]string{}
	var calls []string
	for i := range maxEffort + 10 {
		name := fmt.Sprintf("f%d", i)
		sources[name] = "SELECT x"
		calls = append(calls, "public."+name+"(x)")
	}
	sources["every"] = "SELECT " + strings.Join(calls, " || ")
	env := bodyEnv(t, sources)
	b := bodyIn(t, env, "SELECT public.every('')")
	unknown := 0
	for _, f := range b.Functions {
		if !f.Builtin && f.Body == nil {
			unknown++
		}
	}
	if unknown < 10 || unknown > 20 {
		t.Errorf("%d of %d functions are not known", unknown, len(b.Functions))
	}
	if bodyIn(t, env, fmt.Sprintf("SELECT f%d('')", maxEffort+9)) == nil {
		t.Error("what was too much for another is not known by itself")
	}
}

// TestBodiesAreKept: what a function does is found out once in a catalog.
func TestBodiesAreKept(t *testing.T) {
	env := bodyEnv(t, map[string]string{"f": "SELECT email FROM public.customers WHERE region = x"})
	first := bodyIn(t, env, "SELECT f('')")
	if first == nil || len(first.Relations) != 1 || first.Relations[0].Name.Name != "customers" {
		t.Fatalf("%+v", first)
	}
	env.Catalog.Functions[access.Name{Schema: "public", Name: "f"}][0].Source = "SELECT 1"
	if again := bodyIn(t, env, "SELECT f('x'), 1"); len(again.Relations) != 1 {
		t.Error("the body was looked at again")
	}
	env.Bodies = nil
	if bodyIn(t, env, "SELECT f('')") != nil {
		t.Error("without a place to keep them, bodies are known")
	}
}

// TestNamesOfBodies: a body's names mean what the search_path makes them that it runs with. Where that is not known
// before, names without schema leave open what it does.
func TestNamesOfBodies(t *testing.T) {
	for _, c := range []struct {
		name, source string
		change       func(env Env, fn *access.Function)
		want         string // relations and functions, "?" where it is not known
	}{
		{"with_schema", "SELECT email FROM public.customers", nil, "public.customers"},
		{"without_schema", "SELECT email FROM customers", nil, "?"},
		{"type_without_schema", "SELECT NULL::mood", nil, ""},
		{"type_of_two_schemas", "SELECT NULL::mood", func(env Env, _ *access.Function) {
			env.Catalog.Types[access.Name{Schema: "private", Name: "mood"}] = &access.Type{OID: 30000, Kind: 'e'}
		}, "?"},
		{"function_without_schema", "SELECT lower(x)", nil, "pg_catalog.lower public.lower"},
		{"own_path", "SELECT secret FROM customers", func(_ Env, fn *access.Function) { fn.Config = []string{"search_path=private"} }, "private.customers"},
		{"another_own_path", "SELECT email FROM customers", func(_ Env, fn *access.Function) { fn.Config = []string{"search_path=public"} }, "public.customers"},
		{"path_of_the_role", "SELECT email FROM public.customers", func(_ Env, fn *access.Function) { fn.Config = []string{`search_path="$user", public`} }, "?"},
		{"another_setting", "SELECT email FROM public.customers", func(_ Env, fn *access.Function) { fn.Config = []string{"DateStyle=ISO"} }, "?"},
		{"standard", "RETURN lower(x)", func(_ Env, fn *access.Function) { fn.Standard = true }, "pg_catalog.lower"},
		{"standard_block", "BEGIN ATOMIC SELECT lower(email) FROM public.customers; END", func(_ Env, fn *access.Function) { fn.Standard = true }, "pg_catalog.lower public.customers"},
		{"standard_of_another_form", "SELECT 1", func(_ Env, fn *access.Function) { fn.Standard = true }, "?"},
		{"function_of_an_argument", "SELECT x.lower", nil, "?"},
		{"field_of_an_argument", "SELECT x.city", func(env Env, fn *access.Function) {
			fn.ArgTypes = []uint32{env.Catalog.Types[access.Name{Schema: "public", Name: "address"}].OID}
		}, ""},
		{"function_of_a_row", "SELECT x.lower", func(env Env, fn *access.Function) {
			fn.ArgTypes = []uint32{env.Catalog.Types[access.Name{Schema: "public", Name: "address"}].OID}
		}, "?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := bodyEnv(t, map[string]string{"f": c.source})
			if c.change != nil {
				c.change(env, env.Catalog.Functions[access.Name{Schema: "public", Name: "f"}][0])
			}
			if got := doesIn(t, env); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// doesIn names the relations and functions of the body of public.f, or gives "?" where it is not known.
func doesIn(t *testing.T, env Env) string {
	b := bodyIn(t, env, "SELECT public.f('')")
	if b == nil {
		return "?"
	}
	var names []string
	for _, r := range b.Relations {
		names = append(names, r.Name.String())
	}
	for _, f := range b.Functions {
		names = append(names, f.Name.String())
	}
	slices.Sort(names) // the parts of a body in PL/pgSQL are taken in any order
	return strings.Join(names, " ")
}

// TestBodiesInPLpgSQL has the parts of a body that are followed, and what is left out.
func TestBodiesInPLpgSQL(t *testing.T) {
	anyCast := func(env Env) {
		env.Catalog.Casts = []access.Cast{{Source: 25, Target: 20001, Context: 'e', Function: access.Name{Schema: "public", Name: "made"}}}
	}
	for _, c := range []struct {
		name, source string
		change       func(Env)
		want         string
	}{
		{"query", "BEGIN RETURN (SELECT email FROM public.customers); END", nil, "public.customers"},
		{"statement", "DECLARE v text; BEGIN SELECT email INTO v FROM public.customers; RETURN v; END", nil, "public.customers"},
		{"statement_into_several", "DECLARE v text; w text; BEGIN SELECT email, ssn INTO v, w FROM public.customers; RETURN v; END", nil, "public.customers"},
		{"perform", "BEGIN PERFORM length(x); RETURN x; END", nil, "pg_catalog.length"},
		{"assignment", "DECLARE v int4; BEGIN v := length(x); RETURN v; END", nil, "pg_catalog.length"},
		{"assignment_to_a_part", "DECLARE v int4[]; BEGIN v[length(x)] := 1; RETURN v; END", nil, "?"},
		{"default_of_a_variable", "DECLARE v int4 := length(x); BEGIN RETURN v; END", nil, "pg_catalog.length"},
		{"variable_in_a_query", "DECLARE v text := 'a'; BEGIN RETURN (SELECT email FROM public.customers WHERE region = v); END", nil, "public.customers"},
		{"branches", "BEGIN IF x = 'a' THEN RETURN length(x); ELSIF x = 'b' THEN RETURN upper(x); ELSE RETURN abs(1); END IF; END", nil,
			"pg_catalog.abs pg_catalog.length pg_catalog.upper"},
		{"text_that_is_run", "BEGIN EXECUTE 'SELECT 1'; RETURN x; END", nil, "?"},
		{"write", "BEGIN DELETE FROM public.orders; RETURN x; END", nil, "?"},
		{"variables_of_types_without_code", "DECLARE v mood; BEGIN v := 'a'; RETURN v; END", nil, ""},
		{"variables_of_built_in_types", "DECLARE v int4; w pg_catalog.int4; BEGIN v := length(x); RETURN v; END", anyCast, "pg_catalog.length"},
		{"variables_of_other_types", "DECLARE v mood; BEGIN v := length(x); RETURN v; END", anyCast, "?"},
		{"variables_of_other_schemas", "DECLARE v public.mood; BEGIN v := length(x); RETURN v; END", anyCast, "?"},
		{"variables_of_a_name_twice", "DECLARE v text; BEGIN v := length(x); RETURN v; END", func(env Env) {
			anyCast(env)
			env.Catalog.Types[access.Name{Schema: "private", Name: "text"}] = &access.Type{OID: 30000, Kind: 'e'}
		}, "?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := bodyEnv(t, map[string]string{"f": c.source})
			env.Catalog.Functions[access.Name{Schema: "public", Name: "f"}][0].Language = "plpgsql"
			if c.change != nil {
				c.change(env)
			}
			if got := doesIn(t, env); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
