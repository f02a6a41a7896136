package gateway

import (
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/approval"
)

// TestExplainOpensNothing: EXPLAIN DECLARE makes no cursor, so what is read of the one that has the name is judged and counted as before.
func TestExplainOpensNothing(t *testing.T) {
	for name, other := range map[string]string{
		"simple":   "explain declare c cursor with hold for select id from orders",
		"verbose":  "explain verbose declare c cursor for select 1",
		"the same": "explain declare c cursor with hold for select id from customers",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.login("agent")
			defer s.Close()
			wantNoError(t, w.query(s, "begin"))
			wantNoError(t, w.query(s, "declare c cursor for select id from customers"))
			if a := w.query(s, "fetch 60 from c"); len(a.rows) != 60 {
				t.Fatalf("%d rows, %q", len(a.rows), a.errs)
			}
			wantNoError(t, w.query(s, other))
			rows := 0
			for range 3 {
				rows += len(w.query(s, "fetch 60 from c").rows)
			}
			if rows != 40 { // of 100
				t.Errorf("%d more rows of a cursor that may give 40", rows)
			}
		})
	}
	t.Run("reveal", func(t *testing.T) {
		w, s, r := emailRevealed(t)
		wantNoError(t, w.query(s, "begin"))
		wantNoError(t, w.query(s, "declare c cursor for select email from customers"))
		if a := w.query(s, "fetch 1 from c"); len(a.rows) != 1 || !strings.Contains(a.rows[0][0], "@example.com") {
			t.Fatalf("what is revealed is not shown: %v %q", a.rows, a.errs)
		}
		if err := w.decide("keeper", r.ID, ReviewVote{Verdict: approval.Refuse}); err != nil {
			t.Fatal(err)
		}
		wantNoError(t, w.query(s, "explain declare c cursor for select 1"))
		if a := w.query(s, "fetch 1 from c"); len(a.rows) > 0 {
			t.Errorf("shown after it was taken back: %v", a.rows)
		}
	})
}

// TestExplainAnalyzeRunsWhatItDeclares: what it sets in front of what was approved, in the same burst, is looked at first.
func TestExplainAnalyzeRunsWhatItDeclares(t *testing.T) {
	w := meaningWorld(t, "", nil)
	s := w.loginAt(access.DoorPGWire, "asker")
	const dated = holdWhere + "= case date '02/01/2030' when date '2030-02-01' then 1 else 2 end"
	wantNoError(t, w.query(s, "set datestyle = 'ISO, DMY'"))
	w.approvedFor(s, messages{}.run(dated).sync()...)
	a := w.do(s, messages{}.run("explain (analyze) declare c cursor for select set_config('datestyle', 'ISO, MDY', false)").run(dated).sync()...)
	if w.changed() != "0" || len(a.errs) == 0 {
		t.Errorf("ran under other settings than those that were approved: %q %q", a.tags, a.errs)
	}
}
