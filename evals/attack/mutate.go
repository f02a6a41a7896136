package attack

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	pg_query "github.com/pganalyze/pg_query_go/v5"
)

// A token of a statement. The scanner is PostgreSQL's own; what it cannot scan is sent unmutated only.
type token struct {
	kind byte // w: a name, k: a keyword, s: a plain string, o: anything else
	text string
	gap  bool // white space or a comment stood before it
}

func scan(sql string) ([]token, error) {
	if strings.Contains(sql, "U&") { // libpg_query gives wrong ends for these
		return nil, errors.New("has Unicode escapes of its own")
	}
	res, err := pg_query.Scan(sql)
	if err != nil {
		return nil, err
	}
	var all []token
	end := 0
	for _, t := range res.Tokens {
		text := sql[t.Start:t.End]
		if t.Token == pg_query.Token_C_COMMENT || t.Token == pg_query.Token_SQL_COMMENT {
			return nil, errors.New("has comments of its own")
		}
		tok := token{kind: 'o', text: text, gap: int(t.Start) > end && len(all) > 0}
		switch {
		case t.Token == pg_query.Token_SCONST && strings.HasPrefix(text, "'") && (tok.gap || len(all) == 0 || !isWord(all[len(all)-1].text)):
			tok.kind = 's'
		case t.Token == pg_query.Token_IDENT && isWord(text):
			tok.kind = 'w'
		case t.KeywordKind != pg_query.KeywordKind_NO_KEYWORD:
			tok.kind = 'k'
		}
		all = append(all, tok)
		end = int(t.End)
	}
	return all, nil
}

func isWord(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r != '_' && (r >= 0x80 || !unicode.IsLetter(r) && !unicode.IsDigit(r)) })
}

// write joins tokens: gap stands for white space, spell changes a token.
func write(tokens []token, gap string, spell func(i int, t token) string) string {
	var b strings.Builder
	for i, t := range tokens {
		if t.gap {
			b.WriteString(gap)
		}
		if spell != nil {
			t.text = spell(i, t)
		}
		b.WriteString(t.text)
	}
	return b.String()
}

// calls tells whether token i is a word that names a function.
func calls(tokens []token, i int) bool {
	return tokens[i].kind == 'w' && i+1 < len(tokens) && tokens[i+1].text == "("
}

// lexical are the ways of writing the same statement in other bytes.
var lexical = []struct {
	name   string
	change func(t []token) string
}{
	{"comments", func(t []token) string { return write(t, " /* ; */ ", nil) }},
	{"comments-nested", func(t []token) string { return write(t, "/*/**/--x\n*/", nil) }},
	{"comments-line", func(t []token) string { return write(t, " -- ' \"\n", nil) }},
	{"comments-everywhere", func(t []token) string {
		return write(t, " ", func(i int, t token) string {
			if t.kind == 'o' && (t.text == "(" || t.text == "," || t.text == ")") {
				return "/**/" + t.text + "/*'*/"
			}
			return t.text
		})
	}},
	{"space", func(t []token) string { return write(t, "\t\r\n\f", nil) }},
	{"upper", func(t []token) string { return write(t, " ", upper) }},
	{"mixed", func(t []token) string { return write(t, " ", mixed) }},
	{"quoted", func(t []token) string {
		return write(t, " ", quoted(t, func(s string) string { return `"` + s + `"` }))
	}},
	{"unicode-name", func(t []token) string {
		return write(t, " ", quoted(t, func(s string) string { return fmt.Sprintf(`U&"\%04x%s"`, s[0], s[1:]) }))
	}},
	{"unicode-string", func(t []token) string {
		return write(t, " ", inStrings(func(s string) string { return fmt.Sprintf(`U&'\%04x%s'`, s[0], strings.ReplaceAll(s[1:], `\`, `\\`)) }))
	}},
	{"escape-string", func(t []token) string {
		return write(t, " ", inStrings(func(s string) string {
			return fmt.Sprintf(`E'\x%02x%s'`, s[0], strings.ReplaceAll(s[1:], `\`, `\\`))
		}))
	}},
	{"dollar-string", func(t []token) string {
		return write(t, " ", inStrings(func(s string) string { return "$m$" + strings.ReplaceAll(s, "''", "'") + "$m$" }))
	}},
	{"qualified", func(tokens []token) string {
		return write(tokens, " ", func(i int, t token) string {
			if calls(tokens, i) && strings.HasPrefix(t.text, "pg_") && (i == 0 || tokens[i-1].text != ".") {
				return `pg_catalog."` + t.text + `"`
			}
			return t.text
		})
	}},
	{"semicolons", func(t []token) string { return ";;" + write(t, " ", nil) + " ; ; " }},
	{"padded", func(t []token) string { return "/*" + strings.Repeat("x", 20_000) + "*/" + write(t, " ", nil) }},
}

func upper(_ int, t token) string {
	if t.kind == 'w' || t.kind == 'k' {
		return strings.ToUpper(t.text)
	}
	return t.text
}

func mixed(i int, t token) string {
	if t.kind != 'w' && t.kind != 'k' {
		return t.text
	}
	b := []byte(strings.ToLower(t.text))
	for j := i % 2; j < len(b); j += 2 {
		b[j] = byte(unicode.ToUpper(rune(b[j])))
	}
	return string(b)
}

// quoted rewrites names of functions, and words after a dot or before one.
func quoted(tokens []token, how func(string) string) func(int, token) string {
	return func(i int, t token) string {
		dotted := t.kind == 'w' && (i > 0 && tokens[i-1].text == "." || i+1 < len(tokens) && tokens[i+1].text == ".")
		if t.text != "" && t.text[0] < 0x80 && (dotted || calls(tokens, i)) {
			return how(strings.ToLower(t.text))
		}
		return t.text
	}
}

// inStrings rewrites plain strings, which it hands over without their outer quotes.
func inStrings(how func(string) string) func(int, token) string {
	return func(_ int, t token) string {
		if t.kind == 's' && len(t.text) > 2 && t.text[1] != '\'' && t.text[1] != '{' && t.text[1] < 0x80 {
			return how(t.text[1 : len(t.text)-1])
		}
		return t.text
	}
}

// stand takes the place of {U} while a statement is scanned.
const stand = "90210"

var tooLong = regexp.MustCompile(`\{(PAD|MANY|DEEP|LIST)`)

// respell gives the attack in lexical forms that differ from it: one of so many, in turn.
func respell(a Attack, turn, every int) []Attack {
	a = a.plain()
	tokens := make([][]token, len(a.Steps))
	for i, s := range a.Steps {
		s = strings.ReplaceAll(special.Replace(s), "{U}", stand)
		var err error
		if tokens[i], err = scan(s); err != nil || rawByte.MatchString(s) || tooLong.MatchString(s) {
			return nil
		}
	}
	var all []Attack
	seen := map[string]bool{a.SQL(): true}
	for i, l := range lexical {
		if every > 1 && (i+turn)%every != 0 {
			continue
		}
		m := a
		m.Name += "/" + l.name
		m.Steps = make([]string, len(a.Steps))
		for i := range a.Steps {
			m.Steps[i] = strings.ReplaceAll(l.change(tokens[i]), stand, "{U}")
		}
		if !seen[m.SQL()] {
			seen[m.SQL()] = true
			all = append(all, m)
		}
	}
	return all
}

// Of lexical forms and of positions, one in so many is sent with each attack.
const oneForm, onePlace = 5, 8

// mutations are the attacks to send through the door with this number: each as it is, in some lexical
// forms, in some positions, and in some positions in one lexical form. Which of them depends on the attack's
// and on the door's number, so that attacks and doors together cover all; whole leaves none out.
func mutations(attacks []Attack, door int, whole bool) []Attack {
	forms, places := oneForm, onePlace
	if whole {
		forms, places = 1, 1
	}
	var all []Attack
	for n, a := range attacks {
		turn := n + door
		all = append(append(all, a.plain()), respell(a, turn, forms)...)
		for i, m := range place(a, turn, places) {
			all = append(all, m)
			if r := respell(m, turn+i, len(lexical)); len(r) > 0 && (whole || i%2 == 0) {
				all = append(all, r[0])
			}
		}
	}
	return all
}
