// Package show turns what records hold into text that is harmless on a terminal and measured as a terminal
// measures it: values, tables of results, sizes and spans. Records hold what attackers wrote.
package show

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"

	"sallyport/internal/glyph"
)

// marksMost is how many marks are drawn over one character. Languages need three at most; floods of them paint over
// the lines around.
const marksMost = 4

// Clean makes s harmless on a terminal: everything that is not a printing character (control and escape
// bytes, what is not UTF-8, characters that turn the direction of text or have no width) is shown as an
// escape, and so are marks that have no character to be drawn over, or are too many.
func Clean(s string) string {
	if harmless(s) {
		return s
	}
	var b strings.Builder
	marks := marksMost // none may come first
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1, r < 0x20, r == 0x7f:
			for _, c := range []byte(s[i : i+n]) {
				fmt.Fprintf(&b, `\x%02x`, c)
			}
			marks = marksMost
		case !glyph.Drawn(r), mark(r) && marks >= marksMost:
			fmt.Fprintf(&b, `\u{%04x}`, r)
			marks = marksMost
		default:
			b.WriteRune(r)
			marks++
			if !mark(r) {
				marks = 0
			}
		}
		i += n
	}
	return b.String()
}

// harmless is true of most of what is shown.
func harmless(s string) bool {
	for _, r := range s {
		if r >= 0x300 && mark(r) || !glyph.Drawn(r) {
			return false
		}
	}
	return utf8.ValidString(s)
}

// CleanJSON appends JSON to dst with every character that is not a printing one as a JSON escape, which decodes to the
// same. Line breaks, which stand between tokens only, stay; other white space that is a control character becomes a space.
func CleanJSON(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		switch {
		case r == '\n' || glyph.Drawn(r) && (r != utf8.RuneError || n > 1):
			dst = append(dst, text[i:i+n]...)
		case r > 0xffff:
			dst = fmt.Appendf(dst, `\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		case r < ' ':
			dst = append(dst, ' ')
		default:
			dst = fmt.Appendf(dst, `\u%04x`, r)
		}
		i += n
	}
	return dst
}

// Lines cuts s into lines that are clean, with tabs as spaces and without the indentation that they
// have in common.
func Lines(s string) []string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	all := strings.Split(strings.Trim(s, "\n"), "\n")
	indent := -1
	for i, line := range all {
		line = strings.TrimRight(strings.ReplaceAll(line, "\t", "    "), " ")
		all[i] = line
		if n := len(line) - len(strings.TrimLeft(line, " ")); line != "" && i > 0 && (indent < 0 || n < indent) {
			indent = n
		}
	}
	// The first line often stands behind an opening quote: it does not count for the others.
	for i, line := range all {
		if i == 0 {
			line = strings.TrimLeft(line, " ")
		} else if line != "" {
			line = line[indent:]
		}
		all[i] = Clean(line)
	}
	return all
}

// Width is how many terminal cells s takes, for what Clean lets through.
func Width(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

func runeWidth(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case mark(r):
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// mark is true of characters that are drawn over the one in front of them.
func mark(r rune) bool {
	return r >= 0x300 && (unicode.In(r, unicode.Mn, unicode.Me) || r >= 0x1160 && r <= 0x11ff || r >= 0xd7b0 && r <= 0xd7fb) // Hangul vowels and finals
}

// wider looks at no more of s than it needs: a statement may be one line of a megabyte.
func wider(s string, n int) bool {
	for _, r := range s {
		if n -= runeWidth(r); n < 0 {
			return true
		}
	}
	return false
}

// Clip shortens s to at most n cells, the last of which says so.
func Clip(s string, n int) string {
	if !wider(s, n) {
		return s
	}
	used := 0
	for i, r := range s {
		if w := runeWidth(r); used+w > n-1 {
			return s[:i] + "…"
		} else {
			used += w
		}
	}
	return s
}

// Wrap breaks line at spaces, or where it must, into lines of at most n cells.
func Wrap(line string, n int) []string {
	var out []string
	for wider(line, n) {
		cut, space, used := len(line), -1, 0
		for i, r := range line {
			if used += runeWidth(r); used > n {
				cut = i
				break
			}
			if r == ' ' && strings.TrimSpace(line[:i]) != "" {
				space = i
			}
		}
		if cut == 0 { // a cell too narrow for the first character
			break
		}
		if cut < len(line) && line[cut] == ' ' {
			space = cut
		}
		if space > 0 {
			out = append(out, line[:space])
			line = strings.TrimLeft(line[space:], " ")
			continue
		}
		out = append(out, line[:cut])
		line = line[cut:]
	}
	return append(out, line)
}

// Pad fills s with spaces to n cells.
func Pad(s string, n int) string {
	if w := Width(s); w < n {
		return s + strings.Repeat(" ", n-w)
	}
	return s
}
