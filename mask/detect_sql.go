package mask

import (
	"strings"
	"unsafe"

	"sallyport/internal/access"
)

// SQL masks findings in the literals and comments of a SQL text, for the record, and appends them to found. Names in SQL are left
// alone, quoted ones too. It reads PostgreSQL's lexical structure (chapter 4.1) with
// standard_conforming_strings on; text that ends inside a literal is masked to its end.
func (d *Detector) SQL(sql string, found []access.Identifier) (string, []access.Identifier) {
	if _, any := d.next(unsafe.Slice(unsafe.StringData(sql), len(sql)), 0); !any {
		return sql, found
	}
	var b strings.Builder
	for i := 0; i < len(sql); {
		start, end, inside := lexeme(sql, i)
		if !inside {
			b.WriteString(sql[i:end])
		} else {
			b.WriteString(sql[i:start])
			var text string
			text, found = d.Take(sql[start:end], found)
			b.WriteString(text)
		}
		i = end
	}
	return b.String(), found
}

// lexeme gives the piece of sql that begins at i; inside tells that sql[start:end] is the inside of a
// literal or comment, or a number.
func lexeme(sql string, i int) (start, end int, inside bool) {
	rest := sql[i:]
	switch c := sql[i]; {
	case c == '\'':
		escapes := i > 0 && sql[i-1]|0x20 == 'e' && (i == 1 || !wordByte(sql[i-2]))
		return i + 1, i + 1 + quoted(sql[i+1:], '\'', escapes), true
	case c == '"':
		n := quoted(sql[i+1:], '"', false)
		return i, min(len(sql), i+n+2), false
	case strings.HasPrefix(rest, "--"):
		if n := strings.IndexByte(rest, '\n'); n >= 0 {
			return i + 2, i + n, true
		}
		return i + 2, len(sql), true
	case strings.HasPrefix(rest, "/*"):
		return i + 2, i + comment(rest), true
	case c == '$':
		if tag := dollarTag(rest); tag != "" && (i == 0 || !wordByte(sql[i-1])) {
			if n := strings.Index(rest[len(tag):], tag); n >= 0 {
				// The closing tag is copied with what follows; as it stands alone it opens nothing.
				return i + len(tag), i + len(tag) + n, true
			}
			return i + len(tag), len(sql), true
		}
	case isDigit(c):
		end = i
		for end < len(sql) && (wordByte(sql[end]) || sql[end] == '.') {
			end++
		}
		return i, end, true
	case wordByte(c):
		end = i
		for end < len(sql) && (wordByte(sql[end]) || sql[end] == '$') {
			end++
		}
		return i, end, false
	}
	return i, i + 1, false
}

// quoted gives the length of the inside of a literal, up to its closing quote or the end.
func quoted(s string, quote byte, escapes bool) int {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && escapes:
			i++
		case s[i] == quote && i+1 < len(s) && s[i+1] == quote:
			i++
		case s[i] == quote:
			return i
		}
	}
	return len(s)
}

// comment gives the length of a comment, which may hold others.
func comment(s string) int {
	depth := 0
	for i := 0; i+1 < len(s); i++ {
		switch s[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			i++
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(s)
}

// dollarTag gives the opening tag of a dollar-quoted literal, or "".
func dollarTag(s string) string {
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '$':
			return s[:i+1]
		case !wordByte(c) || i == 1 && isDigit(c):
			return ""
		}
	}
	return ""
}
