package web

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v5"
)

// TestScanFollowsAConstantOverLines: where a constant with escapes goes on after a line break, its escapes do too. Taken for its end, a quote within it has
// the rest of the statement shown as a comment, or within a constant, which the database runs.
func TestScanFollowsAConstantOverLines(t *testing.T) {
	for sql, want := range map[string][]string{ // its constants and comments
		"update t set a = e'x'\n'\\', n = 1 where id = 7 --', n = 9":    {"'x'", "'\\', n = 1 where id = 7 --'"},
		"update t set a = E'x' -- y\n 'z\\'', n = '1'":                  {"'x'", "-- y", "'z\\''", "'1'"},
		"update t set a = 'x'\n'\\', n = '1'":                           {"'x'", "'\\'", "'1'"},
		"select e'x' '\\'":                                              {"'x'", "'\\'"},
		"select e'x', \n'\\'":                                           {"'x'", "'\\'"},
		"select e'x'\n/* a block */ '\\'":                               {"'x'", "/* a block */", "'\\'"},
		"select e'x'\r'\\'' -- and\n\n 'y\\' -- z' as a":                {"'x'", "'\\''", "-- and", "'y\\' -- z'"},
		"select e'x'\n'y', '\\', n from t where a = e'\\'' or b = '\\'": {"'x'", "'y'", "'\\'", "'\\''", "'\\'"},
	} {
		var got []string
		for _, tok := range scan(sql) {
			if tok.Kind == kindString || tok.Kind == kindComment {
				got = append(got, tok.Text)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: constants and comments are %q, want %q", sql, got, want)
		}
	}
}

// TestScanAgreesWithPostgreSQL: what PostgreSQL's scanner takes for code is shown as code, and what it takes for a comment as a comment, in texts made of what
// begins and ends them. (Where U&” ends, pg_query does not say.)
func TestScanAgreesWithPostgreSQL(t *testing.T) {
	pieces := []string{"'", "'", "'", `\`, "e", "E", "'", "\n", "\r", " ", "--", "-", "/", "*", "/*", "*/", "$$", "$", "$a$", "a", `"`, "1", ".", ",", "x", "n", ";", "+", "\t", "b", "é", "e'", "'\n'", `\'`}
	commented := regexp.MustCompile(`'\s*--`) // a constant goes on after a comment and a line break, which pg_query does not know, and takes for a syntax error
	r := rand.New(rand.NewPCG(5, 8))
	compared := 0
	for range 60000 {
		var b strings.Builder
		for range 2 + r.IntN(14) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		sql := b.String()
		res, err := pg.Scan(sql)
		if err != nil || commented.MatchString(sql) {
			continue
		}
		compared++
		theirs := []byte(strings.Repeat(".", len(sql)))
		for _, tok := range res.Tokens {
			kind := byte('.')
			switch tok.Token {
			case pg.Token_SQL_COMMENT, pg.Token_C_COMMENT:
				kind = 'c'
			case pg.Token_SCONST, pg.Token_USCONST, pg.Token_BCONST, pg.Token_XCONST:
				kind = 's'
			}
			for i := tok.Start; i < tok.End && kind != '.'; i++ {
				theirs[i] = kind
			}
		}
		at, ok := 0, true
		for _, tok := range scan(sql) {
			for i := at; i < at+len(tok.Text); i++ {
				switch is := theirs[i]; {
				case tok.Kind == kindSpace:
				case tok.Kind == kindString:
					ok = ok && is == 's'
				case tok.Kind == kindComment:
					ok = ok && is == 'c'
				default:
					ok = ok && (is == '.' || is == 's' && strings.ContainsRune("eExXbBnN", rune(sql[i])))
				}
			}
			at += len(tok.Text)
		}
		if !ok {
			t.Fatalf("%q is cut into %q, and by PostgreSQL %q", sql, scan(sql), theirs)
		}
	}
	if compared < 5000 {
		t.Errorf("%d texts were compared", compared)
	}
}
