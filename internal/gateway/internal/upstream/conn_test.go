package upstream

import (
	"bytes"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"sallyport/internal/pgframe"
)

// fed is a connection whose server sends the parts that send writes.
func fed(t *testing.T, send func(io.Writer)) *Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	go send(theirs)
	return &Conn{net: ours}
}

func next(t *testing.T, c *Conn) pgframe.Frame {
	t.Helper()
	f, err := c.Next()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func frame(typ byte, body ...string) []byte {
	b, at := pgframe.Begin(nil, typ)
	return pgframe.End(append(b, strings.Join(body, "")...), at)
}

func TestRowsBeyondTheLimitAreNeverHeld(t *testing.T) {
	const size = 300_000_000
	c := fed(t, func(w io.Writer) {
		w.Write(frame('D', "ordinary"))
		head, _ := pgframe.Begin(nil, 'D')
		head[1], head[2], head[3], head[4] = byte((size+4)>>24), byte((size+4)>>16&0xff), byte((size+4)>>8&0xff), byte((size+4)&0xff)
		w.Write(head)
		part := bytes.Repeat([]byte("x"), 1<<20)
		for left := size; left > 0; left -= len(part) {
			part = part[:min(left, len(part))]
			w.Write(part)
		}
		w.Write(frame('C', "SELECT 2\x00"))
	})
	c.MaxRow = 1 << 20
	if f := next(t, c); string(f.Body()) != "ordinary" {
		t.Errorf("got %q", f.Raw)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if f := next(t, c); f.Type != 'D' || len(f.Raw) != 5 {
		t.Errorf("got %d bytes of type %q", len(f.Raw), f.Type)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
		t.Errorf("%d bytes were allocated for a row that nobody gets", n)
	}
	if f := next(t, c); f.Type != 'C' {
		t.Errorf("what follows was lost: %q", f.Raw)
	}
}

func TestLongErrorsKeepTheirBeginning(t *testing.T) {
	for name, c := range map[string]struct{ pad, value string }{
		"in_a_value":          {"", strings.Repeat("x", 1<<20)},
		"in_a_character":      {"", strings.Repeat("é", 1<<20)},
		"in_a_character_odd":  {"x", strings.Repeat("é", 1<<20)},
		"after_a_field":       {"", strings.Repeat("x", maxNotice-5-8-7-2) + "\x00H" + strings.Repeat("y", 1<<20)},
		"after_a_code":        {"", strings.Repeat("x", maxNotice-5-8-7-3) + "\x00H" + strings.Repeat("y", 1<<20)},
		"one_byte_too_long":   {"", strings.Repeat("x", maxNotice)},
		"with_many_small_one": {"", strings.Repeat("x\x00H", 1<<20)},
	} {
		t.Run(name, func(t *testing.T) {
			conn := fed(t, func(w io.Writer) {
				w.Write(frame('E', "SERROR\x00", "C22P02\x00", "M", c.pad, c.value, "\x00\x00"))
				w.Write(frame('Z', "I"))
			})
			f := next(t, conn)
			if int(f.Raw[4])+int(f.Raw[3])<<8+int(f.Raw[2])<<16 != len(f.Raw)-1 || len(f.Raw) > maxNotice+100 {
				t.Fatalf("%d bytes that say they are % x", len(f.Raw), f.Raw[1:5])
			}
			got := map[byte]string{}
			size := 1
			for _, x := range pgframe.Fields(f.Body()) {
				got[x.Code] = x.Value
				size += len(x.Value) + 2
				if !utf8.ValidString(x.Value) {
					t.Error("a character was cut in two")
				}
			}
			if size != len(f.Body()) {
				t.Errorf("fields of %d bytes in a body of %d", size, len(f.Body()))
			}
			if got['C'] != "22P02" || got['R'] != Cut || len(got['M']) == 0 {
				t.Errorf("code %q routine %q message of %d bytes", got['C'], got['R'], len(got['M']))
			}
			if f := next(t, conn); f.Type != 'Z' {
				t.Errorf("what follows was lost: %q", f.Raw)
			}
		})
	}
}

func TestAbortEndsAWaitingRead(t *testing.T) {
	c := fed(t, func(io.Writer) {})
	time.AfterFunc(20*time.Millisecond, c.Abort)
	if f, err := c.Next(); err == nil {
		t.Errorf("got %q", f.Raw)
	}
}
