package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sallyport/internal/access"
)

// anyRecord draws a value for every field of a record by reflection, so that a field that is added to
// access.Record and forgotten in encode.go fails the test below.
func anyRecord(t *rapid.T) *access.Record {
	rec := new(access.Record)
	text := rapid.OneOf(
		rapid.SampledFrom([]string{"", "SELECT 'a\tb' -- \"x\\y\"\n", hostile, "\u2028\u2029<&>", "\xed\xa0\x80"}),
		rapid.String(),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
	)
	var fill func(v reflect.Value)
	fill = func(v reflect.Value) {
		for i := range v.NumField() {
			f, name := v.Field(i), v.Type().Field(i).Name
			if v.Type().Field(i).Tag.Get("json") == "-" {
				continue
			}
			switch f.Interface().(type) {
			case time.Time:
				sec := rapid.Int64Range(-62135596800, 253402300799).Draw(t, name)
				nsec := rapid.Int64Range(0, 999_999_999).Draw(t, name)
				at := time.Unix(sec, nsec).In(time.FixedZone("", rapid.IntRange(-14*3600, 14*3600).Draw(t, name)/60*60))
				if y := at.Year(); y < 1 || y > 9999 { // encoding/json refuses what is out of range in its own zone
					at = at.UTC()
				}
				f.Set(reflect.ValueOf(at))
			case json.RawMessage:
				if rapid.Bool().Draw(t, name) {
					b, _ := json.Marshal(map[string]string{text.Draw(t, name): text.Draw(t, name)})
					f.Set(reflect.ValueOf(json.RawMessage(b)))
				}
			case []byte:
				f.SetBytes(rapid.SliceOf(rapid.Byte()).Draw(t, name))
			case []string:
				f.Set(reflect.ValueOf(rapid.SliceOf(text).Draw(t, name)))
			case []access.OpenSession:
				if rapid.Bool().Draw(t, name) {
					rec.Open = []access.OpenSession{{Session: text.Draw(t, name), Seq: rapid.Uint64().Draw(t, name)}, {Session: "s"}}
				}
			case *access.Proof:
				if rapid.Bool().Draw(t, name) {
					rec.Proof = new(access.Proof)
					fill(reflect.ValueOf(rec.Proof).Elem())
				}
			case []int:
				f.Set(reflect.ValueOf(rapid.SliceOf(rapid.Int()).Draw(t, name)))
			case []int16:
				f.Set(reflect.ValueOf(rapid.SliceOf(rapid.Int16()).Draw(t, name)))
			default:
				switch f.Kind() {
				case reflect.String:
					f.SetString(text.Draw(t, name))
				case reflect.Uint64:
					f.SetUint(rapid.Uint64().Draw(t, name))
				case reflect.Int64, reflect.Int:
					f.SetInt(rapid.Int64().Draw(t, name))
				case reflect.Bool:
					f.SetBool(rapid.Bool().Draw(t, name))
				default:
					t.Fatalf("field %s has a type that this test does not know", name)
				}
			}
		}
	}
	fill(reflect.ValueOf(rec).Elem())
	return rec
}

// A record that was sealed and opened, and one that was printed, are what encoding/json makes of it.
func TestRecordsDecodeAsFromEncodingJSON(t *testing.T) {
	dir := t.TempDir()
	keys, err := openKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	ring := readKeys(dir)
	rapid.Check(t, func(t *rapid.T) {
		rec := anyRecord(t)
		printed, err := appendRecord(nil, rec)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(printed) || !utf8.Valid(printed) {
			t.Fatalf("not JSON: %q", printed)
		}
		theirs, err := json.Marshal(rec)
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := keys.appendBody(fmt.Appendf(nil, `{"pos":%d`, rec.Position), rec)
		if err != nil {
			t.Fatal(err)
		}
		if head := headOf(sealed); !json.Valid(head) || bytes.IndexByte(head, 0) >= 0 {
			t.Fatalf("a head that is no JSON, or has a NUL byte and could look like a frame: %q", head)
		}
		var got, want access.Record
		if err := json.Unmarshal(printed, &got); err != nil {
			t.Fatalf("%v: %q", err, printed)
		}
		if err := json.Unmarshal(theirs, &want); err != nil {
			t.Fatal(err)
		}
		opened, _, err := ring.decode(sealed)
		if err != nil {
			t.Fatal(err)
		}
		opened.Erased = rec.Erased // not stored
		// encoding/json writes <, > and & as escapes inside a RawMessage too.
		same := cmp.Transformer("decoded", func(p json.RawMessage) any {
			var v any
			_ = json.Unmarshal(p, &v)
			return v
		})
		if diff := cmp.Diff(want, got, same); diff != "" {
			t.Fatalf("(-encoding/json +printed):\n%s", diff)
		}
		if diff := cmp.Diff(&want, opened, same); diff != "" {
			t.Fatalf("(-encoding/json +opened):\n%s", diff)
		}
	})
}

// What says who asks is sealed, and a record that does not have it is byte for byte what it was before there were proofs.
func TestProofsAreSealedAndAbsentWhereThereAreNone(t *testing.T) {
	dir := t.TempDir()
	keys, err := openKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	rec := &access.Record{Session: "s", Seq: 1, Time: time.Date(2026, 11, 23, 14, 2, 11, 0, time.UTC), Kind: access.RecordOpen, Principal: "ana", Groups: []string{"support"}, Client: "psql"}
	plain, err := appendTrace(nil, rec)
	if want := `,"principal":"ana","groups":["support"],"client":"psql"`; err != nil || string(plain) != want {
		t.Errorf("%s, %v", plain, err)
	}
	rec.Behind, rec.Proof = []string{"router"}, &access.Proof{Method: access.ByIDToken, Subject: "0f2c77"}
	head, err := appendHead(nil, rec)
	if err != nil || bytes.Contains(head, []byte("router")) || bytes.Contains(head, []byte("0f2c77")) {
		t.Errorf("in clear: %s, %v", head, err)
	}
	if content := appendContent(nil, rec); len(content) > 0 { // it stays as long as the principal's name, not as the texts do
		t.Errorf("in the content: %s", content)
	}
	sealed, err := keys.appendBody([]byte(`{"pos":1`), rec)
	if err != nil || bytes.Contains(sealed, []byte("0f2c77")) {
		t.Fatalf("%q, %v", sealed, err)
	}
	rec.Proof.Expires = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	if _, err := appendTrace(nil, rec); err == nil {
		t.Error("a time that JSON has no form for is recorded")
	}
}

func FuzzString(f *testing.F) {
	f.Add("plain")
	f.Add(hostile)
	f.Fuzz(func(t *testing.T, s string) {
		ours := appendString(nil, s)
		theirs, _ := json.Marshal(s)
		var a, b string
		if err := json.Unmarshal(ours, &a); err != nil {
			t.Fatalf("%v: %q", err, ours)
		}
		_ = json.Unmarshal(theirs, &b)
		if a != b {
			t.Fatalf("%q decodes to %q, from encoding/json to %q", s, a, b)
		}
	})
}

func TestRecordsThatCannotBeStoredAreRefusedWithoutAGap(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{SegmentSize: 1 << 16})
	bad := map[string]func(*access.Record){
		"plan_that_is_no_json": func(r *access.Record) { r.Plan = json.RawMessage(`{"a":`) },
		"plan_with_a_nul":      func(r *access.Record) { r.Plan = json.RawMessage("{}\x00") },
		"year_10000":           func(r *access.Record) { r.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"year_0":               func(r *access.Record) { r.Time = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC) },
		"too_large":            func(r *access.Record) { r.SQL = strings.Repeat("x", maxPayload) },
	}
	for name, spoil := range bad {
		rec := sample()
		spoil(&rec)
		_, err := l.Append(&rec)
		wantError(t, err, 0, "")
		if name == "too_large" {
			wantError(t, err, access.Invalid, codeTooBig)
		}
	}
	large := sample()
	large.SQL = strings.Repeat("x", maxPayload-4096) // larger than a segment
	for want := range 3 {
		if pos, err := l.Append(&large); err != nil || pos != uint64(want+1) {
			t.Fatalf("position %d, error %v", pos, err)
		}
	}
	if got := readAll(t, dir); len(got) != 3 || got[2].SQL != large.SQL {
		t.Errorf("%d records", len(got))
	}
}

// wantError checks that err is an *access.Error with everything a client needs. A zero kind and an
// empty code match all.
func wantError(t testing.TB, err error, kind access.Kind, code string) {
	t.Helper()
	e, ok := err.(*access.Error)
	if !ok {
		t.Fatalf("error is %T: %v", err, err)
	}
	if kind != 0 && e.Kind != kind || code != "" && e.Code != code {
		t.Errorf("kind %v, code %s: %v", e.Kind, e.Code, err)
	}
	if e.Message == "" || e.Hint == "" || e.Code == "" {
		t.Errorf("message %q, hint %q, code %q", e.Message, e.Hint, e.Code)
	}
}
