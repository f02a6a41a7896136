package gateway

import (
	"context"
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/identity"
)

const writersPolicy = `
@id("readers") permit (principal in Group::"readers", action in [Action::"connect", Action::"read"], resource in Connection::"shop");
@id("clerks") permit (principal in Group::"clerks", action == Action::"write", resource == Table::"shop.public.leads");
@id("viewers") permit (principal in Group::"viewers", action == Action::"write", resource == Table::"shop.public.lead_view");
@id("parents") permit (principal in Group::"parents", action == Action::"write", resource == Table::"shop.public.parts");
@id("sometimes") permit (principal in Group::"sometimes", action == Action::"write", resource == Table::"shop.public.leads")
  when { context.reason like "*lead*" && context.door == "mcp" };
@id("builders") permit (principal in Group::"builders", action in [Action::"ddl", Action::"write"], resource in Schema::"shop.scratch");
@id("noters") permit (principal in Group::"noters", action == Action::"write", resource == Table::"shop.public.notes");
@id("noters-not-email") forbid (principal in Group::"noters", action == Action::"write", resource) when { resource is Column && resource.labelled };
`

// writersWorld has principals who may write under the label of an address in one way each.
func writersWorld(t *testing.T) *world {
	w := newWorld(t)
	w.gw.Close()
	dba := &world{t: t, dir: t.TempDir(), dsn: w.dsn}
	dba.open()
	s := dba.login("dba")
	wantNoError(t, dba.query(s, `create table leads(id int, email text); create view lead_view as select id, email from leads;
		create table parts(id int, email text) partition by range (id); create table part1 partition of parts for values from (0) to (100);
		create schema scratch; create table notes(id int, body text, email text)`))
	s.Close()
	dba.gw.Close()
	c := w.config()
	c.Policies = []PolicyFile{{Name: "writers.cedar", Text: writersPolicy}}
	c.Principals = nil
	for _, name := range []string{"reader", "clerk", "viewer", "parent", "builder", "noter"} {
		c.Principals = append(c.Principals, access.LocalPrincipal{Name: name, Kind: access.Human, Groups: []string{"readers", name + "s"}, Secret: identity.HashPassword("pw-" + name)})
	}
	c.Principals = append(c.Principals, access.LocalPrincipal{Name: "sometime", Kind: access.Human, Groups: []string{"readers", "sometimes"}, Secret: identity.HashPassword("pw-sometime")})
	var err error
	if w.gw, err = Open(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	return w
}

// TestWritersCompareNoGuesses: somebody who can write a value of their own choice under a label, by whatever
// way, must not find out whose token is the same.
func TestWritersCompareNoGuesses(t *testing.T) {
	w := writersWorld(t)
	for name, writes := range map[string][]string{
		"clerk":    {"insert into leads values (1, 'u7@example.com')"},
		"viewer":   nil, // writing through a view is refused; the permission alone hides the tokens
		"parent":   {"insert into parts values (1, 'u7@example.com')"},
		"sometime": {"set sallyport.reason = 'a lead of which I know the address'"},
		"builder":  {"create table scratch.mine(c text, id int)", "insert into scratch.mine values ('u7@example.com', 1)", "alter table scratch.mine rename c to email"},
	} {
		t.Run(name, func(t *testing.T) {
			s := w.login(name)
			defer s.Close()
			for _, sql := range writes {
				wantNoError(t, w.query(s, sql))
			}
			target := map[string]string{"viewer": "lead_view", "parent": "part1", "builder": "scratch.mine"}[name]
			if target == "" {
				target = "leads"
			}
			for _, sql := range []string{
				"select c.id from customers c join " + target + " l on l.email = c.email and l.id = 1",
				"select c.id from customers c where c.email in (select email from " + target + ")",
				"select email from customers intersect select email from " + target,
			} {
				// Every row or none: nothing that tells one customer from another.
				if a := w.query(s, sql); len(a.errs) > 0 || len(a.rows) > 1 && len(a.rows) < 200 || len(a.rows) == 1 && a.rows[0][0] != "***" {
					t.Errorf("%s found %d rows: %v %v", sql, len(a.rows), a.rows, a.errs)
				}
			}
			for _, sql := range []string{"select email from customers where id = 7", "select email from " + target, "select to_jsonb(c) from customers c", "copy customers to stdout"} {
				if a := w.query(s, sql); len(a.errs) > 0 || strings.Contains(strings.Join(flat(a.rows), " "), "tok_") {
					t.Errorf("%s shows a token: %v %v", sql, a.rows, a.errs)
				}
			}
			if len(writes) > 0 && strings.HasPrefix(writes[0], "insert") {
				if a := w.query(s, writes[0]+" returning email"); len(a.errs) > 0 || a.rows[0][0] != "***" {
					t.Errorf("RETURNING shows %v %v", a.rows, a.errs)
				}
			}
		})
	}
}

func flat(rows [][]string) (out []string) {
	for _, r := range rows {
		out = append(out, r...)
	}
	return out
}

// TestOthersKeepTheirTokens: reading is not enough to lose them, nor is writing what has no such label.
func TestOthersKeepTheirTokens(t *testing.T) {
	w := writersWorld(t)
	for _, name := range []string{"reader", "noter"} {
		s := w.login(name)
		if a := w.query(s, "select email from customers where id = 7"); len(a.errs) > 0 || !strings.HasPrefix(a.rows[0][0], "tok_") {
			t.Errorf("%s sees %v %v", name, a.rows, a.errs)
		}
		s.Close()
	}
	s := w.login("noter")
	defer s.Close()
	wantNoError(t, w.query(s, "insert into notes(id, body) values (1, 'text')"))
	wantError(t, w.query(s, "insert into notes(id, email) values (1, 'u7@example.com')"), "42501")
}

// TestWritersAreToldOf: check and the log name whoever sees redactions where others see tokens.
func TestWritersAreToldOf(t *testing.T) {
	w := writersWorld(t)
	seen := map[string]bool{}
	checked, _ := w.gw.Check(context.Background())
	for _, r := range checked {
		for _, x := range r.Writers {
			seen[x.Principal] = true
			if x.Label != "pii.email" || x.Column.Column != "email" {
				t.Errorf("told of %s", x)
			}
		}
	}
	for name, want := range map[string]bool{"clerk": true, "viewer": true, "parent": true, "builder": true, "sometime": true, "reader": false, "noter": false} {
		if seen[name] != want {
			t.Errorf("told of %s: %t", name, seen[name])
		}
	}
}
