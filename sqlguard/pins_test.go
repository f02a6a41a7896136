package sqlguard_test

import (
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/sqlguard"
	"sallyport/sqlguard/postgres"
	"sallyport/sqlguard/registry"
)

// TestFunctionsThatMoveAPinAreRefused, whoever may call them: their bodies would run as somebody else.
func TestFunctionsThatMoveAPinAreRefused(t *testing.T) {
	reg, err := registry.Load(150018)
	if err != nil {
		t.Fatal(err)
	}
	const pins = `@role("reader") @setting("app.tenant = 'a'") permit (principal, action == Action::"connect", resource);`
	for name, c := range map[string]struct {
		policy string
		config []string
		moves  string // what the refusal names, "" for an answer
	}{
		"nothing":                  {mayRead + pins, nil, ""},
		"other_setting":            {mayRead + pins, []string{"work_mem=64kB", "app.tenants=b"}, ""},
		"pinned_setting":           {mayRead + pins, []string{"app.tenant=b"}, "app.tenant"},
		"pinned_setting_in_case":   {mayRead + pins, []string{"work_mem=64kB", "App.Tenant=b"}, "app.tenant"},
		"role":                     {mayRead + pins, []string{"role=postgres"}, "role"},
		"session_authorization":    {mayRead + pins, []string{"session_authorization=postgres"}, "session_authorization"},
		"setting_without_pins":     {mayRead, []string{"app.tenant=b"}, ""},
		"role_under_other_pins":    {mayRead + `@setting("app.region = 'eu'") permit (principal, action == Action::"connect", resource);`, []string{"role=postgres"}, "role"},
		"setting_under_other_pins": {mayRead + `@role("reader") permit (principal, action == Action::"connect", resource);`, []string{"app.tenant=b"}, ""},
	} {
		for _, sql := range []string{"SELECT total(1)", "SELECT id FROM orders WHERE total(id) > 1", "SELECT 'a' <%> 'b'"} {
			cat := shop()
			for _, f := range []string{"total", "leak"} {
				cat.Functions[public(f)][0].Config = c.config
			}
			trees, err := postgres.Parse(sql)
			if err != nil {
				t.Fatal(err)
			}
			facts, err := postgres.Analyze(trees[0], postgres.Env{Catalog: cat, Path: []string{"pg_catalog", "public"}, Registry: reg})
			if err != nil {
				t.Fatal(err)
			}
			in := input(facts, load(t, c.policy))
			in.Catalog = cat
			d := sqlguard.Decide(in)
			if c.moves == "" && d.Effect != access.Allow || c.moves != "" && (d.Effect != access.Deny || !strings.Contains(d.Message, " sets "+c.moves+", which may not be changed")) {
				t.Errorf("%s: %s: %v %s", name, sql, d.Effect, d.Message)
			}
		}
	}
}
