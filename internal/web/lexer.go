package web

import (
	"strings"
	"unicode/utf8"
)

// token is a piece of SQL as PostgreSQL's scanner cuts it ("Lexical Structure"). It is for showing only: what a statement
// does is the guard's to say.
type token struct {
	Kind string // one of the kinds below, and the class of its element
	Text string
}

const (
	kindSpace   = "sp"
	kindWord    = "word"
	kindKey     = "kw"
	kindNumber  = "num"
	kindString  = "str"
	kindComment = "com"
	kindSign    = "op"
	kindRisk    = "risk"  // what changes data or rights
	kindNamed   = "named" // a labelled column, or a relation that it is about
)

// scan cuts SQL into tokens, whose texts joined are the SQL.
func scan(sql string) []token {
	var out []token
	escapes, broken := false, false // the last constant has escapes; and since then was a line break, and nothing but white space
	for i := 0; i < len(sql); {
		kind, n := next(sql[i:])
		switch {
		case kind == kindString && sql[i] == '\'':
			// A constant that goes on after a line break is one constant, and read as it began.
			if escapes = escapes && broken || len(out) > 0 && out[len(out)-1].Kind == kindWord && strings.EqualFold(out[len(out)-1].Text, "e"); escapes {
				n = quoted(sql[i:], '\'', true)
			}
			broken = false
		case kind == kindSpace:
			broken = broken || strings.ContainsAny(sql[i:i+n], "\r\n")
		case kind == kindComment && sql[i] == '-':
		default:
			escapes = false
		}
		out = append(out, token{kind, sql[i : i+n]})
		i += n
	}
	return out
}

// next gives the kind and the length of the first token of s, which is not empty.
func next(s string) (string, int) {
	c := s[0]
	switch {
	case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v':
		return kindSpace, len(s) - len(strings.TrimLeft(s, " \t\n\r\f\v"))
	case strings.HasPrefix(s, "--"):
		if i := strings.IndexAny(s, "\r\n"); i >= 0 {
			return kindComment, i
		}
		return kindComment, len(s)
	case strings.HasPrefix(s, "/*"):
		return kindComment, comment(s)
	case c == '\'':
		return kindString, quoted(s, '\'', false)
	case c == '"':
		return kindWord, quoted(s, '"', false)
	case c == '$':
		if n := dollar(s); n > 0 {
			return kindString, n
		}
		if n := run(s[1:], digit); n > 0 {
			return kindNumber, 1 + n // a parameter
		}
		return kindSign, 1
	case digit(c):
		return kindNumber, run(s, func(c byte) bool { return digit(c) || letter(c) || c == '.' })
	case letter(c):
		return kindWord, run(s, func(c byte) bool { return letter(c) || digit(c) || c == '$' })
	}
	return kindSign, 1
}

func digit(c byte) bool { return c >= '0' && c <= '9' }
func letter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= utf8.RuneSelf
}

func run(s string, is func(byte) bool) int {
	for i := range len(s) {
		if !is(s[i]) {
			return i
		}
	}
	return len(s)
}

// quoted is the length of a text between quotes, which are doubled within, or escaped where escapes says so.
func quoted(s string, quote byte, escapes bool) int {
	for i := 1; i < len(s); i++ {
		switch {
		case escapes && s[i] == '\\':
			i++
		case s[i] == quote && i+1 < len(s) && s[i+1] == quote:
			i++
		case s[i] == quote:
			return i + 1
		}
	}
	return len(s)
}

// comment is the length of a block comment; they nest.
func comment(s string) int {
	depth := 0
	for i := 0; i+1 < len(s); i++ {
		switch s[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
			if depth == 0 {
				return i + 1
			}
		}
	}
	return len(s)
}

// dollar is the length of a dollar-quoted text, or 0 where s does not begin with one.
func dollar(s string) int {
	n := 1
	if n < len(s) && letter(s[n]) {
		n += run(s[n:], func(c byte) bool { return letter(c) || digit(c) })
	}
	if n >= len(s) || s[n] != '$' {
		return 0
	}
	tag := s[:n+1]
	if end := strings.Index(s[n+1:], tag); end >= 0 {
		return n + 1 + end + len(tag)
	}
	return len(s)
}
