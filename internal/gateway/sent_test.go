package gateway

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/approval"
	"sallyport/internal/pgframe"
)

// sending is a statement with parameters as bytes; nil is NULL.
func sending(sql string, oids []uint32, formats []int16, values ...[]byte) []Op {
	b, at := pgframe.Begin(nil, 'B')
	b = binary.BigEndian.AppendUint16(append(b, 0, 0), uint16(len(formats)))
	for _, f := range formats {
		b = binary.BigEndian.AppendUint16(b, uint16(f))
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(values)))
	for _, v := range values {
		if v == nil {
			b = binary.BigEndian.AppendUint32(b, 0xFFFFFFFF)
			continue
		}
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
	}
	return []Op{{Kind: OpParse, SQL: sql, ParamOIDs: oids}, {Kind: OpBind, Raw: pgframe.End(append(b, 0, 0), at)}, {Kind: OpExecute}, {Kind: OpSync}}
}

// TestWhatIsShownCountedAndRunIsOne holds what a reviewer is shown of parameters, and what is counted for them, against what runs.
func TestWhatIsShownCountedAndRunIsOne(t *testing.T) {
	for name, c := range map[string]struct {
		sql   string
		oids  []uint32
		form  int16
		value []byte
		want  approval.Param
		rows  int64
	}{
		"null":                      {"update customers set region = 'held' where id > 0 and $1::text is null", nil, 0, nil, approval.Param{Null: true, Type: 25, Named: "text"}, 200},
		"the_text_null":             {"update customers set region = 'held' where id > 0 and $1::text is null", nil, 0, []byte("NULL"), approval.Param{Text: "NULL", Type: 25, Named: "text"}, 0},
		"declared_bytea":            {"update customers set region = 'held' where id > 0 and octet_length($1) < 3", []uint32{17}, 0, []byte(`\x4142`), approval.Param{Text: `\x4142`, Type: 17, Named: "bytea"}, 200},
		"four_letters_in_binary":    {"update customers set region = 'held' where id > 0 and $1::text = 'open'", nil, 1, []byte("open"), approval.Param{Text: "open", Type: 25, Named: "text", Binary: true, Bytes: []byte("open")}, 200},
		"a_float_in_binary":         {"update orders set amount = 0 where amount > $1::float8 and id > 0", nil, 1, binary.BigEndian.AppendUint64(nil, 0x3ff0000000000000), approval.Param{Text: "1", Type: 701, Named: "double precision", Binary: true, Bytes: binary.BigEndian.AppendUint64(nil, 0x3ff0000000000000)}, 4999},
		"an_integer_in_binary":      {"update customers set region = 'held' where id <= $1", nil, 1, []byte{0, 0, 0, 7}, approval.Param{Text: "7", Type: 23, Named: "integer", Binary: true, Bytes: []byte{0, 0, 0, 7}}, 7},
		"what_cannot_be_told":       {"update customers set region = 'held' where id > 0 and $1::timetz is not null", nil, 1, make([]byte, 12), approval.Param{Text: `\x000000000000000000000000`, Type: 1266, Named: "timetz", Binary: true, Bytes: make([]byte, 12), Opaque: true}, 200},
		"an_array_in_binary":        {"update customers set region = 'held' where id = any($1)", nil, 1, unhex(t, "0000000100000000000000170000000200000001000000040000000300000004000000ff"), approval.Param{Text: "{3,255}", Type: 1007, Named: "integer[]", Binary: true, Bytes: unhex(t, "0000000100000000000000170000000200000001000000040000000300000004000000ff")}, 1},
		"a_null_of_a_declared_type": {"update customers set region = 'held' where id > 0 and $1 is null", []uint32{20}, 1, nil, approval.Param{Null: true, Type: 20, Named: "bigint"}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			w := heldWorld(t, func(c *Config) { c.Approvals.Wait = -1 })
			s := w.loginAt(access.DoorPGWire, "asker")
			ops := sending(c.sql, c.oids, []int16{c.form}, c.value)
			wantError(t, w.do(s, ops...), "42501 this statement needs approval")
			r := w.pendingOne()
			c.want.Binary = c.want.Binary && !c.want.Null
			if got := r.Binding.Params; len(got) != 1 || !slices.Equal(paramParts(got[0]), paramParts(c.want)) || got[0].Named != c.want.Named {
				t.Errorf("shown %+v, want %+v", got, c.want)
			}
			keeper, err := w.gw.Verify(context.Background(), access.Password{User: "keeper", Secret: "pw-keeper"})
			if err != nil {
				t.Fatal(err)
			}
			pre, err := w.gw.PreviewReview(context.Background(), keeper, r.ID)
			if err != nil || !pre.Counted || pre.Affected != c.rows || pre.Plan == "" {
				t.Errorf("preview %+v %v, want %d rows", pre, err, c.rows)
			}
			w.approve("keeper", r.ID)
			a := w.do(s, ops...)
			if len(a.errs) > 0 || len(a.tags) != 1 || a.tags[0] != "UPDATE "+fmt.Sprint(c.rows) {
				t.Errorf("ran: %q %q, want %d rows", a.tags, a.errs, c.rows)
			}
			// The same is in the record: NULL is none of the texts.
			for _, rec := range w.records() {
				if rec.SQL == c.sql && len(rec.Params) == 1 && rec.NullParam(0) != c.want.Null {
					t.Errorf("%s of %s has %q, NULL: %v", rec.Kind, c.sql, rec.Params, rec.Nulls)
				}
			}
		})
	}
}

func paramParts(p approval.Param) []string {
	return []string{p.Text, fmt.Sprint(p.Type), string(p.Bytes), hex.EncodeToString([]byte{flag(p.Null), flag(p.Binary), flag(p.Opaque)})}
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestFormsAreOverWhatWasSent sends what an approval of a form must not be taken for.
func TestFormsAreOverWhatWasSent(t *testing.T) {
	const named, above = "update customers set region = $2 where id > 0 and ($1::text is null or name = $1)", "update orders set amount = 0 where amount > $1::float8 and id > 0"
	one := binary.BigEndian.AppendUint64(nil, 0x3ff0000000000000)
	many := binary.BigEndian.AppendUint64(nil, 0x40b387c000000000) // 4999.75
	for name, c := range map[string]struct {
		sql          string
		askForm      int16
		asked        [][]byte
		range_       approval.Range
		form         int16
		sent         [][]byte
		runs, refuse bool // it is covered; no such grant is given
	}{
		"null_for_the_text":     {named, 0, [][]byte{[]byte("NULL"), []byte("a")}, approval.Range{In: []string{"NULL"}}, 0, [][]byte{nil, []byte("b")}, false, false},
		"the_text":              {named, 0, [][]byte{[]byte("NULL"), []byte("a")}, approval.Range{In: []string{"NULL"}}, 0, [][]byte{[]byte("NULL"), []byte("b")}, true, false},
		"null_in_any":           {named, 0, [][]byte{[]byte("x"), []byte("a")}, approval.Range{Any: true}, 0, [][]byte{nil, []byte("b")}, false, false},
		"null_where_it_says_so": {named, 0, [][]byte{[]byte("x"), []byte("a")}, approval.Range{Any: true, Null: true}, 0, [][]byte{nil, []byte("b")}, true, false},
		"binary_for_text":       {above, 0, [][]byte{[]byte("4999")}, approval.Range{Least: "4000"}, 1, [][]byte{one}, false, false},
		"too_little_in_binary":  {above, 1, [][]byte{many}, approval.Range{Least: "4000"}, 1, [][]byte{one}, false, false},
		"enough_in_binary":      {above, 1, [][]byte{many}, approval.Range{Least: "4000"}, 1, [][]byte{binary.BigEndian.AppendUint64(nil, 0x40b3880000000000)}, true, false},
		"over_what_is_not_told": {"update customers set region = 'x' where id > 0 and $1::timetz is null", 1, [][]byte{make([]byte, 12)}, approval.Range{Any: true}, 1, nil, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := heldWorld(t, func(c *Config) { c.Approvals.Wait = -1 })
			s := w.loginAt(access.DoorPGWire, "asker")
			wantError(t, w.do(s, sending(c.sql, nil, []int16{c.askForm}, c.asked...)...), "42501 this statement needs approval")
			r := w.pendingOne()
			ranges := make([]approval.Range, 0, 4)
			for range r.Subject.Constants {
				ranges = append(ranges, approval.Range{Any: true})
			}
			ranges = append(ranges, c.range_)
			for range len(c.asked) - 1 {
				ranges = append(ranges, approval.Range{Any: true})
			}
			err := w.decide("keeper", r.ID, ReviewVote{Verdict: approval.Approve, Grant: approval.Grant{Mode: approval.Form, Uses: 5, Until: time.Now().Add(time.Hour), Ranges: ranges}})
			if (err != nil) != c.refuse {
				t.Fatalf("granted: %v", err)
			}
			if c.refuse {
				return
			}
			a := w.do(s, sending(c.sql, nil, []int16{c.form}, c.sent...)...)
			if ran := len(a.errs) == 0; ran != c.runs {
				t.Errorf("%q %q", a.tags, a.errs)
			}
		})
	}
}

// TestTypesThatTheDatabaseDoesNotTake: what cannot be described is refused, and the session goes on.
func TestTypesThatTheDatabaseDoesNotTake(t *testing.T) {
	w := heldWorld(t, func(c *Config) { c.Approvals.Wait = -1 })
	s := w.loginAt(access.DoorPGWire, "asker")
	wantError(t, w.do(s, sending("update customers set region = 'x' where id > 0 and $1 is null", nil, nil, []byte("1"))...), "42P18 ")
	wantNoError(t, w.query(s, "select 1"))
}

// TestSentFormsAreReadExactly: what is shown of bytes is believed where it stands for those bytes alone.
func TestSentFormsAreReadExactly(t *testing.T) {
	for _, c := range []struct {
		oid    uint32
		hex    string
		text   string
		opaque bool
	}{
		{16, "01", "t", false}, {16, "02", `\x02`, true}, {21, "fffe", "-2", false}, {23, "00000007", "7", false}, {23, "07", `\x07`, true},
		{20, "8000000000000000", "-9223372036854775808", false}, {1043, "61004e", `\x61004e`, true}, {25, "c3a9", "é", false}, {25, "c3", `\xc3`, true},
		{3802, "017b7d", "{}", false}, {3802, "027b7d", `\x027b7d`, true}, {114, "7b7d", "{}", false}, {1700, "0002000000000002007b1194", "123.45", false},
		{1082, "00000000", "2000-01-01", false}, {1082, "7fffffff", `\x7fffffff`, true}, {1007, "0000000100000000000000177fffffff00000001", `\x0000000100000000000000177fffffff00000001`, true}, {17, "00ff", `\x00ff`, false},
		{2950, "000102030405060708090a0b0c0d0e0f", "00010203-0405-0607-0809-0a0b0c0d0e0f", false}, {0, "00000007", `\x00000007`, true}, {790, "0000000000000064", `\x0000000000000064`, true},
		{1114, "0000000000000001", "2000-01-01 00:00:00.000001", false},
	} {
		if text, opaque := valueText(nil, c.oid, true, unhex(t, c.hex)); text != c.text || opaque != c.opaque {
			t.Errorf("%s of type %d is shown as %q, opaque %t", c.hex, c.oid, text, opaque)
		}
	}
}
