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

// cellsSchema has cells of 15, 15, 10 and 12 rows, two of 2 and 3, and one of 12 with 2 salaries. The salaries of %s are
// in another order in each large cell, and other ones in the small cells.
const cellsSchema = `
create table staff(id int primary key, name text, city text, plan text, salary int, bonus numeric, active boolean);
insert into staff select g, 'n' || g, case when g <= 30 then 'A' when g <= 42 then 'B' when g <= 45 then 'C' when g <= 57 then 'D' else 'E' end,
  case when g <= 15 or g between 31 and 40 then 'x' when g <= 42 then 'y' else 'z' end, null, g, g %% 2 = 0 from generate_series(1, 69) g;
update staff set salary = s.value from (select id, %s as value from staff) s where s.id = staff.id and (city <> 'E' or staff.id < 60);
create view some_staff as select id, city, salary from staff where id <> 7;
create table heads(city text, head int);
insert into heads values ('A', 7), ('B', 31);
create table years(id int, city text, salary int) partition by list (city);
create table years_a partition of years for values in ('A');
create table years_b partition of years for values in ('B');
insert into years select id, city, salary from staff where city in ('A', 'B') and salary is not null;`

const (
	oneOrder     = "case when city in ('C', 'E') or city = 'B' and plan = 'y' then 100000 + id else 1000 + id * 37 end"
	anotherOrder = "case when city in ('C', 'E') or city = 'B' and plan = 'y' then 900000 - id * 3 else 1000 + 37 * (min(id) over w + max(id) over w - id) end"
)

const cellsPolicy = `
@id("people") permit (principal, action in [Action::"connect", Action::"read"], resource in Connection::"shop");
@id("sums") @min_group("10") @group_by("city, plan") permit (principal in Group::"analysts", action == Action::"aggregate", resource in Label::"hr.salary");
@id("find") permit (principal in Group::"finders", action == Action::"lookup", resource in Label::"hr.salary");
@id("clerks") permit (principal in Group::"clerks", action == Action::"write", resource == Column::"shop.public.staff.city");
`

// cellsWorld has an analyst, one who may look salaries up too, and one who may move people to another city.
func cellsWorld(t *testing.T, order string) *world {
	t.Helper()
	order = strings.ReplaceAll(order, "over w", "over (partition by city, plan)")
	w := &world{t: t, dir: t.TempDir(), dsn: testdb.Shared(t).NewDatabase(t, fmt.Sprintf(cellsSchema, order))}
	c := w.config()
	c.Labels, c.Masks = []access.LabelRule{{Label: "hr.salary", Columns: []string{"*.*.salary", "*.*.bonus"}}}, nil
	c.Policies = []PolicyFile{{Name: "cells.cedar", Text: cellsPolicy}}
	c.Principals = nil
	for name, groups := range map[string][]string{"analyst": {"analysts"}, "finder": {"analysts", "finders"}, "clerk": {"analysts", "clerks"}, "reader": nil} {
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

// TestAggregatesAnswer what they are for: raw sums over whole cells that are large enough.
func TestAggregatesAnswer(t *testing.T) {
	w := cellsWorld(t, oneOrder)
	s := w.login("analyst")
	defer s.Close()
	const large = "select %s from staff where (city, plan) in (('A', 'x'), ('A', 'y'), ('B', 'x'), ('D', 'z')) and %s"
	for sql, want := range map[string]string{
		"select sum(salary) from staff":                                                                                       w.upstream(fmt.Sprintf(large, "sum(salary)", "true")),
		"select round(avg(s.salary), 3) from public.staff s":                                                                  w.upstream(fmt.Sprintf(large, "round(avg(salary), 3)", "true")),
		"select sum(salary) from staff where city = 'B'":                                                                      w.upstream(fmt.Sprintf(large, "sum(salary)", "city = 'B'")),
		"select sum(salary) from staff where city in ('A', 'B') and not plan = 'y'":                                           w.upstream(fmt.Sprintf(large, "sum(salary)", "city in ('A', 'B') and plan = 'x'")),
		"select stddev(salary)::text from staff where city between 'A' and 'B'":                                               w.upstream(fmt.Sprintf(large, "stddev(salary)::text", "city < 'C'")),
		"select count(salary) from staff":                                                                                     "52",
		"select count(*) from staff":                                                                                          "69",
		"select sum(salary) from staff where city = 'C'":                                                                      "NULL",
		"select sum(salary) from staff where city = 'E'":                                                                      "NULL",
		"select sum(salary) from staff where city = 'B' and plan = 'y'":                                                       "NULL",
		"select city || ' ' || sum(salary) from staff group by city having sum(salary) > 1 order by sum(salary) desc limit 1": "A " + w.upstream("select sum(salary) from staff where city = 'A'"),
		"select t.s from (select plan, sum(salary) as s from staff group by 1) t where plan = 'z'":                            w.upstream("select sum(salary) from staff where city = 'D'"),
		"with t as (select city, sum(bonus) as s from staff group by city) select s::int::text from t where city = 'A'":       w.upstream("select sum(bonus) from staff where city = 'A'"),
	} {
		if a := w.query(s, sql); len(a.errs) > 0 || len(a.rows) != 1 || a.rows[0][0] != want {
			t.Errorf("%s gives %v %v, want %s", sql, a.rows, a.errs, want)
		}
	}
	if a := w.do(s, pipeline("select sum(salary) from staff where city = $1", "A")...); len(a.errs) > 0 || a.rows[0][0] != w.upstream("select sum(salary) from staff where city = 'A'") {
		t.Errorf("with a parameter: %v %v", a.rows, a.errs)
	}
	raw := w.upstream("select sum(salary) from staff where city = 'A'")
	for _, who := range []string{"reader", "clerk"} { // a clerk could move people between cells
		other := w.login(who)
		if a := w.query(other, "select sum(salary) from staff where city = 'A'"); len(a.errs) > 0 || a.rows[0][0] == raw {
			t.Errorf("%s sees %v %v", who, a.rows, a.errs)
		}
		other.Close()
	}
}

// differencing are statements that would tell one salary, alone or with another of them, were they about it.
const differencing = `
select sum(salary) from staff where id <> 7
select sum(salary) from staff where id = 7
select sum(salary) from staff where id < 8
select sum(salary) from staff where not id = 7
select sum(salary) from staff where name <> 'n7' and city = 'A'
select sum(salary) from staff where active
select sum(salary) from staff where ctid <> '(0,7)'
select sum(salary) from staff where city = 'A' or id = 7
select sum(salary) from staff where city || id <> 'A7'
select sum(salary) from staff where city = (select city from staff where id = 7) and id <> 7
select sum(salary) from staff where city in (select city from heads) and exists (select)
select sum(salary) from staff where coalesce(city, '') <> 'x' and id <> 7
select sum(salary) from staff where city::bytea <> 'x' and row(id) <> row(7)
select sum(salary) from staff where city = 'A' and random() < 0.5 and false
select sum(salary) from staff where salary > 1200
select sum(salary) from staff where salary in (1259) and city = 'A'
select sum(salary) filter (where id <> 7) from staff
select sum(salary) filter (where city = 'A' and id <> 7), sum(salary) from staff
select sum(case when id = 7 then salary end) from staff
select sum(case when id = 7 then 0 else salary end) from staff
select sum(salary * (id = 7)::int) from staff
select sum(salary * id) from staff
select sum(salary + id) from staff
select sum(salary::bigint) from staff
select sum(-salary), sum((salary)) from staff
select sum(nullif(salary, 1259)) from staff
select sum(salary / nullif(id - 7, 0)) from staff
select sum(distinct salary) from staff
select count(distinct salary) from staff
select min(salary), max(salary) from staff
select array_agg(salary order by id) from staff
select string_agg(salary::text, ',') from staff
select json_agg(salary), jsonb_object_agg(id, salary) from staff
select percentile_disc(0.5) within group (order by salary) from staff
select percentile_cont(0.5) within group (order by salary) from staff
select mode() within group (order by salary) from staff
select bit_and(salary), bit_or(salary), bool_or(salary > 1259) from staff
select corr(salary, id), regr_slope(salary, id), covar_pop(salary, id) from staff
select sum(salary) over (order by id) from staff order by id
select sum(salary) over (partition by id), id from staff order by id
select avg(salary) over (order by id rows between current row and current row) from staff order by id
select sum(sum(salary)) over (), city from staff group by city order by city
select first_value(salary) over (order by id) from staff order by id limit 1
select id, sum(salary) from staff group by id order by id
select name, avg(salary) from staff group by name order by name
select city, id % 2, sum(salary) from staff group by city, id % 2 order by 1, 2
select city, sum(salary) from staff group by city, active order by 1, 2
select city, sum(salary) from staff group by rollup (city, id) order by 1, 2
select city, plan, sum(salary) from staff group by grouping sets ((city), (city, plan), ()) order by 1, 2
select city, plan, sum(salary), count(salary), avg(salary), stddev(salary), var_pop(bonus) from staff group by city, plan order by 1, 2
select city, sum(salary), sum(bonus) from staff group by city order by 1
select sum(salary) from (select salary from staff order by id limit 6) t
select sum(salary) from (select * from staff order by id offset 7) t
select sum(salary) from (select salary from staff where id <> 7) t
select sum(t.salary) from staff t join heads h on h.head = t.id
select sum(t.salary) from staff t join staff u on u.id = t.id and t.id <> 7
select sum(t.salary) from staff t cross join generate_series(1, 2)
select sum(t.salary) from staff t, lateral (select 1 where t.id <> 7) l
select sum(t.salary) from staff t left join heads h using (city) where h.head is null
select sum(t.salary) from staff t natural join heads
select h.city, (select sum(t.salary) from staff t where t.city = h.city) from heads h order by 1
select h.city, (select sum(t.salary) from staff t where t.id = h.head) from heads h order by 1
select h.city, (select sum(t.salary + h.head) from staff t where t.city = 'A') from heads h order by 1
select (select sum(t.salary) from heads) from staff t where t.id = 7
select id from staff s where (select sum(salary) from staff t where t.id = s.id) > 1200 order by id
select sum(salary) from staff tablesample bernoulli (50) repeatable (1)
select sum(salary) from only staff where id <> 7
select sum(salary), count(s.*) from staff s where city = 'A'
select sum(salary), array_agg(s order by s.id) from staff s
select sum(salary), min(s::text) from staff s
select sum(salary) from staff as s(a, b, c, d, salary)
select sum(s.salary(s)) from staff s
select sum(salary(s)) from staff s where id = 7
select sum(s."sallyport cell 5") from staff s
select "sallyport cell 5" from staff
select x."sallyport cell 5" from (select sum(salary) as "sallyport cell 5" from staff where id = 7) x
select (s)."sallyport cell 5", sum(salary) from staff s group by 1
select sum(salary) from staff group by city having count(*) < 5 order by 1
select sum(salary) from staff group by city having max(id) = 45
select sum(salary) from staff group by city having bool_or(id = 7)
select 1 / (sum(salary) - 16000) from staff where id = 7
select sum(salary) - (select sum(salary) from staff where id <> 7) from staff
select sum(salary) from staff union all select sum(salary) from staff where id <> 7
select sum(salary) from staff except select sum(salary) from staff where id <> 7
with t as (select id, salary from staff) select sum(salary) from t where id <> 7
with t as materialized (select * from staff where id <> 7) select sum(salary) from t
select sum(salary) from some_staff
select sum(salary) from some_staff where city = 'A'
select sum(salary) from years
select sum(salary) from years_a
select sum(salary) from years where city = 'A'
select sum(salary) from staff where city = 'A' for update
select distinct on (city) sum(salary) from staff group by city, id order by city, id
select sum(salary) from staff order by (select salary from staff where id = 7)
select sum(salary) from staff group by city order by max(salary), city
select sum(salary order by id) from staff
select sum(variadic array[salary]) from staff
select to_jsonb(s), sum(salary) from staff s group by s.id order by s.id
select sum(salary) from staff where city < 'B' window w as (order by id)
copy (select sum(salary) from staff where id <> 7) to stdout
copy (select city, sum(salary) from staff group by city order by 1) to stdout
explain select sum(salary) from staff where id <> 7
explain (verbose, format json) select city, sum(salary) from staff group by city
prepare p as select sum(salary) from staff where id <> 7 ;; execute p ;; deallocate p
begin ;; declare c cursor for select sum(salary) from staff where id <> 7 ;; fetch c ;; commit
`

// TestAggregatesWithstandDifferencing runs them all in two databases that have the same values in each large cell, but
// not the same of the same person, and other values in the small cells. Whatever is answered about whole large cells only is
// the same in both; so is what is answered about masks.
func TestAggregatesWithstandDifferencing(t *testing.T) {
	one, two := cellsWorld(t, oneOrder), cellsWorld(t, anotherOrder)
	if one.upstream("select salary from staff where id = 7") == two.upstream("select salary from staff where id = 7") ||
		one.upstream("select sum(salary) from staff where city = 'A'") != two.upstream("select sum(salary) from staff where city = 'A'") {
		t.Fatal("the two databases are not what they should be")
	}
	for _, who := range []string{"analyst", "finder"} {
		a, b := one.login(who), two.login(who)
		defer a.Close()
		defer b.Close()
		for _, line := range strings.Split(strings.TrimSpace(differencing), "\n") {
			for _, sql := range strings.Split(line, " ;; ") {
				if who == "finder" && strings.Contains(sql, "in (1259)") {
					continue // it asks whether somebody earns that, as a finder may
				}
				x, y := one.query(a, sql), two.query(b, sql)
				if fmt.Sprint(x.rows, x.errs, x.tags, x.notices) != fmt.Sprint(y.rows, y.errs, y.tags, y.notices) {
					t.Errorf("%s, %s:\n%v %v\n%v %v", who, sql, x.rows, x.errs, y.rows, y.errs)
				}
				if len(x.errs) > 0 && strings.HasPrefix(x.errs[0], "XX000") && !strings.Contains(sql, "sallyport cell") {
					t.Errorf("%s, %s: %v", who, sql, x.errs)
				}
			}
		}
	}
}
