package gateway

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/identity"
)

const predicatePolicy = `
@id("order") permit (principal in Group::"orderers", action == Action::"order", resource in Label::"pii");
@id("group") permit (principal in Group::"groupers", action == Action::"group", resource in Label::"pii");
@id("all") permit (principal in Group::"alls", action, resource);
@id("all-but-raw") forbid (principal in Group::"alls", action in [Action::"reveal", Action::"unrestricted"], resource);
@id("people") permit (principal, action in [Action::"connect", Action::"read"], resource in Connection::"shop");
@id("changes") permit (principal in Group::"changers", action == Action::"write", resource == Column::"shop.public.customers.region");
@id("compare") @probes("500/1h") permit (principal in Group::"comparers", action == Action::"predicate", resource in Label::"pii.email");
@id("compare-little") @probes("4/1h") permit (principal in Group::"fews", action == Action::"predicate", resource in Label::"pii.email");
`

func predicateWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.gw.Close()
	c := w.config()
	c.Policies = []PolicyFile{{Name: "predicate.cedar", Text: predicatePolicy}}
	c.Principals = nil
	for name, groups := range map[string][]string{"comparer": {"comparers", "changers"}, "reader": {"changers"}, "few": {"fews"}, "orderer": {"orderers"}, "grouper": {"groupers"}, "all": {"alls"}} {
		c.Principals = append(c.Principals, access.LocalPrincipal{Name: name, Kind: access.Human, Groups: groups, Secret: identity.HashPassword("pw-" + name)})
	}
	var err error
	if w.gw, err = Open(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	return w
}

// TestPredicatesChooseByRawValues and show masked ones.
func TestPredicatesChooseByRawValues(t *testing.T) {
	w := predicateWorld(t)
	s, reader := w.login("comparer"), w.login("reader")
	defer s.Close()
	defer reader.Close()
	for _, cond := range []string{
		"email < 'u12@example.com'", "email like 'u19%'", "email not like '%9@example.com' and id < 20", "email between 'u3' and 'u4'", "not (email > 'u3')",
		"email ilike 'U7%' or id = 3", "(email >= 'u5' or region = 'r1') and (email < 'u6' or email is null)", "email in ('u7@example.com', 'u8@example.com')",
		"email <> 'u7@example.com' and c.region = 'r2'", "email = any ('{u7@example.com,u9@example.com}')", "c.email like '%1@%' and (id > 100 and email > 'u15')",
	} {
		want := w.upstream("select string_agg(id::text, ' ' order by id) from customers c where " + cond)
		for _, sql := range []string{
			"select string_agg(id::text, ' ' order by id) from customers c where " + cond,
			"with t as (select * from customers c where " + cond + ") select string_agg(id::text, ' ' order by id) from t",
			"select string_agg(c.id::text, ' ' order by c.id) from public.customers as c left join orders o on o.id = c.id where " + strings.ReplaceAll(strings.ReplaceAll(cond, "id ", "c.id "), "email", "c.email"),
		} {
			sql = strings.ReplaceAll(sql, "c.c.", "c.")
			if a := w.query(s, sql); len(a.errs) > 0 || a.rows[0][0] != want {
				t.Errorf("%s gives %v %v, want %s", sql, a.rows, a.errs, want)
			}
		}
		for _, sql := range []string{"select * from customers c where " + cond, "select max(email), array_agg(email), count(distinct email) from customers c where " + cond,
			"select c::text from customers c where " + cond, "select email::int from customers c where " + cond, "explain (verbose) select email from customers c where " + cond} {
			a := w.query(s, sql)
			for _, row := range a.rows {
				for _, v := range row {
					if strings.Contains(v, "@example.com") && !strings.Contains(sql, "explain") {
						t.Errorf("%s shows %s", sql, v)
					}
				}
			}
			if strings.Contains(strings.ReplaceAll(strings.Join(a.errs, " "), cond, ""), "@example.com") {
				t.Errorf("%s says %v", sql, a.errs)
			}
		}
	}
	if a := w.do(s, pipeline("select count(*) from customers where email < $1", "u12@example.com")...); len(a.errs) > 0 || a.rows[0][0] != w.upstream("select count(*) from customers where email < 'u12@example.com'") {
		t.Errorf("with a parameter: %v %v", a.rows, a.errs)
	}
	// What is not provably a comparison and nothing else sees the mask, as it does for everybody.
	for _, sql := range []string{
		"select id from customers where email || '' < 'u12@example.com' order by id",
		"select id from customers where email < 'u12@example.com'::text order by id",
		"select id from customers where 'u12@example.com' > email order by id",
		"select id from customers where lower(email) = 'u7@example.com' order by id",
		"select id from customers where case when email < 'u12' then true else false end order by id",
		"select id from customers where (email < 'u12@example.com') = true order by id",
		"select id from customers where (email < 'u12@example.com') is not false order by id",
		"select id, email < 'u12@example.com' from customers order by id",
		"select count(*) filter (where email < 'u12@example.com') from customers",
		"select region from customers group by region having min(email) < 'u12@example.com' order by 1",
		"select id from customers where email < region order by id",
		"select id from customers where email < (select 'u12@example.com') order by id",
		"select id from customers where email < 'u12@example.com' and ssn < '5' or ssn > '5' order by id",
		"select id from customers where ssn < '5' order by id",
		"select id from customers where ssn < '5' or email < 'u12@example.com' order by id",
		"select o.id from orders o left join customers c on c.id = o.id and c.email < 'u12@example.com' where c.id is null order by 1 limit 5",
		"select o.id from orders o left join customers c on c.id = o.id where c.email < 'u12@example.com' order by 1 limit 5",
		"select a.id from customers a join customers b on a.id = b.id where a.email < b.email order by 1",
		"select a.id from customers a join customers b on a.id = b.id + 1 where a.email < 'u12' or b.email < 'u12' order by 1",
		"select id from customers order by email, id",
		"select count(*) from customers group by email order by 1",
		"select id from customers where email ~ '^u7' order by id",
		"select id from customers where email similar to 'u7%' order by id",
		"select id from customers where email is distinct from 'u7@example.com' order by id",
		"select id from customers c where exists (select from orders o where o.id = c.id and c.email < 'u12@example.com') order by id",
		"update customers set region = region where email < 'u12@example.com' and id < 30 returning id",
	} {
		x, y := w.query(s, sql), w.query(reader, sql)
		if fmt.Sprint(x.rows, x.errs, x.tags) != fmt.Sprint(y.rows, y.errs, y.tags) {
			t.Errorf("%s gives %v %v, masked %v %v", sql, x.rows, x.errs, y.rows, y.errs)
		}
	}
}

// TestHalvingRunsIntoTheBudget: the permit allows it, so many times.
func TestHalvingRunsIntoTheBudget(t *testing.T) {
	w := predicateWorld(t)
	s := w.login("few")
	defer s.Close()
	for _, sql := range []string{
		"select count(*) from customers where id = 7 and email < 'n'",
		"select count(*) from customers where id = 7 and email between 't' and 'v'",
		"select count(*) from customers where id = 7 and email is null",
	} {
		wantNoError(t, w.query(s, sql))
	}
	wantReview(t, w.query(s, "select count(*) from customers where id = 7 and email like 'u7%'"))
	wantReview(t, w.query(s, "select count(*) from customers where email like 'a%' or email like 'b%'"))
	wantNoError(t, w.query(s, "select count(*) from customers where id = 7"))
	var made int64
	for _, r := range w.records() {
		if r.Principal == "few" && r.Kind != access.RecordRefused {
			made += r.Probes
		}
	}
	if made != 4 {
		t.Errorf("%d guesses are recorded", made)
	}
}

// TestOrderAndGroupByRawValues which stay masked where they are shown, and in every other use.
func TestOrderAndGroupByRawValues(t *testing.T) {
	w := predicateWorld(t)
	w.upstream("update customers set ssn = '777' where id % 10 = 3; select 1")
	orderer, grouper, reader, all := w.login("orderer"), w.login("grouper"), w.login("reader"), w.login("all")
	for _, s := range []*Session{orderer, grouper, reader, all} {
		defer s.Close()
	}
	first := func(a *answer) string {
		var ids []string
		for _, r := range a.rows {
			ids = append(ids, r[0])
		}
		return strings.Join(ids, " ")
	}
	const ids = "select string_agg(id::text, ' ' order by n) from (select t.id, row_number() over () as n from (%s) t) u"
	for _, sql := range []string{
		"select id from customers order by email",
		"select id, email from customers order by email desc limit 7",
		"select id, ssn as email from customers order by email desc, id",
		"select c.id, c.ssn from public.customers c order by c.ssn nulls first, c.id offset 3",
		"select o.id from customers c join orders o on o.customer_id = c.id order by c.email, o.id limit 20",
		"select o.id from orders o left join customers c on o.id = c.id order by c.email desc, o.id limit 20",
	} {
		want := w.upstream(fmt.Sprintf(ids, sql))
		a := w.query(orderer, sql)
		if len(a.errs) > 0 || first(a) != want {
			t.Errorf("%s gives %v %v, want %s", sql, first(a), a.errs, want)
		}
		if strings.Contains(fmt.Sprint(a.rows), "@example.com") || strings.Contains(fmt.Sprint(a.rows), "777]") {
			t.Errorf("%s shows %v", sql, a.rows)
		}
	}
	for _, sql := range []string{
		"select count(*) from (select from customers group by ssn) t",
		"select count(*) from customers c group by c.ssn having count(*) > 1",
		"select count(*) from customers c join orders o on o.customer_id = c.id group by c.ssn, o.amount > 2500 order by 1 desc limit 1",
	} {
		if a := w.query(grouper, sql); len(a.errs) > 0 || first(a) != w.upstream(sql) {
			t.Errorf("%s gives %v %v, want %s", sql, a.rows, a.errs, w.upstream(sql))
		}
	}
	if a := w.query(grouper, "select ssn, count(*), max(ssn) from customers group by ssn order by 2 desc"); len(a.errs) > 0 || len(a.rows) != 181 || strings.Join(a.rows[0], " ") != "*** 20 ***" {
		t.Errorf("groups %d, first %v %v", len(a.rows), a.rows[:min(len(a.rows), 1)], a.errs)
	}
	for _, sql := range []string{
		"select * from customers order by email", "select c from customers c order by ssn, id", "select distinct ssn from customers order by ssn",
		"select id from customers order by lower(email), id", "select id from customers order by email || '', id", "select id from customers order by email < 'u2', id",
		"select id from customers order by ssn fetch first 1 rows with ties", "select id, rank() over (order by ssn) from customers order by id",
		"select array_agg(id order by ssn, id) from customers", "select string_agg(ssn, ',' order by ssn) from customers", "select id, ssn || 'x' as ssn from customers order by ssn, id",
		"select a.id from customers a natural join customers b order by a.ssn, a.id", "select id from customers union select id from orders order by 1 limit 3",
		"select count(distinct ssn) from customers", "select count(*) from customers group by grouping sets ((ssn), ()) order by 1", "select count(*) from customers group by ssn || '' order by 1",
		"select count(*) from customers group by rollup (ssn) order by 1", "select count(*) from customers group by cube (ssn) order by 1", "select distinct on (ssn) id from customers order by ssn, id",
		"select id from customers where ssn < '5' order by id", "select min(ssn), max(ssn) from customers", `select c."sallyport raw 4" from customers c order by c.ssn`,
		`select c.id from customers c group by c.id, c."sallyport raw 4"`,
	} {
		y := w.query(reader, sql)
		for _, s := range []*Session{orderer, grouper, all} {
			if x := w.query(s, sql); fmt.Sprint(x.rows, x.errs, x.tags) != fmt.Sprint(y.rows, y.errs, y.tags) {
				t.Errorf("%s: %s gives %v %v, masked %v %v", s.Principal().Name, sql, x.rows, x.errs, y.rows, y.errs)
			}
		}
	}
	// Who may do everything but see raw values has not been given these.
	for _, sql := range []string{"select id from customers order by ssn, id", "select count(*) from customers group by ssn"} {
		if x, y := w.query(all, sql), w.query(reader, sql); fmt.Sprint(x.rows, x.errs) != fmt.Sprint(y.rows, y.errs) {
			t.Errorf("a permit of everything: %s gives %v %v", sql, x.rows, x.errs)
		}
	}
}
