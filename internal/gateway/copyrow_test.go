package gateway

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/access"
	"sallyport/internal/pgframe"
	"sallyport/mask"
)

// read puts data through c in pieces of n bytes and gives what leaves, with the number of rows.
func (c *copyOut) read(data []byte, n int) (out []byte, rows, found int, err error) {
	for len(data) > 0 {
		piece := data[:min(n, len(data))]
		data = data[len(piece):]
		c.rest = append(c.rest, piece...)
		for {
			u, rest, err := c.next(c.rest)
			if err != nil {
				return nil, 0, 0, err
			}
			if !u.found {
				c.rest = append(c.rest[:0], rest...)
				break
			}
			f, k, err := c.message(u, mask.NewDetector())
			if err != nil {
				return nil, 0, 0, err
			}
			out = append(out, f.Body()...)
			if found += k; u.row {
				rows++
			}
			c.rest = append(c.rest[:0], rest...)
		}
	}
	return out, rows, found, c.end()
}

func textCopy() *copyFormat { return &copyFormat{kind: 't', delim: '\t', null: `\N`} }
func csvCopy() *copyFormat  { return &copyFormat{kind: 'c', delim: ',', quote: '"', escape: '"'} }

// tuples is COPY data in the binary format; nil is NULL.
func tuples(rows ...[]any) []byte {
	b := append(append([]byte{}, copySignature...), make([]byte, 8)...)
	for _, row := range rows {
		b = binary.BigEndian.AppendUint16(b, uint16(len(row)))
		for _, v := range row {
			if v == nil {
				b = binary.BigEndian.AppendUint32(b, 0xFFFFFFFF)
				continue
			}
			b = binary.BigEndian.AppendUint32(b, uint32(len(v.(string))))
			b = append(b, v.(string)...)
		}
	}
	return append(b, 0xFF, 0xFF)
}

func TestCopyDataIsWatchedByColumn(t *testing.T) {
	at := textCopy()
	at.delim = '@'
	semicolon := csvCopy()
	semicolon.delim, semicolon.quote, semicolon.escape, semicolon.null = ';', '\'', '\\', "[email]"
	header := csvCopy()
	header.header = true
	for name, c := range map[string]struct {
		format *copyFormat
		in     string
		want   string
		rows   int
	}{
		"text":                              {textCopy(), "a@b.example\ta@b.example\n\\N\t\\N\n", "a@b.example\t[email]\n\\N\t\\N\n", 2},
		"escaped_text":                      {textCopy(), "x\tone\\na@b.example\\\\\\t\n", "x\tone\\n[email]\\\\\\t\n", 1},
		"an_escaped_delimiter_is_no_escape": {at, "x@a\\@b.example\n", "x@[email]\n", 1},
		"csv":                               {csvCopy(), "a@b.example,a@b.example\n,\n\"\",\"\"\n", "a@b.example,[email]\n,\n\"\",\"\"\n", 3},
		"quoted_csv":                        {csvCopy(), "x,\"a line\nand \"\"a@b.example\"\", more\"\n", "x,\"a line\nand \"\"[email]\"\", more\"\n", 1},
		"json_in_csv":                       {csvCopy(), "x,\"{\"\"tel\"\": 4111111111111111}\"\n", "x,\"{\"\"tel\"\": \"\"[card]\"\"}\"\n", 1},
		"a_finding_that_looks_like_null":    {semicolon, "x;a@b.example\n", "x;'[email]'\n", 1},
		"other_quotes":                      {semicolon, "x;'it\\'s a@b.example\\\\'\n", "x;'it\\'s [email]\\\\'\n", 1},
		"a_header_is_no_row":                {header, "a@b.example,a@b.example\nx,y\n", "a@b.example,a@b.example\nx,y\n", 1},
		"binary":                            {&copyFormat{kind: 'b'}, string(tuples([]any{"a@b.example", "a@b.example"}, []any{nil, nil})), string(tuples([]any{"a@b.example", "[email]"}, []any{nil, nil})), 2},
		"an_array_in_binary":                {&copyFormat{kind: 'b'}, string(tuples([]any{"\x00\x00", "\x00\x00a@b.example"})), string(tuples([]any{"\x00\x00", nil})), 1},
		"binary_without_rows":               {&copyFormat{kind: 'b'}, string(tuples()), string(tuples()), 0},
	} {
		t.Run(name, func(t *testing.T) {
			for size := 1; size <= len(c.in); size++ {
				out, rows, _, err := (&copyOut{copyFormat: c.format, watch: []bool{false, true}, known: true}).read([]byte(c.in), size)
				if err != nil || rows != c.rows {
					t.Fatalf("in pieces of %d: %d rows, %v", size, rows, err)
				}
				if diff := cmp.Diff(c.want, string(out)); diff != "" {
					t.Fatalf("in pieces of %d (-want +got):\n%s", size, diff)
				}
			}
		})
	}
}

func TestCopyDataThatIsNotUnderstoodIsAnError(t *testing.T) {
	escapes := csvCopy()
	escapes.escape = '\\'
	whole := tuples([]any{"a", "b"})
	flagged := bytes.Clone(whole)
	flagged[12] = 1
	for name, c := range map[string]struct {
		format *copyFormat
		in     string
		want   error
	}{
		"too_few_fields":        {textCopy(), "a\n", errCopyFields},
		"too_many_fields":       {textCopy(), "a\tb\tc\n", errCopyFields},
		"unknown_escape":        {textCopy(), "a\t\\x41\n", errCopyEscape},
		"escape_before_the_end": {textCopy(), "a\tb\\\n", errCopyEscape},
		"half_a_line":           {textCopy(), "a\tb", errCopyEnd},
		"too_few_csv_fields":    {csvCopy(), "a\n", errCopyFields},
		"text_after_a_quote":    {csvCopy(), "a,\"b\"c\n", errCopyFields},
		"quote_inside":          {csvCopy(), "a,b\"c\"\n", errCopyQuotes},
		"open_quote":            {csvCopy(), "a,\"b\n", errCopyEnd},
		"unknown_csv_escape":    {escapes, "a,\"b\\c\"\n", errCopyEscape},
		"no_signature":          {&copyFormat{kind: 'b'}, "PGCOPY\n\xff\r\n\x01\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff", errCopyBinary},
		"flags":                 {&copyFormat{kind: 'b'}, string(flagged), errCopyBinary},
		"no_trailer":            {&copyFormat{kind: 'b'}, string(whole[:len(whole)-2]), errCopyEnd},
		"after_the_trailer":     {&copyFormat{kind: 'b'}, string(whole) + "x", errCopyBinary},
		"another_tuple":         {&copyFormat{kind: 'b'}, string(tuples([]any{"a"})), errCopyFields},
		"negative_length":       {&copyFormat{kind: 'b'}, string(whole[:19]) + "\x00\x02\xff\xff\xff\xfe", errCopyBinary},
		"signature_alone":       {&copyFormat{kind: 'b'}, string(whole[:19]), errCopyEnd},
	} {
		t.Run(name, func(t *testing.T) {
			out, _, _, err := (&copyOut{copyFormat: c.format, watch: []bool{false, true}, known: true}).read([]byte(c.in), len(c.in))
			if !errors.Is(err, c.want) {
				t.Errorf("gave %q, %v; want %v", out, err, c.want)
			}
		})
	}
	if _, _, _, err := (&copyOut{copyFormat: textCopy()}).read([]byte("a\tb\n"), 9); !errors.Is(err, errCopyTypes) {
		t.Errorf("unknown columns gave %v", err)
	}
}

// TestWhatComesAfterACapIsNotKept: a server takes its time to stop, and what it sends until then is nobody's.
func TestWhatComesAfterACapIsNotKept(t *testing.T) {
	capped := &run{plan: &plan{detects: true, decision: access.Decision{Obligations: access.Obligations{Rows: 1}}}, rows: 1,
		copy: &copyOut{copyFormat: textCopy(), watch: []bool{false, false}, known: true}}
	s := &Session{runs: []run{*capped}, gw: &Gateway{}}
	line := pgframe.Frame{Type: 'd', Raw: append([]byte{'d', 0, 0, 0, 8}, "a\tb\n"...)}
	for range 1000 {
		if err := s.copyData(&owed{plan: capped.plan}, line, &answer{}); err != nil {
			t.Fatal(err)
		}
	}
	if r := s.runs[0]; r.refusal == nil || len(r.copy.rest) > 0 || len(s.held) > 0 {
		t.Errorf("refused %v, kept %d bytes and %d", r.refusal, len(r.copy.rest), len(s.held))
	}
}

// FuzzCopyData holds that nothing panics, that what leaves does not depend on how the data is divided, and
// that without a finding it leaves as it came.
func FuzzCopyData(f *testing.F) {
	f.Add([]byte("a\tb@c.example\n"), uint8(0), uint8(3))
	f.Add([]byte("a,\"b\"\"@c.example\"\n"), uint8(1), uint8(2))
	f.Add(tuples([]any{"a", "b@c.example"}, []any{nil, ""}), uint8(2), uint8(5))
	f.Fuzz(func(t *testing.T, data []byte, kind, size uint8) {
		format := []*copyFormat{textCopy(), csvCopy(), {kind: 'b'}}[kind%3]
		whole, rows, found, err := (&copyOut{copyFormat: format, watch: []bool{false, true}, known: true}).read(data, len(data)+1)
		parts, again, _, err2 := (&copyOut{copyFormat: format, watch: []bool{false, true}, known: true}).read(data, int(size)+1)
		if (err == nil) != (err2 == nil) || err == nil && (!bytes.Equal(whole, parts) || rows != again) {
			t.Fatalf("whole: %q %v; in parts: %q %v", whole, err, parts, err2)
		}
		if err == nil && found == 0 && !bytes.Equal(whole, data) {
			t.Fatalf("%q became %q", data, whole)
		}
	})
}

// TestCopyLinesAreReadBackAsWritten writes random values as the server does and expects to see them all.
func TestCopyLinesAreReadBackAsWritten(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		c := &copyOut{copyFormat: textCopy()}
		if r.IntN(2) == 0 {
			c.copyFormat = csvCopy()
			c.escape = []byte{'"', '\\', ','}[r.IntN(3)]
		}
		c.delim = []byte{'\t', ',', ';', '@', '|'}[r.IntN(5)]
		var values []string
		var line []byte
		for i := range 1 + r.IntN(4) {
			var b strings.Builder
			for range r.IntN(6) {
				b.WriteByte("ab\t\n\r\v\\\",;@|'N. "[r.IntN(16)])
			}
			values = append(values, b.String())
			if i > 0 {
				line = append(line, c.delim)
			}
			if c.kind == 'c' {
				line = c.appendQuoted(line, []byte(b.String()), copyField{})
			} else {
				line = c.appendEscaped(line, []byte(b.String()), copyField{})
			}
			c.watch = append(c.watch, true)
		}
		c.known = true
		u, rest, err := c.next(append(bytes.Clone(line), '\n'))
		if err != nil || !u.found || len(rest) > 0 {
			t.Fatalf("%q: %v, %d bytes left", line, err, len(rest))
		}
		for i, want := range values {
			read := c.escaped
			if c.kind == 'c' {
				read = c.quoted
			}
			f, err := read(line)
			if err != nil || string(f.value) != want {
				t.Fatalf("%q: field %d is %q, %v; want %q", u.data, i, f.value, err, want)
			}
			line = bytes.TrimPrefix(line[len(f.raw):], []byte{c.delim})
		}
	}
}
