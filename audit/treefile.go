package audit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
)

// treeName is the file with the hashes of the tree, 32 bytes each, in the order of tlog.StoredHashIndex. It can
// always be made again from the segments; the signed checkpoint says whether what is made is what there was.
const treeName = "tree"

// growth is the tree of a log that is written, with its file. The committer adds to it; whoever makes a
// checkpoint flushes it.
type growth struct {
	mu    sync.Mutex
	tree  tree
	fresh []byte // hashes that are not in the file yet
	at    int64  // bytes of the file in use
	f     *os.File
}

// openGrowth opens the tree of the log in dir as it was with size records, for more to be added. Where the file
// does not hold it, or not with this root, the tree is empty.
func openGrowth(dir string, size int64, root tlog.Hash) (*growth, error) {
	f, err := os.OpenFile(filepath.Join(dir, treeName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	g := &growth{f: f}
	if have, edge, err := edgeOf(f, size); err == nil && have == root {
		g.tree.size, g.tree.edge = uint64(size), edge
		g.at = tlog.StoredHashCount(size) * tlog.HashSize
	}
	g.tree.grow = func(h tlog.Hash) { g.fresh = append(g.fresh, h[:]...) }
	return g, nil
}

// edgeOf reads the roots of the complete subtrees of a tree, and the root that follows from them.
func edgeOf(f io.ReaderAt, size int64) (root tlog.Hash, edge []tlog.Hash, err error) {
	root, err = tlog.TreeHash(size, tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		edge, err = hashesAt(f, at)
		return edge, err
	}))
	return root, edge, err
}

func hashesAt(f io.ReaderAt, at []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(at))
	for i, n := range at {
		if _, err := f.ReadAt(out[i][:], n*tlog.HashSize); err != nil {
			return nil, fmt.Errorf("hash %d of the tree: %w", n, err)
		}
	}
	return out, nil
}

// add takes in a record's payload.
func (g *growth) add(payload []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tree.add(tlog.RecordHash(payload))
}

// addFrames takes in the payloads of frames that are known to be good.
func (g *growth) addFrames(frames []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for off := 0; off < len(frames); {
		payload, _, ok := frameAt(frames, off)
		if !ok {
			panic("audit: a frame of our own is none")
		}
		g.tree.add(tlog.RecordHash(payload))
		off += frameLen + len(payload)
	}
}

// head is the size and root of the tree.
func (g *growth) head() tlog.Tree {
	g.mu.Lock()
	defer g.mu.Unlock()
	return tlog.Tree{N: int64(g.tree.size), Hash: g.tree.root()}
}

// flush makes what was added durable in the file and gives the tree that is there. One at a time. What could not
// be written is kept for the next time.
func (g *growth) flush() (tlog.Tree, error) {
	g.mu.Lock()
	head := tlog.Tree{N: int64(g.tree.size), Hash: g.tree.root()}
	fresh := g.fresh
	g.fresh = nil
	g.mu.Unlock()
	if len(fresh) == 0 {
		return head, nil
	}
	_, err := g.f.WriteAt(fresh, g.at)
	if err == nil {
		err = g.f.Sync()
	}
	if err != nil {
		g.mu.Lock()
		g.fresh = append(fresh, g.fresh...)
		g.mu.Unlock()
		return tlog.Tree{}, err
	}
	g.at += int64(len(fresh))
	return head, nil
}

// catchUp adds the records up to last that the segments hold and the tree does not. seen is called after each.
func (g *growth) catchUp(dir string, last uint64, seen func() error) error {
	from := g.tree.size + 1
	if from > last {
		return nil
	}
	var r segmentReader
	return r.readFrom(dir, from, nil, func(pos uint64, payload []byte) error {
		if pos < from || pos > last {
			return nil
		}
		g.add(payload)
		return seen()
	})
}

var errNoTree = errors.New("it has no tree")

// readTree gives the hashes of the tree of the log in dir, for proofs. They are as good as the checkpoint
// that they are checked against.
func readTree(dir string) (tlog.HashReader, io.Closer, error) {
	f, err := os.Open(filepath.Join(dir, treeName))
	if errors.Is(err, fs.ErrNotExist) {
		err = errNoTree
	}
	if err != nil {
		return nil, nil, err
	}
	return tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) { return hashesAt(f, at) }), f, nil
}
