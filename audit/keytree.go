package audit

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
)

// A tree of keys gives every record of an epoch a key of its own out of one secret (Goldreich, Goldwasser,
// Micali 1986): a node's two children are hashes of it, the leaves are the keys. To erase one key is to
// put in place of the node above it the nodes beside its path, from which every other key still follows
// and this one does not: the key is gone, nothing else is written anew, and what is stored stays small.

// keyDepth is the height of a tree: an epoch has 2^keyDepth keys of each class.
const keyDepth = 20

// key is a node of a tree, or, at depth keyDepth, a key for AES-256.
type key [32]byte

// child gives the left (0) or right (1) child of a node.
func (k key) child(bit byte) key {
	var in [34]byte
	in[0] = 0x6b // apart from other uses of SHA-256
	in[1] = bit
	copy(in[2:], k[:])
	return sha256.Sum256(in[:])
}

// node is a node of a tree that is known, and with it all keys below.
type node struct {
	Depth int    `json:"depth"`
	At    uint64 `json:"at"` // its number among the nodes of its depth, from the left
	Key   []byte `json:"key"`
}

func (n *node) check(height int) error {
	if n.Depth < 0 || n.Depth > height || len(n.Key) != len(key{}) || n.At >= 1<<n.Depth {
		return fmt.Errorf("a node at depth %d, number %d with a key of %d bytes", n.Depth, n.At, len(n.Key))
	}
	return nil
}

// keyTree is what is left of a tree: the nodes that are known, from the left, none below another. Its height is known to
// whoever has it: keyDepth, or personDepth.
type keyTree []node

func (t keyTree) check(height int) error {
	for i := range t {
		if err := t[i].check(height); err != nil {
			return err
		}
	}
	return nil
}

var errErased = errors.New("its key was erased")

// find gives the index of the node that leaf i is below.
func (t keyTree) find(height int, i uint64) (int, bool) {
	return slices.BinarySearchFunc(t, i, func(n node, i uint64) int {
		switch have := i >> (height - n.Depth); {
		case n.At < have:
			return -1
		case n.At > have:
			return 1
		}
		return 0
	})
}

// leaf gives key i, or errErased.
func (t keyTree) leaf(height int, i uint64) (key, error) {
	at, ok := t.find(height, i)
	if !ok {
		return key{}, errErased
	}
	k := key(t[at].Key)
	for d := t[at].Depth; d < height; d++ {
		k = k.child(byte(i >> (height - d - 1) & 1))
	}
	return k, nil
}

// without gives the tree from which the keys of leaves, in ascending order, do not follow any more.
func (t keyTree) without(height int, leaves ...uint64) keyTree {
	out := make(keyTree, 0, len(t))
	for _, n := range t {
		shift := height - n.Depth
		for len(leaves) > 0 && leaves[0]>>shift < n.At {
			leaves = leaves[1:]
		}
		below, _ := slices.BinarySearchFunc(leaves, n.At, func(leaf, at uint64) int {
			if leaf>>shift <= at {
				return -1
			}
			return 1
		})
		out = n.without(height, out, slices.Compact(slices.Clone(leaves[:below])))
		leaves = leaves[below:]
	}
	return out
}

// without appends the nodes below n from which all keys follow but those of leaves, which are below n and differ.
func (n *node) without(height int, out keyTree, leaves []uint64) keyTree {
	shift := height - n.Depth
	switch len(leaves) {
	case 0:
		return append(out, *n)
	case 1 << shift:
		return out
	}
	k := key(n.Key)
	for bit := range uint64(2) {
		beside := k.child(byte(bit))
		c := node{Depth: n.Depth + 1, At: n.At<<1 | bit, Key: beside[:]}
		split, _ := slices.BinarySearch(leaves, (c.At+1)<<(shift-1))
		out = c.without(height, out, leaves[:split])
		leaves = leaves[split:]
	}
	return out
}

// walker gives the keys of a whole tree from the left, two hashes each, and keeps nothing that they follow from.
type walker struct {
	stack [keyDepth + 1]struct {
		depth int
		key   key
	}
	top int
}

func newWalker(root key) *walker {
	w := new(walker)
	w.push(0, root)
	return w
}

func (w *walker) push(depth int, k key) {
	w.stack[w.top].depth, w.stack[w.top].key = depth, k
	w.top++
}

// next gives the next key; it must not be called more often than there are leaves.
func (w *walker) next() key {
	w.top--
	depth, k := w.stack[w.top].depth, w.stack[w.top].key
	for ; depth < keyDepth; depth++ {
		w.push(depth+1, k.child(1))
		k = k.child(0)
	}
	return k
}
