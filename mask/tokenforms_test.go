package mask_test

import (
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/mask"
)

const someToken = "tok_ghjklmnpqrtvwxyzghjklmnp"

// TestListsHoldTokensInAnyForm: a list of text is looked at as the server reads it. Values are compared raw, tokens with what
// the mask shows, and both where there are both.
func TestListsHoldTokensInAnyForm(t *testing.T) {
	for list, want := range map[string]string{
		"{}": "raw", "{a,b}": "raw", `{\\` + someToken + "}": "raw", "{x" + someToken + "}": "raw", `{x\t}`: "raw",
		"{" + someToken + "}": "shown", `{"` + someToken + `"}`: "shown", `{\` + someToken + "}": "shown", "{\t" + someToken + " }": "shown", "[0:0]={" + someToken + "}": "shown",
		"{a," + someToken + "}": "both", "{a, " + someToken + "}": "both", `{a,tok\` + someToken[3:] + "}": "both", `{"a, b" , "` + someToken + `"}`: "both",
	} {
		w := handWorld(t)
		in := w.input(t, "SELECT id FROM customers WHERE code = ANY ('"+list+"')")
		in.Decision.Lookup = []access.ColumnID{id("customers.code")}
		c, err := mask.Compile(in)
		if err != nil {
			t.Fatal(list, err)
		}
		got := "shown"
		switch {
		case strings.Contains(c.SQL, " OR CASE WHEN code IS NULL"):
			got = "both"
		case strings.Contains(c.SQL, "FROM public.customers WHERE code = ANY("):
			got = "raw"
		}
		if got != want {
			t.Errorf("%s is compared with what is %s, want %s: %s", list, got, want, c.SQL)
		}
	}
}

// TestValuesFoundAreNoConstants: the statement that finds a token's value names the token, which is not what is stored, and
// certainly not in another column.
func TestValuesFoundAreNoConstants(t *testing.T) {
	both := func(w *world, in *mask.Input) {
		masks, err := mask.NewMasks([]access.Mask{{Label: "pii.email", Transform: "token"}, {Label: "id.code", Transform: "token"}})
		if err != nil {
			t.Fatal(err)
		}
		in.Masks, in.Decision.Lookup = masks, []access.ColumnID{id("customers.code")}
		in.Decision.Resolve = []access.TokenSource{{Target: id("customers.code"), Source: id("customers.code")}}
	}
	const insert = "INSERT INTO customers (id, code, email) SELECT 1, '" + someToken + "', v.e FROM (VALUES "
	compileByHand(t, []hand{
		{"beside_a_value", insert + "('ada@example.org')) v(e)", both, "sallyport: no value has"},
		{"beside_a_token", insert + "('tok_zyxwvtrqpnmlkjhgzyxwvtrq')) v(e)", both, "has the form of a masked value of public.customers.email"},
	})
}

// TestOptionsOfCopiedTokens: rows with tokens are taken as the client writes them and stored in the server's own format;
// where an option says something else of their values, tokens are none.
func TestOptionsOfCopiedTokens(t *testing.T) {
	for options, taken := range map[string]bool{
		"": true, " (FORMAT csv)": true, " (FORMAT binary)": true, " (ENCODING 'UTF8')": true, " (FORMAT csv, ENCODING 'utf-8', HEADER, DELIMITER ';', QUOTE '''', ESCAPE '@', NULL 'x')": true,
		" (FREEZE)": false, " (FORMAT csv, FORCE_NULL (code))": false, " (FORMAT csv, FORCE_NOT_NULL (code))": false,
	} {
		w := handWorld(t)
		in := w.input(t, "COPY customers (id, code) FROM STDIN"+options)
		in.Decision.Lookup = []access.ColumnID{id("customers.code")}
		in.Decision.Resolve = []access.TokenSource{{Target: id("customers.code"), Source: id("customers.code")}}
		got, err := mask.Compile(in)
		if err != nil {
			t.Fatal(options, err)
		}
		if (got.Copied != nil) != taken {
			t.Errorf("%s: %+v", options, got.Copied)
		}
		if taken && len(got.Copied.Columns) != 2 || taken && got.Copied.Columns[1].Token(someToken) != someToken {
			t.Errorf("%s: %+v", options, got.Copied)
		}
	}
}
