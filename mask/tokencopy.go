package mask

import (
	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
)

// CopiedTokens is what the gateway has to do with the rows of a COPY ... FROM STDIN whose tokens are stored as their
// values. The compiled statement takes rows in the text format with its defaults, or in binary, whatever the client
// sends: were the client's options in force, one that says which text stands for NULL could be a guess at a value.
type CopiedTokens struct {
	Options []*pg.Node    // as the client gave them
	Columns []TokenColumn // all that are copied, in order
}

// TokenColumn is one column of such rows. The zero value takes no tokens.
type TokenColumn struct {
	Name string
	// SQL finds the values of tokens, a text[] in $1: rows of token, value and how many values have it. It is to be asked with
	// the settings of token masks.
	SQL  string
	UUID bool
	find *valueFinder
}

// Token gives the token that a text is, as TokenColumn.SQL knows it, or "".
func (t TokenColumn) Token(text string) string {
	if t.find == nil {
		return ""
	}
	if t.UUID {
		text = plainUUID(text)
	}
	if !t.find.token.MatchString(text) {
		return ""
	}
	return text
}

// TokenWithout is the error for a token that so many values have, or nil for one.
func TokenWithout(values int64) *access.Error {
	switch values {
	case 1:
		return nil
	case 0:
		return notResolved(unresolved["sallyport: no value has"])
	}
	return notResolved(unresolved["sallyport: several values have"])
}

// copyTokens notes what is copied and changes the options, if a column of it takes tokens for values.
func (c *compiler) copyTokens(s *pg.CopyStmt, m *maskedRelation, names []string) {
	if s.WhereClause != nil {
		return // it would see the values, and how many rows are stored, or that it fails, would tell what it says of them
	}
	out, some := &CopiedTokens{}, false
	for _, name := range names {
		t := TokenColumn{Name: name, find: m.finders[name]}
		if t.find != nil && t.find.number() {
			t.find = nil // the compiled statement could not tell the value from a token, and whether it can would tell about the value
		}
		if t.find != nil {
			t.SQL, t.UUID, some = t.find.batch, t.find.typ == "uuid", true
		}
		out.Columns = append(out.Columns, t)
	}
	binary := false
	for _, n := range s.Options {
		switch d := n.GetDefElem(); d.GetDefname() {
		case "format":
			binary = d.GetArg().GetString_().GetSval() == "binary"
		case "delimiter", "null", "quote", "escape", "header", "encoding":
		default:
			return // what the others mean for a row is the server's to say: no token is resolved
		}
	}
	if !some {
		return
	}
	for _, t := range out.Columns {
		c.finds[access.ColumnID{Relation: m.rel.Name, Column: t.Name}] = t.find != nil
	}
	out.Options = s.Options
	if !binary {
		s.Options = nil
	}
	c.copied = out
}
