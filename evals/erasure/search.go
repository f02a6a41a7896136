package erasure

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf16"
)

// forms are the ways in which a word is looked for. Base64 of a word depends on where in a group of three bytes it
// begins; the characters at its ends depend on its neighbours and are left out.
var forms = []struct {
	name string
	of   func(word string) []string
}{
	{"as it is", func(w string) []string { return []string{w, strings.ToUpper(w)} }},
	{"reversed", func(w string) []string {
		b := []byte(w)
		slices.Reverse(b)
		return []string{string(b)}
	}},
	{"hex", func(w string) []string {
		h := hex.EncodeToString([]byte(w))
		return []string{h, strings.ToUpper(h)}
	}},
	{"base64", func(w string) []string {
		var out []string
		for shift := range 3 {
			padded := append(make([]byte, shift), w...)
			for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
				text := enc.EncodeToString(padded)
				text = text[(shift*8+5)/6:]
				if rest := len(padded) % 3; rest != 0 {
					text = text[:len(text)-1]
				}
				out = append(out, text)
			}
		}
		return out
	}},
	{"UTF-16", func(w string) []string {
		var little, big []byte
		for _, u := range utf16.Encode([]rune(w)) {
			little, big = append(little, byte(u), byte(u>>8)), append(big, byte(u>>8), byte(u))
		}
		return []string{string(little), string(big)}
	}},
}

func formNames() []string {
	var out []string
	for _, f := range forms {
		out = append(out, f.name)
	}
	return out
}

// found is where a word is.
type found struct{ text, form string }

// searchAll looks for a word in all forms, in texts by name.
func searchAll(texts map[string][]byte, word string) []found {
	var out []found
	for name, text := range texts {
		for _, f := range forms {
			if slices.ContainsFunc(f.of(word), func(s string) bool { return bytes.Contains(text, []byte(s)) }) {
				out = append(out, found{name, f.name})
			}
		}
	}
	slices.SortFunc(out, func(a, b found) int { return strings.Compare(a.text+a.form, b.text+b.form) })
	return out
}

// readFiles reads all files below dir, and the members of archives in them.
func readFiles(dir, prefix string, into map[string][]byte) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return unfold(prefix+rel, data, into, 0)
	})
}

// unfold keeps a text and, where it is an archive, what is in it.
func unfold(name string, data []byte, into map[string][]byte, depth int) error {
	into[name] = data
	if depth == 4 {
		return fmt.Errorf("%s: archives within archives within archives", name)
	}
	if z, err := zip.NewReader(bytes.NewReader(data), int64(len(data))); err == nil {
		for _, f := range z.File {
			r, err := f.Open()
			if err != nil {
				return err
			}
			member, err := io.ReadAll(r)
			r.Close()
			if err != nil {
				return fmt.Errorf("%s!%s: %w", name, f.Name, err)
			}
			if err := unfold(name+"!"+f.Name, member, into, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	for at := 0; ; at++ { // gzip members anywhere
		next := bytes.Index(data[at:], []byte{0x1f, 0x8b, 8})
		if next < 0 {
			return nil
		}
		at += next
		r, err := gzip.NewReader(bytes.NewReader(data[at:]))
		if err != nil {
			continue
		}
		member, _ := io.ReadAll(r) // as far as it goes: it may be a chance of bytes, or cut short
		if len(member) > 0 {
			if err := unfold(fmt.Sprintf("%s!gzip at %d", name, at), member, into, depth+1); err != nil {
				return err
			}
		}
	}
}
