package gateway

import (
	"context"
	"strconv"
	"strings"
	"testing"
)

// TestRepeatedValues has values that come again and again in columns of a large result, and others at the same places.
func TestRepeatedValues(t *testing.T) {
	w := newWorld(t)
	const query = `select g, case g % 4 when 0 then 'Den Haag' when 1 then 'ask jo@example.org' when 2 then 'row ' || g else null end as a, 'IBAN DE89370400440532013000' as b from generate_series(1, 900) g`
	want := func(g int) string { return []string{"Den Haag", "ask [email]", "row " + strconv.Itoa(g), ""}[g%4] }
	s := w.login("writer")
	defer s.Close()
	for range 2 {
		a := w.query(s, query)
		if len(a.rows) != 900 {
			t.Fatalf("%d rows, %v", len(a.rows), a.errs)
		}
		for i, row := range a.rows {
			if row[1] != want(i+1) && !(row[1] == "NULL" && want(i+1) == "") || row[2] != "IBAN [iban]" {
				t.Fatalf("row %d is %q", i+1, row)
			}
		}
		for _, r := range s.runs[:cap(s.runs)] {
			if r.repeats != nil || r.copy != nil {
				t.Error("values stay when their result has been released")
			}
		}
	}
}

func TestPhoneRegionsOfTheConfiguration(t *testing.T) {
	w := newWorld(t)
	const sql = "select '07911123456'::text as note"
	if got := w.value(w.login("agent"), sql); got != "07911123456" {
		t.Errorf("without a region: %s", got)
	}
	w.gw.Close()
	c := w.config()
	c.PhoneRegions = []string{"FR", "GB"}
	gw, err := Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	w.gw = gw
	if got := w.value(w.login("agent"), sql); got != "[phone]" {
		t.Errorf("in GB: %s", got)
	}
	c.DataDir, c.PhoneRegions = t.TempDir(), []string{"XX"}
	if _, err := Open(context.Background(), c); err == nil || !strings.Contains(err.Error(), `"XX"`) {
		t.Errorf("no such region: %v", err)
	}
}
