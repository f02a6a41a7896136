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
	for i, c := range tail {
		c = lower(c)
		first, last := w.span[c], w.span[int(c)+1]
		if first == last || i > 0 && c < 0xe0 && wordByte(tail[i-1]) && tail[i-1] != '_' {
			continue // scripts of three-byte characters may have no blanks between their words
		}
		for _, s := range w.list[first:last] {
			if begins(tail[i:], s) {
				return true
			}
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
