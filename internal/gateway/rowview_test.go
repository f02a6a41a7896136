package gateway

import (
	"fmt"
	"strings"
	"testing"
)

// viewSchema has views of many forms over customers, of which "one" sees the fifty of region r1, and things of the
// same names as built-ins, which a search_path can bring first.
const viewSchema = filterSchema + `
create table notes(id int, body text);
insert into notes select g, 'note ' || g from generate_series(1, 5) g;
create view counted as select count(*) as n, max(id) as top, min(region) as low from customers;
create view renamed(a, b) as select id, region from customers c where c.id > 0;
create view joined as select c.id, o.amount, d.region as other from customers c left join chosen d using (id) join orders o on o.id = c.id;
create view unions as select id, region from customers union all select id, region from chosen except select id, 'r9' from parts;
create view withs as with x as (select * from customers), y(r, n) as (select region, count(*) from x group by 1) select r, n, rank() over (order by n desc) from y;
create view recursing as with recursive t(i) as (select min(id) from customers union all select i + 1 from t where i < 10) select i from t;
create view laterals as select n.id, q.c from notes n, lateral (select count(*) as c from customers c where c.id >= n.id) q;
create view lists as select id, case region when 'r1' then 'ours' else 'theirs' end as whose, region in ('r1', 'r2') as near, region is distinct from 'r1' as far,
  array(select r.region from customers r where r.id = c.id) as rs, (id, region) = (1, 'r1') as first, upper(region) like 'R%' as likes, id between 1 and 5 as low,
  extract(year from date '2025-01-01') + id as y, to_tsvector('english', region) @@ to_tsquery('english', 'r1') as found, region collate "C" as col,
  coalesce(nullif(region, 'r2'), 'none') as c, exists (select from orders o where o.id = c.id) as has, id = any (array[1, 2]) as few, id::text || region as txt from customers c;
create view barred with (security_barrier) as select id, region from customers where id <= 10;
create view nested as select (select count(*) from regions) as r, (select count(*) from deep) as d, (select count(*) from only customers) as o;
create view rows_ as select c from customers c;
create view systems as select tableoid from customers;
create view sampled as select id from customers tablesample bernoulli (100);
create materialized view stored as select region, count(*) from customers group by 1;
create view over_stored as select * from stored;
create view catalogs as select c.id, (select count(*) from pg_class) from customers c;
create table secured(id int); alter table secured enable row level security;
create view over_secured as select c.id from customers c, secured s where s.id = c.id;
create schema evil;
create function evil.upper(text) returns text language sql immutable as 'select ''EVIL''';
create function evil.same(text, text) returns bool language sql immutable as 'select true';
create function evil.more(integer, integer) returns bool language sql immutable as 'select true';
`

func TestRowFilterHoldsInTheBodiesOfViews(t *testing.T) {
	for name, labels := range map[string]bool{"alone": false, "with_masks": true} {
		t.Run(name, func(t *testing.T) {
			policy := filterPolicy + `@id("rest") permit (principal in Group::"regional", action == Action::"session", resource);`
			w := regionalWorld(t, viewSchema, policy, labels, map[string]map[string]string{"one": {"region": "r1"}})
			s := w.login("one")
			defer s.Close()
			for sql, want := range map[string]string{
				"select n, low from counted":                                     "[[50 r1]]",
				"select count(*) from regions":                                   "[[1]]",
				"select * from regions":                                          "[[r1 50]]",
				"select count(*), min(a), max(b) from renamed":                   "[[50 1 r1]]",
				"select count(*) from joined where other = 'r1' or other <> 'a'": "[[25]]",
				"select count(*) from unions":                                    "[[50]]",
				"select * from withs":                                            "[[r1 50 1]]",
				"select count(*) from recursing":                                 "[[10]]",
				"select c from laterals order by id limit 1":                     "[[50]]",
				"select count(*), count(*) filter (where whose = 'ours' and near and not far and likes and found and has) from lists": "[[50 50]]",
				"select rs, y, col, c, txt from lists order by id limit 1":                                                            "[[{r1} 2026 r1 r1 1r1]]",
				"select count(*) from barred where 1 / (case when region = 'r1' then 1 else 0 end) = 1":                               "[[3]]",
				"select * from nested": "[[1 25 50]]",
				"select count(*) from (select x.id from deep x join chosen y using (id)) q": "[[25]]",
				"with regions as (select 7 as n) select n from regions":                     "[[7]]",
				"select count(regions) from regions":                                        "[[1]]",
				"select public.renamed.b from public.renamed limit 1":                       "[[r1]]",
			} {
				for form, a := range map[string]*answer{"simple": w.query(s, sql), "extended": w.do(s, pipeline(sql)...)} {
					if got := fmt.Sprint(a.rows); len(a.errs) > 0 || got != want {
						t.Errorf("%s: %s gives %s %q, want %s", form, sql, got, a.errs, want)
					}
				}
			}
			if a := w.query(s, "copy renamed to stdout"); len(a.errs) > 0 || len(a.rows) != 50 {
				t.Errorf("COPY of a view gives %d rows, %q", len(a.rows), a.errs)
			}
			for _, sql := range []string{"select * from sampled", "select * from stored", "select * from over_stored", "select * from catalogs", "select * from over_secured",
				"update renamed set a = 1", "insert into chosen values (1, 'r1')", "delete from chosen where id = 1"} {
				if a := w.query(s, sql); len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], "42501") && !strings.HasPrefix(a.errs[0], "0A000") {
					t.Errorf("%s: errors %q, rows %v; want a refusal", sql, a.errs, a.rows)
				}
			}
			if a := w.query(s, "select * from systems"); len(a.errs) != 1 {
				t.Errorf("a view of system columns: errors %q, rows %v; want an error", a.errs, a.rows)
			}
		})
	}
}

// TestBodiesOfViewsKeepTheirNames brings functions and operators of the same names first by search_path: in a view they
// mean what they meant when it was made.
func TestBodiesOfViewsKeepTheirNames(t *testing.T) {
	w := regionalWorld(t, viewSchema, filterPolicy, false, map[string]map[string]string{"one": {"region": "r1"}})
	s := w.login("one")
	defer s.Close()
	wantNoError(t, w.query(s, "set search_path = evil, pg_catalog, public"))
	if a := w.query(s, "select count(*) from public.lists where likes"); len(a.errs) > 0 || a.rows[0][0] != "50" {
		t.Errorf("upper() in the view: %v %q", a.rows, a.errs)
	}
	// Operators that keywords stand for are found by search_path and cannot be qualified.
	w = regionalWorld(t, viewSchema+"create operator evil.= (leftarg = text, rightarg = text, function = evil.same); create operator evil.> (leftarg = integer, rightarg = integer, function = evil.more);", filterPolicy, false,
		map[string]map[string]string{"one": {"region": "r1"}})
	s2 := w.login("one")
	defer s2.Close()
	wantNoError(t, w.query(s2, "set search_path = evil, pg_catalog, public"))
	if a := w.query(s2, "select count(*) from public.renamed"); len(a.errs) > 0 || a.rows[0][0] != "50" {
		t.Errorf("an operator by its name: %v %q", a.rows, a.errs)
	}
	if a := w.query(s2, "select count(*) from public.lists"); len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], "0A000") {
		t.Errorf("an operator behind a keyword: %v %q", a.rows, a.errs)
	}
}
