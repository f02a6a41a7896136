package postgres

import (
	"fmt"
	"strings"
	"testing"

	"sallyport/internal/access"
)

func TestViewLineage(t *testing.T) {
	cat := parseCatalog(t, testCatalog+"\ntable pg_catalog.pg_statistic stavalues1:text\n")
	for _, c := range []struct{ name, columns, def, want string }{
		{"plain", "i e", "SELECT id, email FROM public.customers", "i=customers.id e=customers.email"},
		{"expression", "e", "SELECT lower(c.email) FROM public.customers c", "e:customers.email"},
		{"cast_is_not_plain", "e", "SELECT email::varchar FROM public.customers", "e:customers.email"},
		{"predicate", "i", "SELECT id FROM public.customers WHERE ssn = 'x'", "i=customers.id | customers.ssn"},
		{"join", "i", "SELECT c.id FROM public.customers c JOIN public.salaries s ON s.email = c.email", "i=customers.id | customers.email salaries.email"},
		{"using", "e", "SELECT email FROM public.customers JOIN public.salaries USING (email)", "e:customers.email,salaries.email | customers.email salaries.email"},
		{"group", "r n", "SELECT region, count(*) FROM public.customers GROUP BY region", "r=customers.region n: | customers.region"},
		{"distinct", "r", "SELECT DISTINCT region FROM public.customers", "r=customers.region | customers.region"},
		{"order", "i", "SELECT id FROM public.customers ORDER BY ssn", "i=customers.id | customers.ssn"},
		{"window", "i n", "SELECT id, row_number() OVER (ORDER BY ssn) FROM public.customers", "i=customers.id n:customers.ssn | customers.ssn"},
		{"union", "e", "SELECT email FROM public.customers UNION SELECT note FROM public.orders", "e:customers.email,orders.note | customers.email orders.note"},
		{"union_all", "e", "SELECT email FROM public.customers UNION ALL SELECT note FROM public.orders", "e:customers.email,orders.note"},
		{"nested_view", "e", "SELECT email FROM public.people", "e=people.email"},
		{"subquery_decides", "i", "SELECT s.id FROM (SELECT id FROM public.customers WHERE ssn > 'a') s", "i=customers.id | customers.ssn"},
		{"cte_decides", "i", "WITH q AS (SELECT id FROM public.customers WHERE ssn > 'a') SELECT id FROM q", "i=customers.id | customers.ssn"},
		{"cte_column_decides", "i", "WITH q AS (SELECT id, ssn FROM public.customers) SELECT id FROM q WHERE ssn > 'a'", "i=customers.id | customers.ssn"},
		{"scalar_subquery", "i s", "SELECT id, (SELECT max(s.amount) FROM public.salaries s WHERE s.email = c.email) FROM public.customers c",
			"i=customers.id s:customers.email,salaries.amount,salaries.email | customers.email salaries.email"},
		{"exists", "x", "SELECT EXISTS (SELECT 1 FROM public.customers WHERE ssn > 'a')", "x:customers.ssn | customers.ssn"},
		{"set_returning", "i t", "SELECT id, unnest(tags) FROM public.customers", "i=customers.id t:customers.tags | customers.tags"},
		{"function_in_from", "i t", "SELECT c.id, t.t FROM public.customers c, LATERAL unnest(c.tags) t(t)", "i=customers.id t:customers.tags | customers.tags"},
		{"recursive", "n e", "WITH RECURSIVE t(n, e) AS (SELECT id, email FROM public.customers UNION ALL SELECT t.n + 1, t.e FROM t WHERE t.n < 9) SELECT n, e FROM t",
			"n:customers.id e:customers.email | customers.id"},
		{"recursive_decides", "n", "WITH RECURSIVE t(n, e) AS (SELECT id, ''::text FROM public.customers UNION ALL SELECT t.n, s.email FROM t, public.salaries s WHERE t.e = 'x') SELECT n FROM t",
			"n:customers.id | salaries.email"},
		{"whole_row", "c", "SELECT c.* AS c FROM public.customers c", "error"},
		{"whole_row_value", "c", "SELECT c FROM public.customers c", "c:customers.address,customers.email,customers.id,customers.region,customers.ssn,customers.tags"},
		{"array_index", "t", "SELECT tags[1] FROM public.customers", "t:customers.tags"},
		{"case", "x", "SELECT CASE WHEN ssn > 'a' THEN 1 ELSE 2 END FROM public.customers", "x:customers.ssn"},
		{"filter", "x", "SELECT count(*) FILTER (WHERE ssn > 'a') FROM public.customers", "x:customers.ssn"},
		{"limit", "i", "SELECT id FROM public.orders LIMIT (SELECT length(ssn) FROM public.customers LIMIT 1)", "i=orders.id | customers.ssn"},
		{"runs_sql", "x", "SELECT query_to_xml('select 1', true, true, '')", "error"},
		{"statistics", "x", "SELECT stavalues1 FROM pg_statistic", "error"},
		{"unqualified_is_unknown", "i", "SELECT id FROM customers", "error"},
		{"not_a_query", "i", "DELETE FROM public.customers RETURNING id", "error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := &access.Relation{Name: access.Name{Schema: "public", Name: "v"}, Kind: access.View, Definition: c.def}
			for _, n := range strings.Fields(c.columns) {
				v.Columns = append(v.Columns, access.Column{Name: n})
			}
			lin, err := ViewLineage(v, Env{Catalog: cat, Path: []string{"pg_catalog", "public"}, Registry: testRegistry{}})
			got := lineageString(lin)
			if err != nil {
				got = "error"
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s (err %v)", got, c.want, err)
			}
		})
	}
}

func lineageString(l Lineage) string {
	var parts []string
	ids := func(list []access.ColumnID) (out []string) {
		for _, id := range list {
			out = append(out, id.Relation.Name+"."+id.Column)
		}
		return out
	}
	for _, o := range l.Outputs {
		sep := ":"
		if o.Plain {
			sep = "="
		}
		src := ids(o.Sources)
		sortStrings(src)
		parts = append(parts, fmt.Sprintf("%s%s%s", o.Name, sep, strings.Join(src, ",")))
	}
	if len(l.Decides) > 0 {
		d := ids(l.Decides)
		sortStrings(d)
		parts = append(parts, "| "+strings.Join(d, " "))
	}
	return strings.Join(parts, " ")
}

func TestViewsThatCannotBeRead(t *testing.T) {
	cat := parseCatalog(t, testCatalog)
	for _, c := range []struct{ name, def, code, message string }{
		{"syntax", "SELECT FROM WHERE", "42601", "syntax error"},
		{"two_queries", "SELECT 1; SELECT 2", "0A000", "is not one query"},
		{"other_columns", "SELECT id, email FROM public.customers", "0A000", "the columns of view public.v cannot be told"},
	} {
		v := &access.Relation{Name: access.Name{Schema: "public", Name: "v"}, Kind: access.View, Columns: []access.Column{{Num: 1, Name: "id"}}, Definition: c.def}
		_, err := ViewLineage(v, Env{Catalog: cat, Registry: testRegistry{}})
		if e := access.AsError(err); e == nil || e.Code != c.code || !strings.Contains(e.Message, c.message) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestPoliciesThatCannotBeRead(t *testing.T) {
	env := testEnv(t)
	rel := env.Catalog.Relations[access.Name{Schema: "public", Name: "customers"}]
	rel.RowSecurity, rel.Secured = true, true
	for _, text := range []string{"(id = ", "true; SELECT 1"} {
		rel.Policies = []string{text}
		trees, err := Parse("SELECT id FROM customers")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Analyze(trees[0], env); access.AsError(err) == nil || !strings.Contains(access.AsError(err).Message, "a row-security policy of public.customers cannot be analysed") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
