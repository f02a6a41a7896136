package policy

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Problem is one thing that is wrong with a policy file.
type Problem struct {
	File         string
	Line, Column int // from 1; 0 is unknown
	Message      string
	Hint         string
}

func (p Problem) String() string {
	s := p.File
	if p.Line > 0 {
		s += fmt.Sprintf(":%d:%d", p.Line, p.Column)
	}
	s += ": " + p.Message
	if p.Hint != "" {
		s += " (" + p.Hint + ")"
	}
	return s
}

// LoadError holds every problem that Load found, in the order of the files.
type LoadError struct{ Problems []Problem }

func (e *LoadError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// source is the text of one policy inside its file, to find the place that an error means. cedar-go
// gives positions of whole policies only.
type source struct {
	file       string
	text       string // the whole file
	start, end int    // byte offsets of this policy
}

// problem reports at the first place of the policy where one of the needles stands outside comments,
// or at its beginning.
func (s source) problem(message, hint string, needles ...string) Problem {
	at := s.start
	for _, n := range needles {
		if i := s.find(n); i >= 0 {
			at = i
			break
		}
	}
	line, column := position(s.text, at)
	return Problem{File: s.file, Line: line, Column: column, Message: message, Hint: hint}
}

// find gives the offset of needle in the policy, skipping // comments, or -1.
func (s source) find(needle string) int {
	if needle == "" {
		return -1
	}
	for i := s.start; i < s.end; {
		line := s.text[i:s.end]
		if n := strings.IndexByte(line, '\n'); n >= 0 {
			line = line[:n]
		}
		code := line
		if c := comment(line); c >= 0 {
			code = line[:c]
		}
		if at := strings.Index(code, needle); at >= 0 {
			return i + at
		}
		i += len(line) + 1
	}
	return -1
}

// comment gives where a // comment begins in a line, or -1.
func comment(line string) int {
	quoted := false
	for i := 0; i < len(line); i++ {
		switch {
		case quoted && line[i] == '\\':
			i++
		case line[i] == '"':
			quoted = !quoted
		case !quoted && strings.HasPrefix(line[i:], "//"):
			return i
		}
	}
	return -1
}

// position gives line and column, both from 1, of a byte offset.
func position(text string, offset int) (line, column int) {
	before := text[:min(offset, len(text))]
	line = 1 + strings.Count(before, "\n")
	column = 1 + len([]rune(before[strings.LastIndexByte(before, '\n')+1:]))
	return line, column
}

var syntaxPosition = regexp.MustCompile(`<input>:(\d+):(\d+)`)

// syntaxProblem turns an error of cedar-go's parser into a Problem.
func syntaxProblem(file, text string, err error) Problem {
	p := Problem{File: file, Message: "not a policy: " + trimParser(err.Error())}
	if m := syntaxPosition.FindStringSubmatch(err.Error()); m != nil {
		p.Line, _ = strconv.Atoi(m[1])
		p.Column, _ = strconv.Atoi(m[2])
	}
	p.Hint = syntaxHint(text, p.Line, err.Error())
	return p
}

var parserNoise = regexp.MustCompile(`^(parser error: )?(parse error at )?(<input>:\d+:\d+:? ?)?`)

// trimParser keeps of `parser error: parse error at <input>:3:1 "x": exact got x want ;` the part
// that says something: `found "x" where ; was expected`.
func trimParser(s string) string {
	s = parserNoise.ReplaceAllString(s, "")
	if m := regexp.MustCompile(`exact got (.*) want (.+)$`).FindStringSubmatch(s); m != nil {
		if m[1] == "" {
			m[1] = "the end of the file"
		}
		return fmt.Sprintf("found %s where %s was expected", m[1], m[2])
	}
	return s
}

func syntaxHint(text string, line int, message string) string {
	lines := strings.Split(text, "\n")
	var at string
	if line > 0 && line <= len(lines) {
		at = lines[line-1]
	}
	switch {
	case strings.Contains(at, "'"):
		return `strings are written in double quotes: "agents"`
	case strings.HasSuffix(message, "want ;"):
		return "a policy ends with a semicolon, after its when and unless clauses"
	case strings.HasSuffix(message, "want ::"):
		return `entities are written as Type::"id": Action::"read", Group::"agents"`
	case strings.Contains(message, "unexpected effect"):
		return "a policy begins with permit or forbid, after its @annotations"
	default:
		return `a policy looks like: permit (principal in Group::"agents", action == Action::"read", resource in Schema::"shop.public");`
	}
}

// nearest gives the known word that s most likely stands for, or "".
func nearest(s string, known []string) string {
	best, most := "", 1+len(s)/3
	for _, k := range known {
		if d := distance(strings.ToLower(s), strings.ToLower(k)); d <= most {
			best, most = k, d-1
		}
	}
	return best
}

// distance is the edit distance with swaps of neighbours (optimal string alignment).
func distance(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
