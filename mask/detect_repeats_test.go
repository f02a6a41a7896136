package mask

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestRepeatsSayWhatTheDetectorSays gives values of all sorts in an order in which many come again, some of them of one
// set and of one length, and compares each answer.
func TestRepeatsSayWhatTheDetectorSays(t *testing.T) {
	d := NewDetector()
	r := rand.New(rand.NewPCG(7, 7))
	var values [][]byte
	for i := range 400 {
		for _, form := range []string{"Berlin %d", "mail u%d@example.com please", `{"phone": "+4930901%03d"}`, "Call Mr. Leiva about order %d", "%d", ""} {
			v := []byte(form)
			if bytes.IndexByte(v, '%') >= 0 {
				v = fmt.Appendf(nil, form, i)
			}
			values = append(values, v, bytes.Repeat(v, 1+i%90))
		}
	}
	var seen Repeats
	hidden := 0
	for range 200_000 {
		column := r.IntN(12)
		most := len(values)
		if column%2 == 0 {
			most = 60 // so few that they are remembered
		}
		v := values[r.IntN(most)]
		got, n := seen.Redact(d, column, []byte("before "), v)
		want, k := d.Redact([]byte("before "), v)
		if !bytes.Equal(got, want) || n != k {
			t.Fatalf("%q became %q with %d findings, want %q with %d", v, got, n, want, k)
		}
		hidden += n
	}
	if hidden == 0 {
		t.Error("nothing was found")
	}
	if seen.size > repeatBytes || seen.size < 0 {
		t.Errorf("it keeps %d bytes", seen.size)
	}
	real, given := 0, 0
	for _, c := range seen.columns {
		real += len(c.sets) * repeatSetBytes
		if c.unlike {
			given++
		}
		for _, set := range c.sets {
			for _, s := range set {
				real += cap(s.value) + cap(s.shown)
			}
		}
	}
	if real != seen.size {
		t.Errorf("it keeps %d bytes and counts %d", real, seen.size)
	}
	if given == 0 || given == len(seen.columns) {
		t.Errorf("%d of %d columns are given up", given, len(seen.columns))
	}
}

// TestRepeatsRemember looks for what a value costs that has been there: no allocation, though it has a finding.
func TestRepeatsRemember(t *testing.T) {
	d := NewDetector()
	var seen Repeats
	value, dst := []byte("call Mr. Leiva at +49 30 901820"), make([]byte, 0, 100)
	seen.Redact(d, 3, dst, value)
	if n := testing.AllocsPerRun(100, func() { seen.Redact(d, 3, dst, value) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if c := seen.columns[3]; c.met < 100 || c.met != c.looked-1 {
		t.Errorf("met again %d of %d times", c.met, c.looked)
	}
	value[0] = 'C' // the owner's buffer is used for something else
	if got, _ := seen.Redact(d, 3, nil, []byte("call Mr. Leiva at +49 30 901820")); string(got) != "call Mr. [name] at [phone]" {
		t.Errorf("%q", got)
	}
}

// BenchmarkRepeats is a column read with and without a memory: few values again and again, and values that are all
// different, which is what the memory costs at most.
func BenchmarkRepeats(b *testing.B) {
	columns := map[string]func(i int) string{
		"city": func(i int) string {
			return []string{"San Francisco", "Frankfurt am Main", "Den Haag", "Lourdes", "Porto"}[i%5]
		},
		"time": func(i int) string { return fmt.Sprintf("2026-05-%02d 10:00:00", 1+i%20) },
		"note": func(i int) string {
			return fmt.Sprintf("Dear Customer, your parcel leaves Hall %d of our warehouse in Leipzig tomorrow morning. Kind regards, Jane", i%30)
		},
		"dense": func(i int) string {
			return fmt.Sprintf("call Mr. Leiva at +49 30 901820 or mail info%d@example.com", i%30)
		},
		"different": func(i int) string { return fmt.Sprintf("Order %07d of Hall %d", i*7919%1000003, i) },
	}
	d := NewDetector()
	for _, name := range []string{"city", "time", "note", "dense", "different"} {
		values := make([][]byte, 10_000)
		size := 0
		for i := range values {
			values[i] = []byte(columns[name](i))
			size += len(values[i])
		}
		dst := make([]byte, 0, 1<<12)
		b.Run(name+"/scanned", func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				for _, v := range values {
					d.Redact(dst, v)
				}
			}
		})
		b.Run(name+"/remembered", func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				var seen Repeats
				for _, v := range values {
					seen.Redact(d, 0, dst, v)
				}
			}
		})
	}
}
