package config

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// keysOf lists the paths of all settings below a type: listen.mcp.address, connections.NAME.driver, labels[].columns.
func keysOf(t reflect.Type, at string) (leaves []string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t.Kind() == reflect.Map && under(t.Elem()).Kind() == reflect.Struct:
		return keysOf(t.Elem(), at+".NAME")
	case t.Kind() == reflect.Slice && under(t.Elem()).Kind() == reflect.Struct:
		return keysOf(t.Elem(), at+"[]")
	case t.Kind() != reflect.Struct:
		return []string{at}
	}
	for i := range t.NumField() {
		if key := t.Field(i).Tag.Get("yaml"); key != "" {
			leaves = append(leaves, keysOf(t.Field(i).Type, strings.TrimPrefix(at+"."+key, "."))...)
		}
	}
	return leaves
}

func under(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

var quoted = regexp.MustCompile("`([^`]+)`")

// row is a line of the table of keys: the paths that its first cell names, and the words in code of the second.
type row struct{ paths, words []string }

// rowsOf reads the table. After the first path of a cell, `.key` and `key` are beside its last part.
func rowsOf(t *testing.T, page, roots string) (rows []row) {
	for _, line := range strings.Split(page, "\n") {
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, "| `") || len(cells) < 2 {
			continue
		}
		var r row
		for i, m := range quoted.FindAllStringSubmatch(cells[0], -1) {
			path := m[1]
			if first, _, _ := strings.Cut(path, "."); i > 0 && !regexp.MustCompile(`^(`+roots+`)(\[\])?$`).MatchString(first) {
				last := r.paths[len(r.paths)-1]
				path = last[:strings.LastIndex(last, ".")+1] + strings.TrimPrefix(path, ".")
			}
			r.paths = append(r.paths, strings.Replace(path, ".LABEL", ".NAME", 1))
		}
		for _, m := range quoted.FindAllStringSubmatch(cells[1], -1) {
			r.words = append(r.words, m[1])
		}
		rows = append(rows, r)
	}
	if len(rows) < 20 {
		t.Fatalf("%d rows in the table of keys", len(rows))
	}
	return rows
}

// covers reports whether a documented path is key, or stands above it: * is any door.
func covers(path, key string) (same, above bool) {
	re := strings.ReplaceAll(regexp.QuoteMeta(path), `\*`, `[a-z]+`)
	return regexp.MustCompile("^" + re + "$").MatchString(key), regexp.MustCompile("^" + re + `[.\[]`).MatchString(key)
}

func TestThePageOnConfigurationHasEveryKeyAndNoOther(t *testing.T) {
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, page, _ := strings.Cut(string(text), "\n## Keys\n")
	page, _, _ = strings.Cut(page, "\n## ")
	keys := keysOf(reflect.TypeFor[File](), "")
	var roots []string
	for _, k := range keys {
		root, _, _ := strings.Cut(k, ".")
		roots = append(roots, strings.TrimSuffix(root, "[]"))
	}
	rows := rowsOf(t, page, strings.Join(roots, "|"))
	for _, key := range keys {
		if strings.HasPrefix(key, "notify[]") || strings.HasPrefix(key, "export[]") {
			continue // pages of their own have them
		}
		leaf := key[strings.LastIndex(key, ".")+1:]
		if !slices.ContainsFunc(rows, func(r row) bool {
			return slices.ContainsFunc(r.paths, func(p string) bool {
				same, above := covers(p, key)
				return same || above && slices.Contains(r.words, leaf)
			})
		}) {
			t.Errorf("docs/configuration.md does not have %s", key)
		}
	}
	for _, r := range rows {
		for _, p := range r.paths {
			if !slices.ContainsFunc(keys, func(key string) bool { same, above := covers(p, key); return same || above }) {
				t.Errorf("docs/configuration.md has %s, which is no key", p)
			}
		}
	}
	text, err = os.ReadFile("../../docs/identity.md")
	if err != nil {
		t.Fatal(err)
	}
	table := rowsOf(t, string(text), "") // it has other tables, which name no keys of a provider
	for _, key := range keys {
		leaf, of := strings.CutPrefix(key, "identity.providers[].")
		if of && !slices.ContainsFunc(table, func(r row) bool { return slices.Contains(r.paths, leaf) }) {
			t.Errorf("the table of keys in docs/identity.md does not have %s", leaf)
		}
	}
	for at, page := range map[string]string{"notify[]": "approvals.md", "export[]": "export.md"} {
		text, err := os.ReadFile("../../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			leaf := key[strings.LastIndex(key, ".")+1:]
			if strings.HasPrefix(key, at) && !regexp.MustCompile(`\b`+leaf+`\b`).Match(text) {
				t.Errorf("docs/%s does not have %s", page, key)
			}
		}
	}
}
