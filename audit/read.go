package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sallyport/internal/access"
)

// Read calls f with the records of the log in dir, in order, each a record of its own. It takes no lock
// and works while a gateway writes: it ends with the last record that is whole. An error of f ends it
// and is returned. Damage is reported as Open does, after the records in front of it.
func Read(dir string, f func(*access.Record) error) error {
	var r segmentReader
	keys := readKeys(dir)
	return r.readFrom(dir, 0, nil, func(pos uint64, payload []byte) error {
		rec, err := keys.record(dir, pos, payload)
		if err != nil {
			return err
		}
		return f(rec)
	})
}

// ReadProbes is Read of the records since a time that have guesses at masked values.
func ReadProbes(dir string, since time.Time, f func(*access.Record) error) error {
	firsts, err := segments(dir)
	if err != nil {
		return openFailed(dir, err)
	}
	from := uint64(0)
	for _, first := range slices.Backward(firsts) {
		path := filepath.Join(dir, segmentName(first))
		h, err := readHeader(path)
		if err != nil {
			return err
		}
		if from = first; h.Created.Before(since) {
			break
		}
	}
	var r segmentReader
	keys := readKeys(dir)
	return r.readFrom(dir, from, nil, func(pos uint64, payload []byte) error {
		if !bytes.Contains(headOf(payload), []byte(`,"probes":`)) {
			return nil
		}
		rec, err := keys.record(dir, pos, payload)
		if err != nil {
			return err
		}
		if rec.Probes == 0 || rec.Time.Before(since) {
			return nil
		}
		return f(rec)
	})
}

// segmentReader reads whole segments into a buffer that it keeps.
type segmentReader struct {
	data []byte
	head *header
	end  int // offset behind the last frame
}

// readFrom calls f with the payloads from the segment that holds position from on, and then, unless it
// is nil, done at the end of each segment. Payloads are only valid during the call.
func (r *segmentReader) readFrom(dir string, from uint64, done func(), f func(pos uint64, payload []byte) error) error {
	firsts, err := segments(dir)
	if err == nil && len(firsts) == 0 {
		if _, err = os.Stat(dir); err == nil {
			err = errors.New("there is no log in it")
		}
	}
	if err != nil {
		return &access.Error{Kind: access.Unavailable, Code: codeIO, Err: err,
			Message: fmt.Sprintf("cannot read the audit log in %s", dir),
			Hint:    "name the data directory of a gateway that has run, as a user who may read it"}
	}
	if i, ok := slices.BinarySearch(firsts, from); ok {
		firsts = firsts[i:]
	} else if i > 0 {
		firsts = firsts[i-1:]
	}
	for i, first := range firsts {
		end, err := r.read(dir, first, f)
		if err != nil {
			return err
		}
		if done != nil {
			done()
		}
		if i+1 < len(firsts) && end != firsts[i+1] {
			return damaged(filepath.Join(dir, segmentName(first)),
				fmt.Errorf("it ends with record %d, and the next segment begins with record %d", end-1, firsts[i+1]))
		}
	}
	return nil
}

func (r *segmentReader) load(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return openFailed(filepath.Dir(path), err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return openFailed(filepath.Dir(path), err)
	}
	r.data = slices.Grow(r.data[:0], int(info.Size()))[:info.Size()]
	n, err := io.ReadFull(f, r.data)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return openFailed(filepath.Dir(path), err)
	}
	r.data = r.data[:n]
	return nil
}

// read calls f with each payload of a segment and gives the position behind the last.
//
// The segment may be written to meanwhile. A frame that is bad at first sight is damage only if it is
// still bad when read again after a frame of a later batch was seen, because that batch was begun when
// this one was on disk.
func (r *segmentReader) read(dir string, first uint64, f func(pos uint64, payload []byte) error) (uint64, error) {
	path := filepath.Join(dir, segmentName(first))
	if err := r.load(path); err != nil {
		return 0, err
	}
	h, err := parseHeader(r.data)
	if err == nil && h.First != first {
		err = fmt.Errorf("its header says that it begins at record %d", h.First)
	}
	if err != nil {
		return 0, damaged(path, err)
	}
	r.head = h
	pos, again := first, false
	for off := h.length; ; {
		payload, _, ok := frameAt(r.data, off)
		if ok {
			if err := f(pos, payload); err != nil {
				return 0, err
			}
			pos, again = pos+1, false
			off += frameLen + len(payload)
			continue
		}
		end, next := endAt(r.data, off)
		if end != endDamaged {
			r.end = off
			return pos, nil
		}
		if again {
			return 0, damaged(path, fmt.Errorf("record %d (offset %d) cannot be read, but records after it can (offset %d)", pos, off, next))
		}
		again = true
		if err := r.load(path); err != nil {
			return 0, err
		}
	}
}

// readPositions fills in the records whose positions are keys of wanted.
func readPositions(dir string, wanted map[uint64]*access.Record) error {
	if len(wanted) == 0 {
		return nil
	}
	from := ^uint64(0)
	for p := range wanted {
		from = min(from, p)
	}
	left := len(wanted)
	done := errors.New("done")
	var r segmentReader
	keys := readKeys(dir)
	err := r.readFrom(dir, from, nil, func(pos uint64, payload []byte) error {
		if _, ok := wanted[pos]; !ok {
			return nil
		}
		rec, err := keys.record(dir, pos, payload)
		if err != nil {
			return err
		}
		wanted[pos] = rec
		if left--; left == 0 {
			return done
		}
		return nil
	})
	if errors.Is(err, done) {
		return nil
	}
	return err
}
