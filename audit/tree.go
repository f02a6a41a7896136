package audit

import (
	"crypto/sha256"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// tree is the Merkle tree over the payloads of a log (RFC 6962), as far as growing it needs: the roots of its
// complete subtrees. The zero tree is empty.
type tree struct {
	size uint64
	edge []tlog.Hash // the largest first
	// grow, unless it is nil, is called with every hash that is final, in the order of tlog.StoredHashIndex.
	grow func(tlog.Hash)
}

func (t *tree) add(leaf tlog.Hash) {
	h := leaf
	t.done(h)
	for range bits.TrailingZeros64(^t.size) {
		h = tlog.NodeHash(t.edge[len(t.edge)-1], h)
		t.edge = t.edge[:len(t.edge)-1]
		t.done(h)
	}
	t.edge = append(t.edge, h)
	t.size++
}

func (t *tree) done(h tlog.Hash) {
	if t.grow != nil {
		t.grow(h)
	}
}

// root is the hash of the whole tree.
func (t *tree) root() tlog.Hash {
	if t.size == 0 {
		return sha256.Sum256(nil)
	}
	h := t.edge[len(t.edge)-1]
	for i := len(t.edge) - 2; i >= 0; i-- {
		h = tlog.NodeHash(t.edge[i], h)
	}
	return h
}
