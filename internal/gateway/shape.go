package gateway

import "bytes"

// A shape is a statement with its literals cut out. Statements of one shape parse to trees that differ in
// constants only, so a plan that does not depend on its constants serves them all, and a client that
// writes values into its SQL pays for a map look-up instead of two parses.
//
// Cutting must never be wrong, so it gives up on whatever is not plain: comments, dollar quotes, prefixed
// strings (E'', U&'', B'', X'', N''), anything outside ASCII beyond a string, unusual numbers. It relies on
// standard_conforming_strings, which is pinned, and on client_encoding UTF8, in which no byte of a longer
// character looks like a quote.

// span is a literal: sql[from:to], quotes included.
type span struct{ from, to int }

// shapeBuffer is a session's space for cutting, used again for each statement.
type shapeBuffer struct {
	key  []byte
	lits []span
}

// Marks stand for literals in a key; no statement holds these bytes outside of strings. An integer that
// fits int4, another number and a string are told apart, for they have different types.
const (
	markInt    = 0x01
	markNumber = 0x02
	markString = 0x03
)

const maxShape = 8 << 10

func identByte(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// cut fills b with the shape of sql; false means that it has none.
func (b *shapeBuffer) cut(sql string) bool {
	b.key, b.lits = b.key[:0], b.lits[:0]
	if len(sql) > maxShape {
		return false
	}
	for i := 0; i < len(sql); {
		c := sql[i]
		switch {
		case c == '\'':
			if i > 0 && (identByte(sql[i-1]) || sql[i-1] == '&') {
				return false // a prefix makes it another kind of literal
			}
			end := quoted(sql, i, '\'')
			if end < 0 || end < len(sql) && identByte(sql[end]) {
				return false
			}
			if before := bytes.TrimRight(b.key, " \t\r\n"); len(before) > 0 && before[len(before)-1] == markString {
				return false // two strings with a line break between are one literal
			}
			b.lits = append(b.lits, span{i, end})
			b.key = append(b.key, markString)
			i = end
		case c == '"':
			end := quoted(sql, i, '"')
			if end < 0 || i > 0 && sql[i-1] == '&' {
				return false
			}
			b.key = append(b.key, sql[i:end]...)
			i = end
		case c >= '0' && c <= '9':
			end, mark := number(sql, i)
			if end < 0 {
				return false
			}
			b.lits = append(b.lits, span{i, end})
			b.key = append(b.key, mark)
			i = end
		case c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			end := i + 1
			for end < len(sql) && identByte(sql[end]) {
				if sql[end] == '$' || sql[end] >= 0x80 {
					return false
				}
				end++
			}
			b.key = append(b.key, sql[i:end]...)
			i = end
		case c == '$' || c >= 0x80 || c == '\\' || c < ' ' && c != '\n' && c != '\t' && c != '\r':
			return false
		case c == '-' && i+1 < len(sql) && sql[i+1] == '-', c == '/' && i+1 < len(sql) && sql[i+1] == '*':
			return false
		case c == ';' && i+1 < len(sql):
			// A batch is judged statement by statement; only a final semicolon is plain.
			for j := i + 1; j < len(sql); j++ {
				if sql[j] != ' ' && sql[j] != '\n' {
					return false
				}
			}
			b.key = append(b.key, c)
			i++
		case c == '.' && i+1 < len(sql) && sql[i+1] >= '0' && sql[i+1] <= '9':
			return false
		default:
			b.key = append(b.key, c)
			i++
		}
	}
	return len(b.lits) > 0
}

// quoted gives the end of what begins with a quote at i, or -1.
func quoted(sql string, i int, quote byte) int {
	for j := i + 1; j < len(sql); j++ {
		switch sql[j] {
		case quote:
			if j+1 < len(sql) && sql[j+1] == quote {
				j++
				continue
			}
			return j + 1
		case 0, '\\':
			// A backslash is plain in a standard string, but psql and proxies have been wrong about
			// it before; such statements are parsed.
			return -1
		}
	}
	return -1
}

// number gives the end of a plain number at i and its mark, or -1.
func number(sql string, i int) (int, byte) {
	j := i
	for j < len(sql) && sql[j] >= '0' && sql[j] <= '9' {
		j++
	}
	mark := byte(markNumber)
	if j-i <= 9 {
		mark = markInt
	}
	if j < len(sql) && sql[j] == '.' {
		mark = markNumber
		for j++; j < len(sql) && sql[j] >= '0' && sql[j] <= '9'; j++ {
		}
		if j < len(sql) && sql[j] == '.' {
			return -1, 0
		}
	}
	if j < len(sql) && identByte(sql[j]) {
		return -1, 0 // 1e5, 0x1F, 1_000
	}
	return j, mark
}
