package gateway

import (
	"context"
	"strings"
	"testing"

	"sallyport/internal/access"
)

const lookupPolicy = `
@id("find") permit (principal in Group::"cleaners", action == Action::"lookup", resource in Label::"pii.email");
`

// TestTokensFindTheRowsToChange: somebody who may look addresses up finds rows by token as by value, and never
// sees the value.
func TestTokensFindTheRowsToChange(t *testing.T) {
	w := newWritesWorld(t, lookupPolicy)
	s := w.login("writer")
	defer s.Close()
	a := w.query(s, "select email from customers where id in (7, 8) order by id")
	if wantNoError(t, a); len(a.rows) != 2 || !strings.HasPrefix(a.rows[0][0], "tok_") {
		t.Fatalf("a writer with lookup sees %v", a.rows)
	}
	seven, eight := a.rows[0][0], a.rows[1][0]
	for _, c := range [][2]string{
		{"select id from customers where email = '" + seven + "'", "7"},
		{"select id from customers where email = 'u9@example.com'", "9"},
		{"select id from customers where email in ('" + seven + "', '" + eight + "') and id > 7", "8"},
		{"select c.id from customers c join customers d on c.email = d.email where d.email = '" + eight + "'", "8"},
		{"update customers set region = 'x' where email = '" + seven + "' returning id", "7"},
		{"update customers set region = 'y' where email = 'u9@example.com' returning id", "9"},
		{"delete from customers where email = '" + eight + "' returning id, email", "8 " + eight},
	} {
		sql, want := c[0], c[1]
		if a := w.query(s, sql); len(a.errs) > 0 || len(a.rows) != 1 || strings.Join(a.rows[0], " ") != want {
			t.Errorf("%s gave %v %v, want %s", sql, a.rows, a.errs, want)
		}
	}
	for _, c := range [][3]string{
		{"select id from customers where email = $1", seven, "7"},
		{"select id from customers where $1 = email", "u9@example.com", "9"},
		{"select c.id from customers c join customers d using (id) where c.email = $1::text and d.region is not null", seven, "7"},
		{"update customers set region = 'x' where email = $1 returning id", seven, "7"},
		{"update customers set region = 'y' where email = $1 returning id", "u9@example.com", "9"},
	} {
		if a := w.do(s, pipeline(c[0], c[1])...); len(a.errs) > 0 || len(a.rows) != 1 || strings.Join(a.rows[0], " ") != c[2] {
			t.Errorf("%s with %s gave %v %v, want %s", c[0], c[1], a.rows, a.errs, c[2])
		}
	}
	if n := w.upstream("select string_agg(id::text, ' ' order by id) from customers where region in ('x', 'y')"); n != "7 9" {
		t.Errorf("%s were changed", n)
	}
	wantNoError(t, w.query(s, "update customers set email = '"+seven+"' where id = 10"))
	if got := w.upstream("select email from customers where id = 10"); got != "u7@example.com" {
		t.Errorf("the token was stored as %q", got)
	}
}

// TestTokensStayRedactedWithoutEveryLookup: equal values have equal tokens under every label, so one column
// with tokens that may not be looked up takes them all from a writer.
func TestTokensStayRedactedWithoutEveryLookup(t *testing.T) {
	w := newWritesWorld(t, lookupPolicy)
	w.gw.Close()
	c := w.config()
	c.Policies[0].Text += lookupPolicy
	for i := range c.Principals {
		if c.Principals[i].Name == "writer" {
			c.Principals[i].Groups = append(c.Principals[i].Groups, "cleaners")
		}
	}
	c.Labels = append(c.Labels, access.LabelRule{Label: "pii.name", Columns: []string{"public.customers.name"}})
	c.Masks = append(c.Masks, access.Mask{Label: "pii.name", Transform: "token"})
	var err error
	if w.gw, err = Open(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	s := w.login("writer")
	defer s.Close()
	if a := w.query(s, "select email, name from customers where id = 7"); len(a.errs) > 0 || a.rows[0][0] != "***" || a.rows[0][1] != "***" {
		t.Errorf("a writer without lookup of names sees %v %v", a.rows, a.errs)
	}
}
