package mask

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// words are what makes a number mean something when they stand before it.
type words struct {
	list []string   // sorted
	span [257]uint8 // those that begin with byte c are list[span[c]:span[c+1]]

	seconds [256]uint32 // by byte: what second bytes those that begin with it have, the last five bits of each
}

// newWords takes words in lower case. They match as beginnings ("phone" is in "phones"), with a $ at the
// end as wholes; a blank matches a blank, an underscore, a hyphen or nothing, so that "tax id" is in tax_id
// and taxId.
func newWords(list ...string) words {
	w := words{list: list}
	for _, s := range list { // begins folds ASCII only
		if up := strings.Map(upperBeyondASCII, s); up != s {
			w.list = append(w.list, up)
		}
	}
	w.list = slices.Sorted(slices.Values(w.list))
	for c, at := 0, 0; c < 256; c++ {
		for at < len(w.list) && int(w.list[at][0]) == c {
			at++
		}
		w.span[c+1] = uint8(at)
	}
	for _, s := range w.list {
		w.seconds[s[0]] |= 1 << (s[1] & 31) // no word has its blank there
	}
	return w
}

func upperBeyondASCII(r rune) rune {
	if r < utf8.RuneSelf {
		return r
	}
	return unicode.ToUpper(r)
}

// said tells whether one of the words begins in the few bytes before a number.
func said(before []byte, w *words) bool {
	tail := before[max(0, len(before)-32):]
	inside := false // of a word
	for i, c := range tail {
		// Scripts of three-byte characters may have no blanks between their words.
		if (!inside || c >= 0xe0) && i+1 < len(tail) && w.seconds[lower(c)]>>(tail[i+1]&31)&1 == 1 && w.begin(tail[i:]) {
			return true
		}
		inside = wordBytes[c]
	}
	return false
}

// wordBytes are those of words that words begin after the end of only; the underscore joins them.
var wordBytes = func() (t [256]bool) {
	for c := range t {
		t[c] = wordByte(byte(c)) && c != '_'
	}
	return t
}()

// begin tells whether one of the words begins a text.
func (w *words) begin(text []byte) bool {
	c := lower(text[0])
	if len(text) < 2 || w.seconds[c]>>(text[1]&31)&1 == 0 {
		return false
	}
	for _, s := range w.list[w.span[c]:w.span[int(c)+1]] {
		if begins(text, s) {
			return true
		}
	}
	return false
}

// begins compares a word as newWords takes it with the beginning of a text.
func begins(text []byte, word string) bool {
	at := 0
	for i := range len(word) {
		switch c := word[i]; {
		case c == '$' && i == len(word)-1:
			return at == len(text) || !isLetter(text[at])
		case c == ' ':
			if at < len(text) && (text[at] == ' ' || text[at] == '_' || text[at] == '-') {
				at++
			}
		case at == len(text) || lower(text[at]) != c:
			return false
		default:
			at++
		}
	}
	return true
}
