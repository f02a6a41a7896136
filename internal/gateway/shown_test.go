package gateway

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/access"
)

// TestRecordTellsWhatWasShown: of labelled columns that a statement uses the record says which were masked and
// which were not, for whole rows too.
func TestRecordTellsWhatWasShown(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		who, sql string
		labels   []access.Label
		shown    []string
		masked   int
	}{
		{"thrifty", "select email from customers where id = 1", []access.Label{"pii.email"}, nil, 1},
		{"thriftyraw", "select email from customers where id = 2", []access.Label{"pii.email"}, []string{"public.customers.email"}, 0},
		{"thriftyraw", "select c from customers c where id = 3", []access.Label{"pii.email", "pii.ssn"}, []string{"public.customers.email", "public.customers.ssn"}, 0},
		{"thriftyraw", "select id from customers where id = 4", nil, nil, 0},
		{"agent", "select v from secrets", nil, nil, 0},
	} {
		s := w.login(c.who)
		w.query(s, c.sql)
		s.Close()
		var got access.PlanRecord
		for _, r := range w.records() {
			if r.SQL == c.sql {
				if err := json.Unmarshal(r.Plan, &got); err != nil {
					t.Fatal(err)
				}
			}
		}
		var shown []string
		for _, s := range got.Shown {
			shown = append(shown, s.Column)
		}
		if diff := cmp.Diff(c.labels, got.Labels); diff != "" {
			t.Errorf("%s: labels of %s (-want +got):\n%s", c.who, c.sql, diff)
		}
		if diff := cmp.Diff(c.shown, shown); diff != "" || len(got.Masks) != c.masked {
			t.Errorf("%s: %s masks %v and shows (-want +got):\n%s", c.who, c.sql, got.Masks, diff)
		}
	}
}
