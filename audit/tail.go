package audit

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport/internal/access"
)

// ReadFrom is Read from position pos on: it begins with the segment that holds it.
func ReadFrom(dir string, pos uint64, f func(*access.Record) error) error {
	var r segmentReader
	keys := readKeys(dir)
	return r.readFrom(dir, pos, nil, func(at uint64, payload []byte) error {
		if at < pos {
			return nil
		}
		rec, err := keys.recordAt(dir, at, payload)
		if err != nil {
			return err
		}
		return f(rec)
	})
}

// Next gives the position after the last record that is on disk. It reads the last segment.
func Next(dir string) (uint64, error) {
	next := uint64(1)
	var r segmentReader
	err := r.readFrom(dir, ^uint64(0), func() { next = max(next, r.head.First) }, func(at uint64, _ []byte) error {
		next = at + 1
		return nil
	})
	if err != nil {
		return 0, err
	}
	// What was read may have been written and not synced yet.
	f, err := os.Open(filepath.Join(dir, segmentName(r.head.First)))
	if err != nil {
		return 0, openFailed(dir, err)
	}
	defer f.Close()
	if err := datasync(f); err != nil {
		return 0, openFailed(dir, err)
	}
	return next, nil
}

// recordAt is record, for a payload that must say that it is at.
func (r *keyring) recordAt(dir string, at uint64, payload []byte) (*access.Record, error) {
	rec, err := r.record(dir, at, payload)
	if err == nil && rec.Position != at {
		return nil, damaged(dir, fmt.Errorf("record %d says that it is record %d", at, rec.Position))
	}
	return rec, err
}

// Tail reads the log in a directory from one position on, and goes on where it ended while a gateway writes. It
// takes no lock, reads each byte once, and gives out only what is on disk: a record that the gateway has written and
// not synced could be lost in a crash, and its position be given to another. Not for several goroutines.
type Tail struct {
	dir  string
	keys *keyring
	next uint64 // position of the next record
	file *os.File
	seg  uint64 // first position in file
	id   string
	off  int64  // of the next frame in file
	at   uint64 // its position
	buf  []byte
	seen time.Time // when the file had changed last, as of the last look that found nothing
	only [][]byte  // one of which the head of a record has that is given out; all when empty
}

const tailChunk = 1 << 20

// OpenTail begins at position pos. The log must be there; pos may be the one that it will give out next.
func OpenTail(dir string, pos uint64) (*Tail, error) {
	t := &Tail{dir: dir, next: max(pos, 1)}
	firsts, err := segments(dir)
	if err != nil {
		return nil, openFailed(dir, err)
	}
	i, ok := slices.BinarySearch(firsts, t.next)
	if !ok {
		i--
	}
	if i < 0 {
		err := errors.New("there is no log in it")
		if len(firsts) > 0 {
			err = fmt.Errorf("record %d is asked for, and the log begins with record %d", t.next, firsts[0])
		}
		return nil, openFailed(dir, err)
	}
	if err := t.open(firsts[i]); err != nil {
		return nil, err
	}
	return t, nil
}

// Only has Read pass over records of other kinds, which costs a small part of reading them. Without any it passes over none.
func (t *Tail) Only(kinds ...access.RecordKind) {
	t.only = nil
	for _, kind := range kinds {
		t.only = append(t.only, fmt.Appendf(nil, `,"kind":"%s"`, kind))
	}
}

// wants reports whether a record with such a head is not passed over.
func (t *Tail) wants(head []byte) bool {
	return len(t.only) == 0 || slices.ContainsFunc(t.only, func(kind []byte) bool { return bytes.Contains(head, kind) })
}

// Position is that of the last record that was given out or passed over.
func (t *Tail) Position() uint64 { return t.next - 1 }

// LogID identifies the log: all its segments have the same, and no other log has it.
func (t *Tail) LogID() string { return t.id }

// Close gives up the file.
func (t *Tail) Close() error {
	if t.file == nil {
		return nil
	}
	return t.file.Close()
}

func (t *Tail) open(first uint64) error {
	path := filepath.Join(t.dir, segmentName(first))
	h, err := readHeader(path)
	if err != nil {
		return err
	}
	id := hex.EncodeToString(h.LogID[:])
	switch {
	case h.First != first:
		err = fmt.Errorf("its header says that it begins at record %d", h.First)
	case t.id != "" && id != t.id:
		err = errors.New("it belongs to another log")
	}
	if err != nil {
		return damaged(path, err)
	}
	f, err := os.Open(path)
	if err != nil {
		return openFailed(t.dir, err)
	}
	t.Close()
	t.file, t.seg, t.id, t.at, t.off, t.seen = f, first, id, first, int64(h.length), time.Time{}
	return nil
}

// Read calls f with records that follow and their leaves in the log's Merkle tree, about most bytes of the log, and reports
// how many bytes they were, those that it passed over included. None means that there are no records yet. An error of f ends it and is returned; the record is
// then read again.
func (t *Tail) Read(most int, f func(rec *access.Record, leaf tlog.Hash) error) (int, error) {
	t.keys = readKeys(t.dir) // those of before may have been erased
	for ended := false; ; {
		given, passed, err := t.frames(most, f)
		if err != nil || given > 0 {
			return given, err
		}
		if passed { // all of them in front of the first that was asked for
			continue
		}
		next, err := t.following()
		switch {
		case err != nil || next == 0:
			return 0, err
		case next == t.at:
			if err := t.open(next); err != nil {
				return 0, err
			}
			ended = false
		case ended:
			return 0, damaged(t.file.Name(), fmt.Errorf("it ends with record %d, and the next segment begins with record %d", t.at-1, next))
		default:
			ended = true // before the next was there, all of this one was: look once more
		}
	}
}

// frames gives out the frames of one chunk of the open segment, and reports how many bytes it gave and whether there
// were any.
func (t *Tail) frames(most int, f func(*access.Record, tlog.Hash) error) (given int, passed bool, err error) {
	head, err := t.load(frameLen)
	if err != nil || len(head) == 0 {
		return 0, false, err
	}
	n := int(binary.LittleEndian.Uint32(head))
	if n == 0 || n >= maxPayload {
		return 0, false, t.checkEnd()
	}
	size := min(most, tailChunk)
	if t.at < t.next {
		size = tailChunk
	}
	data, err := t.load(max(size, frameLen+n))
	if err != nil {
		return 0, false, err
	}
	end := 0
	for {
		payload, _, ok := frameAt(data, end)
		if !ok {
			break
		}
		end += frameLen + len(payload)
	}
	if end == 0 {
		return 0, false, t.checkEnd()
	}
	// A batch is only begun when the one before it is on disk, so this matters for the last alone; where nothing is left
	// to be written it costs next to nothing.
	if err := datasync(t.file); err != nil {
		return 0, false, openFailed(t.dir, err)
	}
	t.seen = time.Time{}
	given, err = t.give(data[:end], f)
	return given, true, err
}

func (t *Tail) give(data []byte, f func(*access.Record, tlog.Hash) error) (given int, err error) {
	for off := 0; off < len(data); {
		payload, _, _ := frameAt(data, off)
		if t.at >= t.next {
			if t.wants(headOf(payload)) {
				rec, err := t.keys.recordAt(t.dir, t.at, payload)
				if err == nil {
					err = f(rec, tlog.RecordHash(payload))
				}
				if err != nil {
					return given, err
				}
			}
			t.next = t.at + 1
			given += frameLen + len(payload)
		}
		t.at++
		off += frameLen + len(payload)
		t.off += int64(frameLen + len(payload))
	}
	return given, nil
}

// load reads up to n bytes from where the next frame is.
func (t *Tail) load(n int) ([]byte, error) {
	t.buf = slices.Grow(t.buf[:0], n)[:n]
	got, err := t.file.ReadAt(t.buf, t.off)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, openFailed(t.dir, err)
	}
	if got < frameLen {
		return nil, nil
	}
	return t.buf[:got], nil
}

// following gives the first position of the segment after the open one, or 0.
func (t *Tail) following() (uint64, error) {
	firsts, err := segments(t.dir)
	if err != nil {
		return 0, openFailed(t.dir, err)
	}
	if i, _ := slices.BinarySearch(firsts, t.seg+1); i < len(firsts) {
		return firsts[i], nil
	}
	return 0, nil
}

// checkEnd tells the end of what is written from damage, as segmentReader.read does. It looks only when the file has
// changed since the last look.
func (t *Tail) checkEnd() error {
	info, err := t.file.Stat()
	if err != nil {
		return openFailed(t.dir, err)
	}
	if info.ModTime().Equal(t.seen) {
		return nil
	}
	for again := false; ; again = true {
		data, err := t.load(int(info.Size() - t.off))
		if err != nil || len(data) == 0 {
			return err
		}
		if _, _, ok := frameAt(data, 0); ok {
			return nil
		}
		end, next := endAt(data, 0)
		if end != endDamaged {
			t.seen = info.ModTime()
			return nil
		}
		if again {
			return damaged(t.file.Name(), fmt.Errorf("record %d (offset %d) cannot be read, but records after it can (offset %d)", t.at, t.off, t.off+int64(next)))
		}
	}
}
