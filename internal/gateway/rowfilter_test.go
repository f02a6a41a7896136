package gateway

import (
	"context"
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/identity"
	"sallyport/internal/testdb"
)

const filterSchema = testSchema + `
create view regions as select region, count(*) from customers group by region;
create view chosen as select id, region from customers where id < 100;
create view deep as select * from chosen;
create table parts(id int, region text) partition by list (id);
create table parts_1 partition of parts for values in (1);
create table parts_2 partition of parts for values in (2);
insert into parts values (1, 'r1'), (1, 'r2'), (2, 'r1'), (2, 'r3');`

const filterPolicy = `
@id("in") permit (principal in Group::"regional", action == Action::"connect", resource);
@id("orders") permit (principal in Group::"regional", action in [Action::"read", Action::"write"], resource in Connection::"shop")
  unless { resource == Table::"shop.public.customers" || resource in Table::"shop.public.customers" || resource == Table::"shop.public.parts_1" ||
    resource in Table::"shop.public.parts_1" };
@id("theirs") @where("region = principal.region")
permit (principal in Group::"regional", action in [Action::"read", Action::"write"], resource in Table::"shop.public.customers");
@id("part") @where("region = principal.region and id < 100")
permit (principal in Group::"regional", action == Action::"read", resource in Table::"shop.public.parts_1");
@id("deep") @where("region = principal.region")
permit (principal in Group::"regional", action == Action::"read", resource in Table::"shop.public.deep");
`

// filterWorld has two people who see the customers of their region, one without a region, and nothing labelled but
// what labels say.
func filterWorld(t *testing.T, labels bool) *world {
	return regionalWorld(t, filterSchema, filterPolicy, labels, map[string]map[string]string{
		"one": {"region": "r1"}, "two": {"region": "r2"}, "none": nil, "tricky": {"region": "r1' or 'a' = 'a"}})
}

// regionalWorld is a gateway in front of a database of its own, with people of the group "regional" by their attributes.
func regionalWorld(t *testing.T, schema, policy string, labels bool, people map[string]map[string]string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), dsn: testdb.Shared(t).NewDatabase(t, schema)}
	conf := w.config()
	conf.Principals = nil
	for name, attributes := range people {
		conf.Principals = append(conf.Principals, access.LocalPrincipal{Name: name, Kind: access.Human, Groups: []string{"regional"}, Attributes: attributes, Secret: identity.HashPassword("pw-" + name)})
	}
	conf.Policies = []PolicyFile{{Name: "test.cedar", Text: policy}}
	if !labels {
		conf.Labels = nil
	}
	gw, err := Open(context.Background(), conf)
	if err != nil {
		t.Fatal(err)
	}
	w.gw = gw
	t.Cleanup(func() { gw.Close() })
	return w
}

func TestRowFilterHoldsInEveryReference(t *testing.T) {
	for name, labels := range map[string]bool{"alone": false, "with_masks": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := filterWorld(t, labels)
			for who, want := range map[string]string{"one": "50", "two": "50", "none": "0", "tricky": "0"} {
				s := w.login(who)
				for _, sql := range []string{
					"select count(*) from customers",
					"select count(*) from customers c where true or c.region = 'r2'",
					"select count(*) from only public.customers as x(a, b)",
					"select count(*) from (select * from customers) c",
					"with c as (select region from customers) select count(*) from c",
					"select (select count(*) from customers)",
					"select count(*) from customers a join customers b using (id)",
					"select count(*) from customers natural join (select id from customers) q",
					"select count(a) from customers a",
					"select sum(case when exists (select from customers b where b.id = g) then 1 else 0 end) from generate_series(1, 200) g",
					"select count(*) from generate_series(1, 200) g, lateral (select from customers where id = g) q",
					"select count(*) from orders o join customers c on c.id = o.id",
					"select count(*) from (table customers) t",
					"select count(*) from (select id from customers union select id from customers) u",
					"select count(*) from (select 1 / (case when region = 'r3' then 0 else 1 end) from customers) q",
				} {
					for form, a := range map[string]*answer{"simple": w.query(s, sql), "extended": w.do(s, pipeline(sql)...)} {
						if len(a.errs) > 0 || len(a.rows) != 1 || a.rows[0][0] != want && !(want == "0" && a.rows[0][0] == "NULL") {
							t.Errorf("%s, %s: %s gives %v %q, want %s", who, form, sql, a.rows, a.errs, want)
						}
					}
				}
				// The server evaluates no condition of the client's on a hidden row.
				for _, sql := range []string{"select id from customers where 1 / (case when region = 'r3' then 0 else 1 end) = 1",
					"select c.id from customers c, generate_series(1, 2) g where g / (case when c.region = 'r3' then 0 else 1 end) = 1"} {
					if a := w.query(s, sql); len(a.errs) > 0 {
						t.Errorf("%s: %s fails on a hidden row: %q", who, sql, a.errs)
					}
				}
				a := w.query(s, "copy customers(region) to stdout")
				seen := map[string]bool{}
				for _, r := range a.rows {
					seen[r[0]] = true
				}
				if len(a.errs) > 0 || len(seen) > 1 || want == "0" && len(seen) > 0 || who == "one" && !seen["r1"] {
					t.Errorf("%s: COPY shows %v %q", who, seen, a.errs)
				}
				w.query(s, "begin")
				w.query(s, "declare c cursor for select region from customers")
				if a := w.query(s, "fetch all from c"); len(a.errs) > 0 || want == "50" && len(a.rows) != 50 || want == "0" && len(a.rows) > 0 {
					t.Errorf("%s: a cursor gives %d rows, %q", who, len(a.rows), a.errs)
				}
				w.query(s, "rollback")
				s.Close()
			}
		})
	}
}

// TestPlansOfOneShapeKeepTheFilter looks at the shape cache: a literal of the client's must not land in the filter.
func TestPlansOfOneShapeKeepTheFilter(t *testing.T) {
	w := filterWorld(t, false)
	for _, who := range []string{"one", "two"} {
		s := w.login(who)
		for _, region := range []string{"r1", "r2", "r3", "r1", "r2"} {
			a := w.query(s, "select count(*) from customers where region = '"+region+"'")
			want := "0"
			if who == "one" && region == "r1" || who == "two" && region == "r2" {
				want = "50"
			}
			if len(a.errs) > 0 || a.rows[0][0] != want {
				t.Errorf("%s counts %v in %s, want %s (%q)", who, a.rows, region, want, a.errs)
			}
		}
		s.Close()
	}
}

func TestWhatRowFiltersRefuse(t *testing.T) {
	w := filterWorld(t, false)
	s := w.login("one")
	defer s.Close()
	for _, sql := range []string{
		"update customers set name = 'x' where id = 1", "delete from customers", "insert into customers(id) values (1000)", "truncate customers",
		"select tableoid from customers", "select xmin from customers", "select ctid from customers",
		"create table copied as select * from customers", "create view mine as select * from customers", "create index on customers(region)",
		"select * from pg_stats", "explain analyze select * from customers", "lock table customers",
	} {
		a := w.query(s, sql)
		if len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], "42501") && !strings.HasPrefix(a.errs[0], "0A000") {
			t.Errorf("%s: errors %q, rows %v; want a refusal", sql, a.errs, a.rows)
		}
	}
	if a := w.query(s, "select reltuples from pg_class where relname = 'customers'"); len(a.errs) > 0 || a.rows[0][0] != "NULL" {
		t.Errorf("the row count of the table is told: %v %q", a.rows, a.errs)
	}
	// What is not filtered is read and written as before.
	for sql, want := range map[string]string{"select count(*) from orders": "5000"} {
		if a := w.query(s, sql); len(a.errs) > 0 || a.rows[0][0] != want {
			t.Errorf("%s gives %v %q, want %s", sql, a.rows, a.errs, want)
		}
	}
	wantNoError(t, w.query(s, "update orders set amount = 1 where id = 1"))
}

// TestRowFilterOfAPartitionHoldsForTheWhole reads the rows that a partition shares with its table.
func TestRowFilterOfAPartitionHoldsForTheWhole(t *testing.T) {
	w := filterWorld(t, false)
	s := w.login("one")
	defer s.Close()
	for sql, want := range map[string]string{"select count(*) from parts": "2", "select count(*) from parts_1": "1", "select count(*) from parts_2": "2"} {
		if a := w.query(s, sql); len(a.errs) > 0 || a.rows[0][0] != want {
			t.Errorf("%s gives %v %q, want %s", sql, a.rows, a.errs, want)
		}
	}
}

func TestTheRecordHasTheRowFilter(t *testing.T) {
	w := filterWorld(t, false)
	s := w.login("one")
	w.query(s, "select count(*) from customers")
	s.Close()
	for _, r := range w.records() {
		if r.Kind == access.RecordStatement && strings.Contains(string(r.Plan), "region = principal.region") {
			return
		}
	}
	t.Error("no record says which rows were shown")
}
