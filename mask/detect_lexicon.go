package mask

import (
	_ "embed"
	"encoding/binary"
	"strings"
	"sync"
)

//go:embed names/names.txt
var namesText string

// What a capitalised word may be. A word that is in no list has none of them.
const (
	aGiven   = 1 << iota // a given name
	aSurname             // a surname
	aWord                // a word or place as well
)

// lexicon looks names up in namesText. It is a table with open addressing that keeps where each name stands:
// 18 bits of offset, 6 of length, 3 of what it is, 5 of its hash; 0 is an empty slot.
type lexicon [1 << lexiconBits]uint32

const lexiconBits = 16

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
			l[slot] = uint32(at)<<14 | uint32(len(word))<<8 | tag
		}
		l[slot] |= flag << 5
		at += len(word)
	}
}

func (l *lexicon) word(slot uint32) string {
	at := l[slot] >> 14
	return namesText[at : at+l[slot]>>8&63]
}

// of tells what a word may be.
func (l *lexicon) of(word []byte) uint32 {
	slot, tag := nameHash(word)
	for ; l[slot] != 0; slot = (slot + 1) % (1 << lexiconBits) {
		if l[slot]&31 == tag && l.word(slot) == string(word) {
			return l[slot] >> 5 & 7
		}
	}
	return 0
}

// nameHash gives the slot of a word, and five more bits of its hash.
func nameHash(word []byte) (slot, tag uint32) {
	x := uint64(len(word)) << 57
	if len(word) >= 8 {
		x ^= binary.LittleEndian.Uint64(word) ^ binary.LittleEndian.Uint64(word[len(word)-8:])<<3
	} else {
		for i, c := range word {
			x ^= uint64(c) << (8 * i)
		}
	}
	x *= 0x9e3779b97f4a7c15
	return uint32(x >> (64 - lexiconBits)), uint32(x>>40) & 31
}
