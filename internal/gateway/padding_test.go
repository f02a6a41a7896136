package gateway

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// longLists are conditions with lists of 100,000 elements, or as many as the protocol has parameters.
func longLists() (lists map[string]string, args []string) {
	var numbers, params strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&numbers, ",%d", i)
	}
	for i := range math.MaxUint16 {
		fmt.Fprintf(&params, ",$%d", i+1)
		args = append(args, fmt.Sprint(i))
	}
	return map[string]string{
		"in":     "id in (" + numbers.String()[1:] + ")",
		"params": "id in (" + params.String()[1:] + ")",
	}, args
}

// TestLongListsAreJudgedLikeShortOnes: a list of 100,000 elements hides nothing from the judgement, and is answered.
func TestLongListsAreJudgedLikeShortOnes(t *testing.T) {
	w := newWorld(t)
	s := w.login("agent")
	defer s.Close()
	lists, args := longLists()
	for name, where := range lists {
		ask := func(sql string) *answer { return w.query(s, sql+where) }
		if name == "params" {
			ask = func(sql string) *answer { return w.do(s, pipeline(sql+where, args...)...) }
		}
		a := ask("select email from customers where ")
		if len(a.errs) > 0 || len(a.rows) != 100 || strings.Contains(fmt.Sprint(a.rows), "@") {
			t.Errorf("%s: %d rows, %.100v, errors %.300q", name, len(a.rows), a.rows, a.errs)
		}
		wantError(t, ask("delete from orders where "), "42501")
	}
	if a := w.query(s, "select count(*) from orders"); len(a.errs) > 0 || a.rows[0][0] != "5000" {
		t.Errorf("something of it ran: %v %v", a.rows, a.errs)
	}
}

// TestPaddingChangesNoDecision: what stands in and around a statement that the server does not read is not what hides one.
func TestPaddingChangesNoDecision(t *testing.T) {
	w := newWorld(t)
	s := w.login("agent")
	defer s.Close()
	const size = 900 << 10 // below what is read at all
	for name, pad := range map[string]string{
		"blanks":        strings.Repeat(" ", size),
		"comment":       "/*" + strings.Repeat("x", size) + "*/",
		"nested":        strings.Repeat("/* ", size/6) + strings.Repeat("*/ ", size/6),
		"line_comments": strings.Repeat("--'\n", size/4),
	} {
		for where, sql := range map[string]func(verb, rest string) string{
			"before": func(verb, rest string) string { return pad + verb + " " + rest },
			"within": func(verb, rest string) string { return verb + " " + pad + " " + rest },
			"behind": func(verb, rest string) string { return verb + " " + rest + pad },
		} {
			ask := func(sql string) *answer { return w.query(s, sql) }
			if where == "within" {
				ask = func(sql string) *answer { return w.do(s, pipeline(sql)...) }
			}
			if a := ask(sql("select", "id, email from customers where id = 7")); len(a.errs) > 0 || len(a.rows) != 1 || a.rows[0][0] != "7" || strings.Contains(a.rows[0][1], "@") {
				t.Errorf("%s %s: %v %.300q", name, where, a.rows, a.errs)
			}
			wantError(t, ask(sql("delete", "from orders where id = 1")), "42501")
			wantError(t, ask(sql("select", "v from secrets")), "42501")
		}
		if a := w.query(s, pad+pad+"delete from orders"); len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], "54") {
			t.Errorf("%s of more than a statement may have: %.300q", name, a.errs)
		}
	}
	if a := w.query(s, "select count(*) from orders"); len(a.errs) > 0 || a.rows[0][0] != "5000" {
		t.Errorf("something of it ran: %v %v", a.rows, a.errs)
	}
}
