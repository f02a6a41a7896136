package audit

import (
	"crypto/rand"
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
	if l.keys, err = openKeys(dir); err == nil {
		l.persons, err = openPersons(dir)
	}
	if err != nil {
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
	l.ahead = newState(l.state.list())
	l.space.set(l.room, l.used)
	if l.start, err = newBell(); err != nil {
		l.dropSpare()
		l.seg.Close()
		return nil, fmt.Errorf("audit log %s: %w", dir, err)
	}
	l.ended, l.signing.stop, l.signing.ended = make(chan struct{}), make(chan struct{}), make(chan struct{})
	go l.commitLoop()
	go l.tend(opt)
	if err := l.resumeErasure(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
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
	var err error
	if l.signing, err = newSigning(l.dir); err != nil {
		return openFailed(l.dir, err)
	}
	if l.trees, err = openGrowth(l.dir, heads{}); err != nil {
		return openFailed(l.dir, err)
	}
	// There is no log without a checkpoint, so that one whose checkpoint is missing has been tampered with.
	if err := l.signing.sign(l.trees.heads()); err != nil {
		return openFailed(l.dir, err)
	}
	f, err := fill(l.disk, l.path(spareName), min(firstSize, l.size))
	if err != nil {
		return openFailed(l.dir, err)
	}
	h := header{First: 1, Created: time.Now(), LogID: l.logID, Root: l.trees.heads().all.Hash}
	seg, head, err := l.begin(filled{f, min(firstSize, l.size)}, &h, nil)
	if err != nil {
		return openFailed(l.dir, err)
	}
	l.seg, l.first, l.used, l.room = seg, 1, int64(len(head)), h.Size
	l.state = newState(nil)
	l.recovery = Recovery{Segment: segmentName(1)}
	return nil
}

// Dir is the directory that the log is in.
func (l *Log) Dir() string { return l.dir }

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
