package pgframe

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"
)

// TestWritesWhatTheOracleWrites holds our encoders to pgproto3's.
func TestWritesWhatTheOracleWrites(t *testing.T) {
	encode := func(m pgproto3.Message) []byte {
		b, err := m.Encode(nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, c := range map[string]struct{ got, want []byte }{
		"query": {AppendQuery(nil, "select 1"), encode(&pgproto3.Query{String: "select 1"})},
		"parse": {AppendParse(nil, "s", "select $1", []uint32{23, 25}), encode(&pgproto3.Parse{Name: "s", Query: "select $1", ParameterOIDs: []uint32{23, 25}})},
		"sync":  {AppendEmpty(nil, 'S'), encode(&pgproto3.Sync{})},
		"error": {AppendError(nil, 'E', Field{'S', "ERROR"}, Field{'C', "42501"}, Field{'M', "no"}, Field{'H', ""}), encode(&pgproto3.ErrorResponse{Severity: "ERROR", Code: "42501", Message: "no"})},
	} {
		if !bytes.Equal(c.got, c.want) {
			t.Errorf("%s: %q, the oracle writes %q", name, c.got, c.want)
		}
	}
}

func TestFieldsGivesBackWhatWasWritten(t *testing.T) {
	want := []Field{{'S', "ERROR"}, {'C', "42501"}, {'M', "no"}}
	f, rest, _, err := Next(AppendError(nil, 'E', want...))
	if err != nil || len(rest) != 0 || f.Type != 'E' {
		t.Fatalf("frame %v rest %q err %v", f, rest, err)
	}
	if diff := cmp.Diff(want, Fields(f.Body())); diff != "" {
		t.Error(diff)
	}
}

func TestNextSaysHowMuchIsMissing(t *testing.T) {
	msg := AppendQuery(nil, "select 1")
	for n := range msg {
		f, rest, need, err := Next(msg[:n])
		if err != nil || f.Raw != nil || len(rest) != n {
			t.Fatalf("%d of %d bytes: frame %v err %v", n, len(msg), f, err)
		}
		if n >= 5 && need != len(msg) || n < 5 && need != 0 {
			t.Errorf("%d bytes: need %d", n, need)
		}
	}
	for _, bad := range [][]byte{{'Q', 0, 0, 0, 3}, {'Q', 0xFF, 0xFF, 0xFF, 0xFF}, {'Q', 0x80, 0, 0, 0}} {
		if _, _, _, err := Next(bad); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}

// FuzzNext holds that cutting never loses, invents or reads beyond bytes.
func FuzzNext(f *testing.F) {
	f.Add(append(AppendQuery(nil, "select 1"), AppendEmpty(nil, 'S')...))
	f.Add(AppendError(nil, 'E', Field{'M', "x"}))
	f.Fuzz(func(t *testing.T, buf []byte) {
		var again []byte
		rest := buf
		for {
			fr, next, _, err := Next(rest)
			if err != nil || fr.Raw == nil {
				break
			}
			if len(fr.Raw)+len(next) != len(rest) || cap(fr.Raw) != len(fr.Raw) {
				t.Fatal("a frame overlaps what follows")
			}
			Fields(fr.Body())
			again = append(again, fr.Raw...)
			rest = next
		}
		if !bytes.Equal(append(again, rest...), buf) {
			t.Fatal("bytes were lost")
		}
	})
}
