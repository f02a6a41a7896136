package index

import (
	"encoding/binary"
	"errors"
	"slices"

	"sallyport/audit"
)

// span is 256 records in a row: when they were recorded and where they lie.
type span struct {
	first  uint64 // position of times[0]
	times  []int64
	places []audit.Place
}

const (
	spanBits = 8
	spanSize = 1 << spanBits
)

func spanOf(pos uint64) uint64 { return pos >> spanBits }

var errSpan = errors.New("places that cannot be read")

// end is the position behind the last.
func (s *span) end() uint64 { return s.first + uint64(len(s.times)) }

func (s *span) add(micros int64, at audit.Place) {
	s.times, s.places = append(s.times, micros), append(s.places, at)
}

// appendSpan encodes: the earliest time and the latest, position of the first record, its segment, then for each the time and the offset, both as
// distances to those before. A record that begins a segment, whose name is its position, has distance 0
// and the offset behind it.
func appendSpan(dst []byte, s *span) []byte {
	if len(s.times) == 0 {
		return dst
	}
	dst = binary.AppendVarint(dst, slices.Min(s.times))
	dst = binary.AppendVarint(dst, slices.Max(s.times))
	dst = binary.AppendUvarint(dst, s.first)
	seg, off, micros := s.places[0].Segment, int64(0), int64(0)
	dst = binary.AppendUvarint(dst, seg)
	for i, at := range s.places {
		dst = binary.AppendVarint(dst, s.times[i]-micros)
		micros = s.times[i]
		if at.Segment != seg {
			dst = append(dst, 0)
			seg, off = at.Segment, 0
		}
		dst = binary.AppendUvarint(dst, uint64(at.Offset-off))
		off = at.Offset
	}
	return dst
}

// boundsOf reads the earliest and the latest time alone.
func boundsOf(data []byte) (from, to int64, err error) {
	from, n := binary.Varint(data)
	if n <= 0 {
		return 0, 0, errSpan
	}
	if to, n = binary.Varint(data[n:]); n <= 0 {
		return 0, 0, errSpan
	}
	return from, to, nil
}

func readSpan(data []byte) (*span, error) {
	bad := false
	next := func(signed bool) (u uint64, i int64) {
		n := 0
		if signed {
			i, n = binary.Varint(data)
		} else {
			u, n = binary.Uvarint(data)
		}
		if n <= 0 {
			bad = true
			data = nil
			return 0, 0
		}
		data = data[n:]
		return u, i
	}
	s := &span{times: make([]int64, 0, spanSize), places: make([]audit.Place, 0, spanSize)}
	next(true)
	next(true)
	s.first, _ = next(false)
	seg, _ := next(false)
	off, micros := int64(0), int64(0)
	for len(data) > 0 && !bad {
		_, d := next(true)
		micros += d
		u, _ := next(false)
		if u == 0 {
			seg, off = s.end(), 0
			u, _ = next(false)
		}
		off += int64(u)
		s.add(micros, audit.Place{Segment: seg, Offset: off})
	}
	if bad || len(s.times) == 0 || spanOf(s.first) != spanOf(s.end()-1) {
		return nil, errSpan
	}
	return s, nil
}
