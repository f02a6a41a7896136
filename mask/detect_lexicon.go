package mask

import (
	_ "embed"
	"encoding/binary"
	"strings"
	"sync"
)

//go:embed names/names.txt
var namesText string

//go:embed names/words.txt
var wordsText string

// What a capitalised word may be. A word that is in no list has none of them.
const (
	aGiven   = 1 << iota // a given name
	aSurname             // a surname
	aWord                // a word as well
	aPlace               // a place as well
	aStop                // no part of a name: it begins sentences after what reads as a cue, or ends the name before it
	aFirst               // how the names of places, schools and works begin
	aThing               // after a name: how those of streets, firms, works and things end
)

const isName = aGiven | aSurname

// lexicon looks names up in namesText. It is a table with open addressing that keeps where each name stands:
// 19 bits of offset, 5 of length, 7 of what it is, one of its hash; 0 is an empty slot.
type lexicon [1 << lexiconBits]uint32

const lexiconBits = 17

// names is built at the first capital that anybody reads: most commands of the program read none.
var names = sync.OnceValue(func() *lexicon {
	var l lexicon
	flag := uint32(0)
	for at := 0; at < len(namesText); {
		line, _, _ := strings.Cut(namesText[at:], "\n")
		switch line {
		case "= given":
			flag = aGiven
		case "= surname":
			flag = aSurname
		case "= word":
			flag = aWord
		case "= place":
			flag = aPlace
		case "= stop":
			flag = aStop
		case "= first":
			flag = aFirst
		case "= thing":
			flag = aThing
		default:
			if !strings.HasPrefix(line, "#") {
				l.add(at, line, flag)
			}
		}
		at += len(line) + 1
	}
	return &l
})

func (l *lexicon) add(at int, line string, flag uint32) {
	for word := range strings.FieldsSeq(line) {
		at += strings.Index(namesText[at:], word)
		slot, tag := nameHash([]byte(word))
		for l[slot] != 0 && l.word(slot) != word {
			slot = (slot + 1) % (1 << lexiconBits)
		}
		if l[slot] == 0 {
			l[slot] = uint32(at)<<13 | uint32(len(word))<<8 | tag
		}
		l[slot] |= flag << 1
		at += len(word)
	}
}

func (l *lexicon) word(slot uint32) string {
	at := l[slot] >> 13
	return namesText[at : at+l[slot]>>8&31]
}

// of tells what a word may be.
func (l *lexicon) of(word []byte) uint32 {
	slot, tag := nameHash(word)
	want := uint32(len(word))<<8 | tag
	for ; l[slot] != 0; slot = (slot + 1) % (1 << lexiconBits) {
		if l[slot]&(31<<8|1) == want && l.word(slot) == string(word) {
			return l[slot] >> 1 & 127
		}
	}
	return 0
}

// nameHash gives the slot of a word, and one more bit of its hash.
func nameHash(word []byte) (slot, tag uint32) {
	x := wordHash(word)
	return uint32(x >> (64 - lexiconBits)), uint32(x>>40) & 1
}

func wordHash(word []byte) uint64 {
	x := uint64(len(word)) << 57
	if len(word) >= 8 {
		x ^= binary.LittleEndian.Uint64(word) ^ binary.LittleEndian.Uint64(word[len(word)-8:])<<3
	} else {
		for i, c := range word {
			x ^= uint64(c) << (8 * i)
		}
	}
	return x * 0x9e3779b97f4a7c15
}

// dictionary holds wordsText as a Bloom filter: one word in a hundred that is not in it seems to be.
type dictionary [1 << dictionaryBits / 64]uint64

const dictionaryBits = 19

var dictionaryWords = sync.OnceValue(func() *dictionary {
	var d dictionary
	for line := range strings.Lines(wordsText) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		for word := range strings.FieldsSeq(line) {
			for n := range 4 {
				bit := dictionaryBit([]byte(word), n)
				d[bit/64] |= 1 << (bit % 64)
			}
		}
	}
	return &d
})

func dictionaryBit(word []byte, n int) uint64 {
	x := wordHash(word)
	x ^= x >> 29
	return (x + uint64(n)*(x>>32|1)) * 0x9e3779b97f4a7c15 >> (64 - dictionaryBits)
}

func (d *dictionary) has(word []byte) bool {
	for n := range 4 {
		if bit := dictionaryBit(word, n); d[bit/64]>>(bit%64)&1 == 0 {
			return false
		}
	}
	return true
}

// ordinary tells whether a word, in whatever letters, is an English one, perhaps a plural. Words of more than 24 bytes
// are no names either.
func ordinary(word []byte) bool {
	var small [24]byte
	if len(word) > len(small) {
		return true
	}
	for i, c := range word {
		if c >= 0x80 {
			return false
		}
		small[i] = lower(c)
	}
	w := small[:len(word)]
	d := dictionaryWords()
	switch n := len(w); {
	case n < 3 || d.has(w):
		return true
	case n > 4 && w[n-1] == 's' && (d.has(w[:n-1]) || w[n-2] == 'e' && d.has(w[:n-2])):
		return true
	}
	return false
}
