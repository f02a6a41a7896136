package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// ClosedSession is a session that has ended, as its close record says, with the proof that it is one of those
// that a checkpoint signs.
type ClosedSession struct {
	Index    int64            `json:"index"` // among all sessions that have ended, from 0
	Session  string           `json:"session"`
	Position uint64           `json:"position"` // of the close record
	Time     time.Time        `json:"time"`
	Records  int64            `json:"records"`
	Root     string           `json:"root"` // Merkle root over the session's records before the close record
	Head     string           `json:"head"` // the leaf: its RFC 6962 hash is in the tree
	Proof    tlog.RecordProof `json:"proof"`
}

// Sample draws n of the sessions that have ended, or all of them where there are fewer, and gives them in the order of
// the log, with the tree that they are drawn from. Whoever names the seed knows that nobody has chosen which
// ones: Draw says how the seed decides.
func (p *Prover) Sample(n int, seed string) (tlog.Tree, []ClosedSession, error) {
	all, err := Closed(p.head)
	if err != nil {
		return all, nil, damaged(p.dir, err)
	}
	wanted := Draw(all.N, n, seed)
	f, err := os.Open(filepath.Join(p.dir, closedName))
	if err != nil {
		return all, nil, openFailed(p.dir, err)
	}
	defer f.Close()
	hashes := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) { return hashesAt(f, at) })
	var out []ClosedSession
	at := int64(-1)
	var r segmentReader
	err = r.readFrom(p.dir, 0, nil, func(pos uint64, payload []byte) error {
		head, ok := closeHead(payload)
		if !ok || int64(pos) > p.head.Tree.N {
			return nil
		}
		at++
		if _, ok := slices.BinarySearch(wanted, at); !ok {
			return nil
		}
		s := ClosedSession{Index: at, Position: pos, Head: string(bytes.Clone(head))}
		var m struct {
			Session string    `json:"session"`
			Time    time.Time `json:"time"`
			Rows    int64     `json:"rows"`
			Root    string    `json:"root"`
		}
		if err := json.Unmarshal(head, &m); err != nil {
			return damaged(p.dir, fmt.Errorf("record %d is no record: %w", pos, err))
		}
		s.Session, s.Time, s.Records, s.Root = m.Session, m.Time, m.Rows, m.Root
		if s.Proof, err = tlog.ProveRecord(all.N, at, hashes); err != nil {
			return damaged(p.dir, err)
		}
		if tlog.CheckRecord(s.Proof, all.N, all.Hash, at, tlog.RecordHash(head)) != nil {
			return damaged(p.dir, fmt.Errorf("record %d is not the close record that was signed", pos))
		}
		out = append(out, s)
		return nil
	})
	if err == nil && len(out) != len(wanted) {
		err = damaged(p.dir, fmt.Errorf("%d sessions of %d that were drawn are missing", len(wanted)-len(out), len(wanted)))
	}
	return all, out, err
}

// Draw gives n different numbers below size, sorted, which follow from the seed alone: the first eight bytes of
// SHA-256(seed, a line break, a counter from 0 in decimal), as a big-endian number, modulo size; numbers at or above the
// largest multiple of size, and those that were drawn before, are passed over.
func Draw(size int64, n int, seed string) []int64 {
	out := []int64{}
	if size <= 0 {
		return out
	}
	limit := ^uint64(0) - ^uint64(0)%uint64(size)
	drawn := map[int64]bool{}
	for i := 0; len(out) < n && int64(len(out)) < size; i++ {
		h := sha256.Sum256(fmt.Appendf(nil, "%s\n%d", seed, i))
		v := binary.BigEndian.Uint64(h[:])
		if k := int64(v % uint64(size)); v < limit && !drawn[k] {
			drawn[k] = true
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}
