package fuzztwin

import (
	"context"
	"slices"
	"strings"
	"testing"

	"sallyport/evals/doors"
	"sallyport/evals/sqlsmith"
	"sallyport/evals/twin"
	"sallyport/internal/testdb"
)

func TestGrammarWritesWhatTheServerTakes(t *testing.T) {
	l, err := newLanguage(twin.Redact)
	if err != nil {
		t.Fatal(err)
	}
	dsn := testdb.Shared(t).NewDatabase(t, twin.PlainScripts(twin.Redact, false)...)
	c := doors.Client{Target: doors.Target{DSN: dsn + "&statement_timeout=1000"}, Keep: true}
	defer c.Close()
	const n = 600
	accepted, rows := 0, 0
	for i := range n {
		s := put(i, "grammar", l.statement(twin.Redact, 1, i), "simple")
		if again := l.statement(twin.Redact, 1, i); again != s.SQL() {
			t.Fatalf("statement %d is not the same the second time:\n%s\n%s", i, s.SQL(), again)
		}
		a := c.Run(context.Background(), doors.Direct, s.Statement)
		if sqlsmith.Accepted(a.Code) {
			accepted++
		} else {
			t.Logf("%s %s\n%s", a.Code, a.Error, mark(s.SQL(), a.At))
		}
		if a.Rows > 0 {
			rows++
		}
	}
	if accepted < n*9/10 || rows < n/2 {
		t.Errorf("of %d statements the server takes %d, and %d give rows", n, accepted, rows)
	}
}

// mark shows where an error points at.
func mark(sql string, at int) string {
	if at < 1 || at > len(sql) {
		return sql
	}
	return sql[max(0, at-60):at-1] + " >>> " + sql[at-1:min(len(sql), at+60)]
}

func TestLanguageKnowsEveryHole(t *testing.T) {
	l, err := newLanguage(twin.Redact)
	if err != nil {
		t.Fatal(err)
	}
	g := &generator{language: l}
	for of, templates := range l.productions {
		if typ := of[strings.LastIndexByte(of, ' ')+1:]; l.constants[typ] == nil {
			t.Errorf("%s: no such type", of)
		}
		for _, p := range templates {
			for _, hole := range strings.Split(p, "{")[1:] {
				hole, _, ok := strings.Cut(hole, "}")
				if ok && hole != "from" && !isHole(hole, g) && !strings.ContainsAny(hole, `"'`) && hole != "" && hole != "pan" {
					t.Errorf("%s: %s: no such hole: {%s}", of, p, hole)
				}
			}
		}
	}
}

func TestTokensLeaveComputedViewsOut(t *testing.T) {
	for kind, want := range map[twin.Kind]bool{twin.Token: false, twin.Filter: true} {
		l, err := newLanguage(kind)
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.ContainsFunc(l.relations, func(r relation) bool { return r.name == "pv_expr" }); got != want {
			t.Errorf("%s: pv_expr is there: %t", kind, got)
		}
	}
}
