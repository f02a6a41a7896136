package mask

import (
	"bytes"
	"strings"
)

// address recognises a street with its house number, which stands at i to end, or a box, and what follows of flat,
// town and postcode: 12 Mill Road, 5 rue de Rivoli, Lindenstraße 12, Calle Mayor 5, PO Box 12.
func address(src []byte, from, i, end int) Finding {
	if end-i > 5 || end < len(src) && isDigit(src[end]) {
		return Finding{}
	}
	if last := streetAfter(src, end); last > 0 {
		if n := numberBefore(src, from, i); n >= 0 { // 19607 107 Mill Road
			i = n
		}
		return Finding{i, crossing(src, place(src, last)), "address"}
	}
	if last := between(src, i, end); last > 0 {
		return Finding{i, place(src, last), "address"}
	}
	if i < 3 || src[i-1] != ' ' {
		return Finding{}
	}
	if start := boxBefore(src, from, i, end); start >= 0 {
		return Finding{start, place(src, end), "address"}
	}
	if start := unitBefore(src, from, i-1); start >= 0 {
		return Finding{start, place(src, end), "address"}
	}
	if end < len(src) && (wordByte(src[end]) || src[end] == '.' && end+1 < len(src) && isAlnum(src[end+1])) {
		return Finding{}
	}
	start := streetBefore(src, from, i-1)
	if start < 0 && end-i < 5 {
		start = cuedBefore(src, from, i-1)
	}
	if start < 0 {
		return Finding{}
	}
	if n := numberBefore(src, from, start); n >= 0 {
		start = n
	}
	return Finding{start, crossing(src, place(src, end)), "address"}
}

// streetAfter gives the end of a street's name that follows a house number, or 0.
func streetAfter(src []byte, at int) int {
	if at+1 < len(src) && isLetter(src[at]) && src[at+1] == ' ' {
		at++ // 12a
	}
	french := false
	for n := range 5 {
		if at+1 >= len(src) || src[at] != ' ' {
			return 0
		}
		start := at + 1
		at = wordEnd(src, start)
		word := src[start:at]
		if len(word) == 0 {
			return 0
		}
		great := isUpper(word[0]) || word[0] >= 0xc3
		switch {
		case n == 0 && !great && !streetFirsts[word[0]]:
			return 0
		case n == 0 && frenchStreets[string(word)]:
			french = true
		case n > 0 && french && great, french && bytes.HasPrefix(word, []byte("d'")), french && bytes.HasPrefix(word, []byte("l'")):
			return at
		case n > 0 && !french && streetTypes[string(word)]:
			return at
		case french && streetParticles[string(word)]:
		case french || !great:
			return 0
		}
	}
	return 0
}

// between gives the end of "641 Dašická 688", or 0: a number, at most three words with capitals of which one is in no
// dictionary and none is a month, and a house number at the end of a line or clause.
func between(src []byte, i, at int) int {
	if i > 0 && strings.IndexByte(" \n(\"", src[i-1]) < 0 {
		return 0
	}
	strange := false
	for n := 0; ; n++ {
		if at+1 >= len(src) || src[at] != ' ' {
			return 0
		}
		start := at + 1
		if isDigit(src[start]) {
			for at = start; at < len(src) && isDigit(src[at]); {
				at++
			}
			if !strange || at-start > 4 || at-start == 4 && (src[start] == '1' && src[start+1] == '9' || src[start] == '2' && src[start+1] == '0') ||
				at < len(src) && strings.IndexByte(",\n", src[at]) < 0 && !unitNext(src, at) {
				return 0
			}
			return at
		}
		at = wordEnd(src, start)
		word := src[start:at]
		switch {
		case n == 4 || len(word) == 0 || monthNames.begin(word):
			return 0
		case !beginsCapital(src, start):
			if n == 0 || !streetParticles[string(word)] && !streetLasts[string(word)] {
				return 0
			}
		case !ordinary(word):
			strange = true
		}
	}
}

// unitNext tells whether a word for a flat follows.
func unitNext(src []byte, at int) bool {
	if at+1 >= len(src) || src[at] != ' ' {
		return false
	}
	stop := at + 1
	for stop < len(src) && (isLetter(src[stop]) || src[stop] == '.') {
		stop++
	}
	return unitWords[string(src[at+1:stop])]
}

// boxBefore gives where a box at a post office begins whose number stands at i to end, or a military address (USPS
// Publication 28, section 238), or -1.
func boxBefore(src []byte, from, i, end int) int {
	start := wordStart(src, from, i-1)
	word := src[start : i-1]
	switch {
	case boxes[string(word)]:
		return start
	case string(word) == "Unit" && bytes.HasPrefix(src[end:], []byte(" Box ")):
		return start
	case string(word) == "Box" || string(word) == "Postal" || string(word) == "Correos":
		if start < from+2 || src[start-1] != ' ' {
			return -1
		}
		first := wordStart(src, from, start-1)
		if w := string(src[first : start-1]); boxFirsts[w] {
			if w == "O." && first > from+2 && src[first-1] == ' ' { // P. O. Box
				first = wordStart(src, from, first-1)
			}
			return first
		}
	case military[string(word)] && end-i == 5 && start > from+3:
		first := wordStart(src, from, start-1)
		if w := string(src[first : start-1]); w != "APO" && w != "FPO" && w != "DPO" {
			return -1
		}
		line := first // a ship or unit has the line before
		if line > from && src[line-1] == '\n' {
			for line--; line > from && src[line-1] != '\n' && first-line < 60; {
				line--
			}
			if ships[string(src[line:wordEnd(src, line)])] {
				return line
			}
			if k := bytes.Index(src[line:first], []byte("US")); k > 0 && ships[string(src[line+k:wordEnd(src, line+k)])] {
				return line + k
			}
		}
		return first
	}
	return -1
}

// wordStart gives the beginning of the word, with points in it, that ends at end.
func wordStart(src []byte, from, end int) int {
	start := end
	for start > from && end-start < 40 && (wordByte(src[start-1]) || src[start-1] == '.' || src[start-1] == '\'') {
		start--
	}
	return start
}

// unitBefore gives where an address begins whose flat or suite is named by the word that ends at end: the numbers
// and capitalised words before it. It is -1 where there is no such word, or no number among them.
func unitBefore(src []byte, from, end int) int {
	word := end
	for word > from && end-word < 10 && (isLetter(src[word-1]) || src[word-1] == '.') {
		word--
	}
	if !isUpper(src[word]) || !unitWords[string(src[word:end])] {
		return -1
	}
	start, small, great := -1, 0, false
	for at, n := word, 0; n < 9; n++ {
		stop := at
		line := false
		for stop > from && at-stop < 7 && (strings.IndexByte(" ,\n", src[stop-1]) >= 0 || strings.IndexByte("?>|*", src[stop-1]) >= 0) {
			stop--
			line = line || src[stop] == '\n'
		}
		if line && start >= 0 {
			return start
		}
		at = stop
		digits := 0
		for at > from && stop-at < 40 && (wordByte(src[at-1]) || strings.IndexByte(".-'", src[at-1]) >= 0) {
			if at--; isDigit(src[at]) {
				digits++
			}
		}
		switch token := src[at:stop]; {
		case len(token) == 0:
			return start
		case digits > 0:
			if start < 0 || great {
				start = at
			}
		case isUpper(token[0]) || token[0] >= 0xc3:
			great = true
		case streetWords[string(token)]:
			great = true
		case !streetParticles[string(token)] && !streetLasts[string(token)]:
			if small++; small > 1 {
				return start
			}
		}
	}
	return start
}

// numberBefore gives where a number begins that stands with one blank before i, or -1.
func numberBefore(src []byte, from, i int) int {
	start := i - 1
	for start > from && i-start < 8 && isDigit(src[start-1]) {
		start--
	}
	if start == i-1 || start < from || src[i-1] != ' ' || start > 0 && strings.IndexByte(" \n(\"", src[start-1]) < 0 {
		return -1
	}
	return start
}

// streetBefore gives where the street's name begins that ends at end, or -1.
func streetBefore(src []byte, from, end int) int {
	start := wordStart(src, from, end)
	word := src[start:end]
	if len(word) == 0 {
		return -1
	}
	great := beginsCapital(src, start)
	if great && hasStreetEnd(word) && !ordinary(word) {
		return start
	}
	last := streetLasts[string(bytes.TrimSuffix(word, []byte(".")))] && (great || len(word) > 1) // Villacher Strasse 89, Király u. 15
	if !great && !last && word[0] < 0x80 {
		return -1
	}
	before := -1
	for range 4 { // Calle de la Paz 5
		if start-2 < from || src[start-1] != ' ' {
			break
		}
		stop := start - 1
		start = wordStart(src, from, stop)
		word := bytes.TrimSuffix(src[start:stop], []byte("."))
		if len(word) == 0 {
			break
		}
		switch great := beginsCapital(src, start); {
		case streetWords[string(word)]:
			return start
		case great && last && names().of(word)&aStop == 0:
			before = start
		case !great && !streetParticles[string(word)] && !bytes.HasPrefix(word, []byte("d'")) && !bytes.HasPrefix(word, []byte("l'")):
			return before
		}
	}
	return before
}

func hasStreetEnd(word []byte) bool {
	for _, s := range streetEnds[word[len(word)-1]] {
		if len(word) >= len(s)+3 && string(word[len(word)-len(s):]) == s {
			return true
		}
	}
	return false
}

// cuedBefore gives where one to three words with capitals begin that end at end, of which one is in no dictionary,
// after words that say where somebody or something is: "our office is at Pod Floriánem 1677". It is -1 otherwise.
func cuedBefore(src []byte, from, end int) int {
	strange := false
	for at, n := end, 0; n < 4; n++ {
		start := wordStart(src, from, at)
		word := src[start:at]
		if len(word) == 0 || monthNames.begin(word) {
			return -1
		}
		if !beginsCapital(src, start) {
			if strange && prepositions[string(word)] && said(src[:start], &whereWords) {
				return at + 1
			}
			return -1
		}
		strange = strange || !ordinary(word)
		if start-2 < from {
			return -1
		}
		if src[start-1] != ' ' {
			return -1
		}
		if n := len(bytes.TrimRight(src[:start], " ")); strange && src[n-1] == ':' && said(src[:n], &whereWords) {
			return start
		}
		at = start - 1
	}
	return -1
}

// place takes in what follows a street on the same or the next lines, up to the last flat, postcode or country in the
// next few capitalised words and numbers.
func place(src []byte, end int) int {
	at, unit := end, false
	if at+1 < len(src) && src[at] == '.' && (src[at+1] == '\n' || unitNext(src, at+1)) { // Király u. 15.
		at++
	}
	for range 14 {
		start := skipBreak(src, at)
		if start == at || start == len(src) {
			return end
		}
		at = start
		digits := 0
		for at < len(src) && (wordByte(src[at]) || src[at] == '-' || src[at] == '#' || src[at] == '\'' || src[at] == '.' && (isLetter(src[at-1]) || src[at-1] >= 0x80)) {
			if isDigit(src[at]) {
				digits++
			}
			at++
		}
		word := src[start:at]
		if len(word) == 0 || !isUpper(word[0]) && !isDigit(word[0]) && word[0] < 0xc3 && word[0] != '#' && !streetParticles[string(word)] {
			return end
		}
		stop := word[len(word)-1] == '.'
		name := bytes.TrimSuffix(word, []byte("."))
		if digits >= 3 || digits > 0 && (unit || isUpper(word[0]) || len(word) == 3 && isUpper(word[2])) || countries[string(name)] { // OX18 7FR
			end = start + len(name)
		}
		if stop && len(name) > 4 && !unitWords[string(word)] {
			return end
		}
		unit = unitWords[string(word)]
	}
	return end
}

// skipBreak passes what stands between the parts of an address: blanks, commas, parentheses, the end of a line and the
// marks of a quotation before the next.
func skipBreak(src []byte, at int) int {
	line := false
	for n := 0; at < len(src) && n < 9; n++ {
		switch c := src[at]; {
		case c == '\n':
			line = true
		case c == ' ' || c == ',' || c == '\r' || c == '\t' || c == '(' || c == ')':
		case line && (c == '>' || c == '?' || c == '|' || c == '*'):
		default:
			return at
		}
		at++
	}
	return at
}

// crossing takes in the second street of a corner: "and Mill Road".
func crossing(src []byte, end int) int {
	at := end
	if at < len(src) && src[at] == '.' {
		at++
	}
	if !bytes.HasPrefix(src[at:], []byte(" and ")) {
		return end
	}
	for at, n := at+4, 0; n < 4 && at+1 < len(src) && src[at] == ' ' && beginsCapital(src, at+1); n++ {
		start := at + 1
		if at = wordEnd(src, start); n > 0 && streetTypes[string(src[start:at])] {
			return at
		}
	}
	return end
}
