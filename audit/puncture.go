package audit

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"sallyport/audit/internal/durable"
	"sallyport/internal/access"
)

// pendingName is the file, beside the keys, of an erasure that is under way. It is written before anything is done and
// removed when all is: what a crash interrupts, Open finishes.
const pendingName = "erasing"

type pending struct {
	ID     string         `json:"id"`
	After  uint64         `json:"after"`  // the record comes after this position
	Record *access.Record `json:"record"` // that says so
	// Content and Trace are the keys that go, by epoch, as runs of first and last leaf.
	Content map[uint64][][2]uint64 `json:"content"`
	Trace   map[uint64][][2]uint64 `json:"trace"`
	Persons []personLeaf           `json:"persons,omitempty"` // keys of people that go
}

func runsOf(leaves map[uint64][]uint32) map[uint64][][2]uint64 {
	out := make(map[uint64][][2]uint64, len(leaves))
	for number, list := range leaves {
		wide := make([]uint64, len(list))
		for i, leaf := range list {
			wide[i] = uint64(leaf)
		}
		slices.Sort(wide) // positions and keys are given out in nearly the same order
		out[number] = runs(slices.Compact(wide))
	}
	return out
}

// carryOut appends the record of an erasure and destroys its keys.
func (l *Log) carryOut(p *pending) error {
	p.After = l.Last()
	data, err := json.Marshal(p)
	if err == nil {
		err = durable.Replace(l.pendingPath(), data, 0o600)
	}
	if err != nil {
		return openFailed(l.dir, fmt.Errorf("write the erasure down: %w", err))
	}
	// The record first, so that no key goes without one; the keys of this record are not among those that go.
	if _, err := l.Append(p.Record); err != nil {
		if l.Err() == nil { // it was not taken, so nothing has happened
			err = errors.Join(err, os.Remove(l.pendingPath()))
		}
		return err
	}
	return l.finish(p)
}

// finish destroys the keys of an erasure that is on record. Twice is once.
func (l *Log) finish(p *pending) error {
	dir := l.path(keysName)
	numbers := sortedKeys(p.Content)
	for number := range p.Trace {
		if _, ok := p.Content[number]; !ok {
			numbers = append(numbers, number)
		}
	}
	for _, number := range numbers {
		if err := puncture(dir, number, p.Content[number], p.Trace[number]); err != nil {
			return openFailed(l.dir, fmt.Errorf("erase keys: %w", err))
		}
	}
	err := l.persons.puncture(p.Persons)
	if err == nil {
		err = os.Remove(l.pendingPath())
	}
	if err != nil {
		return openFailed(l.dir, fmt.Errorf("erase keys: %w", err))
	}
	return nil
}

func (l *Log) pendingPath() string { return filepath.Join(l.dir, keysName, pendingName) }

// resumeErasure finishes what a crash interrupted.
func (l *Log) resumeErasure() error {
	data, err := os.ReadFile(l.pendingPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	p := new(pending)
	if err == nil {
		err = json.Unmarshal(data, p)
	}
	if err != nil || p.Record == nil {
		return openFailed(l.dir, fmt.Errorf("an erasure was interrupted, and %s cannot be read: %w", pendingName, err))
	}
	found := false
	var r segmentReader
	keys := readKeys(l.dir)
	err = r.readFrom(l.dir, p.After+1, nil, func(pos uint64, payload []byte) error {
		if pos <= p.After || found {
			return nil
		}
		rec, err := keys.record(l.dir, pos, payload)
		if err != nil {
			return err
		}
		var o access.Order
		found = rec.Kind == access.RecordErased && json.Unmarshal(rec.Order, &o) == nil && o.ID == p.ID
		return nil
	})
	if err != nil {
		return err
	}
	l.log.Warn("an erasure that was interrupted is finished", "dir", l.dir, "erasure", p.ID)
	if !found {
		if _, err := l.Append(p.Record); err != nil {
			return err
		}
	}
	return l.finish(p)
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	out := make([]K, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// puncture takes keys out of the file of an epoch.
func puncture(dir string, number uint64, content, trace [][2]uint64) error {
	e, err := readEpoch(dir, number)
	if err != nil {
		return err
	}
	e.Content = e.Content.without(keyDepth, leafList(content)...)
	e.Trace = e.Trace.without(keyDepth, leafList(trace)...)
	return replaceKeys(filepath.Join(dir, epochName(number)), func() error { return e.store(dir) })
}

// replaceKeys has a file of keys stored anew, and then puts zeros over what it was.
func replaceKeys(path string, store func() error) error {
	old, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer old.Close()
	if err := store(); err != nil {
		return err
	}
	return overwrite(old)
}

func leafList(list [][2]uint64) []uint64 {
	var out []uint64
	for _, r := range list {
		for leaf := r[0]; leaf <= r[1] && leaf < 1<<keyDepth; leaf++ {
			out = append(out, leaf)
		}
	}
	return out
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
