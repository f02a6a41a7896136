package audit

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/access"
)

func TestWalkerAndTreeGiveTheSameKeys(t *testing.T) {
	root := key{1, 2, 3}
	tree, walk := keyTree{{Key: root[:]}}, newWalker(root)
	seen := map[key]bool{}
	for i := range uint64(5000) {
		k, err := tree.leaf(keyDepth, i)
		if err != nil || k != walk.next() || seen[k] {
			t.Fatalf("key %d: %v", i, err)
		}
		seen[k] = true
	}
	w := newWalker(root)
	for range 1<<keyDepth - 1 {
		w.next()
	}
	if k, err := tree.leaf(keyDepth, 1<<keyDepth-1); err != nil || k != w.next() || w.top != 0 {
		t.Errorf("the last key: %v", err)
	}
}

// After keys are erased none of them follows from what is left, and all others do.
func TestErasedKeysAreGoneAndTheOthersStay(t *testing.T) {
	root := key{7}
	whole := keyTree{{Key: root[:]}}
	tree := whole
	r := rand.New(rand.NewPCG(1, 2))
	gone := map[uint64]bool{0: true, 1: true, 1<<keyDepth - 1: true}
	for range 200 {
		gone[r.Uint64N(1<<keyDepth)] = true
	}
	for i := range gone {
		tree = tree.without(keyDepth, i)
		tree = tree.without(keyDepth, i) // twice is once
	}
	for i := range gone {
		if _, err := tree.leaf(keyDepth, i); !errors.Is(err, errErased) {
			t.Errorf("key %d is there: %v", i, err)
		}
		for _, n := range tree {
			if i>>(keyDepth-n.Depth) == n.At {
				t.Errorf("key %d follows from the node at depth %d", i, n.Depth)
			}
		}
	}
	for range 2000 {
		i := r.Uint64N(1 << keyDepth)
		if gone[i] {
			continue
		}
		got, err := tree.leaf(keyDepth, i)
		want, _ := whole.leaf(keyDepth, i)
		if err != nil || got != want {
			t.Fatalf("key %d: %v", i, err)
		}
	}
	for i := 1; i < len(tree); i++ {
		if a, b := tree[i-1], tree[i]; (a.At+1)<<(keyDepth-a.Depth) > b.At<<(keyDepth-b.Depth) {
			t.Errorf("node %d is not left of the next", i)
		}
	}
}

func TestNoKeyIsGivenOutTwice(t *testing.T) {
	dir := t.TempDir()
	ids := map[uint64]bool{}
	keys := map[key]bool{}
	for range 3 {
		m, err := openKeys(dir)
		if err != nil {
			t.Fatal(err)
		}
		m.leaf = 1<<keyDepth/2 - 2
		for range m.leaf {
			m.cur.trace.next()
			m.cur.content.next()
		}
		for i := range 8 {
			if i == 4 { // over the end of the epoch
				for m.leaf < 1<<keyDepth-1 {
					m.leaf++
					m.cur.trace.next()
					m.cur.content.next()
				}
			}
			id, a, b, err := m.take()
			if err != nil {
				t.Fatal(err)
			}
			if ids[id] || keys[a] || keys[b] || a == b {
				t.Fatalf("key %d comes again", id)
			}
			ids[id], keys[a], keys[b] = true, true, true
			ring := readKeys(dir)
			if k, err := ring.key(id, traceClass); err != nil || k != a {
				t.Errorf("the ring gives another key for %d: %v", id, err)
			}
			if k, err := ring.key(id, contentClass); err != nil || k != b {
				t.Errorf("the ring gives another key for %d: %v", id, err)
			}
		}
		m.wait()
	}
}

// Nothing of a record but its head can be read without its keys, and with the keys of another record neither.
func TestRecordsAreSealed(t *testing.T) {
	dir := writeLog(t, 3)
	l := openLog(t, dir, Options{SegmentSize: smallSize})
	rec := sample()
	rec.Error = "no such thing as a canary"
	if _, err := l.Append(&rec); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, data := lastSegment(t, dir)
	for _, secret := range []string{rec.Principal, rec.Actor, rec.Client, rec.Reason, rec.SQL, rec.Error, rec.Connection, "pii.email", "SELECT", "public.customers"} {
		if bytes.Contains(data, []byte(secret)) {
			t.Errorf("%q is in the segment in clear", secret)
		}
	}
	epochs, err := filepath.Glob(filepath.Join(dir, keysName, "0*"+keySuffix))
	if err != nil || len(epochs) != 2 { // two processes wrote
		t.Fatal(epochs, err)
	}
	for _, name := range append(epochs, filepath.Join(dir, keysName), filepath.Join(dir, keysName, personsName)) {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	first, _ := os.ReadFile(epochs[0])
	put(t, epochs[1], bytes.Replace(first, []byte(`"epoch":1`), []byte(`"epoch":2`), 1))
	n := 0
	err = Read(dir, func(*access.Record) error { n++; return nil })
	if n != 3 || err == nil || !strings.Contains(err.Error(), "record 4") || !strings.Contains(err.Error(), "not sealed with its keys") {
		t.Errorf("%d records with the keys of others: %v", n, err)
	}
	os.Remove(epochs[1])
	if err = Read(dir, func(*access.Record) error { return nil }); err == nil || !strings.Contains(err.Error(), epochs[1]) {
		t.Errorf("without keys: %v", err)
	}
}
