package loop

import (
	"net"
	"sync"
	"sync/atomic"
	"syscall"
)

// Conn is a connection that can move from the runtime's poller to a loop. Until Adopt it is the net.Conn that
// it was made of; from then on its waits are those of the task that owns it, or block the calling goroutine
// where Own gave it no task. Reads may run beside writes, not beside reads; SetDeadline and its like may be
// called from any goroutine.
type Conn struct {
	nc    net.Conn // as dialled or accepted; closed once adopted
	moved atomic.Bool

	loop    *Loop
	token   uint64
	task    atomic.Pointer[Task] // whose waits the reads are
	writer  atomic.Pointer[Task] // whose waits the writes are
	plain   chan struct{}        // wakes a goroutine that waits without a task
	in, out atomic.Bool          // may be readable, writable
	hup     atomic.Bool          // the peer has gone: every read is answered at once
	late    atomic.Bool          // the read deadline has passed
	lateOut atomic.Bool          // the write deadline has passed

	fdMu   sync.Mutex // guards the fields below; held over no wait
	fd     int        // -1 once closed
	timers [2]stopper
}

type stopper interface{ Stop() bool }

// Wrap makes a Conn of nc.
func Wrap(nc net.Conn) *Conn { return &Conn{nc: nc, fd: -1} }

// Read implements net.Conn.
func (c *Conn) Read(b []byte) (int, error) {
	if !c.moved.Load() {
		return c.nc.Read(b)
	}
	return c.read(b)
}

// Write implements net.Conn.
func (c *Conn) Write(b []byte) (int, error) {
	if !c.moved.Load() {
		return c.nc.Write(b)
	}
	return c.write(b)
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.nc.LocalAddr() }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// SyscallConn implements syscall.Conn; it fails where the connection has no file descriptor.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	sc, ok := c.nc.(syscall.Conn)
	if !ok {
		return nil, syscall.EINVAL
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, err
	}
	return rawConn{c, raw}, nil
}

// rawConn is a syscall.RawConn that follows the move.
type rawConn struct {
	c  *Conn
	nc syscall.RawConn
}

func (r rawConn) Control(f func(uintptr)) error {
	if !r.c.moved.Load() {
		return r.nc.Control(f)
	}
	return r.c.control(f)
}

func (r rawConn) Read(f func(uintptr) bool) error {
	if !r.c.moved.Load() {
		return r.nc.Read(f)
	}
	return r.c.rawRead(f)
}

func (r rawConn) Write(f func(uintptr) bool) error {
	if !r.c.moved.Load() {
		return r.nc.Write(f)
	}
	return syscall.ENOTSUP
}
