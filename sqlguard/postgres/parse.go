package postgres

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v5"
	"github.com/pganalyze/pg_query_go/v5/parser"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
)

// MaxSize is the most bytes that one text, with one statement or several, may have: 1 MiB.
const MaxSize = 1 << 20

// Parse splits a batch, as a simple Query message carries it, into its statements. An empty batch
// gives no tree and no error. A syntax error carries the server's own text and the position that the
// server would give: the character, from 1, in the whole batch.
func Parse(sql string) ([]*pgtree.Tree, error) {
	if err := checkText(sql); err != nil {
		return nil, err
	}
	if err := checkRescan(sql); err != nil {
		return nil, err
	}
	if err := checkDepth(sql); err != nil {
		return nil, err
	}
	res, err := pg.Parse(sql)
	if err != nil {
		return nil, syntaxError(err)
	}
	trees := make([]*pgtree.Tree, 0, len(res.Stmts))
	counted, chars := 0, 0 // characters up to byte counted
	for _, raw := range res.Stmts {
		start := int(raw.StmtLocation)
		end := len(sql)
		if raw.StmtLen > 0 {
			end = start + int(raw.StmtLen)
		}
		if start < 0 || start > end || end > len(sql) {
			return nil, &access.Error{Kind: access.Internal, Code: "XX000", Message: "the parser gave a statement outside its text"}
		}
		text := sql[start:end]
		trimmed := strings.TrimLeft(text, " \t\r\n\f\v")
		start += len(text) - len(trimmed)
		if start < counted {
			counted, chars = 0, 0
		}
		chars += utf8.RuneCountInString(sql[counted:start])
		counted = start
		trees = append(trees, &pgtree.Tree{
			SQL:    strings.TrimRight(trimmed, " \t\r\n\f\v"),
			Stmt:   raw.Stmt,
			Offset: start,
			Before: chars,
		})
	}
	return trees, nil
}

// checkText refuses what the server would refuse before it lexes, and what is too large to judge.
func checkText(sql string) error {
	if len(sql) > MaxSize {
		return &access.Error{Kind: access.Invalid, Code: "54000", Message: fmt.Sprintf("a text of %d bytes is too long: statements of at most 1 MiB (%d bytes) are judged", len(sql), MaxSize),
			Hint: "send large data as parameters or with COPY FROM STDIN, and a script in several texts"}
	}
	if i := strings.IndexByte(sql, 0); i >= 0 {
		return &access.Error{Kind: access.Invalid, Code: "22021", Message: `invalid byte sequence for encoding "UTF8": 0x00`,
			Hint: "send text without NUL bytes"}
	}
	if !utf8.ValidString(sql) {
		return &access.Error{Kind: access.Invalid, Code: "22021", Message: `invalid byte sequence for encoding "UTF8"`,
			Hint: "send the statement as UTF-8 (client_encoding is fixed)"}
	}
	return nil
}

func syntaxError(err error) error {
	var pe *parser.Error
	if !errors.As(err, &pe) {
		// Decoding of the tree failed: the statement parsed but is deeper than a tree may be.
		e := tooDeep()
		e.Err = err
		return e
	}
	e := &access.Error{Kind: access.Invalid, Code: "42601", Message: pe.Message, Position: pe.Cursorpos}
	switch {
	case strings.HasPrefix(pe.Message, "memory exhausted"), strings.HasPrefix(pe.Message, "stack depth"):
		return tooDeep()
	case strings.HasPrefix(pe.Message, "invalid Unicode"), strings.HasPrefix(pe.Message, "invalid byte sequence"):
		e.Code = "22021"
	}
	return e
}
