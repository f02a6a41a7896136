package postgres

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	pg "github.com/pganalyze/pg_query_go/v5"
	"github.com/pganalyze/pg_query_go/v5/parser"

	"sallyport/internal/access"
)

func TestParseSplits(t *testing.T) {
	for _, c := range []struct {
		sql  string
		want []string
	}{
		{"", nil},
		{" ; ;; -- nothing\n", nil},
		{"SELECT 1", []string{"SELECT 1"}},
		{" SELECT 1 ; \n SELECT ';' ;", []string{"SELECT 1", "SELECT ';'"}},
		{"SELECT $$;$$; /* ; */ SELECT 2 -- ;", []string{"SELECT $$;$$", "/* ; */ SELECT 2 -- ;"}},
		{"SELECT 'ä'; SELECT 'ö'", []string{"SELECT 'ä'", "SELECT 'ö'"}},
		{"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT 3",
			[]string{"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END", "SELECT 3"}},
		{`SELECT E'\';' ; SELECT 2`, []string{`SELECT E'\';'`, "SELECT 2"}},
		{`SELECT '\' ; SELECT 2`, []string{`SELECT '\'`, "SELECT 2"}}, // standard_conforming_strings
	} {
		trees, err := Parse(c.sql)
		if err != nil {
			t.Fatalf("%q: %v", c.sql, err)
		}
		var got []string
		for _, tree := range trees {
			got = append(got, tree.SQL)
			if c.sql[tree.Offset:tree.Offset+len(tree.SQL)] != tree.SQL {
				t.Errorf("%q: offset %d is not where %q begins", c.sql, tree.Offset, tree.SQL)
			}
		}
		if strings.Join(got, "|") != strings.Join(c.want, "|") {
			t.Errorf("%q: got %q, want %q", c.sql, got, c.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct {
		name, sql, code, message string
		position                 int
	}{
		{"syntax", "SELECT 1 FROM WHERE", "42601", `syntax error at or near "WHERE"`, 15},
		{"position_counts_characters", "SELECT 'äöü'; SELECT 'ß' FROM WHERE", "42601", `syntax error at or near "WHERE"`, 31},
		{"at_end", "SELECT (", "42601", "syntax error at end of input", 9},
		{"unterminated", "SELECT 'x", "42601", `unterminated quoted string at or near "'x"`, 8},
		{"unterminated_behind_much", "SELECT " + strings.Repeat("1 + ", maxDepth) + "'x", "42601", `unterminated quoted string at or near "'x"`, 8 + 4*maxDepth},
		{"nul", "SELECT '\x00'", "22021", `invalid byte sequence for encoding "UTF8": 0x00`, 0},
		{"not_utf8", "SELECT '\xff'", "22021", `invalid byte sequence for encoding "UTF8"`, 0},
		{"sjis_backslash", "SELECT '\x83\\'", "22021", `invalid byte sequence for encoding "UTF8"`, 0},
		{"surrogate", "SELECT '\xed\xa0\x80'", "22021", `invalid byte sequence for encoding "UTF8"`, 0},
		{"too_long", "SELECT '" + strings.Repeat("x", MaxSize) + "'", "54000", "a text of 1048585 bytes is too long: statements of at most 1 MiB (1048576 bytes) are judged", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse(c.sql)
			e := access.AsError(err)
			if e == nil || e.Kind != access.Invalid || e.Code != c.code || e.Message != c.message || e.Position != c.position {
				t.Errorf("got %+v", e)
			}
		})
	}
}

// What libpg_query says of a text is the server's word, but for what is its own limit.
func TestErrorsOfTheParser(t *testing.T) {
	for _, c := range []struct {
		err           error
		code, message string
	}{
		{&parser.Error{Message: "syntax error at end of input"}, "42601", "syntax error at end of input"},
		{&parser.Error{Message: "memory exhausted at or near \"(\""}, "54001", "stack depth limit exceeded"},
		{&parser.Error{Message: "stack depth limit exceeded"}, "54001", "stack depth limit exceeded"},
		{&parser.Error{Message: "invalid Unicode escape"}, "22021", "invalid Unicode escape"},
		{&parser.Error{Message: "invalid byte sequence for encoding"}, "22021", "invalid byte sequence for encoding"},
		{errors.New("proto: exceeded max recursion depth"), "54001", "stack depth limit exceeded"},
	} {
		if e := access.AsError(syntaxError(c.err)); e.Kind != access.Invalid || e.Code != c.code || e.Message != c.message {
			t.Errorf("%v: %+v", c.err, e)
		}
	}
}

// TestWidth: as at the server, a row has at most 1664 columns.
func TestWidth(t *testing.T) {
	for n, want := range map[int]string{maxColumns: "", maxColumns + 1: "54011"} {
		items := strings.TrimSuffix(strings.Repeat("1, ", n), ", ")
		for _, sql := range []string{"SELECT " + items, "SELECT ROW(" + items + ")"} {
			trees, err := Parse(sql)
			if err != nil {
				t.Fatal(err)
			}
			code := ""
			if _, err := Analyze(trees[0], testEnv(t)); err != nil {
				code = access.AsError(err).Code
			}
			if code != want {
				t.Errorf("%d in %s...: %q", n, sql[:12], code)
			}
		}
	}
}

// Nested statements must end in an error, long lists must not.
func TestDepth(t *testing.T) {
	r := strings.Repeat
	const n = 50_000
	deep := map[string]string{
		"parentheses": "SELECT " + r("(", n) + "1" + r(")", n),
		"subqueries":  r("SELECT (", n) + "SELECT 1" + r(")", n),
		"from":        r("SELECT * FROM (", n) + "SELECT 1" + r(") s", n),
		"plus":        "SELECT 1" + r("+1", n),
		"plus_spaced": "SELECT 1" + r(" /* , AND ; */ + 1", n),
		"not":         "SELECT " + r("NOT ", n) + "true",
		"minus":       "SELECT " + r("- ", n) + "1",
		"cast":        "SELECT 1" + r("::int", n),
		"cast_length": "SELECT 1" + r("::varchar(1)", n),
		"union":       "SELECT 1" + r(" UNION SELECT 1", n),
		"union_list":  "SELECT 1, 2" + r(" UNION SELECT 1, 2", n),
		"join":        "SELECT 1 FROM a" + r(" CROSS JOIN a", n),
		"join_on":     "SELECT 1 FROM a" + r(" JOIN a ON 1 = 1 AND 2 = 2", n/2),
		"natural":     "SELECT 1 FROM a" + r(" NATURAL JOIN a", n),
		"case":        "SELECT " + r("CASE WHEN true THEN ", n/2) + "1" + r(" END", n/2),
		"functions":   "SELECT " + r("f(", n) + "1" + r(")", n),
		"arrays":      "SELECT " + r("ARRAY[", n) + "1" + r("]", n),
		"with":        r("WITH x AS (", n/2) + "SELECT 1" + r(") SELECT 1", n/2),
		"is_null":     "SELECT 1" + r(" IS NULL", n),
		"collate":     "SELECT 1" + r(" COLLATE x", n),
		"time_zone":   "SELECT 1" + r(" AT TIME ZONE 'x'", n),
		"concat":      "SELECT a" + r(" || a", n),
		"user_op":     "SELECT a" + r(" @#@ a", n),
		"isnull":      "SELECT 1" + r(" ISNULL", n),
		"operator":    "SELECT 1" + r(" OPERATOR(pg_catalog.+) 1", n/2),
		"second":      "SELECT 1; SELECT 1" + r("+1", n),
		"in_create":   "CREATE TABLE x (a int CHECK (a > 1" + r("+1", n) + "))",
	}
	for name, sql := range deep {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(sql)
			if e := access.AsError(err); e == nil || e.Code != "54001" && e.Code != "42601" {
				t.Errorf("got %v", err)
			}
		})
	}
	flat := map[string]string{
		"in":      "SELECT 1 IN (" + r("1, ", 100_000) + "1)",
		"or":      "SELECT " + r("a = 1 OR ", n) + "true",
		"and":     "SELECT " + r("a = 1 AND ", n) + "true",
		"values":  "VALUES " + r("(1, 'a'), ", n) + "(1, 'b')",
		"columns": "SELECT " + r("a + 1, ", n) + "1",
		"quoted":  "SELECT '" + r("+(", n) + "'",
		"case":    "SELECT CASE " + r("WHEN a = 1 THEN 2 ", n/2) + " END",
		"batch":   r("SELECT 1 + 1; ", n),
		"dollar":  "SELECT $x$" + r("((", n) + "$x$",
		"names":   "SELECT " + r("a.b.c, ", n) + "1",
		"calls":   "SELECT " + r("f(1), ", n) + "1",
		"comment": "SELECT 1 /*" + r("((", n) + "*/",
	}
	// Operands and comments do not count, so 1500 operators pass however many of these stand between them.
	for i, operand := range []string{"1", "1.5", "'x'", "a", "$1", "B'1'", "X'1'", "a.b", "1 /* x */", "1 -- x\n"} {
		flat["operand_"+itoa(i)] = "SELECT '" + r("+", maxDepth) + "' || " + operand + r(" + "+operand, 1500)
	}
	flat["else"] = "SELECT '" + r("+", maxDepth) + "' || " + r("CASE WHEN a THEN b ELSE ", 1500) + "c" + r(" END", 1500)
	for name, sql := range flat {
		t.Run("flat_"+name, func(t *testing.T) {
			if _, err := Parse(sql); err != nil {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A text is looked at only if enough of its bytes could begin what deepens a tree: all of those have to count.
func TestDeepeningBytes(t *testing.T) {
	for _, c := range "abcdefijlnoprstuvwABCDEFIJLNOPRSTUVW([.$+-*/<>=~!@#%^&|`?:" {
		if deepening(string(c)) != 1 || deepening(string(c)+" "+string(c)) != 2 {
			t.Errorf("%c does not count", c)
		}
	}
	for _, c := range "gq09_ ,;)'\"" {
		if deepening(string(c)) != 0 {
			t.Errorf("%c counts", c)
		}
	}
}

// What the bound is made of, by the token that adds to it. Nesting too deep for it would end the process,
// flat lists that exceed it would be refused for nothing.
func TestTokenDepth(t *testing.T) {
	const n = 50
	r := strings.Repeat
	sums := "a" + r("+1", n)
	for name, tc := range map[string]struct {
		sql         string
		least, most int
	}{
		"nested_rows":        {"SELECT " + r("(1, ", n) + "1" + r(")", n), n, 2 * n},
		"nested_arrays":      {"SELECT " + r("ARRAY[1, ", n) + "1" + r("]", n), n, 3 * n},
		"nested_cases":       {"SELECT " + r("CASE WHEN a THEN b ELSE ", n) + "1" + r(" END", n), n, 2 * n},
		"rows":               {"VALUES " + r("(1), ", n) + "(1)", 1, 5},
		"arrays":             {"SELECT " + r("ARRAY[1], ", n) + "1", 1, 5},
		"cases":              {"SELECT " + r("CASE WHEN a THEN b END, ", n) + "1", 1, 5},
		"items":              {"SELECT " + r("-a, ", n) + "1", 1, 5},
		"conditions":         {"SELECT " + r("-a = 1 AND ", n) + "b", 1, 5},
		"alternatives":       {"SELECT " + r("-a = 1 OR ", n) + "b", 1, 5},
		"conditions_of_case": {"SELECT CASE WHEN a THEN " + sums + " WHEN " + sums + " THEN 1 END", n, n + 5},
		"results_of_case":    {"SELECT CASE WHEN " + sums + " THEN " + sums + " END", n, n + 5},
		"end_of_case":        {"SELECT CASE WHEN a THEN " + sums + " ELSE " + sums + " END", n, n + 5},
		"statements":         {r("SELECT -1; ", n), 1, 5},
	} {
		scan, err := pg.Scan(tc.sql)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := tokenDepth(scan.Tokens); got < tc.least || got > tc.most {
			t.Errorf("%s: %d, want %d to %d", name, got, tc.least, tc.most)
		}
	}
	joins := []pg.Token{pg.Token_JOIN, pg.Token_UNION, pg.Token_INTERSECT, pg.Token_EXCEPT, pg.Token_WITH, pg.Token_WITH_LA,
		pg.Token_SELECT, pg.Token_EXPLAIN, pg.Token_PREPARE, pg.Token_TABLE, pg.Token_VALUES}
	operands := []pg.Token{pg.Token_ICONST, pg.Token_FCONST, pg.Token_SCONST, pg.Token_BCONST, pg.Token_XCONST, pg.Token_IDENT, pg.Token_PARAM,
		pg.Token_SQL_COMMENT, pg.Token_C_COMMENT, pg.Token_ASCII_46}
	chain := []pg.Token{pg.Token_ASCII_43, pg.Token_NOT, pg.Token_COLLATE, pg.Token_TYPECAST}
	for want, kinds := range map[int][]pg.Token{n: joins, 1: chain, 0: operands} {
		for _, k := range kinds {
			var list []*pg.ScanToken
			for range n {
				list = append(list, &pg.ScanToken{Token: k}, &pg.ScanToken{Token: pg.Token_ASCII_44})
			}
			if got := tokenDepth(list); got != want {
				t.Errorf("%d of %s in a list: %d, want %d", n, k, got, want)
			}
		}
	}
}

// Within the size limit no statement may keep the analyzer busy for long: for seconds on a slow machine, and not for the minutes of what grows with the square.
func TestWorkIsBounded(t *testing.T) {
	r := strings.Repeat
	for name, sql := range map[string]string{
		"many_items":   "SELECT 1 FROM one a0" + numbered(", one a%", 60_000),
		"many_columns": "SELECT " + r("id, ", 1600) + "1 FROM customers c0" + numbered(", one a%", 1000),
		"refs":         "SELECT 1 IN (" + r("x,", 300_000) + "1) FROM one" + numbered(", orders a%", 1000),
		"stars":        "SELECT ROW(" + r("c.*,", 100_000) + "1) FROM customers c, orders o, salaries s",
		"select_stars": "SELECT " + r("*,", 300_000) + "1 FROM customers",
		"windows":      "SELECT " + r("sum(x) OVER w,", 1600) + "1 FROM one WINDOW w AS (ORDER BY " + r("x,", 300_000) + "x)",
		"nested_star":  nestedStars(200),
	} {
		t.Run(name, func(t *testing.T) {
			trees, err := Parse(sql)
			if err != nil {
				t.Fatal(err)
			}
			env, start := testEnv(t), processorTime(t)
			_, err = Analyze(trees[0], env)
			if d := processorTime(t) - start; d > 10*time.Second {
				t.Errorf("took %v of a processor (%v)", d, err)
			}
		})
	}
}

// What would take too long is refused: here 100,000 names, each compared with the columns of 1,000 tables.
func TestTooMuchWorkIsRefused(t *testing.T) {
	trees, err := Parse("SELECT 1 IN (" + strings.Repeat("x,", 100_000) + "1) FROM one" + numbered(", orders a%", 1000))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = Analyze(trees[0], testEnv(t)); access.AsError(err) == nil || access.AsError(err).Code != "54001" {
		t.Errorf("got %v", err)
	}
}

// Within the size limit no text may keep the lexer busy for long, be it answered or refused.
func TestLexingIsBounded(t *testing.T) {
	r := strings.Repeat
	const size = 900 << 10
	for name, c := range map[string]struct {
		pad     string
		refused bool
	}{
		"blanks":           {r(" ", size), false},
		"lines":            {r("\r\n\t", size/3), false},
		"comment":          {"/*" + r("x", size) + "*/", false},
		"stars":            {"/*" + r("*", size) + "*/", false},
		"separators":       {r("/*"+r("=", 200)+"*/\n", size/205), false},
		"comments":         {r("/**/ ", size/5), false},
		"nested_by_blanks": {r("/* ", size/6) + r("*/ ", size/6), false},
		"line_comments":    {r("--'\n", size/4), false},
		"one_line":         {"--" + r("/*+", size/3) + "\n", true}, // where a run begins is not looked at
		"long_line":        {"--" + r("; select 1 ", size/11) + "\n", false},
		"nested":           {r("/*", size/4) + r("*/", size/4), true},
		"nested_and_blank": {r("/*", size/8) + " " + r("*/", size/8), true},
		"in_a_row":         {r("/**/", size/4), true},
		"behind_operators": {r("+/**/", size/5), true},
	} {
		t.Run(name, func(t *testing.T) {
			start := processorTime(t)
			_, err := Parse("SELECT id " + c.pad + " FROM customers")
			if d := processorTime(t) - start; d > 3*time.Second {
				t.Errorf("took %v of a processor (%v)", d, err)
			}
			if c.refused != (err != nil) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// processorTime is what this process has used, which other processes do not make longer.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func numbered(pattern string, n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(pattern, "%", itoa(i+1)))
	}
	return b.String()
}

func nestedStars(n int) string {
	return strings.Repeat("SELECT * FROM (SELECT a.*, b.* FROM customers a, customers b, (", n) + "SELECT 1" + strings.Repeat(") z) y", n)
}
