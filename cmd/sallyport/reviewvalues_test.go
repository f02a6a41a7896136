package main

import (
	"reflect"
	"strings"
	"testing"

	"sallyport/internal/gateway"
	"sallyport/internal/web"
)

// TestValuesAreToldApart: NULL, bytes that cannot be told and texts that say the same are not printed alike.
func TestValuesAreToldApart(t *testing.T) {
	r := &web.Review{ReviewRequest: &gateway.ReviewRequest{}}
	r.Binding.Params = []gateway.ReviewParam{{Null: true, Type: 25, Named: "text"}, {Text: "NULL", Type: 25, Named: "text"}, {Text: "NULL for parameter $3"}, {Text: `\x00`, Opaque: true, Binary: true}, {Text: "7", Named: "integer", Binary: true}}
	var b strings.Builder
	printValues(&b, r)
	want := []string{"1  NULL for parameter $1 (text)", "2  parameter $2 (text) NULL", "3  parameter $3   NULL for parameter $3", `4  bytes, that cannot be told for certain, for parameter $4 \x00`, "5  parameter $5 (integer) in binary 7"}
	var got []string
	for line := range strings.SplitSeq(b.String(), "\n") {
		if line = strings.TrimSpace(line); line != "" && line != "Values" {
			got = append(got, line)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
}

// TestRangesOfNull: NULL is granted where a flag names it, or where it stays as it is.
func TestRangesOfNull(t *testing.T) {
	values := []gateway.ReviewValue{{Text: "NULL"}, {Null: true}, {Text: "7"}}
	for spec, want := range map[string][]gateway.ReviewRange{
		"3=any":          {{In: []string{"NULL"}}, {Null: true}, {Any: true}},
		"3=any 3=null":   {{In: []string{"NULL"}}, {Null: true}, {Any: true, Null: true}},
		"3=null 3=1..9":  {{In: []string{"NULL"}}, {Null: true}, {Null: true, Least: "1", Most: "9"}},
		"2=in:x":         {{In: []string{"NULL"}}, {In: []string{"x"}}, {In: []string{"7"}}},
		"1=null":         {{Null: true}, {Null: true}, {In: []string{"7"}}},
		"1=null 1=in:na": {{Null: true, In: []string{"na"}}, {Null: true}, {In: []string{"7"}}},
	} {
		got, err := reviewRanges(strings.Fields(spec), values)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v %v", spec, got, err)
		}
	}
}

// TestEmptyLinesAreCounted: they do not push what comes after them out of sight.
func TestEmptyLinesAreCounted(t *testing.T) {
	var b strings.Builder
	printSQL(&b, "update t set a = '"+strings.Repeat("\n", 400)+"' or id > 0\n\nreturning \u28001")
	if got, want := b.String(), "  | update t set a = '\n  ⋮ 399 empty lines\n  | ' or id > 0\n  | \n  | returning \\u{2800}1\n"; got != want {
		t.Errorf("%q", got)
	}
}
