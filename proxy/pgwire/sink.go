package pgwire

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// chunk is the most that one write hands to the socket: the unit in which a slow reader has to make
// progress within Options.WriteStall.
const chunk = 128 << 10

// sink writes to one client. Release passes frames on at once and uncopied: the core releases what
// belongs together, so a burst costs one write. A client that does not read blocks its own session
// only, and the watcher ends it after a while.
//
// The core may release notifications between bursts, from a goroutine of its own.
type sink struct {
	mu      sync.Mutex // orders writers; guards what follows
	dst     net.Conn
	tx      byte  // transaction status of the last ReadyForQuery
	synced  bool  // ReadyForQuery was the last thing written
	written int64 // for tests and the log
	torn    bool  // a write failed in the middle: the client would take what follows for the rest of it

	over  func()                // see Ended
	hurry func(d time.Duration) // see Hurry

	tick  *atomic.Uint64 // the watcher's clock
	since atomic.Uint64  // tick at which the running write began, 0: none runs
}

// Release implements gateway.Sink.
func (s *sink) Release(frames []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.observe(frames)
	return s.write(frames)
}

// Ended implements gateway.Ender: what waits for the client to speak is woken.
func (s *sink) Ended() { s.over() }

// Hurry implements gateway.Hurrier.
func (s *sink) Hurry(d time.Duration) { s.hurry(d) }

// write is Release without the lock.
func (s *sink) write(b []byte) error {
	if s.torn {
		return errGone
	}
	for first := true; len(b) > 0; first = false {
		n := min(len(b), chunk)
		s.since.Store(s.tick.Load())
		written, err := s.dst.Write(b[:n])
		s.since.Store(0)
		if err != nil {
			s.torn = written > 0 || !first
			return err
		}
		s.written += int64(n)
		b = b[n:]
	}
	return nil
}

// observe remembers whether frames end in ReadyForQuery. A row may end in the same six bytes, so what
// looks like one is looked at from the start, frame by frame.
func (s *sink) observe(frames []byte) {
	n := len(frames)
	if n == 0 {
		return
	}
	s.synced = false
	if n < 6 || frames[n-6] != 'Z' || frames[n-5] != 0 || frames[n-4] != 0 || frames[n-3] != 0 || frames[n-2] != 5 {
		return
	}
	at := 0
	for at+5 <= n-6 {
		size := 1 + int(frames[at+1])<<24 + int(frames[at+2])<<16 + int(frames[at+3])<<8 + int(frames[at+4])
		if size < 5 {
			return
		}
		at += size
	}
	if at == n-6 {
		s.synced, s.tx = true, frames[n-1]
	}
}

// status is the transaction status, and whether the client has been told that we wait for it.
func (s *sink) status() (tx byte, synced bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tx, s.synced
}
