package mask

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
)

// A document of JSON is where rows go that a program read as objects: what stands in the place of a masked value comes back in it
// under the name of its column. Columns of the types json and jsonb, masked or not, take no such document.

// Object identifiers of the types of documents (pg_type.dat).
const (
	oidJSON  = 114
	oidJSONB = 3802
)

// documentForms are the sentinels that a document may not hold: by the key that they stand under, in small letters, and
// those under any.
type documentForms struct {
	keys map[string][]sentinel
	any  []sentinel
}

// documentGuard gives the sentinels of a column that takes documents, or false for another one.
func (c *compiler) documentGuard(ref *pgtree.Ref, name string) (sentinel, bool) {
	if ref == nil || ref.Relation == nil {
		return sentinel{}, false
	}
	col := ref.Relation.Column(name)
	if col == nil || col.TypeOID != oidJSON && col.TypeOID != oidJSONB {
		return sentinel{}, false
	}
	id := access.ColumnID{Relation: ref.Relation.Name, Column: name}
	if forms := c.documents[id]; forms != nil {
		return sentinel{column: id, document: forms}, true
	}
	if c.forms == nil {
		c.forms = map[string][]sentinel{}
		for _, l := range c.in.Labels.All() {
			rel := c.in.Catalog.Relations[l.Column.Relation]
			if rel == nil || rel.Column(l.Column.Column) == nil {
				continue
			}
			of := rel.Column(l.Column.Column)
			t := c.in.Masks.For(of, c.in.Catalog, l.Labels, l.Derived)
			if s, ok := newSentinel(c.in.Catalog, l.Column, of, t); ok && !shapeOf(c.in.Catalog, of).array {
				key := strings.ToLower(l.Column.Column)
				if !slices.ContainsFunc(c.forms[key], func(o sentinel) bool { return o.pattern.String() == s.pattern.String() }) {
					c.forms[key] = append(c.forms[key], s)
				}
			}
		}
	}
	forms := &documentForms{keys: c.forms}
	if labels := c.in.Labels.Columns(id.Relation)[name]; len(labels) > 0 && c.in.Masks != nil {
		t := c.in.Masks.strictest(labels)
		forms.any = append(forms.any, sentinel{column: id, as: t, pattern: regexp.MustCompile("(?s)" + t.form(shape{family: textFamily, oid: oidText}))})
	}
	if len(forms.keys) == 0 && len(forms.any) == 0 {
		return sentinel{}, false
	}
	if c.documents == nil {
		c.documents = map[access.ColumnID]*documentForms{}
	}
	c.documents[id] = forms
	return sentinel{column: id, document: forms}, true
}

// refuse refuses a text that is a document with a sentinel. What is no document is the server's to refuse.
func (f *documentForms) refuse(what, text string) error {
	if !MayBeSentinel(text) {
		return nil
	}
	text = strings.TrimPrefix(text, "\x01") // the version of jsonb in binary
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var keys []string       // of the objects and arrays around; an array has that of what it is in
	var object []bool       // which of them are objects
	key, named := "", false // of the value that follows, where it has one
	for {
		tok, err := dec.Token()
		if err != nil {
			return nil // its end, too
		}
		value, text := "", false
		switch v := tok.(type) {
		case json.Delim:
			switch v {
			case '{', '[':
				keys, object = append(keys, key), append(object, v == '{')
				named = false
			default:
				key, keys, object = keys[len(keys)-1], keys[:len(keys)-1], object[:len(object)-1]
				named = false
				if n := len(keys); n > 0 {
					key = keys[n-1]
				}
			}
			continue
		case string:
			if n := len(object); n > 0 && object[n-1] && !named {
				key, named = v, true
				continue
			}
			value, text = v, true
		case json.Number:
			value = v.String()
		}
		if value != "" {
			if s := f.find(key, value, text && len(keys) == 0); s != nil {
				return writtenBack(what+" has a value that", s.column, s.as)
			}
		}
		if named = false; len(keys) > 0 {
			key = keys[len(keys)-1]
		}
	}
}

// find gives the sentinel that a value is under a key; alone says that the document is nothing else, as in jsonb_set.
func (f *documentForms) find(key, value string, alone bool) *sentinel {
	for i := range f.any {
		if f.any[i].matches(value) {
			return &f.any[i]
		}
	}
	for name, forms := range f.keys {
		if !alone && name != strings.ToLower(key) {
			continue
		}
		for i := range forms {
			if forms[i].matches(value) {
				return &forms[i]
			}
		}
	}
	return nil
}

// sql is a regular expression for PostgreSQL of documents with such a value, for rows that only the server sees.
func (f *documentForms) sql() string {
	one := func(s sentinel) string { return strings.TrimSuffix(strings.TrimPrefix(s.form(), "^("), ")$") }
	var out []string
	for _, s := range f.any {
		out = append(out, `"(`+one(s)+`)"`)
	}
	for _, key := range slices.Sorted(maps.Keys(f.keys)) {
		for _, s := range f.keys[key] {
			value := `"(` + one(s) + `)"`
			if s.number {
				value = `(` + one(s) + `)[[:space:]]*[,}]`
			}
			out = append(out, `"`+regexp.QuoteMeta(key)+`"[[:space:]]*:[[:space:]]*`+value)
		}
	}
	return strings.Join(out, "|")
}
