package mask

import (
	"context"
	"slices"
	"strings"
	"testing"
)

// TestArrayItemsAreTheServers: what is taken for the items of an array is what the server reads, but for NULLs and for white
// space at an item's end.
func TestArrayItemsAreTheServers(t *testing.T) {
	conn := connect(t)
	for _, text := range []string{
		"{}", "{a}", "{a,b}", "{ a , b }", "\t{\n a\v,\fb\r}", `{"a","b,c"}`, `{ "a" , "" }`, `{\a,b\,c}`, `{a\\,\"b\"}`, `{"a\"b","\{c\}"}`, `{\ a}`, `{a b,"  c"}`, "{{a,b},{c,d}}",
		"{ { a , b } , { c , d } }", "[0:1]={a,b}", " [2:3] = { a , b }", "{NULL,a}", `{"NULL"}`, `{ü,"é\é"}`,
	} {
		var want []string
		rows, err := conn.Query(context.Background(), "SELECT coalesce(x, 'NULL') FROM unnest(CAST($1 AS text[])) x", text)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var s string
			if err := rows.Scan(&s); err != nil {
				t.Fatal(err)
			}
			want = append(want, strings.TrimRight(s, " "))
		}
		if rows.Err() != nil {
			t.Fatalf("%q: %v", text, rows.Err())
		}
		if got, ok := arrayItems(text); !ok || !slices.Equal(got, want) {
			t.Errorf("%q has %q, the server says %q", text, got, want)
		}
	}
}
