package gateway

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
)

// copyFormat is how the rows of a COPY are written: the options in force, with the server's defaults
// (PostgreSQL, "COPY"; ProcessCopyOptions in src/backend/commands/copy.c).
type copyFormat struct {
	kind    byte // 't' text, 'c' CSV, 'b' binary
	header  bool // the first line names the columns
	delim   byte
	quote   byte // CSV
	escape  byte // CSV
	null    string
	columns string // a query with the columns that are copied; it is described, never run
}

// newCopyFormat reads the options of a compiled COPY ... TO STDOUT, and knows the columns that it copies.
func newCopyFormat(t *pgtree.Tree, f *access.Facts) (*copyFormat, error) {
	c, err := readCopyFormat(t.Stmt.GetCopyStmt().GetOptions())
	if err != nil {
		return nil, err
	}
	c.columns, err = copiedColumns(t.Stmt.GetCopyStmt(), f)
	return c, err
}

// readCopyFormat reads the options of a compiled COPY. Options that it does not know, or under which fields cannot be told
// apart, are refused: whoever looks at a row has to see each value by itself.
func readCopyFormat(options []*pg.Node) (*copyFormat, error) {
	c := &copyFormat{kind: 't'}
	set := map[string]string{}
	for _, o := range options {
		d := o.GetDefElem()
		name := d.GetDefname()
		switch name {
		case "format", "delimiter", "null", "quote", "escape", "encoding":
			s := d.GetArg().GetString_()
			if s == nil {
				return nil, noCopyOption(name, "write its value in quotes")
			}
			set[name] = s.GetSval()
		case "header":
			switch d.GetArg().GetString_().GetSval() { // mask.Compile has written all forms as these
			case "true":
				c.header = true
			case "false":
			default:
				return nil, noCopyOption(name, "use true or false")
			}
		case "force_quote": // a field says itself whether it is quoted
		default:
			return nil, noCopyOption(name, "leave it out")
		}
	}
	return c, c.set(set)
}

func (c *copyFormat) set(options map[string]string) error {
	switch options["format"] {
	case "", "text":
	case "csv":
		c.kind = 'c'
	case "binary":
		c.kind = 'b'
	default:
		return &access.Error{Kind: access.Invalid, Code: "22023", Message: "COPY format \"" + options["format"] + "\" not recognized"}
	}
	if e, given := options["encoding"]; given && !isUTF8(e) {
		return noCopyOption("encoding "+e, "text is UTF-8 throughout: leave the option out")
	}
	delim, null := "\t", `\N`
	if c.kind == 'c' {
		delim, null = ",", ""
	}
	for _, o := range []struct {
		name, preset string
		to           *byte
	}{{"delimiter", delim, &c.delim}, {"quote", `"`, &c.quote}, {"escape", "", &c.escape}} {
		v, given := options[o.name]
		if !given {
			v = o.preset
		}
		switch {
		case o.name == "escape" && !given:
			c.escape = c.quote
			continue
		case len(v) != 1 || v[0] >= 0x80 || v == "\n" || v == "\r":
			return noCopyOption(o.name, "it has to be a single character of ASCII, and no line break")
		}
		*o.to = v[0]
	}
	var given bool
	if c.null, given = options["null"]; !given {
		c.null = null
	}
	switch {
	case c.kind == 'c' && (c.delim == c.quote || strings.ContainsRune(c.null, rune(c.quote))),
		c.kind != 'b' && (strings.ContainsRune(c.null, rune(c.delim)) || strings.ContainsAny(c.null, "\r\n")):
		return noCopyOption("delimiter, quote or null", "they have to differ from each other")
	case c.kind == 't' && (c.delim == '\\' || c.null != `\N` && strings.Contains(c.null, `\`)):
		return noCopyOption("null with a backslash", `leave it at \N, or use text without a backslash`)
	}
	return nil
}

// isUTF8 reports whether an encoding's name is one that the server knows UTF8 by.
func isUTF8(name string) bool {
	switch strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(name)) {
	case "utf8", "unicode":
		return true
	}
	return false
}

func noCopyOption(what, hint string) *access.Error {
	return &access.Error{Kind: access.Unsupported, Code: "0A000", Message: "COPY with this " + what + " is not available where columns are masked", Hint: hint}
}

// copiedColumns is the copied query itself, or a query of the columns that are copied from a table.
func copiedColumns(s *pg.CopyStmt, f *access.Facts) (string, error) {
	if s.GetQuery() != nil {
		sql, err := pg.Deparse(&pg.ParseResult{Stmts: []*pg.RawStmt{{Stmt: s.GetQuery()}}})
		if err != nil {
			return "", &access.Error{Kind: access.Internal, Code: "XX000", Message: "the columns of this COPY cannot be told", Err: err}
		}
		return sql, nil
	}
	var b strings.Builder
	for i, o := range f.Outputs {
		b.WriteString([]string{"SELECT ", ", "}[min(i, 1)] + quoteIdent(o.Name))
	}
	if len(f.Outputs) == 0 {
		b.WriteString("SELECT")
	}
	b.WriteString(" FROM ONLY ")
	if schema := s.GetRelation().GetSchemaname(); schema != "" {
		b.WriteString(quoteIdent(schema) + ".")
	}
	b.WriteString(quoteIdent(s.GetRelation().GetRelname()))
	return b.String(), nil
}

func quoteIdent(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
