package gateway

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

const writesPolicy = `
@id("cleaners") permit (principal in Group::"cleaners", action in [Action::"connect", Action::"read", Action::"write"], resource in Connection::"shop");
@id("cleaners-all") permit (principal in Group::"cleaners", action == Action::"write_all_rows", resource == Table::"shop.public.secrets");
`

// newWritesWorld is newWorld with more policies; everybody who is in "writers" is also in "cleaners".
func newWritesWorld(t *testing.T, policies string) *world {
	w := newWorld(t)
	w.gw.Close()
	c := w.config()
	c.Policies[0].Text += policies
	for i := range c.Principals {
		if c.Principals[i].Name == "writer" {
			c.Principals[i].Groups = append(c.Principals[i].Groups, "cleaners")
		}
	}
	var err error
	if w.gw, err = Open(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	return w
}

// upstream runs SQL past the gateway and gives the first value of the answer.
func (w *world) upstream(sql string) string {
	w.t.Helper()
	c, err := pgconn.Connect(context.Background(), w.dsn)
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close(context.Background())
	results, err := c.Exec(context.Background(), sql).ReadAll()
	if err != nil {
		w.t.Fatal(err)
	}
	if last := results[len(results)-1]; len(last.Rows) > 0 {
		return string(last.Rows[0][0])
	}
	return ""
}

func TestWritesOfEveryRowAreRefused(t *testing.T) {
	w := newWritesWorld(t, writesPolicy)
	s := w.login("writer")
	defer s.Close()
	before := w.upstream("select sum(amount) from orders")
	for _, sql := range []string{"update orders set amount = 0", "delete from orders", "delete from orders where 1 = 1", "delete from orders where id = id or false",
		"update orders set amount = 0 from customers c where c.id = 1", "truncate orders", "with d as (delete from orders returning id) select count(*) from d",
		"select 1; delete from orders where true", "merge into orders o using (select 1) s on true when matched then delete"} {
		for name, a := range map[string]*answer{"simple": w.query(s, sql), "extended": w.do(s, pipeline(sql)...)} {
			if name == "extended" && strings.Contains(sql, ";") {
				continue
			}
			if wantError(t, a, "42501"); len(a.errs) == 1 && !strings.Contains(a.errs[0], "orders") {
				t.Errorf("%s: %s: %q does not say what was refused", name, sql, a.errs)
			}
		}
	}
	wantNoError(t, w.query(s, "prepare d as delete from orders where id = $1"))
	wantNoError(t, w.query(s, "execute d(0)"))
	wantError(t, w.query(s, "prepare e as delete from orders"), "42501")
	if after := w.upstream("select sum(amount) from orders"); after != before {
		t.Errorf("the sum of orders is %s, and was %s", after, before)
	}
}

func TestWritesOfEveryRowCanBeGranted(t *testing.T) {
	w := newWritesWorld(t, writesPolicy)
	s := w.login("writer")
	defer s.Close()
	w.upstream("insert into secrets select g from generate_series(1, 10) g")
	for _, sql := range []string{"update secrets set v = 'x'", "delete from secrets", "truncate secrets"} {
		wantNoError(t, w.query(s, sql))
	}
	wantNoError(t, w.query(s, "delete from orders where id = 1"))
	if n := w.upstream("select count(*) from secrets"); n != "0" {
		t.Errorf("%s secrets are left", n)
	}
}
