package audit

import (
	"errors"
	"os"
	"sync/atomic"
	"time"

	"sallyport/internal/access"
)

// When the next segment cannot be prepared, the end of the running one is kept for what must be recorded still:
// that statements are refused, in its first half, and how those end that run, and that sessions close. Preparing is
// tried again until there is room, and then all goes on.

// reserve is kept at the end of a segment of so much room.
func reserve(room int64) int64 { return min(room/8, 1<<20) }

// retryFill is how long to wait before preparing a segment again.
const retryFill = time.Second

// space is what the committer tells Enqueue of the room in the running segment.
type space struct {
	short   atomic.Bool  // the next segment could not be prepared
	left    atomic.Int64 // bytes, but for the reserve; negative within it
	reserve atomic.Int64
}

func (s *space) set(room, used int64) {
	r := reserve(room)
	s.left.Store(room - used - r)
	s.reserve.Store(r)
}

// takes is whether a record of a kind may be added, n bytes after those that wait.
func (s *space) takes(kind access.RecordKind, n int) bool {
	left := s.left.Load() - int64(n)
	switch {
	case !s.short.Load() || left >= 0:
		return true
	case kind == access.RecordRefused:
		return left >= -s.reserve.Load()/2
	}
	return kind == access.RecordOutcome || kind == access.RecordClose
}

var errShort = &access.Error{
	Kind: access.Unavailable, Code: codeDiskFull,
	Message: "there is no room for the next segment of the audit log, and nothing is run or released without a record",
	Hint:    "free space on the disk of the data directory, or see the operator's log for what else is wrong with it; the gateway goes on by itself",
}

// refusal is what is recorded in place of a record that there is no room for.
func refusal(rec *access.Record) *access.Record {
	r := *rec
	r.Kind, r.Code, r.Error, r.Hint = access.RecordRefused, errShort.Code, errShort.Message, errShort.Hint
	r.Rows, r.Bytes, r.Columns, r.Result, r.Formats, r.Digest, r.Command = 0, 0, nil, nil, nil, "", ""
	return &r
}

// filled is a file of zeros that can become a segment.
type filled struct {
	file file
	size int64
}

// filling is a segment that is being prepared.
type filling struct {
	ready  chan filled
	failed chan error // has the newest error, until it is taken
	quit   chan struct{}
}

// prepare begins to fill the next segment beside the running one. dropSpare and roll wait for it.
func (l *Log) prepare() {
	w := &filling{make(chan filled, 1), make(chan error, 1), make(chan struct{})}
	l.filling = w
	size := min(2*l.room, l.size)
	go func() {
		defer close(w.ready)
		for {
			f, err := fill(l.disk, l.path(spareName), size)
			select {
			case <-w.failed:
			default:
			}
			if err == nil {
				if l.space.short.Swap(false) {
					l.log.Info("there is room for the audit log again", "dir", l.dir)
				}
				w.ready <- filled{f, size}
				return
			}
			if !l.space.short.Swap(true) {
				l.log.Error("the next audit segment cannot be prepared: statements are refused before the running one is full", "dir", l.dir, "bytes", size, "error", err)
			}
			w.failed <- err
			select {
			case <-w.quit:
				return
			case <-time.After(retryFill):
			}
		}
	}()
}

// prepared gives the next segment, or why there is none.
func (l *Log) prepared() (filled, error) {
	if l.filling == nil {
		l.prepare()
	}
	w := l.filling
	select {
	case next := <-w.ready:
		l.filling = nil
		return next, nil
	case err := <-w.failed:
		return filled{}, err
	}
}

// dropSpare ends preparing.
func (l *Log) dropSpare() {
	if l.filling == nil {
		return
	}
	close(l.filling.quit)
	if next, ok := <-l.filling.ready; ok {
		next.file.Close()
	}
	if err := os.Remove(l.path(spareName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		l.log.Warn("spare audit segment not removed", "dir", l.dir, "error", err)
	}
	l.filling = nil
}
