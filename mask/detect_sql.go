package mask

import "strings"

// SQL is sql with findings replaced inside of its literals and comments, and nowhere else: names and
// structure stay what they are. It is for showing and storing, not for running. What does not lex as
// expected is treated as text throughout, which can only hide more.
func (d *Detector) SQL(sql string) string {
	clean := true
	for i := 0; i < len(sql); i++ {
		if trigger[sql[i]] != 0 {
			clean = false
			break
		}
	}
	if clean {
		return sql
	}
	if d.String(sql) == sql {
		return sql
	}
	var out strings.Builder
	for i := 0; i < len(sql); {
		end, text := sqlToken(sql, i)
		switch piece := sql[i:end]; {
		case text && sql[i] == '\'':
			out.WriteString(strings.ReplaceAll(d.String(piece), "\x00", ""))
		case text:
			out.WriteString(d.String(piece))
		default:
			out.WriteString(piece)
		}
		i = end
	}
	return out.String()
}

// sqlToken gives the end of the token at i and whether it is text: a string, a number or a comment.
func sqlToken(sql string, i int) (end int, text bool) {
	switch c := sql[i]; {
	case c == '\'':
		for j := i + 1; j < len(sql); j++ {
			if sql[j] == '\'' {
				if j+1 < len(sql) && sql[j+1] == '\'' {
					j++
					continue
				}
				return j + 1, true
			}
		}
		return len(sql), true
	case c == '"':
		if j := strings.IndexByte(sql[i+1:], '"'); j >= 0 {
			return i + j + 2, false
		}
		return len(sql), true
	case c == '$':
		if tag := strings.IndexByte(sql[i+1:], '$'); tag >= 0 && !strings.ContainsAny(sql[i+1:i+1+tag], " \n'\"") && (tag == 0 || !digit(sql[i+1])) {
			delim := sql[i : i+tag+2]
			if j := strings.Index(sql[i+len(delim):], delim); j >= 0 {
				return i + 2*len(delim) + j, true
			}
			return len(sql), true
		}
		j := i + 1
		for j < len(sql) && digit(sql[j]) {
			j++
		}
		return j, false
	case strings.HasPrefix(sql[i:], "--"):
		if j := strings.IndexByte(sql[i:], '\n'); j >= 0 {
			return i + j, true
		}
		return len(sql), true
	case strings.HasPrefix(sql[i:], "/*"):
		if j := strings.Index(sql[i+2:], "*/"); j >= 0 {
			return i + j + 4, true
		}
		return len(sql), true
	case digit(c):
		j := i
		for j < len(sql) && (word(sql[j]) || sql[j] == '.') {
			j++
		}
		return j, true
	case word(c) || c >= 0x80:
		j := i
		for j < len(sql) && (word(sql[j]) || sql[j] >= 0x80 || sql[j] == '$') {
			j++
		}
		return j, false
	}
	return i + 1, false
}
