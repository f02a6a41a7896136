package web

import (
	"strings"
	"testing"
)

func shown(t sqlText) string {
	var b strings.Builder
	for _, tok := range t.Tokens {
		b.WriteString(tok.Text)
	}
	return b.String()
}

func TestLayout(t *testing.T) {
	for sql, want := range map[string]string{
		"select a,b from t left join u on t.x=u.x where a=1 and b between 2 and 3 or c": "select a,b\nfrom t\nleft join u on t.x=u.x\nwhere a=1\n  and b between 2 and 3\n  or c",
		"update t set a = 1   \n\n\n\n   where b":                                       "update t\nset a = 1\nwhere b",
		"delete from t using u where true":                                              "delete from t\nusing u\nwhere true",
		"select extract(year from d), sum(x) over (order by y) from t":                  "select extract(year from d), sum(x) over (order by y)\nfrom t",
		"insert into t values ('a   ''b')  on conflict do nothing":                      "insert into t\nvalues ('a   ''b')\non conflict do nothing",
		"select 1 -- and now\n from t":                                                  "select 1 -- and now\nfrom t",
		"with x as (select a from b where c) select * from x":                           "with x as (select a\n  from b\n  where c)\nselect * from x",
		"select $$from where$$, e'it\\'s from', \"from\" from t":                        "select $$from where$$, e'it\\'s from', \"from\"\nfrom t",
		"begin; update t set a = 1":                                                     "begin;\nupdate t\nset a = 1",
	} {
		if got := shown(layout(sql, nil)); got != want && got != strings.Replace(want, "select * from x", "select *\nfrom x", 1) {
			t.Errorf("%s\ngives\n%s\nwant\n%s", sql, got, want)
		}
	}
}

func TestLayoutChangesOnlyWhiteSpace(t *testing.T) {
	squeeze := func(s string) string { return strings.Join(strings.Fields(s), "") }
	for _, sql := range []string{"select 'a'", "select /* x /* y */ z */ 1", "select 'open", "$x$ open", "/* open", `"open`, "a.b::int[1]", "select \xff\xfe", "e'\\", "$", "--", "1e5.5$1", ")))((("} {
		if got := shown(layout(sql, nil)); squeeze(got) != squeeze(sql) {
			t.Errorf("%q is shown as %q", sql, got)
		}
	}
}

func TestRiskIsMarked(t *testing.T) {
	kinds := func(l sqlText, kind string) (out []string) {
		for _, tok := range l.Tokens {
			if tok.Kind == kind {
				out = append(out, tok.Text)
			}
		}
		return out
	}
	l := layout("update t set email = 'x' -- harmless\n", []string{"email"})
	if r, n, c := kinds(l, kindRisk), kinds(l, kindNamed), kinds(l, kindComment); len(r) != 1 || r[0] != "update" || len(n) != 1 || n[0] != "email" || len(c) != 1 {
		t.Errorf("marked %v %v %v", r, n, c)
	}
	if len(l.Notes) != 2 || !strings.Contains(l.Notes[1], "every row") {
		t.Errorf("notes %v", l.Notes)
	}
	if l := layout("delete from t where id = 1", nil); len(l.Notes) != 0 {
		t.Errorf("notes %v", l.Notes)
	}
	if r := kinds(layout("select 1 from t for update", nil), kindRisk); len(r) != 0 {
		t.Errorf("FOR UPDATE is marked as a write: %v", r)
	}
	if r := kinds(layout("with x as (delete from t where id=1 returning id) select 1", nil), kindRisk); len(r) != 1 {
		t.Errorf("a write within WITH is not marked: %v", r)
	}
	if l := layout(strings.Repeat("select 1; ", 10000), nil); l.Left != 100000-shownSQL || len(l.Notes) != 1 {
		t.Errorf("left %d, notes %v", l.Left, l.Notes)
	}
}
