package pgwire

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
	"sallyport/internal/loop"
)

// conn is one client. Its goroutine owns all fields but the atomic ones, the sink, and what the
// server's lock guards.
type conn struct {
	srv *Server
	log *slog.Logger
	nc  *loop.Conn      // as accepted
	raw syscall.RawConn // of nc, or nil
	io  net.Conn        // nc, or TLS over it
	in  *reader
	out sink

	ctx    context.Context // ends when the client is cut off; handed to the core, to nobody else
	cancel context.CancelFunc

	startup  *startup
	chain    [][]byte // the certificate that the client showed, DER, and those behind it
	sess     session  // nil until the log-in is done
	params   gateway.SessionParams
	secret   []byte // the cancel key as the client knows it
	enrolled bool   // counts as a session; guarded by srv.mu
	// displaced is true of one that has lost its place before it was enrolled; guarded by srv.mu.
	displaced bool
	mute      bool  // in a TLS handshake: plain words would not be understood
	skip      int64 // bytes of a refused message that are still to come

	dec   decoder
	ops   []gateway.Op
	ended atomic.Bool   // the core has ended the session, and said so
	busy  atomic.Uint64 // tick at which the running Do began, 0: none runs
}

func newConn(s *Server, accepted net.Conn) *conn {
	if tcp, ok := accepted.(interface {
		SetKeepAliveConfig(net.KeepAliveConfig) error
	}); ok {
		tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 15 * time.Second, Count: 4})
	}
	nc := loop.Wrap(accepted)
	c := &conn{srv: s, nc: nc, io: nc, log: s.log.With("client", nc.RemoteAddr().String())}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.raw, _ = nc.SyscallConn()
	c.out.hurry = func(d time.Duration) { nc.SetWriteDeadline(time.Now().Add(d)) }
	c.in = newReader(nc, &s.budget)
	c.out.dst, c.out.tick, c.out.over = nc, &s.tick, func() {
		c.ended.Store(true)
		c.nc.SetReadDeadline(past)
	}
	return c
}

// serve runs the client from accept to close. A panic ends this client only.
func (c *conn) serve() {
	defer c.srv.forget(c)
	err := c.guarded(c.run)
	told := c.lastWord(err)
	stay := told && c.ctx.Err() == nil // whom we cut off gets no more of our time
	c.cancel()
	if c.sess != nil {
		if err := c.closeSession(); err != nil {
			c.log.Error("session did not close cleanly", "session", c.params.ID, "error", err)
		}
		c.log.Debug("session closed", "session", c.params.ID)
	}
	c.srv.retire(c)
	if stay {
		c.linger()
	}
	c.in.discard(len(c.in.window()))
	c.in.release()
	c.nc.Close()
}

// guarded is run, which serves a client or a part of its time, with a panic turned into an error.
func (c *conn) guarded(run func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.log.Error("panic in a session", "panic", p, "stack", string(debug.Stack()))
			err = access.AsError(errPanic)
		}
	}()
	return run()
}

var errPanic = errors.New("panic in a session")

func (c *conn) closeSession() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errPanic
		}
	}()
	return c.sess.Close()
}

func (c *conn) run() error {
	c.nc.SetDeadline(time.Now().Add(c.srv.opt.HandshakeTimeout))
	if c.srv.draining.Load() { // drain may have come before this deadline
		return shuttingDown()
	}
	st, err := c.negotiate()
	if st == nil || err != nil {
		return err
	}
	c.startup = st
	if err := c.login(); err != nil {
		return err
	}
	c.nc.SetDeadline(time.Time{})
	return c.sess.Run(c.nc, func() error { return c.guarded(c.loop) })
}

// readError says what the end of a read means.
func (c *conn) readError(err error) error {
	var ae *access.Error
	switch {
	case c.ended.Load():
		return gateway.ErrEnded
	case errors.As(err, &ae):
		return ae
	case c.srv.draining.Load():
		return shuttingDown()
	case isTimeout(err) && c.sess == nil:
		return loginTimeout()
	}
	return errGone
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// cause is what the log says beside an error's message: nothing where nothing is behind it.
func cause(ae *access.Error) slog.Attr {
	if ae.Err == nil {
		return slog.Attr{} // handlers leave it out
	}
	return slog.Any("cause", ae.Err)
}

// lastWord tells the client why its connection ends, where there is something to tell, and reports
// whether it was told.
func (c *conn) lastWord(err error) bool {
	switch {
	case err == nil, errors.Is(err, errGone):
		return false
	case errors.Is(err, gateway.ErrEnded):
		return true // the core has said why
	}
	ae := access.AsError(err)
	level := slog.LevelDebug
	if ae.Kind == access.Internal {
		level = slog.LevelError
	}
	c.log.Log(context.Background(), level, "client refused", "code", stateOf(ae), "message", ae.Message, cause(ae))
	if c.mute {
		return false
	}
	patience := lastWordTime
	if c.srv.cutting.Load() {
		patience /= 10
	}
	c.nc.SetDeadline(time.Now().Add(patience))
	return c.out.Release(appendError(nil, "FATAL", ae)) == nil
}

const (
	lastWordTime = 5 * time.Second
	// The rest of a refused message may take skipTime in all, and pause for skipPause.
	skipTime  = 30 * time.Second
	skipPause = time.Second
)

// linger reads on for a moment after a last word. Closing with unread bytes would make the kernel reset
// the connection, and the client might never see why. The rest of a refused message is read first: libpq
// takes the end of our side, while it is still sending, for a crash, and then shows nothing else.
func (c *conn) linger() {
	if c.srv.draining.Load() {
		return
	}
	scratch := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(scratch)
	for end := time.Now().Add(skipTime); c.skip > 0 && time.Now().Before(end); {
		c.nc.SetDeadline(time.Now().Add(skipPause))
		n, err := c.io.Read(scratch[:])
		if err != nil {
			break
		}
		c.skip -= int64(n)
	}
	c.nc.SetDeadline(time.Now().Add(lastWordTime))
	for _, nc := range []net.Conn{c.io, c.nc} {
		if t, ok := nc.(interface{ CloseWrite() error }); ok {
			t.CloseWrite()
		}
	}
	io.Copy(io.Discard, c.nc)
}
