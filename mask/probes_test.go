package mask

import (
	"testing"

	pg "github.com/pganalyze/pg_query_go/v5"
)

func TestListedNeverCountsTooFew(t *testing.T) {
	for text, want := range map[string]int64{
		"a": 1, "": 1, "a,b": 2, "1 2\t3": 3, "[1,2]": 2, "{}": 1, "{a}": 1, "{a,b,c}": 3, `{"a,b",c}`: 2, `{"a\",b",c}`: 2, `{a\,b,c}`: 2, "[1:2]={a,b}": 2, "{{a,b},{c,d}}": 4, ` { a , b } `: 2,
	} {
		if n := Listed(text); n != want {
			t.Errorf("%s holds %d, want %d", text, n, want)
		}
	}
}

func TestGuessesOfAComparison(t *testing.T) {
	for cond, want := range map[string]Probes{
		"email = 'a'":                              {Fixed: 1},
		"'a,b' = email":                            {Fixed: 1},
		"email = $1::text":                         {Fixed: 1},
		"email in ('a', $1, 'c'::text)":            {Fixed: 3},
		"email = any ($2)":                         {Lists: []int{2}},
		"email = any ('{a,b,c}')":                  {Fixed: 3, Varies: true},
		"email = any (array['a', $3])":             {Fixed: 1, Lists: []int{3}, Varies: true},
		"email = any (array['{a,b}'::text[], $1])": {Fixed: 2, Lists: []int{1}, Varies: true},
	} {
		tree, err := pg.Parse("select where " + cond)
		if err != nil {
			t.Fatal(err)
		}
		var p Probes
		p.compare(tree.Stmts[0].Stmt.GetSelectStmt().WhereClause.GetAExpr())
		if p.Fixed != want.Fixed || len(p.Lists) != len(want.Lists) || len(p.Lists) > 0 && p.Lists[0] != want.Lists[0] || p.Varies != want.Varies {
			t.Errorf("%s: %+v, want %+v", cond, p, want)
		}
	}
}
