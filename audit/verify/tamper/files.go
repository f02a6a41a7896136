package tamper

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"sallyport/audit/checkpoint"
)

// files changes what stands beside the segments, or all of it.
func (w *World) files(segments []segment) ([]Manipulation, error) {
	var out []Manipulation
	for _, name := range []string{"tree", "closed"} {
		more, err := w.ofTree(name)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	out = append(out, w.ofCheckpoint()...)
	return append(out, w.ofAll(segments)...), nil
}

// edit changes a file in place.
func edit(name string, change func([]byte) []byte) func(string) error {
	return func(dir string) error {
		path := filepath.Join(dir, name)
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		changed := change(bytes.Clone(data))
		if bytes.Equal(changed, data) {
			return fmt.Errorf("%s was not changed: the manipulation does not fit it", name)
		}
		return os.WriteFile(path, changed, 0o600)
	}
}

func remove(name string) func(string) error {
	return func(dir string) error { return os.Remove(filepath.Join(dir, name)) }
}

// from puts a file of another directory in the place of the same file.
func from(other, name string) func(string) error {
	return func(dir string) error {
		return copyFile(filepath.Join(other, name), filepath.Join(dir, name))
	}
}

// ofTree changes a file of hashes.
func (w *World) ofTree(name string) ([]Manipulation, error) {
	data, err := os.ReadFile(filepath.Join(w.Dir, name))
	if err != nil {
		return nil, err
	}
	file, count := "the file "+name, len(data)/tlog.HashSize
	out := []Manipulation{
		{Kind: "drop", Of: file, Named: []string{file + " is missing"}, Do: remove(name)},
		{Kind: "truncate", Of: file, Named: []string{file + " is cut short"}, Do: edit(name, func(b []byte) []byte { return b[:len(b)/2] })},
		{Kind: "truncate", Of: file, Where: "by a byte", Named: []string{file + " is cut short"}, Do: edit(name, func(b []byte) []byte { return b[:len(b)-1] })},
		{Kind: "cross-node swap", Of: file, Named: []string{"hash 0 of " + file}, Do: from(w.Other, name)},
		{Kind: "roll back", Of: file, Named: []string{file + " is cut short"}, Do: from(w.Old, name)},
	}
	for i := 0; i < count; i += 1 + count/12 {
		at := i * tlog.HashSize
		named := []string{fmt.Sprintf("hash %d of %s", i, file)}
		out = append(out, Manipulation{Kind: "edit", Of: file, Where: fmt.Sprintf("hash %d", i), Named: named, Do: edit(name, func(b []byte) []byte { b[at+7] ^= 1; return b })})
		if i+1 < count {
			out = append(out, Manipulation{Kind: "swap", Of: file, Where: fmt.Sprintf("hash %d and the next", i), Named: named, Do: edit(name, func(b []byte) []byte {
				copy(b[at:], data[at+tlog.HashSize:at+2*tlog.HashSize])
				copy(b[at+tlog.HashSize:], data[at:at+tlog.HashSize])
				return b
			})})
		}
	}
	return out, nil
}

// ofCheckpoint changes the signed checkpoint, and its keys.
func (w *World) ofCheckpoint() []Manipulation {
	const name = "checkpoint"
	named := []string{"the checkpoint"}
	line := func(n int, change func(string) string) func(string) error {
		return edit(name, func(b []byte) []byte {
			lines := strings.Split(string(b), "\n")
			lines[n] = change(lines[n])
			return []byte(strings.Join(lines, "\n"))
		})
	}
	another := func(root string) string { // of the same form, and never the same
		if root[0] == 'A' {
			return "B" + root[1:]
		}
		return "A" + root[1:]
	}
	const untrusted = "not the one that is trusted"
	return []Manipulation{
		{Kind: "drop", Of: name, Named: named, Do: remove(name)},
		{Kind: "cross-node swap", Of: name, Named: named, Do: from(w.Other, name)},
		{Kind: "roll back", Of: name, Named: []string{"the log was rolled back: its checkpoint has"}, Do: from(w.Old, name)},
		{Kind: "edit", Of: name, Where: "origin", Named: named, Do: line(0, func(s string) string { return s + "x" })},
		{Kind: "edit", Of: name, Where: "size", Named: named, Do: line(1, func(s string) string { return s + "0" })},
		{Kind: "edit", Of: name, Where: "root", Named: named, Do: line(2, another)},
		{Kind: "edit", Of: name, Where: "closed sessions", Named: named, Do: line(3, func(s string) string { return strings.Replace(s, "closed-sessions ", "closed-sessions 1", 1) })},
		{Kind: "edit", Of: name, Where: "signature", Named: named, Do: edit(name, func(b []byte) []byte { b[len(b)-20] ^= 3; return b })},
		{Kind: "truncate", Of: name, Named: named, Do: edit(name, func(b []byte) []byte { return b[:len(b)-30] })},
		{Kind: "re-sign with another key", Of: name, Named: named, Do: func(dir string) error { return resign(dir, false) }},
		{Kind: "re-sign with another key", Of: "checkpoint and keys", Named: []string{untrusted}, Do: func(dir string) error { return resign(dir, true) }},
		{Kind: "cross-node swap", Of: "keys", Named: []string{untrusted}, Do: from(w.Other, "signing/"+checkpoint.PublicFile)},
		{Kind: "cross-node swap", Of: "log", Named: []string{untrusted}, Do: instead(w.Other)},
		{Kind: "roll back", Of: "log", Named: []string{"the log was rolled back: its checkpoint has"}, Do: instead(w.Old)},
	}
}

// instead puts another log in the place of one.
func instead(other string) func(string) error {
	return func(dir string) error {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		return os.CopyFS(dir, os.DirFS(other))
	}
}

// resign signs the checkpoint with a new key of the same name, and says that it is the log's.
func resign(dir string, keys bool) error {
	own, err := checkpoint.LoadVerifiers(filepath.Join(dir, "signing"))
	if err != nil {
		return err
	}
	private, public, err := checkpoint.GenerateKey(own.Origin)
	if err != nil {
		return err
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		return err
	}
	if err := sign(dir, own, signer, func(c *checkpoint.Checkpoint) {}); err != nil || !keys {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "signing", checkpoint.PublicFile), []byte(public+"\n"), 0o600)
}

// sign changes the checkpoint and signs it.
func sign(dir string, keys checkpoint.Keys, signer note.Signer, change func(*checkpoint.Checkpoint)) error {
	path := filepath.Join(dir, "checkpoint")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	c, err := keys.Open(text)
	if err != nil {
		return err
	}
	change(&c)
	if text, err = checkpoint.Sign(c, signer); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// ofAll changes records, and what would give that away.
func (w *World) ofAll(segments []segment) []Manipulation {
	var out []Manipulation
	total := segments[len(segments)-1].first + int64(len(segments[len(segments)-1].frames)) - 1
	for i, s := range segments {
		for _, j := range []int{1, len(s.frames) / 2} {
			n := s.first + int64(j)
			made := func(dir string) error { return remake(dir, segments, i, j) }
			where := fmt.Sprintf("record %d", n)
			out = append(out,
				Manipulation{Kind: "edit", Of: "record, hashes and headers", Where: where, Named: []string{fmt.Sprintf("the first %d records are not those that were signed", total)}, Do: made},
				// By somebody who has the log's own key: only what was kept elsewhere tells.
				Manipulation{Kind: "re-sign with the log's key", Of: "record, hashes, headers and checkpoint", Where: where, Named: []string{"not those of the checkpoint that was kept elsewhere"}, Do: func(dir string) error {
					if err := made(dir); err != nil {
						return err
					}
					keys, err := checkpoint.LoadVerifiers(filepath.Join(dir, "signing"))
					if err != nil {
						return err
					}
					signer, err := checkpoint.LoadSigner(filepath.Join(w.Dir, "signing"))
					if err != nil {
						return err
					}
					root, err := rootOf(filepath.Join(dir, "tree"), total)
					if err != nil {
						return err
					}
					return sign(dir, keys, signer, func(c *checkpoint.Checkpoint) { c.Tree.Hash = root })
				}})
		}
		if i > 0 {
			out = append(out, Manipulation{Kind: "roll back", Of: "segments", Where: "to before " + s.name, Named: []string{span(s.first, total) + " missing: the end was cut off, or an old copy put back"}, Do: func(dir string) error {
				for _, later := range segments[i:] {
					if err := os.Remove(filepath.Join(dir, later.name)); err != nil {
						return err
					}
				}
				return nil
			}})
		}
	}
	return out
}

// remake edits record j of segment i and makes all hashes that nobody has signed fit it.
func remake(dir string, segments []segment, i, j int) error {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		var out []tlog.Hash
		for _, n := range at {
			if n >= int64(len(stored)) {
				return nil, errors.New("a hash is not there yet")
			}
			out = append(out, stored[n])
		}
		return out, nil
	})
	n := int64(0)
	for k, s := range segments {
		root, err := tlog.TreeHash(n, reader)
		if err != nil {
			return err
		}
		header, frames := bytes.Clone(s.header), slices.Clone(s.frames)
		copy(header[56:], root[:])
		if k == i {
			frames[j] = bytes.Clone(frames[j])
			frames[j][len(frames[j])-3] ^= 1
			frames[j] = sum(frames[j])
		}
		for _, f := range frames {
			hashes, err := tlog.StoredHashes(n, f[frameHead:], reader)
			if err != nil {
				return err
			}
			stored = append(stored, hashes...)
			n++
		}
		if err := put(dir, s.name, sealedHeader(header), frames...); err != nil {
			return err
		}
	}
	var b []byte
	for _, h := range stored {
		b = append(b, h[:]...)
	}
	return os.WriteFile(filepath.Join(dir, "tree"), b, 0o600)
}

func rootOf(path string, n int64) (tlog.Hash, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return tlog.Hash{}, err
	}
	return tlog.TreeHash(n, tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		var out []tlog.Hash
		for _, i := range at {
			out = append(out, tlog.Hash(data[i*tlog.HashSize:(i+1)*tlog.HashSize]))
		}
		return out, nil
	}))
}
