package index

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/bits"
	"slices"
)

// Positions come in chunks of 65,536. The index has for each chunk and each term in it which of the chunk's
// positions have the term, so that a conjunction of terms costs at most a look at each term in each chunk,
// however many records have them.

const (
	chunkBits = 16
	chunkSize = 1 << chunkBits
)

func chunkOf(pos uint64) uint32 { return uint32(pos >> chunkBits) }
func lowOf(pos uint64) uint16   { return uint16(pos) }
func posOf(chunk uint32, low uint16) uint64 {
	return uint64(chunk)<<chunkBits | uint64(low)
}

// set is some positions of a chunk.
type set [chunkSize / 64]uint64

func (s *set) add(low uint16)      { s[low>>6] |= 1 << (low & 63) }
func (s *set) has(low uint16) bool { return s[low>>6]&(1<<(low&63)) != 0 }

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
func (s *set) fill(from, to uint16) {
	for i := int(from); i <= int(to); {
		if i&63 == 0 && i+63 <= int(to) {
			s[i>>6] = ^uint64(0)
			i += 64
			continue
		}
		s.add(uint16(i))
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
// uvarints, each the distance to the position before, less one, or 8,192 bytes, little endian.
const (
	asList = 'l'
	asBits = 'b'
)

var errSet = errors.New("positions that cannot be read")

// appendList appends positions in rising order as they are on disk.
func appendList(dst []byte, list []uint16) []byte {
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
	var list []uint16
	for i, w := range s {
		for ; w != 0; w &= w - 1 {
			list = append(list, uint16(i<<6+bits.TrailingZeros64(w)))
		}
	}
	return appendList(dst, list)
}

// addTo adds what is on disk to a set.
func addTo(s *set, data []byte) error {
	if len(data) == 0 {
		return errSet
	}
	switch kind, data := data[0], data[1:]; kind {
	case asBits:
		if len(data) != chunkSize/8 {
			return errSet
		}
		for i := range s {
			s[i] |= binary.LittleEndian.Uint64(data[8*i:])
		}
		return nil
	case asList:
		for next := uint64(0); len(data) > 0; {
			d, n := uint64(data[0]), 1 // mostly
			if d >= 0x80 {
				d, n = binary.Uvarint(data)
			}
			if n <= 0 || d >= chunkSize || next+d >= chunkSize {
				return errSet
			}
			s.add(uint16(next + d))
			next += d + 1
			data = data[n:]
		}
		return nil
	}
	return errSet
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
