//go:build !linux

package loop

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// Loop does not exist here.
type Loop struct{ settle func() }

// New fails: there is no epoll.
func New(func()) (*Loop, error) { return nil, errors.ErrUnsupported }

// Close is never reached.
func (l *Loop) Close() {}

func (l *Loop) schedule(*Task) {}

// Adopt fails.
func (c *Conn) Adopt(*Task) error { return errors.ErrUnsupported }

// Own does nothing.
func (c *Conn) Own(_, _ *Task) {}

func (c *Conn) read([]byte) (int, error)         { return 0, errors.ErrUnsupported }
func (c *Conn) write([]byte) (int, error)        { return 0, errors.ErrUnsupported }
func (c *Conn) rawRead(func(uintptr) bool) error { return errors.ErrUnsupported }
func (c *Conn) control(func(uintptr)) error      { return errors.ErrUnsupported }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error { return c.nc.SetDeadline(t) }

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.nc.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.nc.SetWriteDeadline(t) }

// CloseWrite shuts the sending side down.
func (c *Conn) CloseWrite() error {
	if cw, ok := c.nc.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return syscall.ENOTSUP
}

// Close implements net.Conn.
func (c *Conn) Close() error { return c.nc.Close() }
