package sqlguard

import (
	"slices"
	"testing"

	"sallyport/internal/access"
)

func TestSettingsRead(t *testing.T) {
	name := func(s string) access.Name { return access.Name{Schema: "public", Name: s} }
	cat := &access.Catalog{
		Relations: map[access.Name]*access.Relation{
			name("plain"):    {Name: name("plain")},
			name("view"):     {Name: name("view"), Definition: " SELECT t.x FROM t WHERE (t.x = current_setting('App.Tenant'::text, true))"},
			name("Below It"): {Name: name("Below It"), Definition: ` SELECT "view".x FROM public."view"`},
			name("quoted"):   {Name: name("quoted"), Definition: ` SELECT x FROM public."Below It"`},
			name("guarded"):  {Name: name("guarded"), Policies: []string{"(owner = current_setting('app.user'::text))"}},
			name("watched"):  {Name: name("watched"), Triggers: []access.Name{name("stamp")}},
			name("loop"):     {Name: name("loop"), Definition: " SELECT * FROM loop"},
			name("listing"):  {Name: name("listing"), Definition: " SELECT setting FROM pg_settings"},
		},
		Functions: map[access.Name][]*access.Function{
			name("stamp"): {{Name: name("stamp"), Source: "begin new.x := CURRENT_SETTING( 'app.stamp' ); return new; end"}},
			name("shown"): {{Name: name("shown"), Source: "declare v text; begin execute 'SHOW application_name' into v; return v; end"}},
			name("any"):   {{Name: name("any"), Source: "select current_setting($1)"}},
			name("total"): {{Name: name("total"), Parts: []access.Name{name("stamp")}}},
			name("deep"):  {{Name: name("deep"), Source: `select total(x) from "guarded"`}},
		},
	}
	rel := func(s string) *access.Facts { return &access.Facts{Relations: []access.RelationUse{{Name: name(s)}}} }
	call := func(s string) *access.Facts { return &access.Facts{Functions: []access.FunctionUse{{Name: name(s)}}} }
	for title, c := range map[string]struct {
		facts *access.Facts
		names []string
		every bool
	}{
		"nothing":     {rel("plain"), nil, false},
		"its_own":     {&access.Facts{Shows: []string{"b.c", "a.b"}}, []string{"a.b", "b.c"}, false},
		"unknown":     {&access.Facts{Shows: []string{""}}, []string{""}, false},
		"all":         {&access.Facts{Shows: []string{"all"}}, []string{"all"}, true},
		"view":        {rel("view"), []string{"app.tenant"}, false},
		"nested_view": {rel("quoted"), []string{"app.tenant"}, false},
		"row_policy":  {rel("guarded"), []string{"app.user"}, false},
		"trigger":     {rel("watched"), []string{"app.stamp"}, false},
		"shown":       {call("shown"), nil, true},
		"loop":        {rel("loop"), nil, false},
		"listing":     {rel("listing"), nil, true},
		"pg_settings": {&access.Facts{Relations: []access.RelationUse{{Name: access.Name{Schema: "pg_catalog", Name: "pg_settings"}}}}, nil, true},
		"built_in":    {&access.Facts{Functions: []access.FunctionUse{{Name: access.Name{Schema: "pg_catalog", Name: "pg_show_all_settings"}, Builtin: true}}}, nil, true},
		"argument":    {call("any"), nil, true},
		"aggregate":   {call("total"), []string{"app.stamp"}, false},
		"several":     {call("deep"), []string{"app.stamp", "app.user"}, false},
	} {
		t.Run(title, func(t *testing.T) {
			if names, every := SettingsRead(c.facts, cat); !slices.Equal(names, c.names) || every != c.every {
				t.Errorf("%q %v, want %q %v", names, every, c.names, c.every)
			}
		})
	}
}
