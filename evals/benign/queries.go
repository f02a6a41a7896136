package benign

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// query is one statement of a corpus.
type query struct {
	id  string // file:line, and the variant
	db  string
	sql string
}

// defogFiles have a db_name and a query column each.
var defogFiles = []string{"questions_gen_postgres.csv", "instruct_basic_postgres.csv", "instruct_advanced_postgres.csv"}

// defog reads all gold statements. A gold answer has alternatives separated by ";", and may name
// optional columns in braces, of which any non-empty selection is right; "GROUP BY {}" repeats the
// selection. They are expanded as defog's own evaluation does.
func defog(dir string) ([]query, error) {
	var all []query
	for _, name := range defogFiles {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		rows := records(string(text))
		if len(rows) < 2 {
			return nil, fmt.Errorf("%s holds no records", name)
		}
		col := map[string]int{}
		for i, h := range rows[0] {
			col[strings.TrimPrefix(h, "\ufeff")] = i
		}
		for n, r := range rows[1:] {
			if len(r) != len(rows[0]) {
				return nil, fmt.Errorf("%s: record %d has %d fields, want %d", name, n+2, len(r), len(rows[0]))
			}
			for i, sql := range expand(r[col["query"]]) {
				all = append(all, query{fmt.Sprintf("%s:%d.%d", strings.TrimSuffix(name, "_postgres.csv"), n+2, i+1), r[col["db_name"]], sql})
			}
		}
	}
	return all, nil
}

// Statements gives all gold statements by database.
func Statements(dir string) (map[string][]string, error) {
	all, err := defog(dir)
	out := map[string][]string{}
	for _, q := range all {
		out[q.db] = append(out[q.db], q.sql)
	}
	return out, err
}

// records reads comma-separated values as Python's csv module does, which wrote and reads these files:
// after a closing quote, other characters go on with the field unquoted. encoding/csv refuses that.
func records(text string) [][]string {
	var all [][]string
	var row []string
	var field strings.Builder
	quoted, start := false, true
	end := func() {
		row = append(row, field.String())
		field.Reset()
		quoted, start = false, true
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quoted && c == '"' && i+1 < len(text) && text[i+1] == '"':
			field.WriteByte('"')
			i++
		case quoted && c == '"':
			quoted = false
		case quoted:
			field.WriteByte(c)
		case start && c == '"':
			quoted, start = true, false
		case c == ',':
			end()
		case c == '\n':
			end()
			all, row = append(all, row), nil
		default:
			field.WriteByte(c)
			start = false
		}
	}
	if row != nil || field.Len() > 0 {
		end()
		all = append(all, row)
	}
	return all
}

func expand(gold string) []string {
	var all []string
	for _, alternative := range strings.Split(gold, ";") {
		alternative = strings.TrimSpace(alternative)
		open, end := strings.Index(alternative, "{"), strings.Index(alternative, "}")
		if alternative == "" {
			continue
		}
		if open < 0 || end < open {
			all = append(all, alternative)
			continue
		}
		options := strings.Split(alternative[open+1:end], ",")
		for set := 1; set < 1<<len(options); set++ {
			var chosen []string
			for i, o := range options {
				if set&(1<<i) != 0 {
					chosen = append(chosen, strings.TrimSpace(o))
				}
			}
			list := strings.Join(chosen, ", ")
			rest := strings.ReplaceAll(alternative[end+1:], "GROUP BY {}", "GROUP BY "+list)
			all = append(all, alternative[:open]+list+rest)
		}
	}
	return all
}
