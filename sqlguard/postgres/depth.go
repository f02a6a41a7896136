package postgres

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
)

// maxDepth is the deepest nesting that a statement may have. libpg_query writes, reads and deparses
// trees by recursion on a C stack that it does not check (8 MiB end at some 20,000 levels), so this is
// decided before it parses.
const maxDepth = 2000

func tooDeep() *access.Error {
	return &access.Error{Kind: access.Invalid, Code: "54001", Message: "stack depth limit exceeded",
		Hint: "the statement nests too deeply; split it, or use IN (...) and AND/OR lists instead of nesting"}
}

// checkDepth bounds how deep the parse tree of sql can be without parsing it. A tree gets deeper only
// by a bracket, a prefix or infix operator, or a join or set operation, and each costs a token; so a
// short text needs no look, a text with few such bytes neither, and what is left is lexed by
// libpg_query's own scanner, which does not recurse, so that no quoting trick tells the two apart.
func checkDepth(sql string) error {
	if len(sql) < 2*maxDepth || deepening(sql) < maxDepth {
		return nil
	}
	scan, err := pg.Scan(sql)
	if err != nil {
		return syntaxError(err)
	}
	if tokenDepth(scan.Tokens) > maxDepth {
		return tooDeep()
	}
	return nil
}

// deepening counts, quotes or not, the bytes that a token which deepens the tree can begin with.
func deepening(sql string) int {
	n := 0
	word := false
	for i := 0; i < len(sql); i++ {
		c := sql[i]
		switch {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80 || word && c >= '0' && c <= '9':
			if !word {
				switch c | 0x20 {
				case 'a', 'b', 'c', 'e', 'f', 'i', 'j', 'l', 'n', 's', 'u', 'w', 'o', 'p', 'r', 'd', 't', 'v':
					n++
				}
			}
			word = true
			continue
		case c == '(' || c == '[' || c == '.' || c == '$':
			n++
		case c == '+' || c == '-' || c == '*' || c == '/' || c == '<' || c == '>' || c == '=' || c == '~' || c == '!' ||
			c == '@' || c == '#' || c == '%' || c == '^' || c == '&' || c == '|' || c == '`' || c == '?' || c == ':':
			n++
		}
		word = false
	}
	return n
}

// level is an open bracket (or CASE) with the nodes that can sit on top of each other inside it.
type level struct {
	chain int // operators since the last comma, AND or OR: those make flat lists
	joins int // joins and set operations, which lean left as long as the bracket lasts
}

// tokenDepth gives an upper bound of the depth of the tree over tokens: what each open bracket has
// gathered, summed, at its worst.
func tokenDepth(tokens []*pg.ScanToken) int {
	stack := []level{{}}
	sum, worst := 0, 0 // of chain+joins+1 over the stack
	top := func() *level { return &stack[len(stack)-1] }
	for _, t := range tokens {
		switch t.Token {
		case pg.Token_ASCII_40, pg.Token_ASCII_91, pg.Token_CASE: // ( [
			stack = append(stack, level{})
			sum++
		case pg.Token_ASCII_41, pg.Token_ASCII_93, pg.Token_END_P: // ) ]
			if len(stack) > 1 {
				l := top()
				sum -= 1 + l.chain + l.joins
				stack = stack[:len(stack)-1]
				// What follows a closed bracket may sit on top of it: f(...).x, (a)::b, (...)[1].
				top().chain++
				sum++
			}
		case pg.Token_ASCII_44, pg.Token_AND, pg.Token_OR, pg.Token_WHEN, pg.Token_THEN, pg.Token_ELSE: // ,
			sum -= top().chain
			top().chain = 0
		case pg.Token_ASCII_59: // ;
			sum -= top().chain + top().joins
			*top() = level{}
		case pg.Token_JOIN, pg.Token_UNION, pg.Token_INTERSECT, pg.Token_EXCEPT, pg.Token_WITH, pg.Token_WITH_LA, pg.Token_SELECT, pg.Token_EXPLAIN, pg.Token_PREPARE, pg.Token_TABLE, pg.Token_VALUES:
			top().joins++
			sum++
		case pg.Token_ICONST, pg.Token_FCONST, pg.Token_SCONST, pg.Token_IDENT, pg.Token_PARAM, pg.Token_SQL_COMMENT, pg.Token_C_COMMENT, pg.Token_BCONST, pg.Token_XCONST, pg.Token_ASCII_46:
			// Operands, comments and the dots of a name do not deepen the tree.
		default:
			// Every operator, and every keyword: NOT, IS, COLLATE, AT, THEN ... counting too many
			// costs nothing at this size.
			top().chain++
			sum++
		}
		worst = max(worst, sum)
	}
	return worst
}

// maxRescan is how many bytes the lexer may look at again. 16 MiB take it some hundredths of a second.
const maxRescan = 16 << 20

// checkRescan refuses texts in which long runs of operator characters begin comment after comment. PostgreSQL's lexer takes
// such a run for one token before it sees where a comment begins (scan.l, xcstart), and again from the next: its work grows
// with the square of the run, to minutes for a megabyte of slashes and stars.
func checkRescan(sql string) error {
	run, work := 0, 0
	for i := len(sql) - 1; i >= 0; i-- {
		if strings.IndexByte("~!@#^&|`?+-*/%<>=", sql[i]) < 0 {
			run = 0
			continue
		}
		if run++; sql[i] == '/' && run > 1 && sql[i+1] == '*' {
			work += run
		}
		if work > maxRescan {
			return &access.Error{Kind: access.Invalid, Code: "54001", Message: "the comments of this text are too many in a row, or too deep in one another",
				Hint: "put blanks between them, or leave them out"}
		}
	}
	return nil
}
