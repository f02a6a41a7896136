package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/identity"
	"sallyport/internal/testdb"
)

// The gateway logs in as a superuser, whom row security does not bind: whatever of another tenant is seen shows that a
// session got out of its role.
const pinsSchema = `
do $$ begin create role pins_reader; exception when duplicate_object or unique_violation then null; end $$;
do $$ begin create role pins_other; exception when duplicate_object or unique_violation then null; end $$;
grant pins_reader to postgres; grant usage, create on schema public to pins_reader;
create table docs(id serial primary key, tenant text default current_setting('app.tenant'), body text);
insert into docs(tenant, body) values ('a', 'of a'), ('b', 'secret of b'), ('b', 'another secret');
alter table docs enable row level security;
create policy p on docs using (tenant = current_setting('app.tenant', true));
create table log(n int);
grant all on docs, log, docs_id_seq to pins_reader;
create view seen with (security_invoker) as select id, body from docs;
grant select on seen to pins_reader;
create function reads(int) returns text language sql stable as 'select body from public.docs where id = $1';
create function moves(text) returns text language plpgsql as $$ begin return set_config('app.tenant', $1, false); end $$;
create function moves_once(text) returns text language plpgsql as $$ begin return set_config('app.tenant', $1, true); end $$;
create function leaves() returns text language plpgsql as $$ begin reset role; return current_user; end $$;
create function leaves_and_fails() returns text language plpgsql as $$ begin reset role; perform set_config('app.tenant', 'b', false); perform 1/0; return ''; end $$;
create function elsewhere() returns text language sql set app.tenant = 'b' as $$select string_agg(body, ',') from public.docs$$;
create function above() returns text language sql set role = 'postgres' as $$select string_agg(body, ',') from public.docs$$;
create procedure commits() language plpgsql as $$ begin perform set_config('app.tenant', 'b', false); commit; perform 1/0; end $$;
create function on_log() returns trigger language plpgsql as $$ begin perform set_config('app.tenant', 'b', false); return new; end $$;
create trigger t before insert on log for each row execute function on_log();
create table late(n int); grant all on late to pins_reader;
create constraint trigger t after insert on late deferrable initially deferred for each row execute function on_log();
create schema pins_reader authorization pins_reader; create table pins_reader.mine(n int); insert into pins_reader.mine values (7);
grant all on pins_reader.mine to pins_reader;`

const pinsPolicy = `
@id("tenants") @role("pins_reader") @setting("app.tenant = principal.tenant, app.region = 'eu'")
permit (principal in Group::"tenants", action == Action::"connect", resource in Connection::"shop");
@id("work") permit (principal in Group::"tenants", action in [Action::"read", Action::"write", Action::"write_all_rows", Action::"call", Action::"ddl", Action::"session",
  Action::"reveal", Action::"unrestricted"], resource in Connection::"shop");`

// pinsWorld has ada and bob of tenants a and b, and nobody's of none.
func pinsWorld(t *testing.T, policy string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), dsn: testdb.Shared(t).NewDatabase(t, pinsSchema)}
	c := w.config()
	c.Labels, c.Masks, c.Principals = nil, nil, nil
	for name, tenant := range map[string]map[string]string{"ada": {"tenant": "a", "role": "pins_reader"}, "bob": {"tenant": "b", "role": "none"}, "none": nil} {
		c.Principals = append(c.Principals, access.LocalPrincipal{Name: name, Kind: access.Human, Groups: []string{"tenants"}, Attributes: tenant, Secret: identity.HashPassword("pw-" + name)})
	}
	c.Policies = []PolicyFile{{Name: "pins.cedar", Text: policy}}
	var err error
	if w.gw, err = Open(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.gw.Close() })
	return w
}

func TestPinsHoldFromTheFirstStatement(t *testing.T) {
	w := pinsWorld(t, pinsPolicy)
	for who, want := range map[string]string{"ada": "[[of a]]", "bob": "[[secret of b] [another secret]]"} {
		s := w.login(who)
		for how, a := range map[string]*answer{"simple": w.query(s, "select body from docs order by id"), "extended": w.do(s, pipeline("select body from docs order by id")...),
			"view": w.query(s, "select body from seen order by id"), "cursor": w.query(s, "begin; declare c cursor for select body from docs order by id; fetch all from c; commit")} {
			if len(a.errs) > 0 || fmt.Sprint(a.rows) != want {
				t.Errorf("%s, %s: %v %v", who, how, a.rows, a.errs)
			}
		}
		if a := w.query(s, "select current_user, current_setting('app.region'), n from mine"); len(a.errs) > 0 || fmt.Sprint(a.rows) != "[[pins_reader eu 7]]" {
			t.Errorf("%s: %v %v", who, a.rows, a.errs)
		}
		s.Close()
	}
	_, err := w.gw.Connect(context.Background(), Login{Door: access.DoorPGWire, Connection: "shop", Credentials: access.Password{User: "none", Secret: "pw-none"}})
	if ae := access.AsError(err); err == nil || ae.Code != "42501" || !strings.Contains(ae.Message, "principal.tenant, which none does not have") {
		t.Errorf("without the attribute: %v", err)
	}
	ran := 0
	for _, r := range w.records() {
		if len(r.Plan) == 0 || r.Principal != "ada" {
			continue
		}
		if ran++; !strings.Contains(string(r.Plan), `"Role":["pins_reader"],"Settings":["app.tenant = principal.tenant`) {
			t.Errorf("a record without the pins: %s", r.Plan)
		}
	}
	if ran < 4 {
		t.Errorf("%d records", ran)
	}
}

// TestPinsCannotBeMoved tries whatever might; what counts is what is seen afterwards, and meanwhile.
func TestPinsCannotBeMoved(t *testing.T) {
	w := pinsWorld(t, pinsPolicy)
	const see = "select string_agg(body, ',') from docs"
	attacks := map[string][]string{
		"set":                   {"set app.tenant = 'b'"},
		"set_to":                {`set "App.Tenant" to 'b'`},
		"set_case":              {"SET APP.TENANT = 'b'"},
		"set_session":           {"set session app.tenant = 'b'"},
		"set_local":             {"begin", "set local app.tenant = 'b'"},
		"set_in_a_batch":        {"set app.tenant = 'b'; " + see},
		"reset":                 {"reset app.tenant"},
		"set_default":           {"set app.tenant to default"},
		"reset_all":             {"reset all"},
		"discard_all":           {"discard all"},
		"discard_plans":         {"discard plans", "discard temp", "discard sequences"},
		"set_config":            {"select set_config('app.tenant', 'b', false)"},
		"set_config_local":      {"begin", "select set_config('app.tenant', 'b', true)"},
		"set_config_case":       {"select set_config('APP.tenant', 'b', false)"},
		"set_config_name":       {"select set_config('app.' || 'tenant', 'b', false)"},
		"set_config_within":     {"select (select set_config('app.tenant', 'b', false)), (" + see + ")"},
		"set_config_prepared":   {"prepare p(text) as select set_config('app.tenant', $1, false)", "execute p('b')"},
		"set_config_in_cursor":  {"begin", "declare c cursor for select set_config('app.tenant', 'b', false)", "fetch all from c"},
		"pg_settings":           {"update pg_settings set setting = 'b' where name = 'app.tenant'"},
		"role_none":             {"set role none"},
		"role":                  {"set role postgres"},
		"role_other":            {"set role pins_other"},
		"role_local":            {"begin", "set local role none"},
		"role_reset":            {"reset role"},
		"role_config":           {"select set_config('role', 'none', false)"},
		"authorization":         {"set session authorization default"},
		"authorization_name":    {"set session authorization postgres"},
		"authorization_reset":   {"reset session authorization"},
		"row_security":          {"set row_security = off"},
		"alter_role":            {"alter role pins_reader set app.tenant = 'b'"},
		"alter_role_bypass":     {"alter role pins_reader bypassrls"},
		"alter_current":         {"alter role current_user set app.tenant = 'b'"},
		"alter_database":        {"alter database shop set app.tenant = 'b'"},
		"alter_system":          {"alter system set app.tenant = 'b'"},
		"do":                    {"do $$ begin perform set_config('app.tenant', 'b', false); reset role; end $$"},
		"explain":               {"explain analyze select set_config('app.tenant', 'b', false)"},
		"function_set_clause":   {"select elsewhere()"},
		"function_role_clause":  {"select above()"},
		"function_new":          {"create function mine() returns text language sql set app.tenant = 'b' as $$select string_agg(body, ',') from public.docs$$", "select mine()"},
		"function_altered":      {"create function mine2() returns text language sql as $$select string_agg(body, ',') from public.docs$$", "alter function mine2() set app.tenant = 'b'", "select mine2()"},
		"function_moves":        {"select moves('b')"},
		"function_moves_batch":  {"select moves('b'); " + see},
		"function_moves_tx":     {"begin", "select moves('b')", see, "rollback"},
		"function_savepoint":    {"begin", "savepoint a", "select moves('b')", see, "rollback to a", see, "commit"},
		"function_commits":      {"begin", "savepoint a", "select moves('b')", "release a", "commit"},
		"function_local":        {"begin", "select moves_once('b')", see, "commit"},
		"function_leaves":       {"select leaves()"},
		"function_leaves_tx":    {"begin", "select leaves()", see, "commit"},
		"function_fails":        {"select leaves_and_fails()"},
		"function_prepared":     {"prepare p as select moves('b')", "execute p; " + see},
		"function_prepared_one": {"prepare p as select moves('b')", "execute p"},
		"function_cursor":       {"begin", "declare c cursor for select moves('b') from generate_series(1, 3)", "fetch 1 from c", see, "fetch 1 from c", see, "commit"},
		"function_hold":         {"begin", "declare c cursor with hold for select moves('b')", "commit"},
		"function_hold_batch":   {"begin", "declare c cursor with hold for select moves('b')", "commit; " + see, see},
		"deferred":              {"insert into late values (1)"},
		"deferred_tx":           {"begin", "insert into late values (1)", see, "commit"},
		"deferred_batch":        {"begin", "insert into late values (1)", "commit; " + see, "commit"},
		"deferred_now_batch":    {"begin", "insert into late values (1)", "set constraints all immediate; " + see, "commit"},
		"deferred_now":          {"begin", "insert into late values (1)", "set constraints all immediate", see, "commit"},
		"procedure":             {"call commits()"},
		"trigger":               {"insert into log values (1)"},
		"trigger_tx":            {"begin", "insert into log values (1)", see, "commit"},
		"copy":                  {"copy (select moves('b')) to stdout"},
		"function_and_discard":  {"select leaves()", "discard all"},
		"owner":                 {"alter table docs disable row level security"},
		"policy":                {"create policy q on docs using (true)"},
		"owner_to":              {"alter table docs owner to pins_reader"},
		"definer":               {"create function d() returns text language sql security definer as $$select string_agg(body, ',') from public.docs$$", "alter function d() owner to postgres", "select d()"},
	}
	for name, script := range attacks {
		for _, extended := range []bool{false, true} {
			s := w.login("ada")
			check := func(step string, a *answer) {
				if strings.Contains(fmt.Sprint(a.rows, a.errs), "secret") {
					t.Errorf("%s, extended %v, %s: %v %v", name, extended, step, a.rows, a.errs)
				}
			}
			for _, sql := range script {
				if extended {
					check(sql, w.do(s, pipeline(sql)...))
				} else {
					check(sql, w.query(s, sql))
				}
			}
			if s.tx != 'I' {
				check("in the transaction", w.query(s, see))
				w.query(s, "rollback")
			}
			a := w.query(s, "select current_user, current_setting('app.tenant'), current_setting('row_security'), (select string_agg(body, ',') from docs)")
			check("afterwards", a)
			if name != "row_security" && (len(a.errs) > 0 || fmt.Sprint(a.rows) != "[[pins_reader a on of a]]") {
				t.Errorf("%s, extended %v: afterwards %v %v", name, extended, a.rows, a.errs)
			}
			s.Close()
		}
	}
	s := w.login("ada")
	defer s.Close()
	// Names bound before it moved, executed after it did, all in one burst.
	ops := []Op{{Kind: OpParse, Name: "f", SQL: "select moves('b')"}, {Kind: OpParse, Name: "t", SQL: see}, {Kind: OpBind, Name: "f", Portal: "f", Raw: bindPortal("f", "f")},
		{Kind: OpBind, Name: "t", Portal: "t", Raw: bindPortal("t", "t")}, {Kind: OpExecute, Portal: "f"}, {Kind: OpExecute, Portal: "t"}, {Kind: OpSync}}
	if a := w.do(s, ops...); len(a.errs) > 0 || fmt.Sprint(a.rows) != "[[b] [of a]]" {
		t.Errorf("one burst: %v %v", a.rows, a.errs)
	}
	if a := w.query(s, see); fmt.Sprint(a.rows) != "[[of a]]" {
		t.Errorf("after the burst: %v %v", a.rows, a.errs)
	}
	for name, value := range map[string]string{"role": "pins_other", "ROLE": "none", "app.tenant": "b", "App.Tenant": "b", "session_authorization": "postgres", "options": "-c app.tenant=b"} {
		s, err := w.gw.Connect(context.Background(), Login{Door: access.DoorPGWire, Connection: "shop", Credentials: access.Password{User: "ada", Secret: "pw-ada"}, Settings: map[string]string{name: value}})
		if err == nil {
			t.Errorf("start-up with %s = %s: taken", name, value)
			s.Close()
		}
	}
}

// bindPortal is a Bind without parameters.
func bindPortal(portal, statement string) []byte {
	b := append([]byte{'B', 0, 0, 0, 0}, portal+"\x00"+statement+"\x00"...)
	b = append(b, 0, 0, 0, 0, 0, 0)
	b[4] = byte(len(b) - 1)
	return b
}

// TestPinsComeBackWithAReset: between two calls of an agent.
func TestPinsComeBackWithAReset(t *testing.T) {
	w := pinsWorld(t, pinsPolicy)
	s := w.login("ada")
	defer s.Close()
	w.ask(s, "select moves('b')")
	if err := s.Reset(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := w.ask(s, "select current_user || ' ' || string_agg(body, ',') from docs").Rows; len(got) != 1 || *got[0][0] != "pins_reader of a" {
		t.Errorf("%s", *got[0][0])
	}
}

// TestCheckTriesPins: whoever gets no session for what is pinned to them is told of before they try.
func TestCheckTriesPins(t *testing.T) {
	for policy, want := range map[string][]string{
		pinsPolicy: {"principal.tenant, which none does not have"},
		strings.Replace(pinsPolicy, `"pins_reader"`, `"pins_nobody"`, 1):                  {`neither role "pins_nobody" nor settings of`, `role "pins_nobody" does not exist`},
		strings.Replace(pinsPolicy, `'eu'"`, `'eu', work_mem = 'much'"`, 1):               {`neither role "pins_reader" nor settings of`, `invalid value for parameter "work_mem"`},
		strings.Replace(pinsPolicy, `@role("pins_reader")`, `@role("principal.role")`, 1): {"principal.role, which cannot be one for bob"},
	} {
		w := pinsWorld(t, policy)
		results, _ := w.gw.Check(context.Background())
		if len(results) != 1 || results[0].Err != nil {
			t.Fatalf("%+v", results)
		}
		text := fmt.Sprint(results[0].Problems)
		for _, part := range want {
			if !strings.Contains(text, part) {
				t.Errorf("%s lacks %s", text, part)
			}
		}
	}
}

// TestOtherPinsEndSessions: a session cannot become another one.
func TestOtherPinsEndSessions(t *testing.T) {
	w := pinsWorld(t, pinsPolicy)
	load := func(text string) {
		if err := w.gw.LoadPolicies([]PolicyFile{{Name: "pins.cedar", Text: text}}); err != nil {
			t.Fatal(err)
		}
	}
	s := w.login("ada")
	wantNoError(t, w.query(s, "select 1"))
	load(pinsPolicy + `@id("more") permit (principal, action == Action::"notify", resource);`)
	wantNoError(t, w.query(s, "select 1"))
	load(strings.Replace(pinsPolicy, "'eu'", "'us'", 1))
	a := &answer{}
	if err := s.Do(context.Background(), []Op{{Kind: OpQuery, SQL: "select body from docs"}}, a); !errors.Is(err, ErrEnded) || len(a.rows) > 0 || len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], "57P01 the policies changed") {
		t.Errorf("%v %v %v", err, a.rows, a.errs)
	}
	load(strings.Replace(pinsPolicy, `@role("pins_reader") `, `@role("principal.role") `, 1))
	s = w.login("ada")
	if a := w.query(s, "select current_user"); len(a.rows) != 1 || a.rows[0][0] != "pins_reader" {
		t.Errorf("%v %v", a.rows, a.errs)
	}
	s.Close()
	for _, c := range []struct{ policy, who, want string }{
		{strings.Replace(pinsPolicy, `"pins_reader"`, `"principal.role"`, 1), "bob", "cannot be one for bob"},
		{pinsPolicy + `@id("b") @role("pins_other") permit (principal, action == Action::"connect", resource);`, "ada", "several policies pin role to different values for ada"},
		{pinsPolicy + `@id("b") @setting("app.region = 'us'") permit (principal, action == Action::"connect", resource);`, "ada", "several policies pin app.region to different values for ada"},
		{strings.Replace(pinsPolicy, `"pins_reader"`, `"pins_nobody"`, 1), "ada", "refused"},
	} {
		load(c.policy)
		_, err := w.gw.Connect(context.Background(), Login{Door: access.DoorPGWire, Connection: "shop", Credentials: access.Password{User: c.who, Secret: "pw-" + c.who}})
		if err == nil || !strings.Contains(access.AsError(err).Message, c.want) {
			t.Errorf("%s: %v, want %s", c.who, err, c.want)
		}
	}
}
