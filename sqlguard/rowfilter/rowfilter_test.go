package rowfilter

import (
	"slices"
	"strings"
	"testing"
)

func TestConditionsForAPrincipal(t *testing.T) {
	attribute := func(name string) (string, bool) {
		v, ok := map[string]string{"tenant": "ac'me", "name": "ada"}[name]
		return v, ok
	}
	for _, c := range []struct{ text, want string }{
		{"tenant_id = principal.tenant", `tenant_id OPERATOR(pg_catalog.=) 'ac''me'`},
		{"Tenant_ID = principal.tenant and not archived", `tenant_id OPERATOR(pg_catalog.=) 'ac''me' AND NOT archived`},
		{"owner = principal.name or region in ('eu', 'uk')", `owner OPERATOR(pg_catalog.=) 'ada' OR (region OPERATOR(pg_catalog.=) 'eu' OR region OPERATOR(pg_catalog.=) 'uk')`},
		{"region not in ('eu', 'uk')", `region OPERATOR(pg_catalog.<>) 'eu' AND region OPERATOR(pg_catalog.<>) 'uk'`},
		{"n >= -3 and x is not null", `n OPERATOR(pg_catalog.>=) -3 AND x IS NOT NULL`},
		{"region in ('eu')", `region OPERATOR(pg_catalog.=) 'eu'`},
		{"region not in ('eu')", `region OPERATOR(pg_catalog.<>) 'eu'`},
		{"region is null or principal.tenant is null or principal.region is null", `region IS NULL OR 'ac''me' IS NULL OR NULL IS NULL`},
		{"region = principal.region", `region OPERATOR(pg_catalog.=) NULL`},
		{`"principal.x" = 'a;b'`, `"principal.x" OPERATOR(pg_catalog.=) 'a;b'`},
	} {
		f, err := Parse(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if got, err := f.SQL(attribute); err != nil || got != c.want {
			t.Errorf("%s:\n got %s (%v)\nwant %s", c.text, got, err, c.want)
		}
		if f.Text() != c.text {
			t.Errorf("Text() = %q", f.Text())
		}
	}
}

func TestWhatAConditionLooksAt(t *testing.T) {
	f, err := Parse("a = principal.x AND b = 1 OR a IS NULL AND principal.y = 'z'")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(f.Columns(), []string{"a", "b"}) || !slices.Equal(f.Asks(), []string{"x", "y"}) {
		t.Errorf("columns %q, asks %q", f.Columns(), f.Asks())
	}
}

func TestNotUnderstood(t *testing.T) {
	for _, text := range []string{
		"", "true", "principal.tenant = 'x'", "a = 1 LIMIT 5", "a = 1; DROP TABLE t", "a = 1) OR (true", "a = 1 ORDER BY 1", "a = 1 FOR UPDATE",
		"a = 1 UNION SELECT FROM t", "f(a) = 1", "a = (SELECT 1)", "a IN (SELECT 1)", "a LIKE 'x'", "a ~ 'x'", "a = $1", "t.a = 1", "principal = 'x'",
		"principal.a.b = c", "a = 1::int", "a || 'x' = 'y'", "a = ANY('{1}')", "a BETWEEN 1 AND 2", "a OPERATOR(public.=) 1", "* = 1", "* IS NULL", "a.* = 1", "a = b.*", "principal.* = 1", "a = principal.*", "a IN (1, f(2))", "1", "a = 1 -- \n OR pg_sleep(1) IS NULL",
		"a = current_user", "EXISTS (SELECT)", "CASE WHEN a THEN b END", "a IS DISTINCT FROM 1", "(a, b) = (1, 2)", "a = 1 GROUP BY a", "a = 1 WINDOW w AS ()",
	} {
		if f, err := Parse(text); err == nil {
			sql, _ := f.SQL(func(string) (string, bool) { return "", false })
			t.Errorf("%q is taken for %s", text, sql)
		} else if err.Error() == "" || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %q", text, err)
		}
	}
}

// An attribute comes from whoever issued the credentials. What is no text of the server's cannot be written as a constant.
func TestAttributesThatAreNoText(t *testing.T) {
	f, err := Parse("a = principal.x")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []string{"x\x00y", "x\xff"} {
		if sql, err := f.SQL(func(string) (string, bool) { return v, true }); err == nil {
			t.Errorf("%q gives %q", v, sql)
		}
	}
}

func TestObjectionsSayWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"a = 1 UNION SELECT FROM t": "not a condition", "a = 1 LIMIT 5": "more than a condition", "a = 1; DROP TABLE t": "more than a condition",
		"true": "only comparisons", "1 = 1": "no column", "a = b.*": "* is not a value", "a IN (1, f(2))": "only columns, constants", "a LIKE 'x'": "the comparisons are",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
