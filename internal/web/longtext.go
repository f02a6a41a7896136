package web

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// long is a constant, a comment or a name that would push what comes after it out of sight.
type long struct{ What, Text string }

// Of a text that is longer, its beginning and its end are shown.
const (
	mostLines, mostRunes = 8, 800
	headLines, headRunes = 4, 300
	tailLines, tailRunes = 2, 150
	kindLeft             = "left"
)

// ends gives the beginning and the end of a long text, and how much is between them; what is "" where all of it can be shown.
func ends(text string) (head, tail, what string) {
	count, runes := strings.Count(text, "\n"), utf8.RuneCountInString(text)
	if count <= mostLines && runes <= mostRunes {
		return "", "", ""
	}
	from, to := 0, len(text)
	for lines, n := 0, 0; from < len(text) && lines < headLines && n < headRunes; n++ {
		if text[from] == '\n' {
			lines++
		}
		_, size := utf8.DecodeRuneInString(text[from:])
		from += size
	}
	for lines, n := 0, 0; to > from && n < tailRunes; n++ {
		_, size := utf8.DecodeLastRuneInString(text[from:to])
		if text[to-1] == '\n' {
			if lines++; lines >= tailLines {
				break
			}
		}
		to -= size
	}
	between := text[from:to]
	return text[:from], text[to:], fmt.Sprintf("%d line breaks and %d characters more", strings.Count(between, "\n"), utf8.RuneCountInString(between))
}
