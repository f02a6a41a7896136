package audit

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/access"
)

// Recovery says what Open found.
type Recovery struct {
	Last    uint64 // position of the last record
	Segment string // file that holds it
	Cut     int64  // bytes of an unfinished write that were cut off; none of it was ever acknowledged
}

// Unfinished is a session without a close record, or with an intent without outcome, that a process
// which ended too early left behind.
type Unfinished struct {
	Session string
	Seq     uint64           // of its last record
	Opened  bool             // it has an open record and no close record
	Intents []*access.Record // intents without an outcome: whether they ran is unknown
}

// Open opens the log in dir, which is made when it is not there. One process at a time may have it
// open; the others, and those for whom the directory cannot be written or whose log is damaged, get an
// *access.Error of kind Unavailable that says what to do. What a crash left of a last, never
// acknowledged batch is cut off and reported by Recovered.
func Open(dir string, opt Options) (*Log, error) { return open(dir, opt, osDisk{}) }

func open(dir string, opt Options, d disk) (_ *Log, err error) {
	l := &Log{dir: dir, disk: d, size: opt.SegmentSize, log: opt.Log}
	if l.size <= 0 {
		l.size = defaultSize
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	l.idle.L = &l.mu
	l.batch = newBatch(nil, nil)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, openFailed(dir, err)
	}
	if l.lock, err = lock(dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			l.lock.Close()
		}
	}()
	// A spare never has its name yet, so whatever is in it was never acknowledged.
	if err := os.Remove(l.path(spareName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, openFailed(dir, err)
	}
	firsts, err := segments(dir)
	switch {
	case err != nil:
		return nil, openFailed(dir, err)
	case len(firsts) == 0:
		err = l.create()
	default:
		err = l.recover(firsts)
	}
	if err != nil {
		return nil, err
	}
	l.next = l.recovery.Last + 1
	return l, nil
}

// lock takes the directory for this process. The lock goes away with the process.
func lock(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockName)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, openFailed(dir, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, openFailed(dir, err)
		}
		who := "another process"
		if b, _ := io.ReadAll(io.LimitReader(f, 32)); len(b) > 0 {
			who = "process " + strings.TrimSpace(string(b))
		}
		return nil, &access.Error{
			Kind: access.Unavailable, Code: codeInUse,
			Message: fmt.Sprintf("the audit log in %s is in use by %s", dir, who),
			Hint:    "stop that one, or give this one a data directory of its own",
		}
	}
	// Only for the message above; the lock does not depend on it.
	if err := f.Truncate(0); err == nil {
		fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	return f, nil
}

// create begins a new log.
func (l *Log) create() error {
	rand.Read(l.logID[:])
	f, err := fill(l.disk, l.path(spareName), min(firstSize, l.size))
	if err != nil {
		return openFailed(l.dir, err)
	}
	h := header{First: 1, Created: time.Now(), LogID: l.logID}
	seg, head, err := l.begin(filled{file: f, size: min(firstSize, l.size)}, &h, nil)
	if err != nil {
		return openFailed(l.dir, err)
	}
	l.seg, l.first, l.used, l.room = seg, 1, int64(len(head)), h.Size
	l.state = newState(nil)
	l.digest = sha256.New()
	l.digest.Write(head)
	l.recovery = Recovery{Segment: segmentName(1)}
	return nil
}

// recover continues the last segment after its last good frame.
func (l *Log) recover(firsts []uint64) error {
	first := firsts[len(firsts)-1]
	path := l.path(segmentName(first))
	data, err := os.ReadFile(path)
	if err != nil {
		return openFailed(l.dir, err)
	}
	h, err := parseHeader(data)
	if err == nil && h.First != first {
		err = fmt.Errorf("its header says that it begins at record %d", h.First)
	}
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
		if err := json.Unmarshal(payload, &m); err != nil || m.Position != pos {
			return damaged(path, fmt.Errorf("record %d is not where it belongs (offset %d)", pos, off))
		}
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
	l.digest = sha256.New()
	l.digest.Write(data[:off])
	l.used = int64(off)
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

// Recovered says what Open found in the directory.
func (l *Log) Recovered() Recovery { return l.recovery }

// Unfinished lists, as found by Open, the sessions that ended without saying so. The gateway writes an
// outcome "unknown" for each intent and a close record for each opened session, from Seq+1 on.
func (l *Log) Unfinished() []Unfinished { return l.unfinished }

// Dangling lists, as found by Open, the intents without an outcome, by session and position.
func (l *Log) Dangling() []*access.Record {
	var out []*access.Record
	for _, u := range l.unfinished {
		out = append(out, u.Intents...)
	}
	return out
}
