package sqlguard_test

import (
	"slices"
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/sqlguard"
	"sallyport/sqlguard/registry"
)

// TestBodiesAreJudgedAsTheCallers: a function that nobody permitted may be called for what its body does, but only as far
// as the caller could do that. Each case is one body.
func TestBodiesAreJudgedAsTheCallers(t *testing.T) {
	const policy = `permit (principal, action in [Action::"connect", Action::"read", Action::"write", Action::"ddl", Action::"notify"], resource);
		permit (principal, action == Action::"reveal", resource == Column::"shop.public.customers.phone");`
	read := func(schema, name string, columns ...string) access.RelationUse {
		use := access.RelationUse{Name: access.Name{Schema: schema, Name: name}, Action: access.ActRead, Verb: "select"}
		for _, c := range columns {
			use.Columns = append(use.Columns, access.ColumnUse{Name: c, Use: access.UseOutput})
		}
		return use
	}
	builtin := func(name, class string) access.FunctionUse {
		return access.FunctionUse{Name: access.Name{Schema: "pg_catalog", Name: name}, Builtin: true, Class: class}
	}
	relation := func(use access.RelationUse) *access.Facts {
		return &access.Facts{Class: access.ClassRead, Relations: []access.RelationUse{use}}
	}
	call := func(f access.FunctionUse) *access.Facts {
		return &access.Facts{Class: access.ClassRead, Functions: []access.FunctionUse{f}}
	}
	written := read("public", "orders", "id")
	written.Action, written.Verb = access.ActWrite, "insert"
	for _, c := range []struct {
		name string
		body *access.Facts
		more func(*sqlguard.Input)
		want string // part of the refusal; "" for an answer
	}{
		{"nothing_known", nil, nil, "calling public.total is not permitted for bot"},
		{"nothing", &access.Facts{Class: access.ClassRead}, nil, ""},
		{"plain_relation", relation(read("public", "orders", "id")), nil, ""},
		{"masked_relation", relation(read("public", "customers", "id")), nil, "reads public.customers, of which email is masked"},
		{"system_relation", relation(read("pg_catalog", "pg_class", "relname")), nil, "reads the system relation pg_catalog.pg_class"},
		{"unknown_relation", relation(read("public", "nothing")), nil, "does more than reading"},
		{"written_relation", relation(written), nil, "does more than reading"},
		{"relation_that_cannot_be_masked", relation(read("public", "rich", "id")), func(in *sqlguard.Input) {
			in.Reads = func(access.Name) []access.Name { return nil }
		}, "reads public.rich, which cannot be masked"},
		{"row_security", &access.Facts{Class: access.ClassRead, RowSecurity: ids("customers.email")}, nil, "rows that are chosen by the masked column email"},
		{"row_security_by_raw_column", &access.Facts{Class: access.ClassRead, RowSecurity: ids("customers.phone")}, nil, ""},
		{"pure", call(builtin("lower", registry.Pure)), nil, ""},
		{"volatile", call(builtin("random", registry.Volatile)), nil, ""},
		{"catalog", call(builtin("pg_get_viewdef", registry.Catalog)), nil, "calls pg_catalog.pg_get_viewdef: it does more than computing"},
		{"sizes", call(builtin("pg_relation_size", registry.Sizes)), nil, "it does more than computing"},
		{"notify_though_permitted", call(builtin("pg_notify", registry.Notify)), nil, "it does more than computing"},
		{"json_without_casts", call(builtin("to_json", registry.Pure)), nil, ""},
		{"json_with_a_cast_of_users", call(builtin("to_json", registry.Pure)), func(in *sqlguard.Input) {
			in.Catalog.Casts = []access.Cast{{Source: 20000, Target: 114, Function: public("leak")}}
		}, "may call the cast function public.leak"},
		{"known_extension", call(access.FunctionUse{Name: public("similarity"), Class: registry.Pure}), nil, ""},
		{"another_function", call(access.FunctionUse{Name: public("leak")}), nil, "calls public.leak: calling public.leak is not permitted for bot"},
		{"another_with_a_body", call(access.FunctionUse{Name: public("leak"), Body: relation(read("public", "orders", "id"))}), nil, ""},
		{"another_with_a_body_that_may_not", call(access.FunctionUse{Name: public("leak"), Body: relation(read("pg_catalog", "pg_class"))}), nil,
			"calls public.leak: calling public.leak is not permitted for bot; its body reads the system relation"},
		// The search_path of a definition is not the one that the body was resolved by.
		{"called_by_a_definition", &access.Facts{Class: access.ClassRead}, func(in *sqlguard.Input) {
			in.Facts.Class, in.Facts.Tag = access.ClassDDL, "CREATE INDEX"
			in.Facts.Objects = []access.Object{{Kind: "table", Name: public("orders")}}
		}, "calling public.total is not permitted for bot"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := input(reading("id"), load(t, policy))
			in.Facts.Functions = []access.FunctionUse{{Name: public("total"), Body: c.body}}
			if c.more != nil {
				c.more(&in)
			}
			d := sqlguard.Decide(in)
			if c.want == "" && d.Effect != access.Allow || c.want != "" && (d.Effect != access.Deny || !strings.Contains(d.Message, c.want)) {
				t.Errorf("%v %s", d.Effect, d.Message)
			}
		})
	}
}

// TestRefusedCallsNameTheDefinition, which whoever writes the policy needs.
func TestRefusedCallsNameTheDefinition(t *testing.T) {
	in := input(reading("id"), load(t, `permit (principal, action in [Action::"connect", Action::"read"], resource);`))
	in.Facts.Functions = []access.FunctionUse{{Name: public("total")}}
	in.Catalog.Functions[public("total")][0].Digest = "x"
	definition := in.Catalog.Definition(public("total"))
	if d := sqlguard.Decide(in); d.Effect != access.Deny || !strings.HasSuffix(d.Hint, "its definition is "+definition) {
		t.Errorf("%v %s | %s", d.Effect, d.Message, d.Hint)
	}
	in.Policies = load(t, `permit (principal, action in [Action::"connect", Action::"read"], resource);
		@id("calls") @definition("`+definition+`") permit (principal, action == Action::"call", resource == Function::"shop.public.total");`)
	if d := sqlguard.Decide(in); d.Effect != access.Allow {
		t.Errorf("%v %s | %s", d.Effect, d.Message, d.Hint)
	}
	in.Catalog.Functions[public("total")][0].Digest = "y"
	if d := sqlguard.Decide(in); d.Effect != access.Deny || !strings.Contains(d.Message, "its definition changed") || !strings.Contains(d.Hint, "policy calls is for another") ||
		!strings.Contains(d.Hint, in.Catalog.Definition(public("total"))) {
		t.Errorf("%v %s | %s", d.Effect, d.Message, d.Hint)
	}
}

// TestViewsOverHiddenRowsAreReadByTheirBody: the conditions of row filters do not reach into a view, so each on the way
// is put in place by its body, once.
func TestViewsOverHiddenRowsAreReadByTheirBody(t *testing.T) {
	in := input(reading(), load(t, seesAll+someOrder))
	in.Facts.Relations = []access.RelationUse{{Name: public("people"), Action: access.ActRead, Verb: "select"}, {Name: public("inner"), Action: access.ActRead, Verb: "select"}}
	inner := table("inner", "id integer")
	inner.Kind = access.View
	in.Catalog.Relations[inner.Name] = inner
	in.Reads = func(n access.Name) []access.Name {
		if n == public("people") {
			return []access.Name{inner.Name, public("orders")}
		}
		return []access.Name{public("orders")}
	}
	d := sqlguard.Decide(in)
	if want := []access.Name{public("people"), inner.Name}; d.Effect != access.Allow || !slices.Equal(d.Inlined, want) {
		t.Errorf("%v %s: %v", d.Effect, d.Message, d.Inlined)
	}
}
