package gateway

import (
	"strings"
	"testing"

	"sallyport/internal/pgframe"
)

func TestMaskedPrincipalReadsMaskedValues(t *testing.T) {
	w := newWorld(t)
	s := w.login("agent")
	defer s.Close()
	for name, a := range map[string]*answer{
		"simple":   w.query(s, "select id, email, ssn, region from customers where id = 1"),
		"extended": w.do(s, pipeline("select id, email, ssn, region from customers where id = $1", "1")...),
	} {
		t.Run(name, func(t *testing.T) {
			wantNoError(t, a)
			if len(a.rows) != 1 {
				t.Fatalf("rows %v", a.rows)
			}
			r := a.rows[0]
			if r[0] != "1" || !strings.HasPrefix(r[1], "tok_") || r[2] != "***" || r[3] != "r1" {
				t.Errorf("row %v is not masked as configured", r)
			}
		})
	}
	if a := w.query(s, "copy customers(id, ssn) to stdout"); len(a.errs) > 0 || len(a.rows) != 100 && len(a.rows) != 0 {
		t.Logf("copy: %v %d rows", a.errs, len(a.rows))
	}
	if a := w.query(s, "copy (select ssn from customers where id < 3) to stdout"); len(a.rows) != 2 || a.rows[0][0] != "***" {
		t.Errorf("copy gave %v %v", a.rows, a.errs)
	}
}

func TestDetectorsWatchUnlabelledText(t *testing.T) {
	w := newWorld(t)
	s := w.login("agent")
	defer s.Close()
	for _, a := range []*answer{w.query(s, "select notes from customers where id = 3"), w.do(s, pipeline("select notes from customers where id = 3")...),
		w.query(s, "copy (select notes from customers where id = 3) to stdout"), w.query(s, "select array_to_tsvector(array[notes]) from customers where id = 3"),
		w.query(s, "select array[notes::xml] from customers where id = 3")} {
		wantNoError(t, a)
		if got := a.rows[0][0]; strings.Contains(got, "secret.example") || strings.Contains(got, "2671") {
			t.Errorf("the note came out as %q", got)
		}
	}
}

func TestGroupingByThePrimaryKeySurvivesMasks(t *testing.T) {
	w := newWorld(t)
	s := w.login("agent")
	defer s.Close()
	for _, sql := range []string{
		"select c.id, c.region, c.ssn, count(*) from customers c join orders o on o.customer_id = c.id where c.id < 4 group by c.id order by c.id",
		"select c.id, upper(c.name), count(*) from customers c where c.id < 4 group by 1 having min(c.region) <> 'x' order by c.region, c.id",
	} {
		if a := w.query(s, sql); len(a.errs) > 0 || len(a.rows) != 3 {
			t.Errorf("%s: %v %v", sql, a.rows, a.errs)
		}
	}
	wantError(t, w.query(s, "select c.region, c.name from customers c group by c.region"), "42803")
}

func TestUnrestrictedPrincipalSeesTheServerAsItIs(t *testing.T) {
	w := newWorld(t)
	s := w.login("dba")
	defer s.Close()
	for _, sql := range []string{"create temp table t(a int); insert into t values (1),(2)", "do $$ begin raise notice 'hello'; end $$", "select ssn from customers where id = 1", "drop table if exists nowhere"} {
		wantNoError(t, w.query(s, sql))
	}
	if a := w.query(s, "select ssn from customers where id = 1"); a.rows[0][0] != "000007919" {
		t.Errorf("rows %v", a.rows)
	}
	a := w.do(s, Op{Kind: OpQuery, SQL: "copy t from stdin"})
	if a.types != "G" {
		t.Fatalf("copy in answered %q %v", a.types, a.errs)
	}
	data := pgframe.End(append([]byte{'d', 0, 0, 0, 0}, "3\n4\n"...), 0)
	a = w.do(s, Op{Kind: OpCopyData, Raw: data}, Op{Kind: OpCopyDone})
	if len(a.tags) != 1 || a.tags[0] != "COPY 2" {
		t.Errorf("tags %v errors %v", a.tags, a.errs)
	}
	wantError(t, w.query(s, "selec 1"), "42601")
}
