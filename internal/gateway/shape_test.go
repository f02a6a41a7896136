package gateway

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/testcorpus"
)

// literalTokens is what PostgreSQL's own scanner calls literals: the oracle for cut.
func literalTokens(t *testing.T, sql string) (spans []span, ok bool) {
	res, err := pg.Scan(sql)
	if err != nil {
		return nil, false
	}
	for _, tok := range res.Tokens {
		switch tok.Token {
		case pg.Token_ICONST, pg.Token_FCONST, pg.Token_SCONST, pg.Token_USCONST, pg.Token_BCONST, pg.Token_XCONST:
			spans = append(spans, span{int(tok.Start), int(tok.End)})
		}
	}
	return spans, true
}

func checkCut(t *testing.T, sql string) (cut bool) {
	var b shapeBuffer
	if !b.cut(sql) {
		return false
	}
	want, ok := literalTokens(t, sql)
	if !ok {
		return false // it does not lex, so it will not parse
	}
	if len(want) != len(b.lits) {
		t.Fatalf("%q: cut %v, PostgreSQL's scanner says %v", sql, b.lits, want)
	}
	for i := range want {
		if want[i] != b.lits[i] {
			t.Fatalf("%q: literal %d is at %v, PostgreSQL's scanner says %v", sql, i, b.lits[i], want[i])
		}
	}
	return true
}

func TestCutAgreesWithTheServersScanner(t *testing.T) {
	for _, sql := range []string{
		"SELECT abalance FROM pgbench_accounts WHERE aid = 4242;", "select 'it''s', 1.5, 12345678901", "select a1, b_2 from t3 where x='y'",
		`select "a'b" from t where "c""d" = 'e'`, "select 1,-2,+3", "select '日本' = x", "select x[1:2], (1)",
	} {
		if !checkCut(t, sql) {
			t.Errorf("%q was not cut", sql)
		}
	}
}

func TestCutGivesUpOnWhatIsNotPlain(t *testing.T) {
	for _, sql := range []string{
		"select 1 -- 2", "select /* 1 */ 2", "select $1, 2", "select $$1$$", "select E'a\\'b'", "select U&'a'", "select b'1'", "select x'1F'", "select N'a'",
		`select U&"a" from t where a = 1`, "select 1e5", "select 0x1F", "select 1_000", "select .5", "select 1..2", "select é = 1", "select 'a\\'", "select 'open",
		"select 1; select 2", "select '\x00'", "select 1a", "select 'a'b", "select 'a' 'b'", "select 'a'\n 'b'",
	} {
		var b shapeBuffer
		if b.cut(sql) {
			t.Errorf("%q was cut to %q", sql, b.key)
		}
	}
}

func TestCutAgreesOnTheRegressionCorpus(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(testcorpus.Path(t, "sql/regress"), "*.sql"))
	if len(files) == 0 {
		t.Fatal("the regression corpus has no files")
	}
	cut := 0
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, sql := range strings.SplitAfter(string(text), ";") {
			if checkCut(t, strings.TrimSpace(sql)) {
				cut++
			}
		}
	}
	if cut < 5000 {
		t.Errorf("only %d statements were cut: the oracle has seen too little", cut)
	}
	t.Logf("%d statements cut as PostgreSQL's scanner does", cut)
}

func FuzzCut(f *testing.F) {
	f.Add("select a from t where b = 'c' and d = 5")
	f.Fuzz(func(t *testing.T, sql string) { checkCut(t, sql) })
}
