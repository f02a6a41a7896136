package gateway

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/approval"
	"sallyport/internal/pgframe"
	"sallyport/internal/testdb"
)

// An approval is for what a statement means, not for its bytes: what gives them their meaning must be the same when it runs.

// messages are what a client sends up to Sync.
type messages []Op

// run is a statement with parameters in text, of its own Parse, Bind and Execute.
func (m messages) run(sql string, values ...string) messages {
	return m.parse("", sql).bind("", "", values...).execute("")
}

func (m messages) parse(name, sql string, oids ...uint32) messages {
	return append(m, Op{Kind: OpParse, Name: name, SQL: sql, ParamOIDs: oids})
}

func (m messages) bind(portal, statement string, values ...string) messages {
	b, at := pgframe.Begin(nil, 'B')
	b = append(pgframe.AppendCString(pgframe.AppendCString(b, portal), statement), 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(values)))
	for _, v := range values {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
	}
	return append(m, Op{Kind: OpBind, Portal: portal, Name: statement, Raw: pgframe.End(append(b, 0, 0), at)})
}

func (m messages) execute(portal string) messages {
	return append(m, Op{Kind: OpExecute, Portal: portal})
}

func (m messages) sync() []Op { return append(m, Op{Kind: OpSync}) }

// meaningWorld has askers who may change settings, call functions of the schema tool and make things in scratch, and whose writes are held.
func meaningWorld(t *testing.T, schema string, change func(*Config)) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), dsn: testdb.Shared(t).NewDatabase(t, testSchema+"create schema scratch; create schema tool;"+schema)}
	w.openHeld(func(c *Config) {
		c.Approvals.Wait = -1
		c.Policies[0].Text += `
@id("set") permit (principal in Group::"askers", action == Action::"session", resource in Connection::"shop");
@id("ddl") permit (principal in Group::"askers", action == Action::"ddl", resource in Schema::"shop.scratch");
@id("tool") permit (principal in Group::"askers", action == Action::"call", resource in Schema::"shop.tool");`
		if change != nil {
			change(c)
		}
	})
	t.Cleanup(func() { w.gw.Close() })
	return w
}

// approvedFor asks for ops and has them approved.
func (w *world) approvedFor(s *Session, ops ...Op) string {
	w.t.Helper()
	wantError(w.t, w.do(s, ops...), "42501 this statement needs approval")
	id := w.pendingOne().ID
	w.approve("keeper", id)
	return id
}

// changed is how many rows the statements of these tests have changed.
func (w *world) changed() string {
	w.t.Helper()
	return w.behind("select count(*)::text from customers where region = 'held'")
}

const holdWhere = "update customers set region = 'held' where id "

// TestNamedSettingsAreApproved: what a statement reads is part of what is approved, whatever it is called and by whatever way it is read.
func TestNamedSettingsAreApproved(t *testing.T) {
	const schema = `
create view scratch.named as select current_setting('geqo_threshold')::int as n;
create view scratch.all_of_them as select setting::int as n from pg_settings where name = 'geqo_threshold';
create view scratch.below as select n from scratch.named;
create view scratch.own as select coalesce(nullif(current_setting('my.row', true), ''), '0')::int as n;
create function tool.named() returns int language sql stable as $$ select current_setting('geqo_threshold')::int $$;
create function tool.own() returns int language plpgsql stable as $$ begin return (select n from scratch.own); end $$;
create function tool.made(text) returns int language plpgsql stable as $$ begin return current_setting($1)::int; end $$;`
	for name, c := range map[string]struct{ where, setting, small, large string }{
		"application_name":  {"<= current_setting('application_name')::int", "application_name", "1", "200"},
		"task":              {"<= current_setting('sallyport.task')::int", "sallyport.task", "1", "200"},
		"reason":            {"<= current_setting('sallyport.reason')::int", "sallyport.reason", "1", "200"},
		"timeout":           {"<= extract(epoch from current_setting('statement_timeout')::interval) / 1000", "statement_timeout", "1000000", "200000000"},
		"planner":           {"<= current_setting('geqo_threshold')::int", "geqo_threshold", "2", "200"},
		"in_capitals":       {"<= current_setting('GEQO_Threshold')::int", "geqo_threshold", "2", "200"},
		"of_its_own":        {"<= current_setting('my.row', true)::int", "my.row", "1", "200"},
		"pg_settings":       {"<= (select setting::int from pg_settings where name = 'geqo_threshold')", "geqo_threshold", "2", "200"},
		"view":              {"<= (select n from scratch.named)", "geqo_threshold", "2", "200"},
		"view_of_view":      {"<= (select n from scratch.below)", "geqo_threshold", "2", "200"},
		"view_pg_settings":  {"<= (select n from scratch.all_of_them)", "geqo_threshold", "2", "200"},
		"view_of_its_own":   {"<= (select n from scratch.own)", "my.row", "1", "200"},
		"function":          {"<= tool.named()", "geqo_threshold", "2", "200"},
		"plpgsql_of_a_view": {"<= tool.own()", "my.row", "1", "200"},
		"function_argument": {"<= tool.made('geqo_threshold')", "geqo_threshold", "2", "200"},
	} {
		t.Run(name, func(t *testing.T) {
			w := meaningWorld(t, schema, nil)
			s := w.loginAt(access.DoorPGWire, "asker")
			set := func(v string) { t.Helper(); wantNoError(t, w.query(s, "set "+c.setting+" = '"+v+"'")) }
			set(c.small)
			w.approvedFor(s, Op{Kind: OpQuery, SQL: holdWhere + c.where})
			set(c.large)
			wantError(t, w.query(s, holdWhere+c.where), "42501 this statement needs approval")
			if n := w.changed(); n != "0" {
				t.Errorf("approved under %s = %s, ran under %s for %s rows", c.setting, c.small, c.large, n)
			}
			set(c.small)
			wantNoError(t, w.query(s, holdWhere+c.where))
		})
	}
}

// TestPreviewUnderNamedSettings: it counts what would run, also where a setting that is read cannot be set.
func TestPreviewUnderNamedSettings(t *testing.T) {
	w := meaningWorld(t, "", nil)
	s := w.loginAt(access.DoorPGWire, "asker")
	wantNoError(t, w.query(s, "set application_name = '3'"))
	wantError(t, w.query(s, holdWhere+"<= current_setting('application_name')::int and current_setting('server_version_num')::int > 1"), "42501 this statement needs approval")
	p, err := w.preview(w.pendingOne().ID)
	if err != nil || !p.Counted || p.Affected != 3 {
		t.Errorf("%+v %v", p, err)
	}
}

// TestIndifferentSettingsDoNotMatter to what does not read them.
func TestIndifferentSettingsDoNotMatter(t *testing.T) {
	w := meaningWorld(t, "", nil)
	s := w.loginAt(access.DoorPGWire, "asker")
	w.approvedFor(s, Op{Kind: OpQuery, SQL: holdWhere + "= 7"})
	for _, sql := range []string{"set application_name = 'x'", "set statement_timeout = '1h'", "set sallyport.reason = 'the ticket 4711 says so'"} {
		wantNoError(t, w.query(s, sql))
	}
	wantNoError(t, w.query(s, holdWhere+"= 7"))
}

// byMonth is for one row under one DateStyle and for another under the next.
const byMonth = holdWhere + "= extract(month from date '01/02/2026')::int"

// TestSettingsInFrontOfWhatWasApproved: nothing that stands in front of it in the same burst or transaction gives an approved statement another meaning than that which was
// approved, nor what was parsed or bound under other settings.
func TestSettingsInFrontOfWhatWasApproved(t *testing.T) {
	const dmy, mdy = "set datestyle = 'ISO, DMY'", "set datestyle = 'ISO, MDY'"
	const byParameter = holdWhere + "= extract(month from $1::date)::int"
	const day = "01/02/2026"
	for name, c := range map[string]struct {
		sql    string
		values []string
		steps  []messages // each up to a Sync
	}{
		"set":              {byMonth, nil, []messages{messages{}.run(dmy).run(byMonth)}},
		"set_config":       {byMonth, nil, []messages{messages{}.run("select set_config('datestyle', 'ISO, DMY', false)").run(byMonth)}},
		"set_local":        {byMonth, nil, []messages{messages{}.run("begin").run("set local datestyle = 'ISO, DMY'").run(byMonth).run("commit")}},
		"in_a_transaction": {byMonth, nil, []messages{messages{}.run("begin"), messages{}.run("set local datestyle = 'ISO, DMY'").run(byMonth), messages{}.run("commit")}},
		"flushed":          {byMonth, nil, []messages{append(messages{}.run(dmy), append(messages{{Kind: OpFlush}}, messages{}.run(byMonth)...)...)}},
		"reset_all":        {byMonth, nil, []messages{messages{}.run("begin").run(mdy), messages{}.run("commit"), messages{}.run("set datestyle = 'ISO, YMD'").run("reset all").run(dmy).run(byMonth)}},
		"rolled_back":      {byMonth, nil, []messages{messages{}.run(dmy), messages{}.run("begin").run(mdy).run("rollback").run(byMonth)}},
		"savepoint":        {byMonth, nil, []messages{messages{}.run(dmy), messages{}.run("begin").run("savepoint a").run(mdy).run("rollback to a").run(byMonth), messages{}.run("commit")}},
		"by_a_function":    {byMonth, nil, []messages{messages{}.run("select tool.switch('ISO, DMY')").run(byMonth)}},
		"parsed_before":    {byMonth, nil, []messages{messages{}.run(dmy), messages{}.parse("p", byMonth), messages{}.run(mdy), messages{}.bind("", "p").execute("")}},
		"parsed_in_burst":  {byMonth, nil, []messages{messages{}.run(dmy).parse("p", byMonth).run(mdy).bind("", "p").execute("")}},
		"parsed_in_part":   {byMonth, nil, []messages{messages{}.run("begin").run(dmy).parse("p", byMonth), messages{}.run("rollback"), messages{}.bind("", "p").execute("")}},
		"parsed_by_code":   {byMonth, nil, []messages{messages{}.run("select tool.switch('ISO, DMY')"), messages{}.parse("p", byMonth), messages{}.run("select tool.switch('ISO, MDY')"), messages{}.bind("", "p").execute("")}},
		"bound_before": {byParameter, []string{day}, []messages{messages{}.run("begin").run(dmy).parse("p", byParameter).bind("q", "p", day), messages{}.run(mdy).execute("q"),
			messages{}.run("commit")}},
		"bound_in_burst": {byParameter, []string{day}, []messages{messages{}.parse("p", byParameter).run(dmy).bind("q", "p", day).run(mdy).execute("q")}},
	} {
		t.Run(name, func(t *testing.T) {
			w := meaningWorld(t, `create function tool.switch(text) returns text language plpgsql as $$ begin return set_config('datestyle', $1, false); end $$;`, nil)
			s := w.loginAt(access.DoorPGWire, "asker")
			wantNoError(t, w.query(s, mdy))
			w.approvedFor(s, messages{}.run(c.sql, c.values...).sync()...)
			failed := false
			for _, m := range c.steps {
				failed = len(w.do(s, m.sync()...).errs) > 0 || failed
			}
			if n := w.changed(); n != "0" {
				t.Fatalf("approved for the first month, ran for the second: %s rows", n)
			}
			if !failed {
				t.Error("nothing was refused")
			}
			w.query(s, "rollback")
			wantNoError(t, w.query(s, mdy))
			wantNoError(t, w.do(s, messages{}.run(c.sql, c.values...).sync()...))
			if w.regionOf(1) != "held" {
				t.Error("what was approved did not run")
			}
		})
	}
}

// TestPreparedUnderOtherSettings: EXECUTE of what was prepared, by SQL or by the protocol, when constants in it meant something else.
func TestPreparedUnderOtherSettings(t *testing.T) {
	const dmy, mdy = "set datestyle = 'ISO, DMY'", "set datestyle = 'ISO, MDY'"
	for name, prepare := range map[string][]Op{
		"sql":         {{Kind: OpQuery, SQL: "prepare p as " + byMonth}},
		"in_one_text": {{Kind: OpQuery, SQL: "select 1; prepare p as " + byMonth}},
		"protocol":    messages{}.parse("p", byMonth).sync(),
		"both":        messages{}.run("prepare p as " + byMonth).sync(),
	} {
		t.Run(name, func(t *testing.T) {
			w := meaningWorld(t, "", nil)
			s := w.loginAt(access.DoorPGWire, "asker")
			again := func() {
				t.Helper()
				w.query(s, "deallocate all")
				wantNoError(t, w.do(s, prepare...))
			}
			wantNoError(t, w.query(s, mdy))
			again()
			w.approvedFor(s, Op{Kind: OpQuery, SQL: "execute p"})
			wantNoError(t, w.query(s, dmy))
			again()
			wantNoError(t, w.query(s, mdy))
			wantError(t, w.query(s, "execute p"), "0A000 cached plan must not change result type")
			wantError(t, w.do(s, messages{}.run("execute p").sync()...), "0A000 cached plan must not change result type")
			again()
			wantNoError(t, w.query(s, "execute p"))
			if w.regionOf(1) != "held" || w.changed() != "1" {
				t.Error("what was approved did not run")
			}
		})
	}
}

// TestPreparedOnce: what was prepared once may be approved, and run often where that is what was approved, also where triggers run.
func TestPreparedOnce(t *testing.T) {
	w := meaningWorld(t, `create function touched() returns trigger language plpgsql as $$ begin return new; end $$;
create trigger touched before update on customers for each row execute function touched();`, func(c *Config) {
		c.Policies[0].Text += `@id("call") permit (principal in Group::"askers", action == Action::"call", resource in Connection::"shop");`
	})
	s := w.loginAt(access.DoorPGWire, "asker")
	wantNoError(t, w.do(s, messages{}.parse("p", holdWhere+"= $1").sync()...))
	run := messages{}.bind("", "p", "7").execute("").sync()
	wantError(t, w.do(s, run...), "42501 this statement needs approval")
	if err := w.decide("keeper", w.pendingOne().ID, ReviewVote{Verdict: approval.Approve, Grant: approval.Grant{Mode: approval.Form, Uses: 3, Until: time.Now().Add(time.Hour)}}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		wantNoError(t, w.do(s, run...))
	}
	wantError(t, w.do(s, run...), "42501 this statement needs approval")
}

// TestApprovedUnderAnotherCatalog: what stands in front of an approved statement does not change what names in it stand for.
func TestApprovedUnderAnotherCatalog(t *testing.T) {
	const schema = `
create view scratch.v as select id from customers where id < 3;
create function scratch.f() returns int language sql stable as 'select 2';
create function tool.define(text) returns void language plpgsql as $$ begin execute $1; end $$;
create table tool.log(at timestamptz);
create function tool.defines() returns trigger language plpgsql as $$ begin create or replace view scratch.v as select id from customers; return new; end $$;
create trigger defines before insert on tool.log for each row execute function tool.defines();`
	const sql = holdWhere + "in (select id from scratch.v)"
	const other = "create or replace view scratch.v as select id from customers"
	for name, steps := range map[string][]messages{
		"view":             {messages{}.run(other).run(sql)},
		"in_a_transaction": {messages{}.run("begin"), messages{}.run(other), messages{}.run(sql), messages{}.run("commit")},
		"committed_before": {messages{}.run("begin").run(other).run("commit").run(sql)},
		"dropped":          {messages{}.run("begin").run("drop view scratch.v").run("create view scratch.v as select id from customers").run(sql).run("commit")},
		"prepared":         {messages{}.parse("p", sql), messages{}.run(other).bind("", "p").execute("")},
		"renamed":          {messages{}.run("begin").run("create view scratch.w as select id from customers").run("alter view scratch.v rename to x").run("alter view scratch.w rename to v").run(sql).run("commit")},
		"by_a_function":    {messages{}.run("select tool.define('" + other + "')").run(sql)},
		"by_a_function_in": {messages{}.run("begin"), messages{}.run("savepoint a"), messages{}.run("select tool.define('" + other + "')"), messages{}.run("release a"), messages{}.run(sql), messages{}.run("commit")},
		"drop_by_function": {messages{}.run("begin"), messages{}.run("select tool.define('drop function scratch.f()')"), messages{}.run(sql), messages{}.run("commit")},
		"by_a_trigger":     {messages{}.run("begin"), messages{}.run("insert into tool.log values (now())"), messages{}.run(sql), messages{}.run("commit")},
	} {
		t.Run(name, func(t *testing.T) {
			w := meaningWorld(t, schema, func(c *Config) {
				c.Policies[0].Text += `@id("log") permit (principal in Group::"askers", action == Action::"call", resource in Connection::"shop");`
				c.Policies[0].Text = strings.Replace(c.Policies[0].Text, `action == Action::"write", resource in Connection::"shop");`, `action == Action::"write", resource in Schema::"shop.public");
@id("logs") permit (principal in Group::"askers", action == Action::"write", resource in Schema::"shop.tool");`, 1)
			})
			s := w.loginAt(access.DoorPGWire, "asker")
			w.approvedFor(s, messages{}.run(sql).sync()...)
			var errs []string
			for _, m := range steps {
				errs = append(errs, w.do(s, m.sync()...).errs...)
			}
			w.query(s, "rollback")
			if n := w.changed(); n != "0" {
				t.Fatalf("approved for the two rows of a view, ran for %s", n)
			}
			if len(errs) == 0 {
				t.Error("nothing was refused")
			}
		})
	}
}

// TestApprovedBesideACatalogThatStays: what runs in front and changes no definition keeps nothing from running.
func TestApprovedBesideACatalogThatStays(t *testing.T) {
	w := meaningWorld(t, `
create table tool.log(at timestamptz);
create function tool.nothing() returns trigger language plpgsql as $$ begin perform set_config('my.touched', 'yes', true); insert into tool.log values (now()); return new; end $$;
create trigger nothing before update on customers for each row execute function tool.nothing();`, func(c *Config) {
		c.Policies[0].Text += `@id("log") permit (principal in Group::"askers", action == Action::"call", resource in Connection::"shop");`
	})
	s := w.loginAt(access.DoorPGWire, "asker")
	w.approvedFor(s, messages{}.run(holdWhere+"= 7").sync()...)
	w.approvedFor(s, messages{}.run(holdWhere+"= 8").sync()...)
	wantNoError(t, w.query(s, "begin"))
	wantNoError(t, w.do(s, messages{}.run("savepoint a").run(holdWhere+"= 7").run("release a").run(holdWhere+"= 8").sync()...))
	wantNoError(t, w.query(s, "commit"))
	if n := w.changed(); n != "2" {
		t.Errorf("%s rows", n)
	}
}

// TestDefinitionsAreReadOnceTheyAreCommitted: a look at the catalog while the change is open is not the last one.
func TestDefinitionsAreReadOnceTheyAreCommitted(t *testing.T) {
	w := meaningWorld(t, "create function scratch.f() returns int language sql stable as 'select 2';", func(c *Config) {
		c.Policies[0].Text += `@id("f") permit (principal in Group::"askers", action == Action::"call", resource in Schema::"shop.scratch");`
	})
	s, o := w.loginAt(access.DoorPGWire, "asker"), w.loginAt(access.DoorPGWire, "asker")
	const sql = holdWhere + "<= scratch.f()"
	w.approvedFor(s, messages{}.run(sql).sync()...)
	wantNoError(t, w.do(s, append(messages{}.run("create or replace function scratch.f() returns int language sql stable as 'select 200'"), Op{Kind: OpFlush})...))
	wantNoError(t, w.query(o, "select id from customers where id = 1")) // has the catalog read
	wantNoError(t, w.do(s, Op{Kind: OpSync}))
	wantError(t, w.do(s, messages{}.run(sql).sync()...), "42501 this statement needs approval")
}

// TestSkippedPortalIsNotOpened: a portal whose approved execution the server skipped needs another approval.
func TestSkippedPortalIsNotOpened(t *testing.T) {
	for name, again := range map[string]messages{
		"execute":   messages{}.execute("p"),
		"in_burst":  messages{}.run("select 1").execute("p"),
		"fetch":     messages{}.run("fetch all from p"),
		"datestyle": messages{}.run("set local datestyle = 'ISO, DMY'").execute("p"),
	} {
		t.Run(name, func(t *testing.T) {
			w := meaningWorld(t, "", nil)
			s := w.loginAt(access.DoorPGWire, "asker")
			const sql = holdWhere + "= 7 returning id"
			id := w.approvedFor(s, messages{}.run(sql).sync()...)
			wantNoError(t, w.query(s, "begin"))
			wantNoError(t, w.do(s, messages{}.parse("u", sql).bind("p", "u").sync()...))
			wantNoError(t, w.query(s, "savepoint a"))
			wantError(t, w.do(s, messages{}.run("select 1 / (id - id) from customers").execute("p").sync()...), "22012")
			w.wantState(id, approval.Failed)
			wantNoError(t, w.query(s, "rollback to a"))
			a := w.do(s, again.sync()...)
			if len(a.errs) == 0 {
				t.Errorf("it ran: %q", a.tags)
			}
			w.query(s, "commit")
			if w.regionOf(7) == "held" {
				t.Error("it ran under no approval")
			}
		})
	}
}

// TestPortalIsReadOn: once it has answered, in one burst or in several.
func TestPortalIsReadOn(t *testing.T) {
	w := meaningWorld(t, "insert into secrets values (1, 'x'), (2, 'y');", nil)
	s := w.loginAt(access.DoorPGWire, "asker")
	const sql = "select id, v from secrets"
	w.approve("officer", w.approvedFor(s, messages{}.run(sql).sync()...))
	wantNoError(t, w.query(s, "begin"))
	part := Op{Kind: OpExecute, Portal: "p", MaxRows: 1}
	a := w.do(s, append(messages{}.parse("", sql).bind("p", ""), part, part, Op{Kind: OpSync})...)
	wantNoError(t, a)
	if len(a.rows) != 2 {
		t.Errorf("%d rows in one burst", len(a.rows))
	}
	wantNoError(t, w.do(s, part, Op{Kind: OpSync}))
	wantNoError(t, w.query(s, "commit"))
}

// TestPortalFollowsThePolicies: one that was bound before they changed is held by those of now.
func TestPortalFollowsThePolicies(t *testing.T) {
	w := meaningWorld(t, "", nil)
	s := w.loginAt(access.DoorPGWire, "asker")
	w.approvedFor(s, messages{}.run(holdWhere+"= 7").sync()...)
	wantNoError(t, w.query(s, "begin"))
	wantNoError(t, w.do(s, messages{}.parse("u", holdWhere+"= 7").bind("p", "u").sync()...))
	if err := w.gw.LoadPolicies([]PolicyFile{{Name: "held.cedar", Text: heldPolicy + `@id("more") @review("officers") permit (principal in Group::"askers", action == Action::"write", resource in Connection::"shop");`}}); err != nil {
		t.Fatal(err)
	}
	if a := w.do(s, messages{}.execute("p").sync()...); len(a.errs) == 0 {
		t.Error("officers have to approve as well, and it ran")
	}
	w.query(s, "commit")
	if w.regionOf(7) == "held" {
		t.Error("it ran")
	}
}

// TestTypesAreApproved: the same text and bytes are something else where parameters are of other types, also behind EXECUTE and FETCH.
func TestTypesAreApproved(t *testing.T) {
	const text, bytea = 25, 17
	const sql = holdWhere + "> 0 and octet_length($1) < 3 returning id"
	const value = `\x4142` // six letters, or two bytes
	parse := func(oid uint32) messages {
		return append(messages{{Kind: OpClose, Target: 'S', Name: "p"}}, messages{}.parse("p", sql, oid)...)
	}
	for name, run := range map[string]func(oid uint32) []messages{
		"execute": func(oid uint32) []messages { return []messages{parse(oid), messages{}.run(`execute p('\x4142')`)} },
		"burst":   func(oid uint32) []messages { return []messages{parse(oid).run(`execute p('\x4142')`)} },
		"protocol": func(oid uint32) []messages {
			return []messages{parse(oid), messages{}.bind("", "p", value).execute("")}
		},
		"fetch": func(oid uint32) []messages {
			return []messages{parse(oid), messages{}.run("begin").bind("q", "p", value).run("fetch all from q")}
		},
		"fetch_by_text": func(oid uint32) []messages {
			return []messages{parse(oid), messages{}.run("begin").bind("q", "p", value), {{Kind: OpQuery, SQL: "fetch all from q"}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := meaningWorld(t, "", nil)
			s := w.loginAt(access.DoorPGWire, "asker")
			send := func(oid uint32) (errs []string) {
				for _, m := range run(oid) {
					if m[len(m)-1].Kind != OpQuery {
						m = m.sync()
					}
					errs = append(errs, w.do(s, m...).errs...)
				}
				return errs
			}
			if errs := send(text); len(errs) != 1 || !strings.HasPrefix(errs[0], "42501 this statement needs approval") {
				t.Fatalf("%q", errs)
			}
			w.query(s, "rollback")
			w.approve("keeper", w.pendingOne().ID)
			if errs := send(bytea); len(errs) == 0 {
				t.Error("approved for a text, ran for bytes")
			}
			w.query(s, "commit")
			if n := w.changed(); n != "0" {
				t.Fatalf("%s rows", n)
			}
			if errs := send(text); len(errs) != 0 && name != "fetch" && name != "fetch_by_text" { // PostgreSQL has no FETCH of a write
				t.Errorf("what was approved does not run: %q", errs)
			}
		})
	}
}

// TestQuestionsAreTheGatewaysOwn: functions and operators that an asker puts in front of PostgreSQL's do not answer what the gateway asks.
func TestQuestionsAreTheGatewaysOwn(t *testing.T) {
	w := meaningWorld(t, `
create function scratch.lower(text) returns text language sql as $$ select 'application_name' $$;
create function scratch.none(text, text) returns text language sql as $$ select ''::text $$;
create operator scratch.|| (function = scratch.none, leftarg = text, rightarg = text);`, nil)
	s := w.loginAt(access.DoorPGWire, "asker")
	for _, sql := range []string{"set search_path = scratch, pg_catalog, public", "set datestyle = 'ISO, MDY'"} {
		wantNoError(t, w.query(s, sql))
	}
	w.approvedFor(s, Op{Kind: OpQuery, SQL: byMonth})
	wantNoError(t, w.query(s, "set datestyle = 'ISO, DMY'"))
	wantError(t, w.query(s, byMonth), "42501 this statement needs approval")
}
