// Package tamper changes evidence in every way that comes to mind, each at many places and with checksums made good, and
// says of each what a verifier has to find and how it has to name it. Package verify is tested with it, and the drill of
// evals measures the finished program.
//
// It knows the format of segments by its description in package audit, and shares no code with the verifier. Start with
// Make, then World.Log and World.Bundle.
package tamper

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sallyport/audit"
	"sallyport/audit/checkpoint"
	"sallyport/audit/evidence"
	"sallyport/internal/access"
)

// Manipulation is one thing that is done to a copy of the evidence.
type Manipulation struct {
	Kind  string // edit, drop, swap ...
	Of    string // what it is done to
	Where string
	Do    func(path string) error // to the directory of a log, or the file of a bundle, at path
	Named []string                // one sentence of the verifier must hold all of these
}

func (m Manipulation) String() string { return m.Kind + " " + m.Of + " " + m.Where }

// NamedIn is whether a sentence of a verifier names it as it has to.
func (m Manipulation) NamedIn(sentence string) bool {
	for _, part := range m.Named {
		if !strings.Contains(sentence, part) {
			return false
		}
	}
	return true
}

// World is sound evidence, and what somebody has that wants to change it.
type World struct {
	Dir    string // log of several segments, all of it signed
	Old    string // the same log, earlier
	Other  string // log of another node
	Key    string // public key of the log in Dir
	Kept   string // file with its newest checkpoint
	Zip    string // bundle of one of its sessions, with leaves
	Beside string // bundle of another session of the same log
	Cross  string // bundle of a session of the log in Other
}

// Make writes a world below dir.
func Make(dir string) (*World, error) {
	w := &World{}
	for name, path := range map[string]*string{"log": &w.Dir, "old": &w.Old, "other": &w.Other, "kept": &w.Kept, "session.zip": &w.Zip, "beside.zip": &w.Beside, "cross.zip": &w.Cross} {
		*path = filepath.Join(dir, name)
	}
	err := WriteLog(w.Dir, 0, 40)
	if err == nil {
		err = os.CopyFS(w.Old, os.DirFS(w.Dir))
	}
	if err == nil {
		err = WriteLog(w.Dir, 40, 60)
	}
	if err == nil {
		err = WriteLog(w.Other, 0, 60)
	}
	if err == nil {
		err = copyFile(filepath.Join(w.Dir, "checkpoint"), w.Kept)
	}
	for _, b := range []struct{ zip, dir, session string }{{w.Zip, w.Dir, "s3"}, {w.Beside, w.Dir, "s4"}, {w.Cross, w.Other, "s3"}} {
		if err == nil {
			err = writeBundle(b.zip, b.dir, b.session)
		}
	}
	if err != nil {
		return nil, err
	}
	w.Key, err = Public(w.Dir)
	return w, err
}

// WriteLog adds sessions from and up to numbers to the log in dir: six records each and, but for the last, a close
// record; one statement in each runs under an intent.
func WriteLog(dir string, from, to int) error {
	l, err := audit.Open(dir, audit.Options{SegmentSize: 16 << 10})
	if err != nil {
		return err
	}
	add := func(rec access.Record) uint64 {
		rec.Time = time.Unix(1, 0).UTC()
		pos, e := l.Append(&rec)
		if err == nil {
			err = e
		}
		return pos
	}
	for i := from; i < to; i++ {
		id := fmt.Sprintf("s%d", i)
		add(access.Record{Session: id, Seq: 1, Kind: access.RecordOpen})
		for j := range uint64(3) {
			add(access.Record{Session: id, Seq: j + 2, Kind: access.RecordStatement, SQL: fmt.Sprintf("SELECT %d", j)})
		}
		intent := add(access.Record{Session: id, Seq: 5, Kind: access.RecordIntent, SQL: "DELETE FROM t"})
		add(access.Record{Session: id, Seq: 6, Kind: access.RecordOutcome, Intent: intent})
		if i < to-1 {
			add(access.Record{Session: id, Seq: 7, Kind: access.RecordClose, Rows: 7})
		}
	}
	add(access.Record{Kind: access.RecordRefused})
	if closed := l.Close(); err == nil {
		err = closed
	}
	return err
}

// Public is the first public key of the log in dir.
func Public(dir string) (string, error) {
	b, err := os.ReadFile(filepath.Join(dir, "signing", checkpoint.PublicFile))
	return strings.TrimSpace(string(b)), err
}

func writeBundle(file, dir, session string) error {
	p, err := audit.OpenProver(dir)
	if err != nil {
		return err
	}
	defer p.Close()
	in := &evidence.Input{Scope: evidence.Scope{Session: session}, Prover: p, Leaves: true}
	if in.Records, err = evidence.Collect(audit.Whole(dir), in.Scope); err != nil {
		return err
	}
	if in.Signer, err = checkpoint.LoadSigner(filepath.Join(dir, "signing")); err != nil {
		return err
	}
	if in.Public, err = Public(dir); err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = evidence.Write(f, in)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}
