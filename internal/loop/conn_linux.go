package loop

import (
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Adopt moves c to t's loop. On an error c stays as it was.
func (c *Conn) Adopt(t *Task) error {
	sc, ok := c.nc.(syscall.Conn)
	if !ok {
		return syscall.ENOTSUP
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	fd := -1
	if cerr := raw.Control(func(old uintptr) { fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) }); cerr != nil || err != nil {
		return syscall.EBADF
	}
	c.fd, c.loop, c.plain = fd, t.loop, make(chan struct{}, 1)
	c.task.Store(t)
	c.writer.Store(t)
	c.in.Store(true) // what came before the move makes no event
	c.out.Store(true)
	l := t.loop
	l.mu.Lock()
	l.last++
	c.token = l.last
	l.conns[c.token] = c
	l.mu.Unlock()
	if err := l.add(fd, c.token, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLRDHUP); err != nil {
		l.drop(c.token)
		unix.Close(fd)
		c.fd = -1
		return err
	}
	c.moved.Store(true)
	// This takes the old descriptor out of the runtime's poller and leaves the connection open. A deadline that
	// was set just now to wake a reader is lost with it: callers look at their own flags after Adopt.
	c.nc.Close()
	return nil
}

func (l *Loop) drop(token uint64) {
	l.mu.Lock()
	delete(l.conns, token)
	l.mu.Unlock()
}

// Own gives the waits of c's reads to one task and those of its writes to another; nil has them block the
// goroutine that reads or writes. It does nothing before Adopt.
func (c *Conn) Own(reads, writes *Task) {
	if c.moved.Load() {
		c.task.Store(reads)
		c.writer.Store(writes)
	}
}

// event takes what epoll reported; a task that is given back has to be driven.
func (c *Conn) event(events uint32) *Task {
	if events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.hup.Store(true)
	}
	if events&unix.EPOLLIN != 0 {
		c.in.Store(true)
	}
	if events&unix.EPOLLOUT != 0 {
		c.out.Store(true)
	}
	t, w := c.task.Load(), c.writer.Load()
	if t == nil || w == nil {
		c.nudge()
	}
	if t == nil {
		t = w
	}
	if t != nil && t.signal() {
		return t
	}
	return nil
}

func (c *Conn) nudge() {
	select {
	case c.plain <- struct{}{}:
	default:
	}
}

// wake makes whoever waits for c look again.
func (c *Conn) wake() {
	t, w := c.task.Load(), c.writer.Load()
	if t != nil {
		t.Signal()
	} else if w != nil {
		w.Signal()
	}
	if t == nil || w == nil {
		c.nudge()
	}
}

func (c *Conn) wait(t *Task, done func() bool) {
	if t != nil {
		t.Await(done)
		return
	}
	for !done() {
		<-c.plain
	}
}

func (c *Conn) readable() bool { return c.in.Load() || c.hup.Load() || c.late.Load() }
func (c *Conn) writable() bool { return c.out.Load() || c.hup.Load() || c.lateOut.Load() }

// attempt does one system call that does not wait.
func (c *Conn) attempt(call func(fd int) (int, error)) (int, error) {
	c.fdMu.Lock()
	defer c.fdMu.Unlock()
	if c.fd < 0 {
		return 0, net.ErrClosed
	}
	for {
		n, err := call(c.fd)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

func (c *Conn) read(b []byte) (int, error) {
	for {
		if !c.readable() {
			c.wait(c.task.Load(), c.readable)
		}
		if c.late.Load() {
			return 0, os.ErrDeadlineExceeded
		}
		c.in.Store(false) // before the read: an event from here on is about what it does not see
		n, err := c.attempt(func(fd int) (int, error) { return unix.Read(fd, b) })
		switch {
		case err == unix.EAGAIN && !c.hup.Load():
			continue
		case err != nil:
			return 0, err
		case n == 0 && len(b) > 0:
			return 0, io.EOF
		}
		if n == len(b) {
			c.in.Store(true)
		}
		return n, nil
	}
}

// rawRead is syscall.RawConn's Read. What f left unread is not known, so the next read is tried at once only
// where f was called after an event, and f is called again whenever it says so.
func (c *Conn) rawRead(f func(uintptr) bool) error {
	for {
		if !c.readable() {
			c.wait(c.task.Load(), c.readable)
		}
		if c.late.Load() {
			return os.ErrDeadlineExceeded
		}
		c.in.Store(false)
		done := false
		_, err := c.attempt(func(fd int) (int, error) { done = f(uintptr(fd)); return 0, nil })
		if done || err != nil {
			c.in.Store(true)
			return err
		}
		if c.hup.Load() {
			return io.EOF
		}
	}
}

func (c *Conn) write(b []byte) (written int, err error) {
	for written < len(b) {
		if !c.writable() {
			c.wait(c.writer.Load(), c.writable)
		}
		if c.lateOut.Load() {
			return written, os.ErrDeadlineExceeded
		}
		c.out.Store(false)
		n, err := c.attempt(func(fd int) (int, error) { return unix.Write(fd, b[written:]) })
		written += n
		switch {
		case err == unix.EAGAIN && !c.hup.Load():
			continue
		case err != nil:
			return written, err
		}
		c.out.Store(true)
	}
	return written, nil
}

func (c *Conn) control(f func(uintptr)) error {
	_, err := c.attempt(func(fd int) (int, error) { f(uintptr(fd)); return 0, nil })
	return err
}

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	if !c.moved.Load() {
		return c.nc.SetReadDeadline(t)
	}
	c.deadline(0, t)
	return nil
}

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	if !c.moved.Load() {
		return c.nc.SetWriteDeadline(t)
	}
	c.deadline(1, t)
	return nil
}

func (c *Conn) deadline(which int, t time.Time) {
	flag := &c.late
	if which == 1 {
		flag = &c.lateOut
	}
	c.fdMu.Lock()
	if old := c.timers[which]; old != nil {
		old.Stop()
		c.timers[which] = nil
	}
	flag.Store(false)
	if !t.IsZero() {
		if d := time.Until(t); d > 0 {
			var own *time.Timer
			own = time.AfterFunc(d, func() {
				c.fdMu.Lock()
				if c.timers[which] == stopper(own) {
					flag.Store(true)
				}
				c.fdMu.Unlock()
				c.wake()
			})
			c.timers[which] = own
		} else {
			flag.Store(true)
		}
	}
	c.fdMu.Unlock()
	c.wake()
}

// CloseWrite shuts the sending side down.
func (c *Conn) CloseWrite() error {
	if !c.moved.Load() {
		if cw, ok := c.nc.(interface{ CloseWrite() error }); ok {
			return cw.CloseWrite()
		}
		return syscall.ENOTSUP
	}
	_, err := c.attempt(func(fd int) (int, error) { return 0, unix.Shutdown(fd, unix.SHUT_WR) })
	return err
}

// Close implements net.Conn.
func (c *Conn) Close() error {
	if !c.moved.Load() {
		return c.nc.Close()
	}
	c.fdMu.Lock()
	fd := c.fd
	c.fd = -1
	for _, t := range c.timers {
		if t != nil {
			t.Stop()
		}
	}
	c.fdMu.Unlock()
	if fd < 0 {
		return net.ErrClosed
	}
	c.loop.drop(c.token)
	err := unix.Close(fd) // out of epoll with it: nothing else refers to the connection
	c.hup.Store(true)
	c.wake()
	return err
}
