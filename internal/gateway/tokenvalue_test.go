package gateway

import (
	"context"
	"strings"
	"testing"

	"sallyport/internal/access"
)

const resolvePolicy = `
@id("find") permit (principal in Group::"cleaners", action == Action::"lookup", resource in Connection::"shop");
@id("told") permit (principal in Group::"cleaners", action == Action::"reveal", resource == Column::"shop.public.revealable.email") when { context.has_reason };
@id("hidden") forbid (principal in Group::"cleaners", action == Action::"read", resource == Table::"shop.public.others");
@id("some") @where("id < 100") permit (principal in Group::"cleaners", action == Action::"read", resource == Table::"shop.public.partly");
`

// resolveWorld has addresses in several tables, and a writer who may look all of them up.
func resolveWorld(t *testing.T) (*world, *Session) {
	w := newWritesWorld(t, resolvePolicy)
	w.gw.Close()
	w.upstream(`create table leads(id int primary key, email text, phone varchar(40), uid uuid, note text); insert into leads select g from generate_series(1, 9) g;
		create table people(id int primary key, phone varchar(40), uid uuid); insert into people values (1, '+1 415 555 2671', gen_random_uuid()), (2, '+1 415 555 2672', gen_random_uuid());
		create table others(id int, email text); insert into others values (1, 'other@example.com');
		create table partly(id int, email text); insert into partly values (1, 'part@example.com');
		create table generated(id int, email text, low text generated always as (lower(email)) stored);
		create table checked(id int, email text, bound text, check (email < bound));
		create domain early as text check (value < 'm'); create table narrowed(id int, email early); create table short(id int, email varchar(100));
		create table owners(id int, email text unique); insert into owners values (1, 'o@example.com');
		create table owned(id int, owner text references owners(email) on update cascade); create table revealable(id int, email text); create table members(id int primary key, email text unique, rank int not null)`)
	c := w.config()
	c.Policies[0].Text += resolvePolicy
	for _, l := range []string{"phone", "uid"} {
		c.Labels = append(c.Labels, access.LabelRule{Label: access.Label("pii." + l), Columns: []string{"*.*." + l}})
		c.Masks = append(c.Masks, access.Mask{Label: access.Label("pii." + l), Transform: "token"})
	}
	for i := range c.Principals {
		if c.Principals[i].Name == "writer" {
			c.Principals[i].Groups = append(c.Principals[i].Groups, "cleaners")
		}
	}
	var err error
	if w.gw, err = Open(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	s := w.login("writer")
	t.Cleanup(func() { s.Close() })
	return w, s
}

// token asks for what somebody sees of a value.
func (w *world) token(s *Session, sql string) string {
	w.t.Helper()
	a := w.query(s, sql)
	if len(a.errs) > 0 || len(a.rows) != 1 || strings.Contains(a.rows[0][0], "@") || strings.Contains(a.rows[0][0], "***") {
		w.t.Fatalf("%s: %v %v", sql, a.rows, a.errs)
	}
	return a.rows[0][0]
}

// TestTokensAreStoredAsTheirValues, which the writer does not see.
func TestTokensAreStoredAsTheirValues(t *testing.T) {
	w, s := resolveWorld(t)
	email := w.token(s, "select email from customers where id = 7")
	phone := w.token(s, "select phone from people where id = 1")
	uid := w.token(s, "select uid from people where id = 2")
	for name, c := range map[string]struct {
		ops   []Op
		check string
	}{
		"update":          {query("update leads set email = '" + email + "' where id = 1 returning email"), "select email = 'u7@example.com' from leads where id = 1"},
		"insert":          {query("insert into leads(id, email, note) values (21, null, 'x'), (22, '" + email + "', 'y')"), "select email = 'u7@example.com' from leads where id = 22"},
		"upsert":          {query("insert into leads(id, email) values (2, null) on conflict (id) do update set email = '" + email + "'"), "select email = 'u7@example.com' from leads where id = 2"},
		"excluded":        {query("insert into leads(id, email) values (3, '" + email + "') on conflict (id) do update set email = excluded.email"), "select email = 'u7@example.com' from leads where id = 3"},
		"merge":           {query("merge into leads l using (select 4 as id) s on s.id = l.id when matched then update set email = '" + email + "'"), "select email = 'u7@example.com' from leads where id = 4"},
		"merged":          {query("merge into leads l using (select 31 as id) s on s.id = l.id when not matched then insert (id, email) values (31, '" + email + "')"), "select email = 'u7@example.com' from leads where id = 31"},
		"cast":            {query("update leads set phone = '" + phone + "'::varchar where id = 5"), "select phone = '+1 415 555 2671' from leads where id = 5"},
		"uuid":            {query("update leads set uid = '" + uid + "' where id = 5"), "select uid = (select uid from people where id = 2) from leads where id = 5"},
		"parameter":       {pipeline("update leads set email = $1 where id = $2", email, "6"), "select email = 'u7@example.com' from leads where id = 6"},
		"value":           {pipeline("update leads set email = $1 where id = $2", "new@example.com", "7"), "select email = 'new@example.com' from leads where id = 7"},
		"null":            {query("update leads set email = null where id = 7"), "select email is null from leads where id = 7"},
		"inserted":        {pipeline("insert into leads(id, email, phone, uid) values (41, $1, $2, $3)", email, phone, uid), "select email = 'u7@example.com' and phone = '+1 415 555 2671' and uid = (select uid from people where id = 2) from leads where id = 41"},
		"uuid_parameter":  {pipeline("update leads set uid = $1 where id = 8", "c1234567-f123-4123-a123-f01234567890"), "select uid = 'c1234567-f123-4123-a123-f01234567890' from leads where id = 8"},
		"prepared":        {append(query("prepare p as update leads set email = $1 where id = 9"), query("execute p('"+email+"')")...), "select email = 'u7@example.com' from leads where id = 9"},
		"with":            {query("with w as (update leads set email = '" + email + "' where id = 8 returning id, email) select * from w"), "select email = 'u7@example.com' from leads where id = 8"},
		"row":             {query("update leads set (email, note) = ('" + email + "', 'x') where id = 1"), "select email = 'u7@example.com' and note = 'x' from leads where id = 1"},
		"row_default":     {pipeline("update leads set (note, email) = row(default, $1) where id = 1", email), "select email = 'u7@example.com' and note is null from leads where id = 1"},
		"row_upsert":      {query("insert into leads(id) values (2) on conflict (id) do update set (note, email) = ('y', '" + email + "')"), "select email = 'u7@example.com' and note = 'y' from leads where id = 2"},
		"selected":        {query("insert into leads(id, email, note) select id + 50, '" + email + "', region from customers where id < 3"), "select count(*) = 2 from leads where id in (51, 52) and email = 'u7@example.com' and note is not null"},
		"selected_param":  {pipeline("insert into leads(id, email, phone) select 53, $1, $2 where not exists (select from leads where id = 53)", email, phone), "select email = 'u7@example.com' and phone = '+1 415 555 2671' from leads where id = 53"},
		"selected_value":  {pipeline("insert into leads(id, email) select 54, $1", "new@example.com"), "select email = 'new@example.com' from leads where id = 54"},
		"selected_uuid":   {query("insert into leads(id, uid) select 55, '" + uid + "' returning uid"), "select uid = (select uid from people where id = 2) from leads where id = 55"},
		"selected_beside": {query("insert into leads(id, email, phone) select 57, '" + email + "', v.p from (values ('+1 415 555 9999')) v(p)"), "select email = 'u7@example.com' and phone = '+1 415 555 9999' from leads where id = 57"},
		"selected_with":   {query("with w as (select 56 as id) insert into leads(id, email) select id, '" + email + "' from w returning email"), "select email = 'u7@example.com' from leads where id = 56"},
		"selected_upsert": {query("insert into leads(id, email) select 3, '" + email + "' on conflict (id) do update set email = excluded.email"), "select email = 'u7@example.com' from leads where id = 3"},
		"own_relation":    {query("update customers set email = '" + email + "' where id = 8"), "select email = 'u7@example.com' from customers where id = 8"},
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			a := w.do(s, c.ops...)
			if wantNoError(t, a); strings.Contains(strings.Join(flat(a.rows), " "), "example.com") {
				t.Errorf("the answer shows a value: %v", a.rows)
			}
			if got := w.upstream(c.check); got != "t" {
				t.Errorf("%s gave %q", c.check, got)
			}
		})
	}
}

// TestTokensWithoutAValueAreRefused: there must be one, under the same label, that the writer may look up in a
// relation all of whose rows they may read.
func TestTokensWithoutAValueAreRefused(t *testing.T) {
	w, s := resolveWorld(t)
	const state = "select md5(string_agg(l::text, ' ' order by id)) from leads l"
	before := w.upstream(state)
	dba := w.login("dba")
	defer dba.Close()
	phone := w.token(s, "select phone from people where id = 1")
	// The tokens of hidden values: seen by storing the value where it may be seen, and taking it away again.
	tokenOf := func(value string) string {
		wantNoError(t, w.query(s, "insert into leads(id, email) values (99, '"+value+"')"))
		token := w.token(s, "select email from leads where id = 99")
		wantNoError(t, w.query(s, "delete from leads where id = 99"))
		return token
	}
	for name, ops := range map[string][]Op{
		"nobody's":          query("update leads set email = 'tok_ghjklmnpqrtvwxyzghjklmnp' where id = 1"),
		"parameter":         pipeline("update leads set email = $1 where id = 1", "tok_ghjklmnpqrtvwxyzghjklmnp"),
		"other_label":       query("update leads set email = '" + phone + "' where id = 1"),
		"no_label":          query("update leads set email = '" + tokenOf("ok") + "' where id = 1"),
		"unreadable":        query("update leads set email = '" + tokenOf("other@example.com") + "' where id = 1"),
		"hidden_rows":       query("update leads set email = '" + tokenOf("part@example.com") + "' where id = 1"),
		"redaction":         pipeline("update leads set email = $1 where id = 1", "***"),
		"redacted":          query("update leads set email = '***' where id = 1"),
		"in_expression":     query("update leads set email = concat('tok_ghjklmnpqrtvwxyzghjklmnp') where id = 1"),
		"in_a_selection":    query("insert into leads(id, email) select 98, '" + phone + "'"),
		"in_a_union":        query("insert into leads(id, email) select 98, '" + tokenOf("u7@example.com") + "' union select 98, 'u7@example.com'"),
		"behind_a_star":     query("insert into leads(id, email) select o.*, '" + tokenOf("u7@example.com") + "' from (select 98) o"),
		"in_a_subquery":     query("insert into leads(id, email) select 98, e from (select '" + tokenOf("u7@example.com") + "' as e) q"),
		"in_another_one":    query("insert into leads(id, note, email) select 98, '" + tokenOf("u7@example.com") + "', n from (select '***' as n) q"),
		"excluded_query":    query("insert into leads(id, email) select 1, '" + tokenOf("u7@example.com") + "' on conflict (id) do update set note = excluded.email"),
		"in_a_row_source":   query("update leads set (email, note) = ('" + phone + "', 'x') where id = 1"),
		"in_a_row_query":    query("update leads set (email, note) = (select '" + tokenOf("u7@example.com") + "', 'x') where id = 1"),
		"redacted_row":      query("update leads set (note, email) = row('x', '***') where id = 1"),
		"selected_sentinel": pipeline("insert into leads(id, email) select 98, $1", "***"),
		"excluded":          query("insert into leads(id, email) values (1, '" + tokenOf("u7@example.com") + "') on conflict (id) do update set note = excluded.email"),
		"excluded_row":      query("insert into leads(id, email) values (1, '" + tokenOf("u7@example.com") + "') on conflict (id) do update set note = excluded::text"),
		"excluded_where":    query("insert into leads(id, email) values (1, '" + tokenOf("u7@example.com") + "') on conflict (id) do update set note = 'x' where excluded.email like 'u%'"),
		"generated":         query("insert into generated(id, email) values (1, '" + tokenOf("u7@example.com") + "')"),
		"checked":           query("insert into checked(id, email, bound) values (1, '" + tokenOf("u7@example.com") + "', 'm')"),
		"domain":            query("insert into narrowed(id, email) values (1, '" + tokenOf("u7@example.com") + "')"),
		"length":            pipeline("insert into short(id, email) values (1, $1)", tokenOf("u7@example.com")),
		"cascade":           query("update owners set email = '" + tokenOf("u7@example.com") + "' where id = 1"),
		"cascade_upsert":    query("insert into owners(id, email) values (1, 'o@example.com') on conflict (email) do update set email = '" + tokenOf("u7@example.com") + "'"),
		"revealable":        query("insert into revealable(id, email) values (1, '" + tokenOf("u7@example.com") + "')"),
	} {
		if a := w.do(s, ops...); len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], "42501") || strings.Contains(a.errs[0], "example.com") {
			t.Errorf("%s: %v", name, a.errs)
		}
	}
	if after := w.upstream(state); after != before {
		t.Error("something was stored")
	}
	wantError(t, w.query(s, "update leads set email = 'tok_ghjklmnpqrtvwxyzghjklmnp' where id = 1"), "42501 no value that may be looked up has this token")
}

// TestTokensOfSeveralValuesAreRefused: a type that compares without case gives one token to several texts.
func TestTokensOfSeveralValuesAreRefused(t *testing.T) {
	w, s := resolveWorld(t)
	w.upstream("create extension citext; create table loose(id int, email citext); insert into loose values (1, 'Who@example.com'), (2, 'who@example.com')")
	w.gw.dbs["shop"].stale()
	token := w.token(s, "select email from loose where id = 1")
	wantError(t, w.query(s, "update leads set email = '"+token+"' where id = 1"), "42501 several values have this token")
	wantNoError(t, w.query(s, "delete from loose where id = 1"))
	wantNoError(t, w.query(s, "update leads set email = '"+token+"' where id = 1"))
	if got := w.upstream("select email from leads where id = 1"); got != "who@example.com" {
		t.Errorf("stored %q", got)
	}
}

// TestTokensAreNotResolvedWithoutLookup: neither for who may not look up, nor for who therefore sees no tokens.
func TestTokensAreNotResolvedWithoutLookup(t *testing.T) {
	w := newWritesWorld(t, "")
	reader := w.login("agent")
	defer reader.Close()
	token := w.token(reader, "select email from customers where id = 7")
	s := w.login("writer")
	defer s.Close()
	wantError(t, w.query(s, "update customers set email = '"+token+"' where id = 8"), "42501")
	wantError(t, w.do(s, pipeline("update customers set email = $1 where id = 8", token)...), "42501")
	if got := w.upstream("select email from customers where id = 8"); got != "u8@example.com" {
		t.Errorf("stored %q", got)
	}
}
