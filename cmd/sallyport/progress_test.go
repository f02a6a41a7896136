package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"sallyport/internal/access"
)

// TestProgress draws on a terminal only, and lets no table's name move the cursor.
func TestProgress(t *testing.T) {
	var b bytes.Buffer
	p := &progress{w: &b, terminal: true}
	p.show(1, 3, access.Name{Schema: "public", Name: "a\x1b[2J\r" + strings.Repeat("b", 100)})
	if got := b.String(); !strings.HasPrefix(got, "\r\x1b[K[==========                    ] 1/3 public.a") || strings.Count(got, "\x1b") != 1 || strings.Count(got, "\r") != 1 || len(got) > 100 {
		t.Errorf("%q", got)
	}
	b.Reset()
	p.show(3, 3, access.Name{})
	p.clear()
	if got := b.String(); got != "\r\x1b[K["+strings.Repeat("=", 30)+"] 3/3 \r\x1b[K" {
		t.Errorf("%q", got)
	}
	f, err := os.Create(t.TempDir() + "/log")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p = newProgress(f)
	p.show(1, 3, access.Name{Name: "a"})
	p.clear()
	if st, err := f.Stat(); err != nil || st.Size() > 0 {
		t.Errorf("a file got %v bytes: %v", st.Size(), err)
	}
}

func TestColumnPattern(t *testing.T) {
	id := access.ColumnID{Relation: access.Name{Schema: "public", Name: "Orders"}, Column: "id.x"}
	for pattern, want := range map[string]bool{"public.orders.*": true, "*.*.*": true, "PUBLIC.o?ders.i*x": true, "public.orders.id": false, "public.order.*": false, "x.*.*": false} {
		match, err := columnPattern(pattern)
		if err != nil || match(id) != want {
			t.Errorf("%s: matches %v (%v)", pattern, !want, err)
		}
	}
	for _, bad := range []string{"", "a.b", "a..c", "a.b.c.d"} {
		if _, err := columnPattern(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
