package gateway

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"sallyport/internal/access"
)

var shownDefinition = regexp.MustCompile(`sha256:[0-9a-f]{64}`)

// definitionOf is what explaining a statement tells of a function that it calls.
func (w *world) definitionOf(function, sql string) string {
	w.t.Helper()
	list, err := w.gw.Explain(context.Background(), access.Principal{Name: "x", Kind: access.Human, Groups: []string{"callers"}}, "shop", access.DoorPGWire, sql, "")
	if err != nil || len(list) != 1 {
		w.t.Fatal(list, err)
	}
	return list[0].Definitions[access.Name{Schema: "public", Name: function}]
}

// TestChangedDefinitionsAskAgain: a permit with @definition ends with what it was given for, whatever about the
// function changes and whoever calls it.
func TestChangedDefinitionsAskAgain(t *testing.T) {
	const plain = "create function f(int) returns int language plpgsql as 'begin raise debug ''x''; return 1; end';"
	for name, c := range map[string]struct{ schema, function, sql, change string }{
		"body":         {plain, "f", "select f(1)", "create or replace function f(int) returns int language plpgsql as 'begin raise debug ''x''; return 2; end'"},
		"volatility":   {plain, "f", "select f(1)", "alter function f immutable"},
		"security":     {plain, "f", "select f(1)", "alter function f security definer"},
		"setting":      {plain, "f", "select f(1)", "alter function f set search_path = pg_catalog"},
		"owner":        {plain, "f", "select f(1)", "do 'begin if not exists (select from pg_roles where rolname = ''other'') then create role other; end if; end'; grant create on schema public to other; alter function f owner to other"},
		"overload":     {plain, "f", "select f(1)", "create function f(text) returns int language sql as 'select 2'"},
		"operator":     {"create function f(int, int) returns int language plpgsql as 'begin raise debug ''x''; return 1; end'; create operator <+> (leftarg = int, rightarg = int, function = f)", "f", "select 1 <+> 1", "create or replace function f(int, int) returns int language plpgsql as 'begin raise debug ''x''; return 2; end'"},
		"cast":         {"create function f(point) returns int language plpgsql as 'begin raise debug ''x''; return 1; end'; create cast (point as int) with function f(point)", "f", "select point(1, 1)::int", "create or replace function f(point) returns int language plpgsql as 'begin raise debug ''x''; return 2; end'"},
		"transition":   {"create function s(int, int) returns int language plpgsql as 'begin raise debug ''x''; return 1; end'; create aggregate f(int) (sfunc = s, stype = int, initcond = 0)", "f", "select f(1)", "create or replace function s(int, int) returns int language plpgsql as 'begin raise debug ''x''; return 2; end'"},
		"aggregate":    {"create function s(int, int) returns int language plpgsql as 'begin raise debug ''x''; return 1; end'; create aggregate f(int) (sfunc = s, stype = int, initcond = 0)", "f", "select f(1)", "create or replace aggregate f(int) (sfunc = s, stype = int, initcond = 1)"},
		"domain_check": {"create function f(int) returns bool language plpgsql as 'begin raise debug ''x''; return true; end'; create domain d as int check (f(value))", "f", "select 1::d", "create or replace function f(int) returns bool language plpgsql as 'begin raise debug ''x''; return value > 0; end'"},
		"trigger":      {"create table t(id int); create function f() returns trigger language plpgsql as 'begin raise debug ''x''; return new; end'; create trigger t before insert on t for each row execute function f()", "f", "insert into t values (1)", "create or replace function f() returns trigger language plpgsql as 'begin raise debug ''x''; return null; end'"},
		"default":      {plain + "create table t(id int default f(1), x int)", "f", "insert into t(x) values (1)", "create or replace function f(int) returns int language plpgsql as 'begin raise debug ''x''; return 2; end'"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := effectsWorld(t, "create table customers(id int, email text, ssn text);"+c.schema)
			s := w.login("writer")
			a := w.query(s, c.sql)
			s.Close()
			wantError(t, a, "42501")
			is := w.definitionOf(c.function, c.sql)
			if !shownDefinition.MatchString(is) {
				t.Fatalf("explain shows %q", is)
			}
			w.withPolicies(`@id("reviewed") @definition("` + is + `") permit (principal in Group::"writers", action == Action::"call", resource == Function::"shop.public.` + c.function + `");`)
			s = w.login("writer")
			defer s.Close()
			wantNoError(t, w.query(s, c.sql))
			w.upstream(c.change)
			w.gw.dbs["shop"].stale()
			a = w.query(s, c.sql)
			if wantError(t, a, "42501"); len(a.errs) == 1 && !strings.Contains(a.errs[0], "its definition changed since the policy was written") {
				t.Errorf("%q does not say why", a.errs)
			}
			if now := w.definitionOf(c.function, c.sql); now == is || !shownDefinition.MatchString(now) {
				t.Errorf("the definition was %s and is %s", is, now)
			}
		})
	}
}

// TestRefusalsShowTheDefinition that a policy can be written for.
func TestRefusalsShowTheDefinition(t *testing.T) {
	w := effectsWorld(t, spySchema)
	s := w.login("writer")
	defer s.Close()
	err := w.refusal(s, "select spy(1)")
	if is := w.definitionOf("spy", "select spy(1)"); is == "" || !strings.Contains(err.Hint, is) {
		t.Errorf("%q does not show %q", err.Hint, is)
	}
}

// refusal is the error with which the gateway refuses a statement.
func (w *world) refusal(s *Session, sql string) *access.Error {
	w.t.Helper()
	list, err := w.gw.Explain(context.Background(), s.principal, "shop", access.DoorPGWire, sql, "")
	if err != nil || len(list) != 1 || list[0].Refusal == nil {
		w.t.Fatal(list, err)
	}
	return list[0].Refusal
}
