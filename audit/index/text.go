package index

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A word is as many letters and digits in a row as there are, in small letters; in scripts that put no spaces between
// words, each character is one. What is looked for as a whole word in a text has no words that the text has not, so
// the words that the index knows never rule out a text that has it.

// spaceless are the scripts without spaces between words.
var spaceless = []*unicode.RangeTable{unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar}

func letter(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

func single(r rune) bool { return r >= 0x0e00 && unicode.In(r, spaceless...) }

// wordMost is how many bytes of a word count.
const wordMost = 64

// eachWord calls f with the words of a text until it returns false.
func eachWord(text string, f func(word string) bool) bool {
	text = strings.ToLower(text)
	start := -1 // of the word that i is in
	end := func(i int) bool {
		from := start
		start = -1
		return from < 0 || f(text[from:min(i, from+wordMost)])
	}
	for i, r := range text {
		switch {
		case r < utf8.RuneSelf && ('a' <= r && r <= 'z' || '0' <= r && r <= '9'), r >= utf8.RuneSelf && letter(r) && !single(r):
			if start < 0 {
				start = i
			}
		case single(r) && letter(r):
			if !end(i) || !f(text[i:i+utf8.RuneLen(r)]) {
				return false
			}
		default:
			if !end(i) {
				return false
			}
		}
	}
	return end(len(text))
}

// lower is how phrases are compared.
func lower(phrase string) string { return strings.ToLower(strings.TrimSpace(phrase)) }

// has reports whether a text has a phrase, which is in small letters, where no letter or digit that would belong to
// the same word is in front of it or behind.
func has(text, phrase string) bool {
	if len(phrase) == 0 || len(text) == 0 {
		return false
	}
	text = strings.ToLower(text)
	first, _ := utf8.DecodeRuneInString(phrase)
	last, _ := utf8.DecodeLastRuneInString(phrase)
	for at := 0; ; {
		i := strings.Index(text[at:], phrase)
		if i < 0 {
			return false
		}
		start, end := at+i, at+i+len(phrase)
		before, _ := utf8.DecodeLastRuneInString(text[:start])
		after, _ := utf8.DecodeRuneInString(text[end:])
		if !joined(before, first) && !joined(last, after) {
			return true
		}
		_, n := utf8.DecodeRuneInString(text[start:])
		at = start + n
	}
}

// joined is whether two characters in a row are of one word.
func joined(a, b rune) bool { return letter(a) && !single(a) && letter(b) && !single(b) }
