package audit

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport/audit/checkpoint"
)

// Files with the hashes of a tree, 32 bytes each, in the order of tlog.StoredHashIndex. They can always be made
// again from the segments; the signed checkpoint says whether what is made is what there was.
const (
	treeName   = "tree"   // over the payloads of all records
	closedName = "closed" // over the heads of the close records: one leaf a session that has ended
)

// closedExtension begins the line of a checkpoint with the size and root of the tree over closed sessions.
const closedExtension = "closed-sessions"

// Closed gives the tree over closed sessions that a checkpoint of a log signs beside that over all records. Its
// leaves are the heads of their close records, in the order of the log.
func Closed(c checkpoint.Checkpoint) (tlog.Tree, error) {
	for _, line := range c.Extensions {
		var t tlog.Tree
		var root string
		if n, err := fmt.Sscanf(line, closedExtension+" %d %s", &t.N, &root); n != 2 || err != nil {
			continue
		}
		var err error
		if t.Hash, err = tlog.ParseHash(root); err != nil || t.N < 0 || line != closedLine(t) {
			break
		}
		return t, nil
	}
	return tlog.Tree{}, fmt.Errorf("the checkpoint of %s says nothing of closed sessions", c.Origin)
}

func closedLine(t tlog.Tree) string { return fmt.Sprintf("%s %d %s", closedExtension, t.N, t.Hash) }

// closeHead gives the leaf of a record in the tree over closed sessions, if it has one. A head is our own JSON, in
// which no string holds a quote that is not escaped.
func closeHead(payload []byte) ([]byte, bool) {
	head := headOf(payload)
	return head, bytes.Contains(head, []byte(`,"kind":"close"`))
}

// hashFile is a tree that grows, with its file.
type hashFile struct {
	tree  tree
	fresh []byte // hashes that are not in the file yet
	at    int64  // bytes of the file in use
	f     *os.File
}

// open takes the tree as it was; ok is whether the file holds it.
func (h *hashFile) open(path string, want tlog.Tree) (ok bool, err error) {
	if h.f, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return false, err
	}
	if root, edge, err := edgeOf(h.f, want.N); err == nil && root == want.Hash {
		h.tree.size, h.tree.edge = uint64(want.N), edge
		h.at, ok = tlog.StoredHashCount(want.N)*tlog.HashSize, true
	}
	h.tree.grow = func(hash tlog.Hash) { h.fresh = append(h.fresh, hash[:]...) }
	return ok, nil
}

// empty forgets the tree, which is then made again.
func (h *hashFile) empty() {
	h.tree.size, h.tree.edge, h.at = 0, nil, 0
}

func (h *hashFile) head() tlog.Tree { return tlog.Tree{N: int64(h.tree.size), Hash: h.tree.root()} }

// heads are the trees of a log at one moment.
type heads struct{ all, closed tlog.Tree }

// growth are the trees of a log that is written. The committer adds to them; whoever makes a checkpoint flushes
// them.
type growth struct {
	mu          sync.Mutex
	all, closed hashFile
}

// openGrowth opens the trees of the log in dir as they were signed, for more to be added. Where the files do not
// hold them, they are empty.
func openGrowth(dir string, signed heads) (*growth, error) {
	g := new(growth)
	a, err := g.all.open(filepath.Join(dir, treeName), signed.all)
	if err != nil {
		return nil, err
	}
	c, err := g.closed.open(filepath.Join(dir, closedName), signed.closed)
	if err != nil {
		g.all.f.Close()
		return nil, err
	}
	if !a || !c {
		g.all.empty()
		g.closed.empty()
	}
	return g, nil
}

func (g *growth) close() {
	g.all.f.Close()
	g.closed.f.Close()
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

// add takes in a record's payload. The caller holds g.mu.
func (g *growth) add(payload []byte) {
	g.all.tree.add(tlog.RecordHash(payload))
	if head, ok := closeHead(payload); ok {
		g.closed.tree.add(tlog.RecordHash(head))
	}
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
		g.add(payload)
		off += frameLen + len(payload)
	}
}

func (g *growth) heads() heads {
	g.mu.Lock()
	defer g.mu.Unlock()
	return heads{g.all.head(), g.closed.head()}
}

// flush makes what was added durable in the files and gives the trees that are there. One at a time. What could
// not be written is kept for the next time.
func (g *growth) flush() (heads, error) {
	g.mu.Lock()
	now := heads{g.all.head(), g.closed.head()}
	var fresh [2][]byte
	for i, h := range []*hashFile{&g.all, &g.closed} {
		fresh[i], h.fresh = h.fresh, nil
	}
	g.mu.Unlock()
	for i, h := range []*hashFile{&g.all, &g.closed} {
		if len(fresh[i]) == 0 {
			continue
		}
		_, err := h.f.WriteAt(fresh[i], h.at)
		if err == nil {
			err = h.f.Sync()
		}
		if err != nil {
			g.mu.Lock()
			for j, h := range []*hashFile{&g.all, &g.closed} {
				if j >= i {
					h.fresh = append(fresh[j], h.fresh...)
				}
			}
			g.mu.Unlock()
			return heads{}, err
		}
		h.at += int64(len(fresh[i]))
	}
	return now, nil
}

// catchUp adds the records up to last that the segments hold and the trees do not. seen is called after each.
func (g *growth) catchUp(dir string, last uint64, seen func() error) error {
	from := g.all.tree.size + 1
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
