package web

import (
	"fmt"
	"slices"
	"strings"
)

// shownSQL is how much of a statement a page has; the whole is a file to take away.
const shownSQL = 64 << 10

// sqlText is a statement for a reviewer: broken into lines, with what deserves a look marked.
type sqlText struct {
	Tokens []token
	Notes  []string // what its text says about it
	Long   []long   // what is shown in part, in its place
	Left   int      // bytes that are not shown
}

// layout breaks SQL into lines at its clauses. White space between tokens is the only thing that it changes: runs of it,
// which could push a part out of sight, become one. named are names to be marked, in small letters.
func layout(sql string, named []string) sqlText {
	var t sqlText
	if len(sql) > shownSQL {
		t.Left = len(sql) - shownSQL
		sql = strings.ToValidUTF8(sql[:shownSQL], "")
	}
	l := liner{out: &t, named: named, levels: []level{{query: true}}}
	for _, tok := range scan(sql) {
		l.take(tok)
	}
	l.ended()
	if t.Left > 0 {
		t.Notes = append(t.Notes, fmt.Sprintf("%d more bytes are not shown here: take the whole statement away to read it", t.Left))
	}
	return t
}

// level is what stands between two parentheses.
type level struct {
	query   bool // a query or the statement itself: its clauses begin lines
	first   string
	verb    string // the write that it is, or has after WITH
	where   bool   // ... with a condition
	between bool   // AND belongs to BETWEEN
}

type liner struct {
	out    *sqlText
	named  []string
	levels []level
	space  bool   // white space since the last token
	broken bool   // the last token was a line break
	last   string // the last word or sign, in capitals
	before string // and the one before it
}

func (l *liner) top() *level { return &l.levels[len(l.levels)-1] }

func (l *liner) take(t token) {
	switch t.Kind {
	case kindSpace:
		l.space = true
		return
	case kindComment:
		l.put(t)
		if strings.HasPrefix(t.Text, "--") {
			l.breakLine(0)
		}
		l.note("it has a comment, which the database does not read")
		return
	}
	word := strings.ToUpper(t.Text)
	if t.Kind != kindWord {
		word = t.Text
	}
	if t.Kind == kindWord && !strings.HasPrefix(t.Text, `"`) {
		if l.breaks(word) {
			l.breakLine(len(l.levels) - 1 + indentOf(word))
		}
		if keywords[word] {
			t.Kind = kindKey
		}
		if l.risky(word) {
			t.Kind = kindRisk
		}
	}
	if t.Kind == kindWord && slices.Contains(l.named, strings.ToLower(strings.Trim(t.Text, `"`))) {
		t.Kind = kindNamed
	}
	l.state(word)
	l.put(t)
	l.before, l.last = l.last, word
	if word == ";" && len(l.levels) == 1 {
		l.ended()
		l.levels[0] = level{query: true}
		l.breakLine(0)
	}
}

// state follows parentheses and clauses.
func (l *liner) state(word string) {
	top := l.top()
	switch word {
	case "(":
		l.levels = append(l.levels, level{})
		return
	case ")":
		if len(l.levels) > 1 {
			l.ended()
			l.levels = l.levels[:len(l.levels)-1]
		}
		return
	case "WHERE":
		top.where = true
	case "BETWEEN":
		top.between = true
	case "AND":
		top.between = false
	}
	if writes[word] && (top.first == "" || top.first == "WITH" && l.last == ")") {
		top.verb, top.where = word, false
	}
	if word == "TRUE" && (l.last == "WHERE" || l.last == "OR") || l.last == "=" && word == l.before && (digit(word[0]) || word[0] == '\'') {
		l.note("a part of its condition is always true")
	}
	if top.first == "" {
		top.first = word
		top.query = top.query || word == "SELECT" || word == "WITH" || word == "VALUES" || writes[word]
	}
}

// ended says what is to be said about the statement of the innermost level, of which all is known.
func (l *liner) ended() {
	switch s := l.top(); {
	case (s.verb == "UPDATE" || s.verb == "DELETE") && !s.where:
		l.note(s.verb + " without WHERE: it changes every row")
	case s.verb == "TRUNCATE" || s.verb == "DROP":
		l.note(s.verb + ": everything in it is gone afterwards")
	}
}

func (l *liner) note(s string) {
	if !slices.Contains(l.out.Notes, s) {
		l.out.Notes = append(l.out.Notes, s)
	}
}

func (l *liner) put(t token) {
	if l.space && !l.broken && len(l.out.Tokens) > 0 {
		l.out.Tokens = append(l.out.Tokens, token{kindSpace, " "})
	}
	l.space, l.broken = false, false
	head, tail, what := ends(t.Text)
	if what == "" {
		l.out.Tokens = append(l.out.Tokens, t)
		return
	}
	l.out.Tokens = append(l.out.Tokens, token{t.Kind, head}, token{kindLeft, "⋯ " + what + " ⋯"}, token{t.Kind, tail})
	l.out.Long = append(l.out.Long, long{what, t.Text})
	l.note("a part of it goes on for long, and is shown by its beginning and end: what comes after it is part of the statement too")
}

func (l *liner) breakLine(indent int) {
	if len(l.out.Tokens) > 0 && !l.broken {
		l.out.Tokens = append(l.out.Tokens, token{kindSpace, "\n" + strings.Repeat("  ", min(indent, 20))})
	}
	l.broken = true
}

// breaks reports whether a word begins a line.
func (l *liner) breaks(word string) bool {
	top := l.top()
	if !top.query || top.first == "" {
		return false
	}
	if writes[word] && top.first == "WITH" {
		return l.last == ")"
	}
	switch word {
	case "FROM":
		return l.last != "DELETE" && l.last != "DISTINCT"
	case "JOIN":
		return !joins[l.last]
	case "LEFT", "RIGHT", "INNER", "FULL", "CROSS", "NATURAL":
		return !joins[l.last]
	case "AND":
		return !top.between
	case "SET":
		return top.verb != "" || l.last == "UPDATE"
	case "ON":
		return top.verb == "INSERT"
	case "USING":
		return top.verb == "MERGE" || top.verb == "DELETE"
	case "SELECT":
		return true
	}
	return clauses[word]
}

func indentOf(word string) int {
	if word == "AND" || word == "OR" {
		return 1
	}
	return 0
}

// risky reports whether a word changes data, rights or definitions where it stands.
func (l *liner) risky(word string) bool {
	if writes[word] {
		return l.last != "FOR" && l.last != "KEY" && l.last != "DO" && l.last != "ON" // FOR UPDATE, ON DELETE ...
	}
	return word == "CASCADE" || starts[word] && l.top().first == ""
}

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

var (
	writes   = set("INSERT UPDATE DELETE MERGE TRUNCATE DROP ALTER GRANT REVOKE")
	starts   = set("CREATE COPY CALL DO LOCK EXECUTE REFRESH REINDEX VACUUM CLUSTER COMMENT SECURITY REASSIGN")
	joins    = set("LEFT RIGHT INNER FULL CROSS NATURAL OUTER")
	clauses  = set("WHERE GROUP ORDER HAVING LIMIT OFFSET RETURNING VALUES UNION INTERSECT EXCEPT WINDOW WHEN OR FETCH")
	keywords = set(`SELECT FROM WHERE GROUP ORDER BY HAVING LIMIT OFFSET RETURNING VALUES UNION INTERSECT EXCEPT ALL WINDOW WHEN THEN ELSE END CASE
		AND OR NOT IN IS NULL AS ON USING JOIN LEFT RIGHT INNER FULL OUTER CROSS NATURAL LATERAL DISTINCT INTO SET WITH RECURSIVE EXISTS BETWEEN LIKE ILIKE
		ASC DESC TRUE FALSE FOR TABLE CONFLICT NOTHING ONLY FETCH FIRST ROWS OVER PARTITION`)
)
