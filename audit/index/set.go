package index

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/bits"
	"slices"
)

// Positions come in chunks of 262,144. The index has for each chunk and each term in it which of the chunk's
// positions have the term, so that a conjunction of terms costs at most a look at each term in each chunk,
// however many records have them.

const (
	chunkBits = 18
	chunkSize = 1 << chunkBits
)

func chunkOf(pos uint64) uint32 { return uint32(pos >> chunkBits) }
func lowOf(pos uint64) uint32   { return uint32(pos & (chunkSize - 1)) }
func posOf(chunk uint32, low uint32) uint64 {
	return uint64(chunk)<<chunkBits | uint64(low)
}

// set is some positions of a chunk.
type set [chunkSize / 64]uint64

func (s *set) add(low uint32)      { s[low>>6] |= 1 << (low & 63) }
func (s *set) has(low uint32) bool { return s[low>>6]&(1<<(low&63)) != 0 }

func (s *set) and(o *set) (any bool) {
	all := uint64(0)
	for i := range s {
		s[i] &= o[i]
		all |= s[i]
	}
	return all != 0
}

func (s *set) without(o *set) {
	for i := range s {
		s[i] &^= o[i]
	}
}

func (s *set) count() int {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// fill adds all positions from one to another.
func (s *set) fill(from, to uint32) {
	for i := int(from); i <= int(to); {
		if i&63 == 0 && i+63 <= int(to) {
			s[i>>6] = ^uint64(0)
			i += 64
			continue
		}
		s.add(uint32(i))
		i++
	}
}

// below gives the highest position of s that is below one, or is it with orAt.
func (s *set) below(low int) (int, bool) {
	if low <= 0 {
		return 0, false
	}
	i := (low - 1) >> 6
	w := s[i] & (^uint64(0) >> (63 - uint(low-1)&63))
	for w == 0 {
		if i--; i < 0 {
			return 0, false
		}
		w = s[i]
	}
	return i<<6 + 63 - bits.LeadingZeros64(w), true
}

// On disk a set is a list of distances, or a bit for each position, whichever is shorter: a byte that says which, then
// uvarints, each the distance to the position before, less one, or words of 64 bits, little endian.
const (
	asList = 'l'
	asBits = 'b'
)

var errSet = errors.New("positions that cannot be read")

// appendList appends positions in rising order as they are on disk.
func appendList(dst []byte, list []uint32) []byte {
	at := len(dst)
	dst = append(dst, asList)
	next := 0
	for _, low := range list {
		dst = binary.AppendUvarint(dst, uint64(int(low)-next))
		next = int(low) + 1
		if len(dst)-at > chunkSize/8 {
			var s set
			for _, low := range list {
				s.add(low)
			}
			return appendBits(dst[:at], &s)
		}
	}
	return dst
}

func appendBits(dst []byte, s *set) []byte {
	dst = append(dst, asBits)
	for _, w := range s {
		dst = binary.LittleEndian.AppendUint64(dst, w)
	}
	return dst
}

// appendSet appends a set as it is on disk.
func appendSet(dst []byte, s *set) []byte {
	if s.count() > chunkSize/8 { // a list takes a byte each at least
		return appendBits(dst, s)
	}
	var list []uint32
	for i, w := range s {
		for ; w != 0; w &= w - 1 {
			list = append(list, uint32(i<<6+bits.TrailingZeros64(w)))
		}
	}
	return appendList(dst, list)
}

// addTo adds what is on disk to a set.
func addTo(s *set, data []byte) error {
	if len(data) == 1+chunkSize/8 && data[0] == asBits {
		for i := range s {
			s[i] |= binary.LittleEndian.Uint64(data[1+8*i:])
		}
		return nil
	}
	return eachOf(data, s.add)
}

// eachOf calls f with the positions of a list on disk, in rising order.
func eachOf(data []byte, f func(low uint32)) error {
	if len(data) == 0 || data[0] != asList {
		return errSet
	}
	data = data[1:]
	for next := uint64(0); len(data) > 0; {
		d, n := uint64(data[0]), 1 // mostly
		if d >= 0x80 {
			d, n = binary.Uvarint(data)
		}
		if n <= 0 || d >= chunkSize || next+d >= chunkSize {
			return errSet
		}
		f(uint32(next + d))
		next += d + 1
		data = data[n:]
	}
	return nil
}

// with gives what is on disk with more positions, in rising order, which come after those that are there.
func with(data []byte, more []uint32) ([]byte, error) {
	if len(data) > 0 && data[0] == asBits {
		var s set
		if err := addTo(&s, data); err != nil {
			return nil, err
		}
		for _, low := range more {
			s.add(low)
		}
		return appendBits(nil, &s), nil
	}
	var list []uint32
	if err := eachOf(data, func(low uint32) { list = append(list, low) }); err != nil {
		return nil, err
	}
	list = append(list, more...)
	if !slices.IsSorted(list) { // two terms with the same hash, or what an erasure has left
		slices.Sort(list)
	}
	return appendList(nil, slices.Compact(list)), nil
}

// without gives what is on disk without some positions, nil when nothing is left, and whether it had any of them.
func without(data []byte, gone *set) (rest []byte, had bool, err error) {
	if len(data) > 0 && data[0] == asBits {
		var s set
		if err := addTo(&s, data); err != nil {
			return nil, false, err
		}
		before := s.count()
		s.without(gone)
		if after := s.count(); after == 0 || after == before {
			return nil, after != before, nil
		}
		return appendSet(nil, &s), true, nil
	}
	var list []uint32
	err = eachOf(data, func(low uint32) {
		if gone.has(low) {
			had = true
		} else {
			list = append(list, low)
		}
	})
	if err != nil || !had || list == nil {
		return nil, had, err
	}
	return appendList(nil, list), true, nil
}

// Values end in a checksum over their key and themselves.

var crcTable = crc32.MakeTable(crc32.Castagnoli)

func sumOf(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, crcTable), crcTable, value)
}

func seal(key, value []byte) []byte {
	return binary.LittleEndian.AppendUint32(slices.Clip(value), sumOf(key, value))
}

// unseal gives a value without its checksum, which it checks; ok is false where it does not fit.
func unseal(key, sealed []byte) (value []byte, sum uint32, ok bool) {
	n := len(sealed) - 4
	if n < 0 {
		return nil, 0, false
	}
	sum = binary.LittleEndian.Uint32(sealed[n:])
	return sealed[:n], sum, sum == sumOf(key, sealed[:n])
}
