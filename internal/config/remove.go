package config

import (
	"fmt"
	"slices"
	"strings"
)

// Remove takes a principal out and gives the lines that went. Comments above it stay: whether they
// speak of one principal or of all that follow is their author's to know.
func (e *Editor) Remove(name string) ([]string, error) {
	if !e.Has(name) {
		return nil, e.unknown(name)
	}
	section, err := e.block("principals")
	if err != nil {
		return nil, err
	}
	value, err := e.node("principals", name)
	if err != nil {
		return nil, err
	}
	delete(e.file.Principals, name)
	gone := e.cut(section.lineOf[name], lastLine(value))
	if len(e.file.Principals) == 0 { // a section without lines could not be added to
		if err := e.cutKey("principals"); err != nil {
			return nil, err
		}
	}
	return gone, e.verify()
}

// Tokens gives the tokens of a principal.
func (e *Editor) Tokens(name string) ([]Token, error) {
	if !e.Has(name) {
		return nil, e.unknown(name)
	}
	return e.file.Principals[name].Tokens, nil
}

// RemoveToken takes the one token of a principal whose hash begins with prefix out, and gives the
// lines that went.
func (e *Editor) RemoveToken(name, prefix string) ([]string, error) {
	tokens, err := e.Tokens(name)
	if err != nil {
		return nil, err
	}
	if prefix == "" {
		return nil, fmt.Errorf("which token of %s? `sallyport token list %s` shows their hashes", name, name)
	}
	at := -1
	for i, t := range tokens {
		if !strings.HasPrefix(strings.ToLower(t.SHA256), strings.ToLower(prefix)) {
			continue
		}
		if at >= 0 {
			return nil, fmt.Errorf("several tokens of %s begin with %s: give more of the hash (`sallyport token list %s`)", name, prefix, name)
		}
		at = i
	}
	if at < 0 {
		return nil, fmt.Errorf("no token of %s begins with %s: `sallyport token list %s` shows them", name, prefix, name)
	}
	if _, err := e.block("principals", name, "tokens"); err != nil { // refuses a list in []
		return nil, err
	}
	list, err := e.node("principals", name, "tokens")
	if err != nil {
		return nil, err
	}
	p := e.file.Principals[name]
	p.Tokens = slices.Delete(slices.Clone(tokens), at, at+1)
	e.file.Principals[name] = p
	gone := e.cut(list.Content[at].Line, lastLine(list.Content[at]))
	if len(p.Tokens) == 0 {
		if err := e.cutKey("principals", name, "tokens"); err != nil {
			return nil, err
		}
	}
	return gone, e.verify()
}

// cutKey takes out the line of a key that has nothing below it any more.
func (e *Editor) cutKey(path ...string) error {
	parent, err := e.block(path[:len(path)-1]...)
	if err != nil {
		return err
	}
	line := parent.lineOf[path[len(path)-1]]
	e.cut(line, line)
	return nil
}

// cut takes out the lines from first to last (from 1) and gives them.
func (e *Editor) cut(first, last int) []string {
	gone := slices.Clone(e.lines[first-1 : last])
	e.lines = slices.Delete(slices.Clone(e.lines), first-1, last)
	return gone
}
