package mask

import (
	"bytes"
	"strings"
)

// streetTypes end the names of English-speaking streets, streetWords begin those of Romance and Slavic ones,
// streetEnds are how the words of Germanic, Nordic and Hungarian ones end.
var (
	streetTypes = set("Street St Road Rd Avenue Ave Lane Ln Drive Dr Boulevard Blvd Court Ct Place Square Sq Terrace Close Crescent Parkway Pkwy Highway Hwy")
	streetWords = set("rue Rue avenue Avenue boulevard Boulevard chemin Chemin allée Allée impasse Impasse quai Quai Calle Avenida Avda Paseo Plaza Rua Travessa Via Viale Piazza Corso Ulica Ul ul")
	streetEnds  = []string{"straße", "strasse", "str.", "weg", "platz", "allee", "gasse", "straat", "laan", "plein", "gracht", "gatan", "vägen", "veien", "vegen", "vej", "katu"}
	unitWords   = set("Apt Apt. Apartment Suite Unit Flat Floor #")
)

// streetFirsts are the letters that streetWords begin with.
var streetFirsts = func() (t [256]bool) {
	for w := range streetWords {
		t[w[0]] = true
	}
	return t
}()

// address recognises a street with its house number, which stands at i to end, and what follows of flat,
// town and postcode: 12 Mill Road, 5 rue de Rivoli, Lindenstraße 12, Calle Mayor 5.
func address(src []byte, from, i, end int) Finding {
	if end-i > 5 || end < len(src) && isDigit(src[end]) {
		return Finding{}
	}
	if last := streetAfter(src, end); last > 0 {
		if n := numberBefore(src, from, i); n >= 0 { // 19607 107 Mill Road
			i = n
		}
		return Finding{i, place(src, last), "address"}
	}
	if i < 4 || src[i-1] != ' ' {
		return Finding{}
	}
	if start := unitBefore(src, from, i-1); start >= 0 {
		return Finding{start, place(src, end), "address"}
	}
	if start := streetBefore(src, from, i-1); start >= 0 && (end == len(src) || !wordByte(src[end]) && src[end] != '.' || end+1 == len(src)) {
		return Finding{start, place(src, end), "address"}
	}
	return Finding{}
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
		capital := isUpper(word[0]) || word[0] >= 0xc3
		switch {
		case n == 0 && !capital && !streetFirsts[word[0]]:
			return 0
		case n == 0 && streetWords[string(word)] && word[0] != 'V' && word[0] != 'C' && word[0] != 'P':
			french = true
		case n > 0 && french && capital:
			return at
		case n > 0 && !french && streetTypes[string(word)]:
			return at
		case french && particles[string(word)]:
		case french || !capital:
			return 0
		}
	}
	return 0
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
	start := -1
	for at, n := word, 0; n < 8; n++ {
		stop := at
		for stop > from && at-stop < 3 && strings.IndexByte(" ,\n", src[stop-1]) >= 0 {
			stop--
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
			start = at
		case !isUpper(token[0]) && token[0] < 0xc3 && !(len(token) <= longestParticle && particles[string(token)]) && !streetWords[string(token)]:
			return start
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
	start := end
	for start > from && end-start < 40 && (wordByte(src[start-1]) || src[start-1] == '.') {
		start--
	}
	word := src[start:end]
	if len(word) == 0 || !isUpper(word[0]) && word[0] < 0xc3 {
		return -1
	}
	for _, s := range streetEnds {
		if len(word) >= len(s)+3 && word[len(word)-1] == s[len(s)-1] && string(word[len(word)-len(s):]) == s {
			return start
		}
	}
	for range 4 { // Calle de la Paz 5
		if start-2 < from || src[start-1] != ' ' {
			return -1
		}
		last := start - 1
		start = last
		for start > from && last-start < 40 && (wordByte(src[start-1]) || src[start-1] == '.') {
			start--
		}
		word := bytes.TrimSuffix(src[start:last], []byte("."))
		switch {
		case len(word) == 0 || word[0] >= 'a' && word[0] <= 'z' && !streetFirsts[word[0]] && len(word) > longestParticle:
			return -1
		case streetWords[string(word)]:
			return start
		case !isUpper(word[0]) && word[0] < 0xc3 && !particles[string(word)]:
			return -1
		}
	}
	return -1
}

// place takes in what follows a street on the same or the next lines, up to the last flat or postcode in the
// next few capitalised words and numbers.
func place(src []byte, end int) int {
	at, unit := end, false
	for range 9 {
		start := at
		for start < len(src) && start-at < 4 && strings.IndexByte(" ,\n\r", src[start]) >= 0 {
			start++
		}
		if start == at || start == len(src) {
			return end
		}
		at = start
		digits := 0
		for at < len(src) && (wordByte(src[at]) || src[at] == '-' || src[at] == '#' || src[at] == '.' && isLetter(src[at-1])) {
			if isDigit(src[at]) {
				digits++
			}
			at++
		}
		word := src[start:at]
		if len(word) == 0 || !isUpper(word[0]) && !isDigit(word[0]) && word[0] < 0xc3 && word[0] != '#' {
			return end
		}
		if digits >= 3 || digits > 0 && (unit || isUpper(word[0]) || len(word) == 3 && isUpper(word[2])) { // OX18 7FR
			end = at
		}
		unit = unitWords[string(word)]
	}
	return end
}
