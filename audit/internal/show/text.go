// Package show turns what records hold into text that is harmless on a terminal and measured as a terminal
// measures it: values, tables of results, sizes and spans. Records hold what attackers wrote.
package show

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes s harmless on a terminal: everything that is not a printing character (control and escape
// bytes, what is not UTF-8, characters that turn the direction of text or have no width) is shown as an
// escape. Records hold what attackers wrote.
func Clean(s string) string {
	safe := true
	for _, r := range s {
		if !Printable(r) {
			safe = false
			break
		}
	}
	if safe && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1, r < 0x20, r == 0x7f:
			for _, c := range []byte(s[i : i+n]) {
				fmt.Fprintf(&b, `\x%02x`, c)
			}
		case !Printable(r):
			fmt.Fprintf(&b, `\u{%04x}`, r)
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

// CleanJSON appends JSON to dst with every character that is not a printing one as a JSON escape, which decodes to the
// same. Line breaks, which stand between tokens only, stay; other white space that is a control character becomes a space.
func CleanJSON(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		switch {
		case r == '\n' || Printable(r) && (r != utf8.RuneError || n > 1):
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

// Printable is unicode.IsPrint without what would hide or look like nothing. IsPrint leaves out all
// control, format (bidirectional, zero-width), private and unassigned characters.
func Printable(r rune) bool {
	return unicode.IsPrint(r) && !unicode.Is(unicode.Variation_Selector, r) && r != 0x115f && r != 0x1160 && r != 0x3164 && r != 0xffa0
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
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case r >= 0x1100 && (r <= 0x115f || // Hangul Jamo
		r >= 0x2e80 && r <= 0xa4cf && r != 0x303f || // CJK to Yi
		r >= 0xac00 && r <= 0xd7a3 || // Hangul
		r >= 0xf900 && r <= 0xfaff || r >= 0xfe30 && r <= 0xfe6f || // compatibility
		r >= 0xff00 && r <= 0xff60 || r >= 0xffe0 && r <= 0xffe6 || // full width
		r >= 0x1f300 && r <= 0x1f64f || r >= 0x1f900 && r <= 0x1f9ff || // pictures
		r >= 0x20000 && r <= 0x3fffd):
		return 2
	}
	return 1
}

// Clip shortens s to at most n cells, the last of which says so.
func Clip(s string, n int) string {
	if Width(s) <= n {
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
	for Width(line) > n {
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
