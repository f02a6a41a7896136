package audit

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"sallyport/internal/access"
)

// Gone says of an epoch of keys how many of each class have been destroyed.
type Gone struct {
	Trace   uint32 `json:"trace,omitempty"`
	Content uint32 `json:"content,omitempty"`
}

// GoneKeys counts the keys of a log that have been destroyed, for whoever keeps something that was made of records. It
// remembers what it has read of files that have not been replaced since. Not for several goroutines.
type GoneKeys struct {
	dir  string
	seen map[uint64]countedKeys
}

type countedKeys struct {
	inode uint64
	mtime int64
	size  int64
	gone  Gone
}

// WatchKeys is for the log in dir.
func WatchKeys(dir string) *GoneKeys {
	return &GoneKeys{dir: filepath.Join(dir, keysName), seen: map[uint64]countedKeys{}}
}

// Count gives the epochs of which keys have been destroyed. Keys that are destroyed meanwhile may be counted or not: who
// reads records between two counts that are the same has read what both counts leave.
func (g *GoneKeys) Count() (map[uint64]Gone, error) {
	entries, err := os.ReadDir(g.dir)
	if err != nil {
		return nil, err
	}
	out, kept := map[uint64]Gone{}, map[uint64]countedKeys{}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), keySuffix)
		number, err := strconv.ParseUint(name, 10, 64-keyDepth)
		if !ok || err != nil {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		c := countedKeys{mtime: info.ModTime().UnixNano(), size: info.Size()}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			c.inode = st.Ino
		}
		if old := g.seen[number]; old.inode == c.inode && old.mtime == c.mtime && old.size == c.size {
			c.gone = old.gone
		} else {
			keys, err := readEpoch(g.dir, number)
			if err != nil {
				return nil, err
			}
			c.gone = Gone{keys.Trace.gone(), keys.Content.gone()}
		}
		kept[number] = c
		if c.gone != (Gone{}) {
			out[number] = c.gone
		}
	}
	g.seen = kept
	return out, nil
}

// gone counts the leaves that no node is above any more.
func (t keyTree) gone() uint32 {
	left := uint32(0)
	for i := range t {
		left += 1 << (keyDepth - t[i].Depth)
	}
	return 1<<keyDepth - left
}

// ReadGone calls f with what is left of each record that has lost a key of one of some epochs, in order. It decodes no
// others.
func ReadGone(dir string, epochs map[uint64]Gone, f func(*access.Record) error) error {
	keys := readKeys(dir)
	var r segmentReader
	return r.readFrom(dir, 0, nil, func(pos uint64, payload []byte) error {
		number, leaf, err := keyOf(payload)
		if err != nil {
			return damaged(dir, fmt.Errorf("record %d cannot be read: %w", pos, err))
		}
		if _, ok := epochs[number]; !ok {
			return nil
		}
		if keys.last == nil || keys.number != number {
			if keys.last, err = readEpoch(keys.dir, number); err != nil {
				return damaged(dir, fmt.Errorf("record %d cannot be read: %w", pos, err))
			}
			keys.number = number
		}
		_, trace := keys.last.Trace.find(keyDepth, uint64(leaf))
		_, content := keys.last.Content.find(keyDepth, uint64(leaf))
		if trace && content {
			return nil
		}
		rec, err := keys.recordAt(dir, pos, payload)
		if err != nil {
			return err
		}
		return f(rec)
	})
}

// keyOf reads the number of a record's keys out of the head of its payload, in which it is last.
func keyOf(payload []byte) (epoch uint64, leaf uint32, err error) {
	head := bytes.TrimSuffix(headOf(payload), []byte("}"))
	mark := []byte(`,"key":`)
	i := bytes.LastIndex(head, mark)
	if i < 0 {
		return 0, 0, errPayload
	}
	id, err := strconv.ParseUint(string(head[i+len(mark):]), 10, 64)
	if err != nil {
		return 0, 0, errPayload
	}
	epoch, leaf = splitKeyID(id)
	return epoch, leaf, nil
}
