package pgwire

import (
	"io"
	"sync"
	"sync/atomic"
	"syscall"
)

// bufferSize is the read buffer of a client from which bytes are being read: large enough for a COPY
// block or a pipeline in one read.
const bufferSize = 32 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// reader is the read side of one client. It owns a buffer only while there are bytes to be read: an
// idle client waits without one. Not safe for concurrent use.
type reader struct {
	src io.Reader
	raw syscall.RawConn // nil where src is not a socket (TLS, tests)

	pooled *[bufferSize]byte // from buffers, or nil
	buf    []byte            // pooled, or a larger one of our own
	r, w   int               // buf[r:w] was read and not yet taken

	budget  *atomic.Int64 // bytes that all clients may yet spend on larger buffers
	spent   int64         // of budget, by buf
	attempt func(fd uintptr) bool
	err     error
	one     [1]byte
}

func newReader(src io.Reader, budget *atomic.Int64) *reader {
	r := &reader{src: src, budget: budget}
	if sc, ok := src.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			r.raw, r.attempt = raw, r.tryRead
		}
	}
	return r
}

// window is what was read and not yet taken. It is valid until the next fill or release.
func (r *reader) window() []byte { return r.buf[r.r:r.w] }

// discard takes n bytes of the window.
func (r *reader) discard(n int) {
	r.r += n
	if r.r == r.w {
		r.r, r.w = 0, 0
	}
}

// fill waits until at least one more byte is in the window. need is how many bytes the message at its
// start has in all, or 0 where that is not known: the buffer grows towards need as bytes come in, by
// doubling, so that a client which only announces a large message costs nothing.
func (r *reader) fill(need int) error {
	if r.w == len(r.buf) && r.r > 0 || need > len(r.buf)-r.r && r.r > 0 {
		r.w = copy(r.buf, r.buf[r.r:r.w])
		r.r = 0
	}
	if r.w == len(r.buf) && r.w > 0 {
		if err := r.grow(need); err != nil {
			return err
		}
	}
	if r.raw == nil {
		return r.fillAny()
	}
	if err := r.raw.Read(r.attempt); err != nil {
		return err
	}
	return r.err
}

// tryRead reads once, without waiting. Before a wait an empty buffer goes back to the pool.
func (r *reader) tryRead(fd uintptr) bool {
	r.take()
	for {
		n, err := syscall.Read(int(fd), r.buf[r.w:])
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			if r.w == 0 {
				r.release()
			}
			return false
		case err != nil:
			r.err = err
		case n == 0:
			r.err = io.EOF
		default:
			r.w += n
		}
		return true
	}
}

// fillAny waits for a first byte without a buffer. No message is one byte long, so there is more to come,
// and where src is TLS it is there already: the second read costs no system call.
func (r *reader) fillAny() error {
	if r.w == 0 {
		r.release()
		if _, err := io.ReadFull(r.src, r.one[:]); err != nil {
			return err
		}
		r.take()
		r.buf[0], r.w = r.one[0], 1
	}
	n, err := r.src.Read(r.buf[r.w:])
	r.w += n
	if n > 0 {
		return nil
	}
	return err
}

func (r *reader) take() {
	if r.buf == nil {
		r.pooled = buffers.Get().(*[bufferSize]byte)
		r.buf = r.pooled[:]
	}
}

// release gives the buffer up. The window must be empty.
func (r *reader) release() {
	if r.pooled != nil {
		buffers.Put(r.pooled)
	}
	if r.spent > 0 {
		r.budget.Add(r.spent)
	}
	r.pooled, r.buf, r.spent, r.r, r.w = nil, nil, 0, 0, 0
}

func (r *reader) grow(need int) error {
	size := 2 * len(r.buf)
	if need > 0 && need < size {
		size = max(need, len(r.buf)+1)
	}
	if r.budget.Add(-int64(size)) < 0 {
		r.budget.Add(int64(size))
		return noMemory()
	}
	buf := make([]byte, size)
	w := copy(buf, r.buf[r.r:r.w])
	r.release()
	r.buf, r.w, r.spent = buf, w, int64(size)
	return nil
}
