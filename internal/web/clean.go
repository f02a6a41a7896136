package web

import (
	"fmt"
	"html"
	"html/template"
	"strings"
	"unicode"
	"unicode/utf8"

	"sallyport/internal/glyph"
)

// marksMost is how many marks are shown over one character. Languages need three at most; floods of them paint over
// the lines around.
const marksMost = 4

// clean shows a text on one line: HTML is escaped, and a character that would not show, or would move others, is shown as
// its number, in an element of its own that no text can forge.
func clean(v any) template.HTML { return template.HTML(neutral(text(v), false)) }

// lines is clean for text that may have several lines.
func lines(v any) template.HTML { return template.HTML(neutral(text(v), true)) }

// plain is clean for attributes, which hold no elements.
func plain(v any) string { return numbered(text(v), "") }

// area is plain for the text of a <textarea>, which has lines.
func area(v any) string { return numbered(text(v), "\n\t") }

// numbered is s with the numbers of its odd characters, but for those to be kept.
func numbered(s, keep string) string {
	var b strings.Builder
	each(s, func(r rune, raw string, odd bool) {
		if odd && !strings.Contains(keep, raw) {
			b.WriteString(number(r, raw))
		} else {
			b.WriteString(raw)
		}
	})
	return b.String()
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case fmt.Stringer:
		return v.String()
	}
	return fmt.Sprint(v)
}

func neutral(s string, multi bool) string {
	var b strings.Builder
	b.Grow(len(s) + len(s)/8)
	each(s, func(r rune, raw string, odd bool) {
		switch {
		case multi && r == '\n':
			b.WriteByte('\n')
		case multi && r == '\t':
			b.WriteString("    ")
		case odd:
			b.WriteString(`<b class="odd">` + number(r, raw) + `</b>`)
		default:
			b.WriteString(html.EscapeString(raw))
		}
	})
	return b.String()
}

// each calls f with the characters of s; odd are those that are not printed as they are.
func each(s string, f func(r rune, raw string, odd bool)) {
	marks := marksMost // none may come first
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		odd := r == utf8.RuneError && n == 1 || !glyph.Drawn(r) || mark(r) && marks >= marksMost
		switch {
		case odd:
			marks = marksMost
		case mark(r):
			marks++
		default:
			marks = 0
		}
		f(r, s[i:i+n], odd)
		i += n
	}
}

func number(r rune, raw string) string {
	if r == utf8.RuneError && len(raw) == 1 {
		return fmt.Sprintf(`\x%02x`, raw[0])
	}
	return fmt.Sprintf("U+%04X", r)
}

// mark is true of characters that are drawn over the one in front of them.
func mark(r rune) bool {
	return r >= 0x300 && (unicode.In(r, unicode.Mn, unicode.Me) || r >= 0x1160 && r <= 0x11ff || r >= 0xd7b0 && r <= 0xd7fb) // Hangul vowels and finals
}
