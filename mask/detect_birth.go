package mask

import (
	"bytes"
	"strings"
)

// birthWords speak of somebody's birth before its date.
var birthWords = newWords("born", "birth", "dob$", "d.o.b", "geboren", "geb.", "geboorte", "née", "né le", "naissance", "nacid", "nacim", "nascid", "nascim", "nascita",
	"nato il", "nata il", "nato a", "nata a", "født", "fødsel", "född", "födel", "syntyn", "syntym", "urodz", "naroz", "szület", "doğum", "рожд", "родил")

// birth makes a finding of a date in figures, in groups 0 to 2, that stands after a word for birth. Dates
// alone are nobody's.
func (m *numeral) birth() Finding {
	start, end := m.groups[0].start, m.groups[2].end
	if !said(m.src[:start], &birthWords) {
		return Finding{}
	}
	return Finding{start, end, "birth"}
}

// monthNames are how months begin in the languages of birthWords, in lower case.
var monthNames = newWords("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", "ene", "abr", "ago", "dic", "fev", "fév", "avr", "mai", "juin", "juil",
	"août", "déc", "mär", "okt", "dez", "set", "out", "gen", "mag", "giu", "lug", "ott", "maj", "mei", "mrt")

// birthNamed is a date with the name of its month after a word for birth: 12 March 1985, 12. mars 1985,
// 12 de marzo de 1985, March 12, 1985. The day stands at i to end.
func birthNamed(src []byte, from, i, end int) Finding {
	if end-i > 2 || end == len(src) || src[end] != ' ' && src[end] != '.' && src[end] != ',' && src[end] != 't' {
		return Finding{}
	}
	start, at := i, skipAny(src, end, " .,")
	if word := wordBefore(src, i); len(word) >= 3 && monthNames.begin(word) {
		start = i - 1 - len(word)
	} else {
		at = skipWord(src, at, "of ", "de ")
		if at == len(src) || !monthNames.begin(src[at:]) {
			return Finding{}
		}
		for at < len(src) && wordByte(src[at]) {
			at++
		}
		at = skipWord(src, skipAny(src, at, " .,"), "of ", "de ")
	}
	if at+4 > len(src) || src[at] != '1' && src[at] != '2' || start < from || !said(src[:start], &birthWords) {
		return Finding{}
	}
	for _, c := range src[at : at+4] {
		if !isDigit(c) {
			return Finding{}
		}
	}
	return Finding{start, at + 4, "birth"}
}

// wordBefore gives the word that ends with one blank before i, or nothing.
func wordBefore(src []byte, i int) []byte {
	if i < 2 || src[i-1] != ' ' {
		return nil
	}
	start := i - 1
	for start > 0 && i-start < 32 && wordByte(src[start-1]) {
		start--
	}
	return src[start : i-1]
}

// skipAny gives the first place from i on whose byte is not in set, at most three on.
func skipAny(src []byte, i int, set string) int {
	for n := 0; n < 3 && i < len(src) && strings.IndexByte(set, src[i]) >= 0; n++ {
		i++
	}
	return i
}

// skipWord gives the place after the first of the words that stands at i, or i.
func skipWord(src []byte, i int, words ...string) int {
	for _, w := range words {
		if bytes.HasPrefix(src[i:], []byte(w)) {
			return i + len(w)
		}
	}
	return i
}
