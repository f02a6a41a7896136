package audit

import (
	"cmp"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"sallyport/internal/access"
)

// Options for Open. The zero value is right for production.
type Options struct {
	// SegmentSize is the room in a segment, in bytes; 0 means 64 MiB. The first segments of a new log
	// are smaller. A segment may hold more when one batch needs it.
	SegmentSize int64
	// SignEvery is how often a log that grows gets a signed checkpoint; 0 means 10 s.
	SignEvery time.Duration
	// BeatEvery is how often the sessions that have not ended are recorded; 0 means 5 min.
	BeatEvery time.Duration
	Log       *slog.Logger // nil discards
}

// Log is an open audit log. Its methods may be called from any goroutine.
type Log struct {
	dir   string
	disk  disk
	size  int64 // room in a full-grown segment
	log   *slog.Logger
	lock  *os.File
	keys  *keyMaker
	trees *growth

	persons *persons

	signing *signing

	recovery   Recovery
	unfinished []Unfinished

	space space

	orders sync.Mutex // held while keys are destroyed, or what keeps them from it changes

	mu     sync.Mutex
	err    error  // the log has failed, or is closed
	next   uint64 // position of the next record
	batch  *batch // being filled
	ahead  state  // the sessions with all records that have a position, durable or not
	busy   bool   // the committer is at work, or has been told to be
	closed bool
	idle   sync.Cond // on mu: busy became false
	spareB []byte    // buffer of a finished batch, to be used again
	spareM []mark

	start *bell         // tells the committer to begin
	ended chan struct{} // closed when the committer has ended

	// The rest belongs to the committer.
	seg     file
	first   uint64 // of seg
	used    int64  // bytes of seg in use
	room    int64  // bytes reserved for seg
	logID   [16]byte
	state   state
	filling *filling // the next segment is being filled; nil when not begun
}

// batch is what one write and one sync make durable. Its fields belong to Log.mu until the
// committer has taken it, then to the committer; err and marks are final once done is closed.
type batch struct {
	buf     []byte
	marks   []mark
	waiters int
	over    bool          // done is closed, err is final
	err     error         //
	done    chan struct{} // closed when the batch is durable, or has failed
	wake    []func()      // to be called when the batch is over
}

// Ticket stands for a record that has its place in the log and may not be durable yet. The zero Ticket
// never is.
type Ticket struct {
	log *Log
	b   *batch
}

var bodies = sync.Pool{New: func() any { return new([]byte) }}

// payloadMost is what the position adds to a payload at most.
const payloadMost = len(`{"pos":18446744073709551615`)

const pooledMost = 1 << 18 // larger buffers are left to the garbage collector

// Append adds rec to the log and returns once it is durable. See Enqueue.
func (l *Log) Append(rec *access.Record) (pos uint64, err error) {
	t, err := l.Enqueue(rec)
	if err == errShort && t != (Ticket{}) {
		_ = t.Wait() // the refusal; the error is the same
	}
	if err == nil {
		err = t.Wait()
	}
	if err != nil {
		return 0, err
	}
	return rec.Position, nil
}

// Enqueue gives rec its position, sets rec.Position, and adds it to the log in the order of the calls.
// It does not wait: the record is durable once Wait has returned nil. rec may be changed afterwards,
// its Plan must not be.
//
// A record that cannot be stored as it is (too large, a plan that is no JSON) is refused with an
// *access.Error of kind Invalid or Internal and leaves no gap. Once the log has failed every call
// gets the same *access.Error of kind Unavailable.
//
// The identifiers in rec.Named become tags in rec.Persons, and are forgotten.
//
// Where the disk is nearly full only refusals, outcomes and close records are taken. In place of another record a
// refusal with its number is enqueued, so the Ticket is good, and the error says why.
func (l *Log) Enqueue(rec *access.Record) (Ticket, error) {
	if len(rec.Named) > 0 {
		rec.Persons, rec.Named = l.persons.of(rec.Named), nil
	}
	t, err := l.enqueue(rec)
	if err == errShort && rec.Session != "" {
		if t, e := l.enqueue(refusal(rec)); e == nil {
			return t, err
		}
	}
	return t, err
}

func (l *Log) enqueue(rec *access.Record) (Ticket, error) {
	if rec.Kind == access.RecordClose {
		rec.Root = l.sessionRoot(rec.Session)
	}
	pooled := bodies.Get().(*[]byte)
	body, err := l.keys.appendBody((*pooled)[:0], rec)
	defer func() {
		if cap(body) <= pooledMost {
			*pooled = body
			bodies.Put(pooled)
		}
	}()
	if err != nil {
		return Ticket{}, &access.Error{Kind: access.Internal, Code: codeInternal, Err: err,
			Message: "the audit record could not be made, so nothing was run or released", Hint: "the operator's log has the cause"}
	}
	if len(body) > maxPayload-64 {
		return Ticket{}, &access.Error{Kind: access.Invalid, Code: codeTooBig,
			Message: fmt.Sprintf("the statement with its parameters is too large to be recorded (%d bytes, %d is the most)", len(body), maxPayload-64),
			Hint:    "send large values in several statements"}
	}

	leaf := sessionLeaf(body)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return Ticket{}, l.err
	}
	if l.closed {
		return Ticket{}, errClosed
	}
	b := l.batch
	if !l.space.takes(rec.Kind, len(b.buf)+len(body)+frameLen+payloadMost) {
		return Ticket{}, errShort
	}
	rec.Position = l.next
	l.next++
	b.buf = appendFrame(b.buf, len(b.buf), rec.Position, body)
	b.marks = append(b.marks, mark{rec.Position, rec.Session, rec.Seq, rec.Kind, rec.Intent, leaf})
	l.ahead.apply(&b.marks[len(b.marks)-1])
	return Ticket{l, b}, nil
}

// sessionRoot is the root over the records of a session so far. Nothing else is recorded for a session while it
// is closed.
func (l *Log) sessionRoot(session string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o := l.ahead[session]; o != nil {
		return o.root().String()
	}
	return ""
}

// heartbeat records which sessions have not ended, unless there are none.
func (l *Log) heartbeat() error {
	rec := access.Record{Kind: access.RecordHeartbeat, Time: time.Now().UTC()}
	l.mu.Lock()
	for id, o := range l.ahead {
		if o.Opened {
			rec.Open = append(rec.Open, access.OpenSession{Session: id, Seq: o.Seq})
		}
	}
	l.mu.Unlock()
	if len(rec.Open) == 0 {
		return nil
	}
	slices.SortFunc(rec.Open, func(a, b access.OpenSession) int { return cmp.Compare(a.Session, b.Session) })
	_, err := l.Append(&rec)
	return err
}

// Wait returns nil once the record is durable, and all before it.
func (t Ticket) Wait() error {
	if t.b == nil {
		return errNoTicket
	}
	return t.log.wait(t.b)
}

// Over reports whether Wait would not wait.
func (t Ticket) Over() bool {
	if t.b == nil {
		return true
	}
	t.log.mu.Lock()
	defer t.log.mu.Unlock()
	return t.b.over
}

var errNoTicket = &access.Error{Kind: access.Internal, Code: codeInternal,
	Message: "a record was waited for that was never made", Hint: "the operator's log has the cause"}

// Await calls wake, from a goroutine that must not be held up, once the record is durable or the log has failed;
// the result is then Wait's, which does not wait any more. The commit begins with the next Kick, so that one
// commit can serve many; a record that is over already needs none, and Await reports that it is.
func (t Ticket) Await(wake func()) (over bool) {
	if t.b == nil {
		return true
	}
	t.log.mu.Lock()
	defer t.log.mu.Unlock()
	if t.b.over {
		return true
	}
	t.b.wake = append(t.b.wake, wake)
	return false
}

// Kick begins the commit of what Await waits for.
func (l *Log) Kick() {
	l.mu.Lock()
	start := len(l.batch.wake) > 0 && l.claim()
	l.mu.Unlock()
	if start {
		l.start.signal()
	}
}

// wait asks for a commit and waits for the end of b.
func (l *Log) wait(b *batch) error {
	l.mu.Lock()
	if b.over {
		l.mu.Unlock()
		return b.err
	}
	b.waiters++
	start := l.claim()
	l.mu.Unlock()
	if start {
		l.start.signal()
	}
	<-b.done
	return b.err
}

// claim marks the committer as busy and reports whether it has to be told. A busy one takes the batch that is
// being filled next. The caller holds l.mu.
func (l *Log) claim() bool {
	start := !l.busy
	l.busy = true
	return start
}

// commitLoop is the group commit: one goroutine, on a thread of its own, takes the batch that was filled while
// it wrote and synced the one before. It waits in the kernel, not in Go's scheduler: a thread that wakes there
// runs at once.
func (l *Log) commitLoop() {
	defer close(l.ended)
	runtime.LockOSThread()
	shortSlice()
	for l.start.wait() {
		for l.commitBatch() {
		}
	}
}

// commitBatch makes one batch durable, tells who waits for it, and reports whether somebody waits for the next.
func (l *Log) commitBatch() bool {
	l.mu.Lock()
	b, err := l.batch, l.err
	l.batch = newBatch(l.spareB, l.spareM)
	l.spareB, l.spareM = nil, nil
	l.mu.Unlock()

	if err == nil && len(b.marks) > 0 {
		err = l.commit(b)
	}

	l.mu.Lock()
	if err != nil && l.err == nil {
		l.err = err
	}
	b.err, b.over = err, true
	wake := b.wake
	l.spareB, l.spareM = b.buf[:0], b.marks[:0]
	b.buf, b.marks, b.wake = nil, nil, nil
	if cap(l.spareB) > 4<<20 {
		l.spareB = nil
	}
	more := l.batch.waiters > 0 || len(l.batch.wake) > 0
	if !more {
		l.busy = false
		l.idle.Broadcast()
	}
	l.mu.Unlock()
	close(b.done)
	for _, f := range wake {
		f()
	}
	return more
}

func newBatch(buf []byte, marks []mark) *batch {
	return &batch{buf: buf, marks: marks, done: make(chan struct{})}
}

// Err gives the error that ended the log, or nil.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Last is the position that was given out last; 0 when the log is empty.
func (l *Log) Last() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next - 1
}

// Close makes durable what was enqueued, closes the log and gives up its directory. Its error is the
// one that ended the log before, if any.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true // Enqueue refuses from here on, so what is in l.batch now is the last
	last, pending := Ticket{l, l.batch}, len(l.batch.marks) > 0
	l.mu.Unlock()
	var err error
	if pending {
		err = last.Wait()
	}

	l.mu.Lock()
	for l.busy {
		l.idle.Wait()
	}
	if err == nil {
		err = l.err
	}
	if l.err == nil {
		l.err = errClosed
	}
	l.mu.Unlock()
	l.start.close()
	<-l.ended
	l.dropSpare()
	l.keys.wait()
	close(l.signing.stop)
	<-l.signing.ended
	if _, e := l.Checkpoint(); err == nil && e != nil {
		err = e
	}
	l.trees.close()
	l.seg.Close()
	l.lock.Close()
	return err
}
