package audit

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport/internal/access"
)

// Place is where a record lies in a log.
type Place struct {
	Segment uint64 // position of the first record in the file
	Offset  int64  // of the record's frame in the file, in bytes
}

// Place is where the record lies that Read is calling its function with.
func (t *Tail) Place() Place { return Place{t.seg, t.off} }

// ErrPlace is of a place at which the log has another record than was asked for, or none.
var ErrPlace = errors.New("the record is not there")

// Places reads single records of the log in a directory, from where they lie. It takes no lock. Not for several
// goroutines.
type Places struct {
	dir  string
	keys *keyring
	file *os.File
	seg  uint64
	buf  []byte
}

// OpenPlaces reads the log in dir; nothing is opened before the first record.
func OpenPlaces(dir string) *Places { return &Places{dir: dir, keys: readKeys(dir)} }

// Close gives up the file.
func (p *Places) Close() error {
	if p.file == nil {
		return nil
	}
	return p.file.Close()
}

// placeChunk is read at once: most records fit.
const placeChunk = 4 << 10

// Record gives the record at a position and its leaf in the log's Merkle tree. Where another lies at that place, or
// nothing sound, the error is ErrPlace: whoever remembered the place has to look again.
func (p *Places) Record(pos uint64, at Place) (*access.Record, tlog.Hash, error) {
	payload, err := p.payload(at)
	if err != nil {
		return nil, tlog.Hash{}, err
	}
	rec, _, err := p.keys.decode(payload)
	if err != nil {
		return nil, tlog.Hash{}, damaged(p.dir, fmt.Errorf("record %d cannot be read: %w", pos, err))
	}
	if rec.Position != pos {
		return nil, tlog.Hash{}, ErrPlace
	}
	return rec, tlog.RecordHash(payload), nil
}

func (p *Places) payload(at Place) ([]byte, error) {
	if p.file == nil || p.seg != at.Segment {
		f, err := os.Open(filepath.Join(p.dir, segmentName(at.Segment)))
		if errors.Is(err, os.ErrNotExist) {
			return nil, ErrPlace
		}
		if err != nil {
			return nil, openFailed(p.dir, err)
		}
		p.Close()
		p.file, p.seg = f, at.Segment
	}
	if at.Offset < fixedLen {
		return nil, ErrPlace
	}
	if err := p.load(at.Offset, placeChunk); err != nil {
		return nil, err
	}
	if len(p.buf) < frameLen {
		return nil, ErrPlace
	}
	n := int(binary.LittleEndian.Uint32(p.buf))
	if n >= maxPayload {
		return nil, ErrPlace
	}
	if frameLen+n > len(p.buf) {
		if err := p.load(at.Offset, frameLen+n); err != nil {
			return nil, err
		}
	}
	payload, _, ok := frameAt(p.buf, 0)
	if !ok {
		return nil, ErrPlace
	}
	return payload, nil
}

func (p *Places) load(off int64, n int) error {
	p.buf = slices.Grow(p.buf[:0], n)[:n]
	got, err := p.file.ReadAt(p.buf, off)
	if err != nil && !errors.Is(err, io.EOF) {
		return openFailed(p.dir, err)
	}
	p.buf = p.buf[:got]
	return nil
}

// LogID identifies the log in dir, as Tail.LogID does. It reads the beginning of the newest segment.
func LogID(dir string) (string, error) {
	firsts, err := segments(dir)
	if err == nil && len(firsts) == 0 {
		err = errors.New("there is no log in it")
	}
	if err != nil {
		return "", openFailed(dir, err)
	}
	path := filepath.Join(dir, segmentName(firsts[len(firsts)-1]))
	f, err := os.Open(path)
	if err != nil {
		return "", openFailed(dir, err)
	}
	defer f.Close()
	var head [fixedLen]byte
	if _, err := io.ReadFull(f, head[:]); err != nil || string(head[:len(magic)]) != magic {
		return "", damaged(path, errHeader)
	}
	return hex.EncodeToString(head[40:56]), nil
}
