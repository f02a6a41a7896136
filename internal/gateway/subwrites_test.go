package gateway

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/identity"
	"sallyport/internal/testdb"
)

const subwritesPolicy = `
@id("people") permit (principal, action in [Action::"connect", Action::"read"], resource in Connection::"shop");
@id("changes") permit (principal, action == Action::"write", resource in Connection::"shop")
  unless { resource in Label::"pii" };
@id("find") permit (principal in Group::"finders", action == Action::"lookup", resource in Label::"pii");
@id("compare") @probes("100000/1h") permit (principal in Group::"comparers", action == Action::"predicate", resource in Label::"pii");
`

// subwritesWorld has people who may change what is not masked, by what they may look up, or compare, or by neither.
func subwritesWorld(t *testing.T, more string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), dsn: testdb.Shared(t).NewDatabase(t, testSchema+`
		create table notes(id int primary key, customer_id int, note text); insert into notes select g, g, 'n' from generate_series(1, 20) g;`+more)}
	c := w.config()
	c.Masks = []access.Mask{{Label: "pii.email", Transform: "null"}, {Label: "pii.ssn", Transform: "redact"}}
	c.Policies = []PolicyFile{{Name: "subwrites.cedar", Text: subwritesPolicy}}
	c.Principals = nil
	for name, groups := range map[string][]string{"finder": {"finders"}, "comparer": {"comparers"}, "reader": nil} {
		c.Principals = append(c.Principals, access.LocalPrincipal{Name: name, Kind: access.Human, Groups: groups, Secret: identity.HashPassword("pw-" + name)})
	}
	gw, err := Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	w.gw = gw
	t.Cleanup(func() { gw.Close() })
	return w
}

// subwrites are writes whose subqueries look at masked columns in ways that can be granted; %s is one comparison with
// customer 7's address.
var subwrites = []struct{ sql, want string }{
	{"delete from customers where id in (select id from customers where %s) returning id", "7"},
	{"delete from public.customers c where c.id in (select c.id from public.customers c where c.%s) returning c.id", "7"},
	{"delete from customers where id = (select id from customers where %s) returning id, ssn", "7 ***"},
	{"delete from customers c where exists (select from customers d where d.id = c.id + 1 and d.%s) returning c.id", "6"},
	{"delete from customers where exists (select 1 from customers d where d.id = customers.id and d.%s) returning *", "7 n7 NULL *** ok r3"},
	{"delete from customers where id in (select max(id) from customers where %s and region = 'r3') returning id", "7"},
	{"delete from customers where id in (select id from customers where id in (select id from customers where %s)) returning id", "7"},
	{"delete from customers where id in (select customer_id from notes where customer_id in (select id from customers where %s)) returning id", "7"},
	{"delete from customers where id in (select q.id from (select id, region from customers where %s) q) returning id", "7"},
	{"delete from customers where id in (select id from (select id, region as email from customers where %s) q where email = 'r3') returning id", "7"},
	{"delete from customers using customers o where o.%s and o.id = customers.id returning customers.id", "7"},
	{"with q as (select id from customers where %s) delete from customers where id in (select id from q) returning id", "7"},
	{"with d as (delete from customers where id in (select id from customers where %s) returning id, email) select * from d", "7 NULL"},
	{"delete from customers where id in (select id from customers where %s union select 3) and id > 3 returning id", "7"},
	{"delete from notes where customer_id in (select id from customers where %s) returning id", "7"},
	{"update customers set region = 'x' where id in (select id from customers where %s) returning id, region, email", "7 x NULL"},
	{"update customers set region = o.region || 'x' from customers o where o.%s and customers.id = o.id + 1 returning customers.id, customers.region", "8 r3x"},
	{"update customers c set region = (select region from customers d where d.id = c.id) || 'y' where id = any (select id from customers where %s) returning id, region", "7 r3y"},
	{"update notes set note = 'x' where exists (select from customers c where c.id = notes.customer_id and c.%s) returning id", "7"},
	{"insert into notes(id, note) select id + 100, region from customers where %s returning id, note", "107 r3"},
	{"with d as (delete from customers where id in (select id from customers where %s) returning id) insert into notes(id, note) select id + 100, 'gone' from d returning id", "107"},
	{"with q as (select id from customers where %s), d as (delete from notes using q where q.id = notes.customer_id returning notes.id) select id from d", "7"},
}

// TestSubqueriesOfWritesLookUp in the relation that is written, and elsewhere, where that is granted.
func TestSubqueriesOfWritesLookUp(t *testing.T) {
	w := subwritesWorld(t, "")
	finder, comparer, reader := w.login("finder"), w.login("comparer"), w.login("reader")
	for _, s := range []*Session{finder, comparer, reader} {
		defer s.Close()
	}
	for _, c := range subwrites {
		for cond, s := range map[string]*Session{"email = 'u7@example.com'": finder, "email in ('u7@example.com')": finder, "email like 'u7@%'": comparer} {
			wantNoError(t, w.query(s, "begin"))
			sql := fmt.Sprintf(c.sql, cond)
			a := w.query(s, sql)
			if got := strings.Join(flat(a.rows), " "); len(a.errs) > 0 || got != c.want {
				t.Errorf("%s gives %s %v, want %s", sql, got, a.errs, c.want)
			}
			w.query(s, "rollback")
		}
		wantNoError(t, w.query(finder, "begin"))
		a := w.do(finder, pipeline(fmt.Sprintf(c.sql, "email = $1"), "u7@example.com")...)
		if got := strings.Join(flat(a.rows), " "); len(a.errs) > 0 || got != c.want {
			t.Errorf("%s with a parameter gives %s %v, want %s", c.sql, got, a.errs, c.want)
		}
		w.query(finder, "rollback")
		for cond, s := range map[string]*Session{"email like 'u7@%'": finder, "email = 'u7@example.com'": reader, "email = lower('u7@example.com')": comparer} {
			if a := w.query(s, fmt.Sprintf(c.sql, cond)); len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], "42501") {
				t.Errorf("%s: %s where it is not granted gives %v %v", s.Principal().Name, fmt.Sprintf(c.sql, cond), a.rows, a.errs)
			}
		}
	}
	if n := w.upstream("select count(*) from customers"); n != "200" {
		t.Errorf("%s customers are left", n)
	}
}

// TestSubqueriesOfWritesTellNothingMore: databases that differ in the masked values of all customers but the one who is looked
// up are told apart by no write.
func TestSubqueriesOfWritesTellNothingMore(t *testing.T) {
	a := subwritesWorld(t, "")
	b := subwritesWorld(t, "update customers set email = 'other' || id * 7 || '@else.org', ssn = lpad((id * 31)::text, 9, '1') where id <> 7;")
	const more = `delete from customers where id in (select id from customers where %s or ssn = '1') returning id
		delete from customers where id in (select id from customers order by email limit 1) returning id
		delete from customers where id in (select id from customers where email = 'u7@example.com' order by ssn limit 1) returning id
		delete from customers where email in (select email from customers where %s) returning id
		delete from customers where exists (select from customers d where d.email = customers.email and d.%s) returning id
		delete from customers where exists (select from customers d where d.id = customers.id and customers.%s and d.ssn < '5') returning id
		delete from customers where id in (select count(*) from customers group by email) returning id
		delete from customers where id in (select d.id from customers c left join customers d on d.id = c.id and d.%s where d.id is null) returning id
		delete from customers where id in (select length(email) from customers where %s) returning id
		delete from customers where id in (select id from customers c where (select c.%s)) returning id
		delete from customers where (select %s) returning id
		delete from customers where id in (select customers.id from notes customers where customers.id = 7) returning id
		delete from customers where id in (select id from (select id, email from customers) q where %s) returning id
		delete from customers where id in (select id from (select id, email from customers) q order by email limit 1) returning id
		update customers set region = (select max(email) from customers where %s) where id = 3 returning region
		update customers set region = (select region from customers where %s) where id = 3 returning region
		with d as (delete from customers where %s returning id, email) insert into notes(id, note) select id + 100, email from d returning note
		with d as (delete from customers where id in (select id from customers where %s) returning email) select count(*), max(email) from d where email like 'u%%'
		insert into notes(id, note) select id + 100, email from customers where %s returning note
		insert into notes(id, note) select id + 100, c::text from customers c where c.%s returning note
		merge into notes n using (select id, email from customers where %s) q on q.id = n.customer_id when matched then update set note = q.email
		merge into notes n using (select id from customers where %s) q on q.id = n.customer_id when matched then delete
		explain (costs off) delete from customers where id in (select id from customers where %s)`
	works := 0
	for _, name := range []string{"finder", "comparer", "reader"} {
		sa, sb := a.login(name), b.login(name)
		defer sa.Close()
		defer sb.Close()
		var statements []string
		for _, c := range subwrites {
			statements = append(statements, c.sql)
		}
		for _, sql := range append(statements, strings.Split(more, "\n")...) {
			for _, cond := range []string{"email = 'u7@example.com'", "email = 'nobody@example.com'", "email like 'u7@%'", "ssn = '000055433'", "email is null"} {
				sql := sql
				if strings.Contains(sql, "%s") {
					sql = fmt.Sprintf(strings.TrimSpace(sql), cond)
				}
				var shown [2]string
				for i, s := range []*Session{sa, sb} {
					w := []*world{a, b}[i]
					wantNoError(t, w.query(s, "begin"))
					x := w.query(s, sql)
					rest := &answer{}
					if len(x.errs) == 0 {
						works++
						rest = w.query(s, "select (select count(*) from customers), (select md5(string_agg(id || region, ' ' order by id)) from customers), (select string_agg(id || note, ' ' order by id) from notes)")
					}
					w.query(s, "rollback")
					shown[i] = fmt.Sprint(x.rows, x.tags, x.errs, x.notices, rest.rows, rest.errs)
				}
				if shown[0] != shown[1] {
					t.Errorf("%s: %s\n one: %.400s\n two: %.400s", name, sql, shown[0], shown[1])
				}
			}
		}
	}
	if works < 300 {
		t.Errorf("%d statements work only: the twins have little to say", works)
	}
}

// TestAggregatesChooseNoRowsToChange: what is answered about cells is not written by, with or without a granted lookup beside it.
func TestAggregatesChooseNoRowsToChange(t *testing.T) {
	w := cellsWorld(t, oneOrder)
	w.upstream("update staff set salary = 4321 where id = 1")
	s := w.login("clerk")
	defer s.Close()
	for _, cond := range []string{"having avg(salary) > 1000", "order by sum(salary) limit 1", "having count(salary) > 2"} {
		wantError(t, w.query(s, "update staff set city = 'Q' where city in (select city from staff group by city "+cond+")"), "42501")
	}
	wantError(t, w.query(s, "update staff set city = 'Q' where id in (select id from staff where salary = 4321)"), "42501")
	wantNoError(t, w.query(s, "update staff set city = 'Q' where city in (select city from staff group by city having count(*) > 20)"))
}
