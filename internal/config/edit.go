package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"gopkg.in/yaml.v3"
)

// Editor changes the principals of a configuration file. It works on the text, line by line, so that
// comments, order and layout stay as their author left them, and it never writes a file that does
// not then say exactly what was meant: each change is parsed and compared before Save.
type Editor struct {
	path  string
	lines []string
	file  File // what the lines must say
}

// Edit opens a file for editing. The file must be sound YAML of the right shape; it may still have
// other problems, e.g. name a policy that does not exist yet.
func Edit(path string) (*Editor, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	e := &Editor{path: path, lines: strings.Split(strings.TrimRight(string(text), "\n"), "\n")}
	d := &document{path: path}
	d.parse(text, &e.file)
	if len(d.problems) > 0 {
		return nil, d.problems.sorted()
	}
	if e.file.Principals == nil {
		e.file.Principals = map[string]Principal{}
	}
	return e, nil
}

// Has says whether the file knows a principal.
func (e *Editor) Has(name string) bool { _, ok := e.file.Principals[name]; return ok }

// Names lists the principals.
func (e *Editor) Names() []string { return sortedKeys(e.file.Principals) }

// Add adds a principal that is not there yet.
func (e *Editor) Add(name string, p Principal) error {
	if !nameForm.MatchString(name) {
		return fmt.Errorf("%q cannot be a principal's name: %s", name, nameHint)
	}
	if e.Has(name) {
		return fmt.Errorf("%s is already in %s: `sallyport principal passwd` changes a password, `sallyport token new` adds a token", name, e.path)
	}
	e.file.Principals[name] = p
	section, err := e.block("principals")
	if err != nil {
		return err
	}
	if section == nil { // none yet
		e.lines = append(e.lines, "", "principals:")
		e.lines = append(e.lines, snippet(name, p, 2)...)
		return e.verify()
	}
	e.insert(section.end, snippet(name, p, section.indent))
	return e.verify()
}

// SetSecret replaces or adds the verifier of a principal.
func (e *Editor) SetSecret(name, verifier string) error {
	p, ok := e.file.Principals[name]
	if !ok {
		return e.unknown(name)
	}
	if p.SecretEnv != "" || p.SecretFile != "" {
		return fmt.Errorf("the secret of %s is kept elsewhere (%s%s): change it there", name, p.SecretEnv, p.SecretFile)
	}
	had := p.Secret != ""
	p.Secret = verifier
	return e.set(name, p, "secret", verifier, had)
}

// SetExpires replaces or adds when what a principal logs in with ends (RFC 3339).
func (e *Editor) SetExpires(name, expires string) error {
	p, ok := e.file.Principals[name]
	if !ok {
		return e.unknown(name)
	}
	had := p.Expires != ""
	p.Expires = expires
	return e.set(name, p, "expires", scalar(expires), had)
}

// set writes a key of a principal, which is p then, in the place of the line that it had.
func (e *Editor) set(name string, p Principal, key, value string, had bool) error {
	e.file.Principals[name] = p
	section, err := e.block("principals", name)
	if err != nil {
		return err
	}
	line := strings.Repeat(" ", section.indent) + key + ": " + value
	if had {
		e.lines[section.lineOf[key]-1] = line
	} else {
		e.insert(section.end, []string{line})
	}
	return e.verify()
}

// AddToken adds a bearer token to a principal.
func (e *Editor) AddToken(name string, tok Token) error {
	p, ok := e.file.Principals[name]
	if !ok {
		return e.unknown(name)
	}
	p.Tokens = append(p.Tokens[:len(p.Tokens):len(p.Tokens)], tok)
	e.file.Principals[name] = p
	section, err := e.block("principals", name)
	if err != nil {
		return err
	}
	pad := strings.Repeat(" ", section.indent)
	if len(p.Tokens) == 1 {
		e.insert(section.end, append([]string{pad + "tokens:"}, tokenLines(tok, pad+"  ")...))
		return e.verify()
	}
	list, err := e.block("principals", name, "tokens")
	if err != nil {
		return err
	}
	e.insert(list.end, tokenLines(tok, strings.Repeat(" ", list.indent)))
	return e.verify()
}

// Save writes the file in one step: a reader sees the old text or the new one.
func (e *Editor) Save() error { return replaceFile(e.path, e.text(), 0o600) }

// replaceFile gives a file a new text in one step. It keeps the file's mode; mode is for a new one.
func replaceFile(path, text string, mode os.FileMode) error {
	if st, err := os.Stat(path); err == nil {
		mode = st.Mode().Perm()
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".sallyport-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if _, err := tmp.WriteString(text); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Chmod(mode); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// Snippet is a principal as it stands in the file, for those who paste it themselves.
func Snippet(name string, p Principal) string {
	return "principals:\n" + strings.Join(snippet(name, p, 2), "\n") + "\n"
}

// block is a mapping or list that is written as lines, not as {} or [].
type block struct {
	indent int            // column of its keys or dashes, from 0
	end    int            // its last line, from 1
	lineOf map[string]int // of its keys
}

// block finds the block at a path of keys. It is nil when only the last key is missing or empty.
func (e *Editor) block(path ...string) (*block, error) {
	n, err := e.node(path...)
	if n == nil || err != nil {
		return nil, err
	}
	where := strings.Join(path, ".")
	if n.Style&yaml.FlowStyle != 0 || isNull(n) || len(n.Content) == 0 {
		return nil, fmt.Errorf("%s:%d: cannot edit `%s` as it is written ({}, [] or empty): paste this yourself", e.path, n.Line, where)
	}
	b := &block{indent: n.Column - 1, end: lastLine(n), lineOf: map[string]int{}}
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			b.lineOf[n.Content[i].Value] = n.Content[i].Line
		}
	}
	return b, nil
}

// node finds the value at a path of keys; nil when a key is missing.
func (e *Editor) node(path ...string) (*yaml.Node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(e.text()), &doc); err != nil {
		return nil, err
	}
	n := doc.Content[0]
	for _, key := range path {
		var next *yaml.Node
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				next = n.Content[i+1]
			}
		}
		if next == nil {
			return nil, nil
		}
		n = next
	}
	return n, nil
}

// insert puts lines after line n (from 1).
func (e *Editor) insert(n int, lines []string) {
	e.lines = append(e.lines[:n:n], append(lines, e.lines[n:]...)...)
}

func (e *Editor) text() string { return strings.Join(e.lines, "\n") + "\n" }

// verify reads the new text back and compares it with what was meant.
func (e *Editor) verify() error {
	var got File
	d := &document{path: e.path}
	d.parse([]byte(e.text()), &got)
	if len(d.problems) > 0 {
		return fmt.Errorf("cannot edit %s as it is laid out: paste this yourself", e.path)
	}
	if !reflect.DeepEqual(normal(got), normal(e.file)) {
		return fmt.Errorf("editing %s would have changed something else: paste this yourself", e.path)
	}
	return nil
}

// normal makes files comparable: absent and empty lists are the same.
func normal(f File) string {
	out, err := yaml.Marshal(f)
	if err != nil {
		return err.Error()
	}
	return strings.ReplaceAll(string(out), ": []", ": null")
}

func (e *Editor) unknown(name string) error {
	hint := "`sallyport principal add` adds one"
	if near := Nearest(name, e.Names()); near != "" {
		hint = "did you mean `" + near + "`?"
	}
	return fmt.Errorf("there is no principal %s in %s: %s", name, e.path, hint)
}

func lastLine(n *yaml.Node) int {
	last := n.Line + strings.Count(n.Value, "\n")
	for _, c := range n.Content {
		last = max(last, lastLine(c))
	}
	return last
}

// snippet writes a principal in block style. Its values need no quoting: names and groups match
// nameForm, verifiers and hashes are base64 or hex; notes are quoted.
func snippet(name string, p Principal, indent int) []string {
	pad := strings.Repeat(" ", indent)
	in := pad + "  "
	lines := []string{pad + scalar(name) + ":", in + "kind: " + p.Kind}
	if len(p.Groups) > 0 {
		groups := make([]string, len(p.Groups))
		for i, g := range p.Groups {
			groups[i] = scalar(g)
		}
		lines = append(lines, in+"groups: ["+strings.Join(groups, ", ")+"]")
	}
	if p.BreakGlass {
		lines = append(lines, in+"break_glass: true")
	}
	if p.Expires != "" {
		lines = append(lines, in+"expires: "+scalar(p.Expires))
	}
	if p.Secret != "" {
		lines = append(lines, in+"secret: "+p.Secret)
	}
	if len(p.Tokens) > 0 {
		lines = append(lines, in+"tokens:")
		for _, t := range p.Tokens {
			lines = append(lines, tokenLines(t, in+"  ")...)
		}
	}
	return lines
}

func tokenLines(t Token, pad string) []string {
	lines := []string{pad + "- sha256: " + scalar(t.SHA256)}
	if t.Expires != "" {
		lines = append(lines, pad+"  expires: "+scalar(t.Expires))
	}
	if t.Note != "" {
		lines = append(lines, pad+"  note: "+scalar(t.Note))
	}
	if len(t.Scopes) > 0 {
		lines = append(lines, pad+"  scopes: ["+strings.Join(t.Scopes, ", ")+"]")
	}
	return lines
}

// scalar writes a text so that YAML reads it back as that text.
func scalar(s string) string {
	out, err := yaml.Marshal(s)
	if err != nil || strings.Count(string(out), "\n") > 1 {
		return fmt.Sprintf("%q", s)
	}
	return strings.TrimSuffix(string(out), "\n")
}

// TokenSnippet is a token as it stands in a principal's list of tokens.
func TokenSnippet(t Token) []string { return tokenLines(t, "      ") }
