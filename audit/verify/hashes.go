package verify

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"
)

// hashFile is a file of a log with the hashes of a tree, in the order of tlog.StoredHashIndex. It proves nothing by
// itself, for it can be made again from the records; but where its leaves lead to the root that was signed, they say
// what every record was.
type hashFile struct {
	name   string
	path   string
	signed tlog.Tree
	good   bool  // its leaves lead to the signed root
	err    error // it cannot be read as far as it was signed

	in    *bufio.Reader
	close func() error
	at    int64 // the next hash to compare
	leaf  int64 // the next leaf
	other int64 // the newest leaf that is not that of the records; -1 is none
	wrong int64 // the first hash that is not, both from 0
}

// openHashes reads a file as far as it was signed, and begins to compare it.
func openHashes(dir, name string, signed tlog.Tree) *hashFile {
	h := &hashFile{name: name, path: filepath.Join(dir, name), signed: signed, other: -1, wrong: -1}
	if signed.N == 0 {
		return h
	}
	var e edge
	h.err = h.leaves(func(_ int64, leaf tlog.Hash) bool { e.add(leaf); return true })
	h.good = h.err == nil && e.tree() == signed
	if f, err := os.Open(h.path); err == nil {
		h.in, h.close = bufio.NewReaderSize(f, 1<<16), f.Close
	}
	return h
}

// leaves gives f the leaves that were signed, from 0, until it has enough.
func (h *hashFile) leaves(f func(i int64, leaf tlog.Hash) bool) error {
	file, err := os.Open(h.path)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("is missing")
	}
	if err != nil {
		return fmt.Errorf("cannot be read: %w", err)
	}
	defer file.Close()
	in := bufio.NewReaderSize(file, 1<<16)
	var at int64
	for i := range h.signed.N {
		next := tlog.StoredHashIndex(0, i)
		if _, err := in.Discard(int(next-at) * tlog.HashSize); err != nil {
			return fmt.Errorf("is cut short after %d hashes", at)
		}
		var leaf tlog.Hash
		if _, err := io.ReadFull(in, leaf[:]); err != nil {
			return fmt.Errorf("is cut short after %d hashes", next)
		}
		if at = next + 1; !f(i, leaf) {
			return nil
		}
	}
	return nil
}

// find gives the leaf that is a hash, or -1.
func (h *hashFile) find(want tlog.Hash) int64 {
	found := int64(-1)
	_ = h.leaves(func(i int64, leaf tlog.Hash) bool {
		if leaf == want {
			found = i
		}
		return found < 0
	})
	return found
}

// leafAt gives leaf i.
func (h *hashFile) leafAt(i int64) (leaf tlog.Hash) {
	_ = h.leaves(func(at int64, l tlog.Hash) bool { leaf = l; return at < i })
	return leaf
}

// compare takes the next hash of the records.
func (h *hashFile) compare(want tlog.Hash) {
	if h.in == nil || h.at >= tlog.StoredHashCount(h.signed.N) {
		return
	}
	var have tlog.Hash
	if _, err := io.ReadFull(h.in, have[:]); err != nil {
		h.in = nil
		if h.err == nil {
			h.err = fmt.Errorf("is cut short after %d hashes", h.at)
		}
		return
	}
	if h.at == tlog.StoredHashIndex(0, h.leaf) {
		if have != want {
			h.other = h.leaf
		}
		h.leaf++
	}
	if have != want && h.wrong < 0 {
		h.wrong = h.at
	}
	h.at++
}

// differs is whether leaf i, the newest that was compared, is not that of the records.
func (h *hashFile) differs(i int64) bool { return h.other >= 0 && h.other == i }

// finish reports what is wrong with the file; sound is whether the records are those that were signed.
func (h *hashFile) finish(r *Report, sound bool) {
	if h.close != nil {
		h.close()
	}
	switch {
	case h.err != nil:
		r.problem("the file %s %v; it can be made again from the records", h.name, h.err)
	case h.wrong >= 0 && (sound || !h.good):
		r.problem("hash %d of the file %s is not that of the records", h.wrong, h.name)
	}
}
