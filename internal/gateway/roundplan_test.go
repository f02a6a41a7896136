package gateway

import (
	"regexp"
	"strings"
	"testing"
)

var planNumber = regexp.MustCompile(`(?i)(?:cost|rows|width)"?(?:=|: |>)([0-9]+(?:\.[0-9]+)?)(?:\.\.([0-9]+\.[0-9]+))?`)

// estimatesIn are the numbers that a plan tells.
func estimatesIn(plan string) (out []string) {
	for _, m := range planNumber.FindAllStringSubmatch(plan, -1) {
		out = append(out, m[1])
		if m[2] != "" {
			out = append(out, m[2])
		}
	}
	return out
}

// TestEstimatesOfWhatMayBeAsked: of a statement that compares a masked column raw, as it may, they are powers of ten,
// in every format and through either protocol; each EXPLAIN is a guess.
func TestEstimatesOfWhatMayBeAsked(t *testing.T) {
	w := probesWorld(t, "text", "json", "yaml", "xml")
	w.upstream("analyze customers, orders; select 1")
	rounded := regexp.MustCompile(`^(0|10*)(\.00)?$`)
	for _, format := range []string{"text", "json", "yaml", "xml"} {
		s := w.login(format)
		sql := "explain (format " + format + ", costs) select o.id from customers c join orders o on o.customer_id = c.id where c.email in ('u7@example.com', 'u8@example.com')"
		for name, a := range map[string]*answer{"simple": w.query(s, sql), "extended": w.do(s, pipeline(sql)...)} {
			wantNoError(t, a)
			plan := strings.Join(flat(a.rows), "\n")
			numbers := estimatesIn(plan)
			if len(numbers) < 8 {
				t.Errorf("%s, %s: only %v in %s", format, name, numbers, plan)
			}
			for _, n := range numbers {
				if !rounded.MatchString(n) {
					t.Errorf("%s, %s: %s is not rounded in %s", format, name, n, plan)
				}
			}
		}
		wantReview(t, w.query(s, sql)) // two guesses each
		s.Close()
	}
}

// TestEstimatesStayAway where they could tell of values that stay masked.
func TestEstimatesStayAway(t *testing.T) {
	w := probesWorld(t, "finder")
	w.upstream("create view seen as select id, region from customers; analyze customers, orders; select 1")
	w.gw.dbs["shop"].stale()
	s, free := w.login("finder"), w.login("free")
	defer s.Close()
	defer free.Close()
	for _, sql := range []string{
		"explain select id from customers",
		"explain select id from customers where region = 'r1'",
		"explain select email from customers where email = 'x'",
		"explain select count(*) from customers where email = 'x' group by ssn",
		"explain select * from customers where email = 'x'",
		"explain select c from customers c where email = 'x'",
		"explain select c.id from customers c natural join orders where c.email = 'x'",
		"explain select c.id from customers c join customers d using (email) where c.email = 'x'",
		"explain select id from customers where email = 'x' or id = 3",
		"explain select id from customers where email(customers) = 'x' and email = 'y'",
		"explain select id from seen",
		"explain select o.id from orders o where exists (select from customers where id = o.customer_id)",
		"prepare p as select id from customers where email = 'x'; explain execute p",
		"explain (costs false) select id from orders",
	} {
		if a := w.query(free, sql); len(a.errs) > 0 || len(a.rows) == 0 || len(estimatesIn(strings.Join(flat(a.rows), "\n"))) > 0 {
			t.Errorf("%s shows %v %v", sql, a.rows, a.errs)
		}
		w.query(free, "deallocate all")
	}
	if a := w.query(s, "explain select id from orders where amount > 0"); len(a.errs) > 0 || !strings.Contains(a.rows[0][0], "rows=5000 ") {
		t.Errorf("a plan without labels shows %v %v", a.rows, a.errs)
	}
}

// TestEstimatesOfHiddenRowsStayAway: statistics are of all rows, also through a view.
func TestEstimatesOfHiddenRowsStayAway(t *testing.T) {
	w := filterWorld(t, false)
	s := w.login("one")
	defer s.Close()
	for _, sql := range []string{"explain select count(*) from customers where name = 'n7'", "explain select * from regions", "explain select * from deep", "explain select id from chosen"} {
		if a := w.query(s, sql); len(estimatesIn(strings.Join(flat(a.rows), "\n"))) > 0 {
			t.Errorf("%s shows %v", sql, a.rows)
		}
	}
}
