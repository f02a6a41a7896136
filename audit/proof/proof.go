// Package proof writes, reads and verifies C2SP tlog-proof (v1): one text that says that a record is in a log,
// with all that is needed to verify it offline but the keys and the record.
//
//	c2sp.org/tlog-proof@v1
//	index 73894
//	gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
//	B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=
//
//	gate.example/log
//	109482
//	sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=
//
//	— gate.example/log hI2DJw...
//	— witness.example mJirIk...
//
// It trusts the keys that it is given. It refuses text in any form but the one that Format writes, a proof that
// does not lead to the checkpoint's root, and a checkpoint that the log's keys have not signed. The line
// of extra data that the format allows is signed by nobody: nothing here looks into it.
//
// Where to start: Verify.
package proof

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"sallyport/audit/checkpoint"
	"sallyport/audit/cosignature"
)

const header = "c2sp.org/tlog-proof@v1"

// maxHashes is the depth of the deepest tree.
const maxHashes = 63

// Proof says that a record is in a log.
type Proof struct {
	Index      int64            // of the record, from 0
	Hashes     tlog.RecordProof // RFC 6962, 2.1.1: from the record's sibling to a child of the root
	Checkpoint []byte           // signed
	Extra      []byte           // nil for none; signed by nobody
}

var errMalformed = errors.New("not a tlog-proof: malformed text")

// Format gives the text.
func Format(p Proof) []byte {
	var b strings.Builder
	b.WriteString(header + "\n")
	if p.Extra != nil {
		b.WriteString("extra " + base64.StdEncoding.EncodeToString(p.Extra) + "\n")
	}
	fmt.Fprintf(&b, "index %d\n", p.Index)
	for _, h := range p.Hashes {
		b.WriteString(h.String() + "\n")
	}
	b.WriteByte('\n')
	b.Write(p.Checkpoint)
	return []byte(b.String())
}

// Parse reads the text. It does not look into the checkpoint, and proves nothing.
func Parse(text []byte) (Proof, error) {
	head, signed, ok := strings.Cut(string(text), "\n\n")
	lines := strings.Split(head, "\n")
	if !ok || lines[0] != header || len(lines) < 2 {
		return Proof{}, errMalformed
	}
	lines = lines[1:]
	p := Proof{Checkpoint: []byte(signed)}
	if extra, ok := strings.CutPrefix(lines[0], "extra "); ok {
		b, err := base64.StdEncoding.Strict().DecodeString(extra)
		if err != nil || strings.ContainsAny(extra, "\r") {
			return Proof{}, errMalformed
		}
		p.Extra, lines = b, lines[1:]
	}
	if len(lines) == 0 || len(lines) > 1+maxHashes {
		return Proof{}, errMalformed
	}
	index, ok := strings.CutPrefix(lines[0], "index ")
	n, err := strconv.ParseInt(index, 10, 64)
	if !ok || err != nil || n < 0 || strconv.FormatInt(n, 10) != index {
		return Proof{}, errMalformed
	}
	p.Index = n
	for _, line := range lines[1:] {
		h, err := tlog.ParseHash(line)
		if err != nil || h.String() != line {
			return Proof{}, errMalformed
		}
		p.Hashes = append(p.Hashes, h)
	}
	return p, nil
}

// Verified is what a proof has proven.
type Verified struct {
	Index       int64
	Checkpoint  checkpoint.Checkpoint
	Cosignature []cosignature.Cosignature // of the witnesses that were given; there may be none
}

// Verifier verifies proofs of one log. It looks at the signatures of a checkpoint once, however many proofs in a row lead
// to it. Not for use by several at once.
type Verifier struct {
	Keys      checkpoint.Keys
	Witnesses []note.Verifier

	text []byte // of the newest checkpoint that was good
	head checkpoint.Checkpoint
	all  []cosignature.Cosignature
}

// Verify reads a proof that the record whose leaf hash (tlog.RecordHash of what the leaf holds) is leaf is in
// the log. How many witnesses are enough is the caller's decision.
func Verify(text []byte, leaf tlog.Hash, keys checkpoint.Keys, witnesses ...note.Verifier) (Verified, error) {
	return (&Verifier{Keys: keys, Witnesses: witnesses}).Verify(text, leaf)
}

// Verify is the function of that name.
func (v *Verifier) Verify(text []byte, leaf tlog.Hash) (Verified, error) {
	p, err := Parse(text)
	if err != nil {
		return Verified{}, err
	}
	if v.text == nil || !bytes.Equal(v.text, p.Checkpoint) {
		c, err := v.Keys.Open(p.Checkpoint)
		if err != nil {
			return Verified{}, err
		}
		all, err := cosignature.Verify(p.Checkpoint, v.Witnesses...)
		if err != nil {
			return Verified{}, err
		}
		v.text, v.head, v.all = p.Checkpoint, c, all
	}
	c := v.head
	if p.Index >= c.Tree.N {
		return Verified{}, fmt.Errorf("the proof is of record %d, and the checkpoint covers %d", p.Index, c.Tree.N)
	}
	if err := tlog.CheckRecord(p.Hashes, c.Tree.N, c.Tree.Hash, p.Index, leaf); err != nil {
		return Verified{}, fmt.Errorf("the record is not number %d of the log of %d records that the checkpoint is of", p.Index, c.Tree.N)
	}
	return Verified{p.Index, c, v.all}, nil
}
