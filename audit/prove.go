package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport/audit/checkpoint"
	"sallyport/internal/access"
)

// Prover gives what is needed to show to somebody else that records are in the log that a checkpoint signs. It
// takes no lock and works while a gateway writes. Not for use by several at once.
type Prover struct {
	dir    string
	keys   checkpoint.Keys
	newest int64 // size of the newest checkpoint
	head   checkpoint.Checkpoint
	note   []byte
	tree   *os.File

	seg   segmentReader
	first uint64   // of the segment in seg; 0 is none
	at    []uint64 // where its payloads begin and end, in pairs
}

// OpenProver takes the newest checkpoint of the log in dir.
func OpenProver(dir string) (*Prover, error) {
	p := &Prover{dir: dir}
	var err error
	if p.keys, err = checkpoint.LoadVerifiers(filepath.Join(dir, signingName)); err != nil {
		return nil, openFailed(dir, err)
	}
	if p.head, p.note, err = readCheckpoint(dir, p.keys); err != nil {
		return nil, damaged(dir, err)
	}
	p.newest = p.head.Tree.N
	if p.tree, err = os.Open(filepath.Join(dir, treeName)); err != nil {
		return nil, openFailed(dir, err)
	}
	return p, nil
}

// Close ends the use of the prover.
func (p *Prover) Close() error { return p.tree.Close() }

// At has the proofs be against another signed checkpoint of the log, no newer than the one that the prover was opened
// with: one with cosignatures, say. Its root must be the one that the log's own hashes give.
func (p *Prover) At(msg []byte) error {
	c, err := p.keys.Open(msg)
	if err != nil {
		return err
	}
	root, err := p.Root(c.Tree.N)
	if err != nil {
		return err
	}
	if root != c.Tree.Hash {
		return fmt.Errorf("the checkpoint of %d records is not of this log", c.Tree.N)
	}
	p.head, p.note = c, msg
	return nil
}

// Root is that of the log's tree when it had so many records.
func (p *Prover) Root(size int64) (tlog.Hash, error) {
	if size < 0 || size > p.newest {
		return tlog.Hash{}, fmt.Errorf("the log has %d records that are signed, not %d", p.newest, size)
	}
	return tlog.TreeHash(size, p.hashes())
}

// Grown proves that the tree of size to continues the tree of size from (RFC 6962, 2.1.2), 0 < from < to.
func (p *Prover) Grown(from, to int64) (tlog.TreeProof, error) {
	if from < 1 || from >= to || to > p.newest {
		return nil, fmt.Errorf("there is no proof from %d to %d: %d records are signed", from, to, p.newest)
	}
	return tlog.ProveTree(to, from, p.hashes())
}

// Tile gives a tile of the tree (C2SP tlog-tiles): the hashes at its level, one after the other.
func (p *Prover) Tile(t tlog.Tile) ([]byte, error) { return tlog.ReadTileData(t, p.hashes()) }

func (p *Prover) hashes() tlog.HashReader {
	return tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) { return hashesAt(p.tree, at) })
}

// Checkpoint is the signed note that proofs are against.
func (p *Prover) Checkpoint() (checkpoint.Checkpoint, []byte) { return p.head, p.note }

// Keys are the public keys of the log.
func (p *Prover) Keys() checkpoint.Keys { return p.keys }

// Prove gives the payload of the record at pos, whose RFC 6962 hash is a leaf of the tree, and the proof that it
// is leaf pos-1 of the checkpoint's tree.
func (p *Prover) Prove(pos uint64) (payload []byte, proof tlog.RecordProof, err error) {
	if pos == 0 || int64(pos) > p.head.Tree.N {
		return nil, nil, fmt.Errorf("record %d is not in the checkpoint, which has records 1 to %d", pos, p.head.Tree.N)
	}
	if proof, err = tlog.ProveRecord(p.head.Tree.N, int64(pos)-1, p.hashes()); err != nil {
		return nil, nil, err
	}
	if payload, err = p.payload(pos); err != nil {
		return nil, nil, err
	}
	if err := tlog.CheckRecord(proof, p.head.Tree.N, p.head.Tree.Hash, int64(pos)-1, tlog.RecordHash(payload)); err != nil {
		return nil, nil, damaged(p.dir, fmt.Errorf("record %d is not the one that was signed", pos))
	}
	return payload, proof, nil
}

// payload reads the record at pos; those of the segment that was read last cost nothing.
func (p *Prover) payload(pos uint64) ([]byte, error) {
	if n := uint64(len(p.at)) / 2; p.first == 0 || pos < p.first || pos >= p.first+n {
		firsts, err := segments(p.dir)
		if err != nil {
			return nil, openFailed(p.dir, err)
		}
		p.first, p.at = 0, p.at[:0]
		for _, first := range firsts {
			if first <= pos {
				p.first = first
			}
		}
		base := func(payload []byte) uint64 { return uint64(cap(p.seg.data) - cap(payload)) }
		if _, err := p.seg.read(p.dir, p.first, func(_ uint64, payload []byte) error {
			p.at = append(p.at, base(payload), base(payload)+uint64(len(payload)))
			return nil
		}); err != nil {
			return nil, err
		}
	}
	i := 2 * (pos - p.first)
	if i >= uint64(len(p.at)) {
		return nil, damaged(p.dir, errors.New("it ends before what was signed"))
	}
	return p.seg.data[p.at[i]:p.at[i+1]], nil
}

// Disclose reads a payload and gives the keys of its parts, for somebody who is to read that one record.
func (p *Prover) Disclose(payload []byte) (rec *access.Record, traceKey, contentKey []byte, err error) {
	keys := readKeys(p.dir)
	rec, id, err := keys.decode(payload)
	if err != nil {
		return nil, nil, nil, damaged(p.dir, err)
	}
	trace, err := keys.key(id, traceClass)
	if err != nil {
		return nil, nil, nil, damaged(p.dir, err)
	}
	content, err := keys.key(id, contentClass)
	if err != nil {
		return nil, nil, nil, damaged(p.dir, err)
	}
	return rec, trace[:], content[:], nil
}
