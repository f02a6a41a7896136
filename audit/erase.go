package audit

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sallyport/internal/access"
)

// Erasure says which records lose their keys. The fields that are set must all apply; one must be set.
type Erasure struct {
	Person  string    // an identifier of somebody, as text: in what was asked, answered, or given as a reason
	Session string    // all of a session
	Before  time.Time // recorded before
	// Trace erases who asked and under which policy too, not only the content.
	Trace bool
}

// Erased says what an erasure did, or would do.
type Erased struct {
	Records  int      // that lose a key now
	Gone     int      // that were picked, and had lost it before
	Sessions []string // that the records belong to
	// Positions of the records, from the first.
	Positions []uint64
}

var errNothingToErase = &access.Error{Kind: access.Invalid, Code: "22023", Message: "nothing says which records to erase", Hint: "name a person, a session or a time"}

// Erase destroys the keys of the records that e picks, and appends a record that says so, with who asked for it and
// why. What is in the segments stays as it is, so all proofs hold, and nobody can read it. With dry nothing is
// changed. Copies of the keys folder that were made before have to be destroyed by whoever made them.
//
// A person is looked for in every record that can be read, without regard to case; identifiers of less than four
// characters are refused, for they are in everything.
func (l *Log) Erase(e Erasure, by, why string, dry bool) (*Erased, error) {
	switch {
	case e.Person == "" && e.Session == "" && e.Before.IsZero():
		return nil, errNothingToErase
	case e.Person != "" && len(strings.TrimSpace(e.Person)) < 4:
		return nil, &access.Error{Kind: access.Invalid, Code: "22023", Message: "an identifier of less than four characters is in too many records", Hint: "name the person by an address or a number"}
	}
	out, leaves, err := e.pick(l.dir)
	if err != nil || dry || out.Records == 0 {
		return out, err
	}
	// The intent first, so that no key goes without a record; the keys of this record are not among those that go.
	rec := &access.Record{Time: time.Now().UTC(), Kind: access.RecordErased, Principal: by, Reason: why, Rows: int64(out.Records)}
	if _, err := l.Append(rec); err != nil {
		return nil, err
	}
	for _, number := range sortedKeys(leaves) {
		if err := puncture(filepath.Join(l.dir, keysName), number, leaves[number], e.Trace); err != nil {
			return nil, openFailed(l.dir, fmt.Errorf("erase keys: %w", err))
		}
	}
	return out, nil
}

// pick finds the records, and the leaves of their keys by epoch.
func (e *Erasure) pick(dir string) (*Erased, map[uint64][]uint32, error) {
	out, leaves := new(Erased), map[uint64][]uint32{}
	keys := readKeys(dir)
	person := []byte(strings.ToLower(strings.TrimSpace(e.Person)))
	var r segmentReader
	err := r.readFrom(dir, 0, nil, func(pos uint64, payload []byte) error {
		rec, id, err := keys.decode(payload)
		if err != nil {
			return damaged(dir, fmt.Errorf("record %d cannot be read: %w", pos, err))
		}
		if rec.Kind == access.RecordErased || e.Session != "" && rec.Session != e.Session || !e.Before.IsZero() && !rec.Time.Before(e.Before) ||
			len(person) > 0 && !speaksOf(rec, person) {
			return nil
		}
		if rec.Erased && (!e.Trace || rec.Principal == "") {
			out.Gone++
			return nil
		}
		number, leaf := splitKeyID(id)
		leaves[number] = append(leaves[number], leaf)
		out.Records++
		out.Positions = append(out.Positions, pos)
		if rec.Session != "" && !slices.Contains(out.Sessions, rec.Session) {
			out.Sessions = append(out.Sessions, rec.Session)
		}
		return nil
	})
	return out, leaves, err
}

// speaksOf is whether a record holds an identifier, given in small letters.
func speaksOf(rec *access.Record, person []byte) bool {
	for _, s := range append([]string{rec.SQL, rec.Reason, rec.Goal, rec.Ticket, rec.Error, rec.Hint, rec.Principal, rec.Actor, rec.Client}, rec.Params...) {
		if bytes.Contains(bytes.ToLower([]byte(s)), person) {
			return true
		}
	}
	return bytes.Contains(bytes.ToLower(rec.Result), person)
}

func sortedKeys[V any](m map[uint64]V) []uint64 {
	out := make([]uint64, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// puncture takes keys out of the file of an epoch.
func puncture(dir string, number uint64, leaves []uint32, trace bool) error {
	e, err := readEpoch(dir, number)
	if err != nil {
		return err
	}
	for _, leaf := range leaves {
		e.Content = e.Content.without(leaf)
		if trace {
			e.Trace = e.Trace.without(leaf)
		}
	}
	old, err := os.OpenFile(filepath.Join(dir, epochName(number)), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer old.Close()
	if err := e.store(dir); err != nil {
		return err
	}
	return overwrite(old)
}

// overwrite puts zeros over a file that has lost its name: what a disk does with them is its own affair, but what is
// left of the file system's blocks holds no key.
func overwrite(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	_, err = f.WriteAt(make([]byte, info.Size()), 0)
	return errors.Join(err, f.Sync())
}
