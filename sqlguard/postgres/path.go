package postgres

import (
	"slices"
	"strings"
)

// EffectivePath is the path that names are resolved by: pg_catalog first unless it is named, temporary schemas left
// out, for no catalog snapshot has what is in them.
func EffectivePath(items []string) []string {
	var path []string
	if !slices.Contains(items, "pg_catalog") {
		path = append(path, "pg_catalog")
	}
	for _, schema := range items {
		if !strings.HasPrefix(schema, "pg_temp") && !strings.HasPrefix(schema, "pg_toast") {
			path = append(path, schema)
		}
	}
	return path
}

// PathItems reads a list of identifiers as SplitIdentifierString does (src/backend/utils/adt/varlena.c):
// unquoted ones are folded, quotes are doubled.
func PathItems(s string) []string {
	var out []string
	for s = strings.TrimSpace(s); s != ""; {
		var item string
		if s[0] == '"' {
			end := 1
			for ; end < len(s); end++ {
				if s[end] != '"' {
					continue
				}
				if end+1 < len(s) && s[end+1] == '"' {
					end++
					continue
				}
				break
			}
			item, s = strings.ReplaceAll(s[1:min(end, len(s))], `""`, `"`), s[min(end+1, len(s)):]
		} else {
			end := strings.IndexByte(s, ',')
			if end < 0 {
				end = len(s)
			}
			item, s = strings.ToLower(strings.TrimSpace(s[:end])), s[end:]
		}
		out = append(out, item)
		s = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(s), ","))
	}
	return out
}
