package mask

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
)

// TestConstrainedDomains pins down what is seen of a domain with constraints: the masked value where they admit
// it, else NULL, of the domain's own type in both cases.
func TestConstrainedDomains(t *testing.T) {
	ctx := context.Background()
	conn := connect(t, typeSchema+`
		CREATE FUNCTION kind_of(text) RETURNS text LANGUAGE sql AS $$ SELECT 'text' $$;
		CREATE FUNCTION kind_of(address) RETURNS text LANGUAGE sql AS $$ SELECT 'address' $$;`)
	cat := loadTypes(t, conn)
	redact, email, generic, ten := Transform{}, Transform{Kind: Partial, Style: "email"}, Transform{Kind: Partial, Style: "generic"}, Transform{Kind: Generalise, Bucket: "10"}
	for i, c := range []struct {
		typ   string
		tr    Transform
		value string
		wants string // as text, "" for NULL
	}{
		{"address", email, "'alice@example.org'", "a***@example.org"},
		{"address", redact, "'alice@example.org'", ""},
		{"address", Transform{Kind: Token}, "'alice@example.org'", ""},
		{"address", Transform{Kind: Null}, "'alice@example.org'", ""},
		{"required", redact, "'x'", "***"},
		{"required", Transform{Kind: Null}, "'x'", ""},
		{"required_address", email, "'alice@example.org'", "a***@example.org"},
		{"required_address", redact, "'alice@example.org'", ""},
		{"positive", ten, "47", "40"},
		{"percent", ten, "47.5", "40.00"},
		{"percent", ten, "7.5", ""},
		{"recent", Transform{Kind: Generalise, Style: "year"}, "'2024-05-06'", "2024-01-01"},
		{"citext_address", email, "'alice@example.org'", "a***@example.org"},
		{"citext_address", email, "'alice@x.io'", ""},
		{"checked_width", generic, "'alice'", "a***"},
		{"by_function", generic, "'alice'", ""},
		{"by_function", redact, "'alice'", ""},
		{"failing", generic, "'alice'", ""},
		{"folded_check", generic, "'alice'", ""},
		{"fussy", generic, "'alice'", ""},
		{"fussy", generic, "'bob'", ""},
		{"short_list", generic, "'{alice,NULL}'", "{a***,NULL}"},
		{"address[]", email, "'{alice@x.io,NULL}'", "{a***@x.io,NULL}"},
		{"address[]", generic, "'{alice@x.io}'", "{NULL}"},
		{"address[]", email, "'[0:1][5:5]={{alice@x.io},{bob@y.io}}'", "[0:1][5:5]={{a***@x.io},{b***@y.io}}"},
		{"address[]", email, "'{{alice@x.io},{NULL}}'", ""},
		{"required[]", Transform{Kind: Null}, "'{x}'", ""},
		{"plain_domain[]", generic, "'{{alice,NULL},{\"bob, jr\",\"\"}}'", "{{a***,NULL},{b***,***}}"},
		{"addresses", email, "'{alice@x.io}'", "{a***@x.io}"},
	} {
		table := fmt.Sprintf("d%d", i)
		if _, err := conn.Exec(ctx, fmt.Sprintf("CREATE TABLE %s (c %s); INSERT INTO %[1]s VALUES (%[3]s)", table, c.typ, c.value)); err != nil {
			t.Fatal(err)
		}
		expr := deparsed(t, c.tr, shapeOf(cat, columnOf(t, conn, table)))
		var got pgtype.Text
		var same bool
		if err := conn.QueryRow(ctx, fmt.Sprintf("SELECT (%s)::text, pg_typeof(%[1]s) = pg_typeof(c) FROM %s", expr, table)).Scan(&got, &same); err != nil {
			t.Fatalf("%s of %s: %v\n%s", c.tr, c.typ, err, expr)
		}
		if got.Valid != (c.wants != "") || got.String != c.wants || !same {
			t.Errorf("%s of %s %s is %q (of its own type: %v), want %q", c.tr, c.typ, c.value, got.String, same, c.wants)
		}
		if c.typ == "address" {
			if err := conn.QueryRow(ctx, fmt.Sprintf("SELECT kind_of(%s) FROM %s", expr, table)).Scan(&got); err != nil || got.String != "address" {
				t.Errorf("the function for %s is called: %v", got.String, err)
			}
		}
	}
}

// TestReadCheck lists constraints that could fail, or that are decided by more than the value.
func TestReadCheck(t *testing.T) {
	conn := connect(t, typeSchema)
	cat := loadTypes(t, conn)
	for sql, ok := range map[string]bool{
		"VALUE ~ '@'::text": true, "((VALUE)::text <> 'x'::text)": true, "(VALUE > 0)": true, "(VALUE > ('-5'::integer)::numeric)": false, "(VALUE = ANY (ARRAY['a'::text, 'b'::text]))": true,
		"((VALUE >= 0) AND (VALUE <= 150))": true, "(VALUE IS NOT NULL)": true, "(length(VALUE) < 9)": true, "(VALUE > '2000-01-01'::date)": true,
		"((VALUE)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[]))": true,
		"(VALUE > '01.02.2000'::date)": false, "(VALUE < CURRENT_DATE)": false, "((VALUE)::integer > 0)": false, "((100 / VALUE) > 1)": false, "public.agrees(VALUE)": false,
		"(VALUE OPERATOR(public.===) 'x'::text)": false, "(VALUE ~ VALUE)": false, "((VALUE)::text[] = '{}'::text[])": false, "(VALUE = 'sallyport_check'::text)": false,
		"(random() > 0.5)": false, "((VALUE).a IS NOT NULL)": false, "(VALUE = ( SELECT 'x'::text))": false, "(CASE WHEN true THEN VALUE END = 'x'::text)": false, "(other = 1)": false,
		"(VALUE = '1 day'::interval)": false, "(VALUE COLLATE \"C\") = 'x'": false, "((VALUE = 'x'::text) IS TRUE)": true,
		"(VALUE <> ALL (ARRAY['a'::text, 'b'::text]))": true, "(VALUE ~ ALL (ARRAY[VALUE]))": false, "(VALUE + 1) <> ALL (ARRAY[1])": false,
		"(VALUE IS DISTINCT FROM 'x'::text)": false, "(NOT (VALUE IS DISTINCT FROM 'x'::text))": false,
	} {
		if text, got := readCheck(cat, sql); got != ok {
			t.Errorf("%s: %v (%s), want %v", sql, got, text, ok)
		}
	}
}
