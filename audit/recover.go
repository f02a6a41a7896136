package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"sallyport/internal/access"
)

// checkHeaders verifies that every segment is there and belongs to the same log, from their headers
// alone: reading it all is for Check.
func checkHeaders(dir string, firsts []uint64) error {
	var before header
	for i, first := range firsts {
		path := filepath.Join(dir, segmentName(first))
		h, err := readHeader(path)
		switch {
		case err != nil:
			return err
		case h.First != first:
			err = fmt.Errorf("its header says that it begins with record %d", h.First)
		case h.After != before.First && h.After == 0:
			err = fmt.Errorf("it is the first segment of a log, and %s is before it", segmentName(before.First))
		case h.After != before.First:
			err = fmt.Errorf("the segment before it, %s, is missing", segmentName(h.After))
		case i > 0 && h.LogID != before.LogID:
			err = errors.New("it belongs to another log")
		}
		if err != nil {
			return damaged(path, err)
		}
		before = *h
	}
	return nil
}

func readHeader(path string) (*header, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, openFailed(filepath.Dir(path), err)
	}
	defer f.Close()
	fixed := make([]byte, fixedLen)
	n, err := io.ReadFull(f, fixed)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, openFailed(filepath.Dir(path), err)
	}
	data := fixed[:n]
	if n == fixedLen {
		state, err := io.ReadAll(io.LimitReader(f, stateLen(fixed)))
		if err != nil {
			return nil, openFailed(filepath.Dir(path), err)
		}
		data = append(data, state...)
	}
	h, err := parseHeader(data)
	if err != nil {
		return nil, damaged(path, err)
	}
	return h, nil
}

// recover continues the last segment after its last good frame.
func (l *Log) recover(firsts []uint64) error {
	if err := checkHeaders(l.dir, firsts); err != nil {
		return err
	}
	first := firsts[len(firsts)-1]
	path := l.path(segmentName(first))
	data, err := os.ReadFile(path)
	if err != nil {
		return openFailed(l.dir, err)
	}
	h, err := parseHeader(data)
	if err != nil {
		return damaged(path, err)
	}
	l.logID, l.first, l.room = h.LogID, h.First, h.Size
	l.state = newState(h.State)

	pos, off := first, h.length
	for ; ; pos++ {
		payload, _, ok := frameAt(data, off)
		if !ok {
			break
		}
		var m mark
		if err := json.Unmarshal(headOf(payload), &m); err != nil || m.Position != pos {
			return damaged(path, fmt.Errorf("record %d is not where it belongs (offset %d)", pos, off))
		}
		m.leaf = sessionLeaf(bodyOf(payload))
		l.state.apply(&m)
		off += frameLen + len(payload)
	}
	l.recovery = Recovery{Last: pos - 1, Segment: segmentName(first)}
	switch end, next := endAt(data, off); end {
	case endDamaged:
		return damaged(path, fmt.Errorf("record %d (offset %d) cannot be read, but records after it can (offset %d)", pos, off, next))
	case endTorn:
		l.recovery.Cut = int64(len(bytes.TrimRight(data, "\x00")) - off)
		l.log.Warn("audit log ended in an unfinished write, which was cut off; none of it was ever acknowledged",
			"segment", path, "last", l.recovery.Last, "offset", off, "bytes", l.recovery.Cut)
	}
	l.used = int64(off)
	if err := l.recoverTree(); err != nil {
		return err
	}
	if err := l.loadUnfinished(); err != nil {
		return err
	}
	if l.seg, err = l.disk.Open(path); err != nil {
		return openFailed(l.dir, err)
	}
	// Write what was read once more, and zeros over the rest: after a failed fsync the page cache may
	// show frames that are not on disk, and nothing may stand behind the last good frame.
	clear(data[off:])
	if err = writeAll(l.seg, data, 0); err == nil {
		err = l.seg.Sync()
	}
	if err != nil {
		l.seg.Close()
		return openFailed(l.dir, err)
	}
	return nil
}

// recoverTree brings the tree up to the last record, and refuses a log that is not the one that was signed.
func (l *Log) recoverTree() error {
	var err error
	if l.signing, err = openSigning(l.dir); err != nil {
		return openFailed(l.dir, err)
	}
	c, _, err := readCheckpoint(l.dir, l.signing.keys)
	signed := heads{all: c.Tree}
	if err == nil {
		signed.closed, err = Closed(c)
	}
	if err != nil {
		return damaged(l.dir, err)
	}
	l.signing.signed = signed
	if last := int64(l.recovery.Last); last < signed.all.N {
		return damaged(l.dir, fmt.Errorf("it ends with record %d, and %d were signed: the end was cut off, or an old copy put back", last, signed.all.N))
	}
	if l.trees, err = openGrowth(l.dir, signed); err != nil {
		return openFailed(l.dir, err)
	}
	err = l.trees.catchUp(l.dir, l.recovery.Last, func() error {
		if int64(l.trees.all.tree.size) == signed.all.N && l.trees.heads() != signed {
			return damaged(l.dir, fmt.Errorf("its first %d records are not those that were signed", signed.all.N))
		}
		return nil
	})
	if err != nil {
		l.trees.close()
	}
	return err
}

// loadUnfinished fetches the intents that l.state knows to be without outcome.
func (l *Log) loadUnfinished() error {
	open := l.state.list()
	wanted := map[uint64]*access.Record{}
	for _, o := range open {
		for _, p := range o.Intents {
			wanted[p] = nil
		}
	}
	if err := readPositions(l.dir, wanted); err != nil {
		return err
	}
	for _, o := range open {
		u := Unfinished{Session: o.Session, Seq: o.Seq, Opened: o.Opened}
		for _, p := range o.Intents {
			if wanted[p] == nil {
				return damaged(l.dir, fmt.Errorf("record %d, an intent without outcome, is missing", p))
			}
			u.Intents = append(u.Intents, wanted[p])
		}
		l.unfinished = append(l.unfinished, u)
	}
	return nil
}
