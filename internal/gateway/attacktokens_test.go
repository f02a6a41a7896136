package gateway

import (
	"strings"
	"testing"
)

// TestAttackConditionOfCopyOnTheValueOfAToken: a WHERE of COPY FROM would see the value, and the number of rows tell what it says.
func TestAttackConditionOfCopyOnTheValueOfAToken(t *testing.T) {
	w, s := resolveWorld(t)
	email := w.token(s, "select email from customers where id = 7")
	for _, where := range []string{"email > 'm'", "leads.email like 'u7%'", "leads::text like '%u7%'", "row_to_json(leads)::text like '%u7%'", "1/(case when email like 'u7%' then 0 else 1 end) = 1", "id > 0"} {
		a := w.do(s, append(query("copy leads(id, email) from stdin where "+where), inPieces("61\t"+email+"\n", 100)...)...)
		if len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], "42501") || len(a.tags) > 0 {
			t.Errorf("%s: %v %v", where, a.tags, a.errs)
		}
	}
	wantNoError(t, w.do(s, append(query("copy leads(id, email) from stdin where email > 'm'"), inPieces("61\tnew@example.com\n", 100)...)...))
}

// TestAttackRowSecurityOnTheValueOfAToken: so would a policy of the database's, whomever it binds.
func TestAttackRowSecurityOnTheValueOfAToken(t *testing.T) {
	w, _ := resolveWorld(t)
	w.upstream("create table ruled(id int, email text); alter table ruled enable row level security; create policy p on ruled with check (email < 'm')")
	wantNoError(t, w.query(w.login("dba"), "create table noticed(id int)")) // the catalog is read again
	s := w.login("writer")
	defer s.Close()
	email := w.token(s, "select email from customers where id = 7")
	wantError(t, w.query(s, "insert into ruled values (1, '"+email+"')"), "42501")
	if n := w.upstream("select count(*) from ruled"); n != "0" {
		t.Errorf("%s rows", n)
	}
}
