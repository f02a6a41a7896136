package mask

import (
	"bytes"
	"hash/maphash"
)

// Repeats are the detectors for one result: what they said of a value is remembered for when it comes again in the same
// column, as cities, states and standard notes do. The zero value is ready.
//
// It remembers the values themselves, so that no two are ever taken for one another; that is why it belongs to one
// result, whose values its owner holds anyway, and is to be dropped with it. It keeps at most about 256 kB, and gives up
// on columns whose values seldom come again. It is not safe for concurrent use.
type Repeats struct {
	seed    maphash.Seed
	columns []repeats
	size    int // bytes that are allocated for what is remembered
}

const (
	repeatSets   = 64      // of two values, for each column
	repeatLength = 1 << 10 // of the longest value that is remembered
	repeatBytes  = 1 << 18
	repeatTrial  = 1 << 9 // values after which a column has shown what it is like
)

// repeats is one column.
type repeats struct {
	sets        [][2]repeat // nil before the first value, and after the last
	looked, met int
	unlike      bool // its values seldom come again
}

// repeat is a value and what was made of it. Without a finding it is shown as it is.
type repeat struct {
	value, shown []byte
	findings     int
	used         bool
}

const repeatSetBytes = 2 * 64

// Redact is Detector.Redact for a value of a column.
func (r *Repeats) Redact(d *Detector, column int, dst, value []byte) ([]byte, int) {
	if quiet(value, 0) == len(value) { // quicker than remembering it
		return append(dst, value...), 0
	}
	c := r.column(column)
	if c.unlike || len(value) > repeatLength {
		return d.Redact(dst, value)
	}
	set := &c.sets[maphash.Bytes(r.seed, value)%repeatSets]
	c.looked++
	for i := range set {
		if s := &set[i]; s.used && bytes.Equal(s.value, value) {
			c.met++
			if s.findings == 0 {
				return append(dst, value...), 0
			}
			return append(dst, s.shown...), s.findings
		}
	}
	at := len(dst)
	dst, n := d.Redact(dst, value)
	if c.looked < repeatTrial {
		s := &set[c.looked%2]
		for i := range set {
			if !set[i].used {
				s = &set[i]
			}
		}
		r.remember(s, value, dst[at:], n)
		return dst, n
	}
	if c.met*2 < c.looked {
		r.forget(c)
	}
	c.looked, c.met = 0, 0
	return dst, n
}

// column gives the state of a column, which has sets unless it is given up.
func (r *Repeats) column(i int) *repeats {
	if r.columns == nil {
		r.seed = maphash.MakeSeed()
	}
	for i >= len(r.columns) {
		r.columns = append(r.columns, repeats{})
	}
	c := &r.columns[i]
	if c.sets == nil && !c.unlike {
		if c.unlike = r.size+repeatSets*repeatSetBytes > repeatBytes/2; !c.unlike {
			c.sets = make([][2]repeat, repeatSets)
			r.size += repeatSets * repeatSetBytes
		}
	}
	return c
}

// remember puts a value in the place of another.
func (r *Repeats) remember(s *repeat, value, shown []byte, n int) {
	if n == 0 {
		shown = nil
	}
	if r.size+max(0, len(value)-cap(s.value))+max(0, len(shown)-cap(s.shown)) > repeatBytes {
		return
	}
	r.size -= cap(s.value) + cap(s.shown)
	s.value, s.shown, s.findings, s.used = append(s.value[:0], value...), append(s.shown[:0], shown...), n, true
	r.size += cap(s.value) + cap(s.shown)
}

// forget gives a column up.
func (r *Repeats) forget(c *repeats) {
	for i := range c.sets {
		for _, s := range c.sets[i] {
			r.size -= cap(s.value) + cap(s.shown)
		}
	}
	r.size -= len(c.sets) * repeatSetBytes
	*c = repeats{unlike: true}
}
