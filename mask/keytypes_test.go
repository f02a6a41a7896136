package mask_test

import (
	"fmt"
	"testing"

	"sallyport/internal/access"
	"sallyport/mask"
)

// TestKeysOfEachTypeNameOneRow: a write that gives a key concerns one row, and asks one thing of the values that a
// constraint compares; where several keys could be equal to what is given, what it asks is not known.
func TestKeysOfEachTypeNameOneRow(t *testing.T) {
	const int2, int4, int8, text, varchar, numeric, uuid = 21, 23, 20, 25, 1043, 1700, 2950
	for _, c := range []struct {
		typ    uint32
		equals string
		one    bool
	}{
		{int2, "1", true}, {int2, "$1", true}, {int2, "$1::int8", true}, {int2, "$1::int2", true}, {int2, "1::numeric", false},
		{int4, "1", true}, {int4, "$1", true}, {int4, "$1::int8", true}, {int4, "1::float4", false}, // float4 has one number for 16777216 and 16777217
		{int8, "1", true}, {int8, "$1::int8", true}, {int8, "$1", false}, {int8, "1::float8", false},
		{text, "'a'", true}, {text, "$1", true}, {text, "$1::varchar", true}, {text, "$1::bpchar", false},
		{varchar, "'a'", true}, {varchar, "$1::text", true}, {varchar, "$1::varchar", true}, {varchar, "'a'::text", true}, {varchar, "$1", false}, {varchar, "'a'::bpchar", false},
		{uuid, "'c4ca4238-a0b9-2382-0dcc-509a6f75849b'", true}, {uuid, "$1", true}, {uuid, "$1::uuid", true},
		{numeric, "1", true}, {numeric, "$1", false},
	} {
		for _, sql := range []string{"DELETE FROM plain WHERE id = %s", "UPDATE plain SET note = lower(note) WHERE %s = id AND note IS NULL"} {
			sql = fmt.Sprintf(sql, c.equals)
			w := handWorld(t)
			plain := w.cat.Relations[public("plain")]
			plain.Column("id").TypeOID = c.typ
			plain.Constraints = []access.Constraint{{Name: "plain_pkey", Type: 'p', Columns: []string{"id"}}}
			in := w.input(t, sql)
			in.Decision.Compares = true
			got, err := mask.Compile(in)
			if err != nil {
				t.Fatal(sql, err)
			}
			if c.one && got.Probes.Fixed != 1 || got.Probes.Unknown == c.one {
				t.Errorf("type %d: %s asks %+v, one row: %v", c.typ, sql, got.Probes, c.one)
			}
		}
	}
}
