package config

import (
	"errors"
	"regexp"
	"strings"

	"sallyport/internal/access"
)

// bareName is what SQL reads back as it stands. Others are quoted.
var bareName = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

// ColumnName writes a column as schema.table.column with the quotes that SQL would want: public."Odd.Name".x.
func ColumnName(c access.ColumnID) string {
	parts := []string{c.Relation.Schema, c.Relation.Name, c.Column}
	for i, p := range parts {
		if !bareName.MatchString(p) {
			parts[i] = `"` + strings.ReplaceAll(p, `"`, `""`) + `"`
		}
	}
	return strings.Join(parts, ".")
}

// ParseColumn reads what ColumnName writes. What is not quoted is folded to lower case, as in SQL.
func ParseColumn(s string) (access.ColumnID, error) {
	var parts []string
	for rest, more := s, true; more; {
		var part string
		if strings.HasPrefix(rest, `"`) {
			end := closingQuote(rest)
			if end < 0 {
				return access.ColumnID{}, errors.New("a quoted part does not end")
			}
			part, rest = strings.ReplaceAll(rest[1:end], `""`, `"`), rest[end+1:]
			if more = rest != ""; more && rest[0] != '.' {
				return access.ColumnID{}, errors.New("after a quoted part comes a dot")
			}
			rest = strings.TrimPrefix(rest, ".")
		} else {
			part, rest, more = strings.Cut(rest, ".")
			part = strings.ToLower(part)
			switch {
			case strings.ContainsAny(part, "*?"):
				return access.ColumnID{}, errors.New("a labels file names columns one by one: patterns belong into `labels` of the configuration")
			case part != "" && !bareName.MatchString(part):
				return access.ColumnID{}, errors.New("quote what is not letters, digits and _: public.\"odd name\".x")
			}
		}
		if part == "" {
			return access.ColumnID{}, errors.New("a part is empty: write schema.table.column")
		}
		parts = append(parts, part)
	}
	if len(parts) != 3 {
		return access.ColumnID{}, errors.New("write schema.table.column, quoted as in SQL")
	}
	return access.ColumnID{Relation: access.Name{Schema: parts[0], Name: parts[1]}, Column: parts[2]}, nil
}

// closingQuote gives the place of the quote that ends a quoted name at the beginning of s, or -1.
func closingQuote(s string) int {
	for i := 1; i < len(s); i++ {
		if s[i] != '"' {
			continue
		}
		if i+1 == len(s) || s[i+1] != '"' {
			return i
		}
		i++
	}
	return -1
}
