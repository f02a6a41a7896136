package gateway

import (
	"context"
	"strings"
	"testing"
)

// TestDeepAndLongStatementsAreRefusedWhole: neither the parser's stack nor ours may be what ends the process.
func TestDeepAndLongStatementsAreRefusedWhole(t *testing.T) {
	w := newWorld(t)
	s := w.login("writer")
	defer s.Close()
	nest := func(open, inner, shut string, n int) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(shut, n)
	}
	const n = 10_000
	for name, sql := range map[string]string{
		"parentheses": "select " + nest("(", "1", ")", n),
		"signs":       "select " + nest("- ", "1", "", n),
		"negations":   "select " + nest("not ", "true", "", n),
		"sum":         "select " + nest("1+", "1", "", n),
		"arrays":      "select " + nest("array[", "1", "]", n),
		"calls":       "select " + nest("abs(", "1", ")", n),
		"casts":       "select " + nest("", "1", "::int", n),
		"cases":       "select " + nest("case when true then ", "1", " end", n),
		"from":        nest("select * from (", "select 1", ") x", n),
		"scalar":      "select " + nest("(select ", "1", ")", n),
		"with":        nest("with a as (", "select 1", ") select 1", n),
		"unions":      nest("select 1 union ", "select 1", "", n),
		"joins":       "select 1 from " + nest("orders join ", "orders", " on true", n),
		"fields":      "select " + nest("(", "c", ").id", n) + " from customers c",
		"in_a_write":  "delete from orders where id = " + nest("(", "1", ")", n),
		"in_a_batch":  "delete from orders; select " + nest("(", "1", ")", n),
		"in_prepare":  "prepare p as select " + nest("(", "1", ")", n),
		"in_explain":  "explain select " + nest("(", "1", ")", n),
		"long":        "delete from orders where '" + strings.Repeat("x", 2<<20) + "' <> ''",
	} {
		for how, ops := range map[string][]Op{"simple": {{Kind: OpQuery, SQL: sql}}, "extended": pipeline(sql)} {
			a := w.do(s, ops...)
			if len(a.errs) != 1 || len(a.rows)+len(a.tags) > 0 || a.tx != 'I' || !strings.HasPrefix(a.errs[0], "54") && !(how == "extended" && name == "in_a_batch") {
				t.Errorf("%s, %s: errors %.100q, rows %.100q, tags %q", name, how, a.errs, a.rows, a.tags)
			}
		}
		if _, err := s.Query(context.Background(), Query{SQL: sql}); err == nil {
			t.Errorf("%s through Query: answered", name)
		}
	}
	if a := w.query(s, "select count(*) from orders"); len(a.errs) > 0 || a.rows[0][0] != "5000" {
		t.Errorf("something of it ran: %v %v", a.rows, a.errs)
	}
}
