package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// document is a parsed file that knows where each value stands.
type document struct {
	path     string
	maker    string     // the command that writes such files
	root     *yaml.Node // the top mapping
	problems Problems
	// run gives what a command prints that a secret comes from; nil: runCommand, for as long as that has patience.
	run func(dir string, command []string) (string, error)
}

// parse reads YAML into a struct. Shape errors (unknown keys, repeated keys, wrong types) are collected.
func (d *document) parse(text []byte, file any) {
	var doc, more yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		d.syntax(err, text)
		return
	}
	switch err := dec.Decode(&more); {
	case err == nil:
		d.add(more.Line, "a second document begins here (---)", "the file is one document: what follows would be ignored")
		return
	case !errors.Is(err, io.EOF):
		d.syntax(err, text)
		return
	}
	if len(doc.Content) == 0 {
		d.add(1, "the file is empty", "`sallyport "+cmp.Or(d.maker, "init")+"` writes one with comments")
		return
	}
	d.root = doc.Content[0]
	d.keys(d.root, reflect.TypeOf(file), "")
	if len(d.problems) > 0 {
		return // the decoder would only say the same again, less clearly
	}
	if err := d.root.Decode(file); err != nil {
		if te, ok := err.(*yaml.TypeError); ok {
			for _, e := range te.Errors {
				line, msg := yamlMessage(e)
				d.add(line, msg, "")
			}
			return
		}
		line, msg := yamlMessage(err.Error())
		d.add(line, msg, "")
	}
}

// syntax reports what the YAML library could not read.
func (d *document) syntax(err error, text []byte) {
	line, msg := yamlMessage(err.Error())
	hint := ""
	if lines := bytes.Split(text, []byte("\n")); line > 0 && line <= len(lines) {
		indent := lines[line-1][:len(lines[line-1])-len(bytes.TrimLeft(lines[line-1], " \t"))]
		if bytes.ContainsRune(indent, '\t') {
			hint = "the line begins with a tab: YAML indents by spaces"
		}
	}
	d.add(line, msg, hint)
}

func (d *document) add(line int, message, hint string) {
	d.problems = append(d.problems, Problem{File: d.path, Line: line, Message: message, Hint: hint})
}

// keys walks a node beside the type that it will be decoded into and reports what has no place there.
func (d *document) keys(n *yaml.Node, t reflect.Type, path string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if n.Kind == yaml.AliasNode {
		d.add(n.Line, "YAML aliases (*"+n.Value+") are not used here", "write the value out")
		return
	}
	switch {
	case isNull(n):
	case t.Kind() == reflect.Struct || t.Kind() == reflect.Map:
		if n.Kind != yaml.MappingNode {
			d.add(n.Line, fmt.Sprintf("%s must be a mapping (key: value), not %s", name(path), kindName(n)), "")
			return
		}
		seen := map[string]int{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			k, v := n.Content[i], n.Content[i+1]
			if first, dup := seen[k.Value]; dup {
				d.add(k.Line, fmt.Sprintf("`%s` is given twice", join(path, k.Value)), fmt.Sprintf("it is first given in line %d", first))
				continue
			}
			seen[k.Value] = k.Line
			if t.Kind() == reflect.Map {
				d.keys(v, t.Elem(), join(path, k.Value))
				continue
			}
			field, known := fieldByKey(t, k.Value)
			if field == nil {
				hint := "known here: " + strings.Join(known, ", ")
				if near := Nearest(k.Value, known); near != "" {
					hint = "did you mean `" + near + "`?"
				}
				d.add(k.Line, fmt.Sprintf("unknown key `%s`%s", k.Value, within(path)), hint)
				continue
			}
			d.keys(v, field, join(path, k.Value))
		}
	case t.Kind() == reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			d.add(n.Line, fmt.Sprintf("%s must be a list, not %s", name(path), kindName(n)), "write it as [a, b], or as lines that begin with -")
			return
		}
		for i, item := range n.Content {
			d.keys(item, t.Elem(), fmt.Sprintf("%s[%d]", path, i))
		}
	case n.Kind != yaml.ScalarNode:
		d.add(n.Line, fmt.Sprintf("%s must be a single value, not %s", name(path), kindName(n)), "")
	}
}

// line gives the line of the value at a path of keys, or of the deepest part of it that is there.
func (d *document) line(path ...string) int {
	n, line := d.root, 1
	for _, key := range path {
		if n == nil {
			return line
		}
		var next *yaml.Node
		switch n.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == key {
					line, next = n.Content[i].Line, n.Content[i+1]
				}
			}
		case yaml.SequenceNode:
			if i, err := strconv.Atoi(key); err == nil && i < len(n.Content) {
				line, next = n.Content[i].Line, n.Content[i]
			}
		}
		n = next
	}
	return line
}

// UnmarshalYAML reads durations like 30s.
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	v, err := time.ParseDuration(n.Value)
	if err != nil || v < 0 {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: `%s` is not a duration like 500ms, 30s or 5m", n.Line, n.Value)}}
	}
	*d = Duration(v)
	return nil
}

func fieldByKey(t reflect.Type, key string) (reflect.Type, []string) {
	var known []string
	for i := range t.NumField() {
		tag := t.Field(i).Tag.Get("yaml")
		if tag == key {
			return t.Field(i).Type, nil
		}
		known = append(known, tag)
	}
	return nil, known
}

var (
	yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:unmarshal errors:\s*)?line (\d+): (.*)$`)
	yamlKind = regexp.MustCompile("^cannot unmarshal !!\\w+ (`[^`]*`) into (?:\\w+\\.)*(\\w+)$")
)

// yamlMessage takes the library's message apart and puts it in the words of the file.
func yamlMessage(s string) (line int, msg string) {
	msg = strings.TrimPrefix(s, "yaml: ")
	if m := yamlLine.FindStringSubmatch(s); m != nil {
		line, _ = strconv.Atoi(m[1])
		msg = m[2]
	}
	if m := yamlKind.FindStringSubmatch(msg); m != nil {
		want := map[string]string{"int": "a whole number", "bool": "true or false", "string": "text"}[m[2]]
		if want == "" {
			want = m[2]
		}
		msg = m[1] + " is not " + want
	}
	return line, msg
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	default:
		return "`" + n.Value + "`"
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func name(path string) string {
	if path == "" {
		return "the file"
	}
	return "`" + path + "`"
}

func within(path string) string {
	if path == "" {
		return ""
	}
	return " in `" + path + "`"
}
