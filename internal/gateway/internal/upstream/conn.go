// Package upstream is the only code of Sallyport that talks to a database. It dials, reads and writes
// frames, cancels, and takes catalog snapshots; it decides nothing. Being internal to the gateway, no
// door can import it: the compiler keeps every door behind the core.
package upstream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"sallyport/internal/access"
	"sallyport/internal/pgframe"
)

// Pinned settings decide how bytes lex and how values print. A client cannot change them, and a change
// seen in ParameterStatus ends the session.
var Pinned = map[string]string{
	"standard_conforming_strings": "on",
	"client_encoding":             "UTF8",
}

// DialTimeout bounds reaching an upstream, from the socket to its first answer.
const DialTimeout = 10 * time.Second

const (
	readSize = 16 << 10
	maxFrame = 1 << 30 // PostgreSQL's MaxAllocSize: no message can be larger
)

// Conn is one authenticated connection. One goroutine may use it at a time, but for Cancel and Close.
type Conn struct {
	Status map[string]string // ParameterStatus at log-in
	User   string            // the gateway's own role there
	PID    uint32

	net  net.Conn
	key  []byte
	addr net.Addr
	buf  []byte // buf[r:w] is read and not yet consumed
	r, w int
}

// Dial connects and logs in. settings are run-time parameters for the startup packet. Errors are
// *access.Error of kind Unavailable or Upstream; they never hold the DSN.
func Dial(ctx context.Context, dsn string, settings map[string]string) (*Conn, error) {
	cfg, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return nil, &access.Error{Kind: access.Unavailable, Code: "08001", Message: "the connection's DSN cannot be parsed",
			Hint: "the operator has to fix it: sallyport check", Err: err}
	}
	for name, value := range settings {
		cfg.RuntimeParams[name] = value
	}
	for name, value := range Pinned {
		cfg.RuntimeParams[name] = value
	}
	ctx, cancel := context.WithTimeout(ctx, DialTimeout)
	defer cancel()
	pc, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, dialError(err)
	}
	// pgx may have left a reader behind that waits for the next answer: it has to be gone before the
	// connection is ours.
	if err := pc.SyncConn(ctx); err != nil {
		pc.Close(ctx)
		return nil, dialError(err)
	}
	hc, err := pc.Hijack()
	if err != nil {
		return nil, dialError(err)
	}
	c := &Conn{Status: hc.ParameterStatuses, User: cfg.User, PID: hc.PID, net: hc.Conn, key: hc.SecretKey, addr: hc.Conn.RemoteAddr()}
	for name, want := range Pinned {
		if got := c.Status[name]; got != want {
			c.Close()
			return nil, &access.Error{Kind: access.Unavailable, Code: "08001",
				Message: fmt.Sprintf("the database insists on %s = %s", name, got), Hint: "the gateway needs " + want}
		}
	}
	return c, nil
}

// dialError tells the client whether the database refused or could not be reached, and no more.
func dialError(err error) error {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return &access.Error{Kind: access.Upstream, Code: "08004", Message: "the database refused the gateway's log-in (" + pe.Code + ")",
			Hint: "the operator has to fix the connection: sallyport check", Err: err}
	}
	return &access.Error{Kind: access.Unavailable, Code: "08001", Message: "the database cannot be reached",
		Hint: "try again later; the operator's log has the cause", Err: err}
}

// Write sends b.
func (c *Conn) Write(b []byte) error {
	_, err := c.net.Write(b)
	return err
}

// Next gives the next message. Its bytes, and those of earlier messages since the last call that had to
// read (fresh is then true), stay valid until a later call reports fresh.
//
// Callers that collect several frames must take what they hold before they go on after More.
func (c *Conn) Next() (f pgframe.Frame, err error) {
	for {
		f, _, need, err := pgframe.Next(c.buf[c.r:c.w])
		if err != nil {
			return f, err
		}
		if f.Raw != nil {
			c.r += len(f.Raw)
			return f, nil
		}
		if err := c.fill(need); err != nil {
			return f, err
		}
	}
}

// Buffered reports whether Next can answer without reading: until it cannot, frames given earlier stay
// valid and adjacent frames are adjacent in memory.
func (c *Conn) Buffered() bool {
	f, _, _, err := pgframe.Next(c.buf[c.r:c.w])
	return err != nil || f.Raw != nil
}

// fill reads more, growing the buffer for a message of need bytes. It overwrites consumed messages.
func (c *Conn) fill(need int) error {
	if need > maxFrame {
		return pgframe.ErrMalformed
	}
	if c.r > 0 {
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
	}
	want := max(need, readSize)
	if c.w == len(c.buf) && c.w >= want {
		want = 2 * c.w
	}
	// A stream of full reads earns a larger buffer: large results are then moved in 64 KiB steps.
	if len(c.buf) < want {
		grown := make([]byte, want)
		copy(grown, c.buf[:c.w])
		c.buf = grown
	}
	n, err := c.net.Read(c.buf[c.w:])
	c.w += n
	if n > 0 {
		if c.w == len(c.buf) && len(c.buf) < 128<<10 {
			grown := make([]byte, 2*len(c.buf))
			copy(grown, c.buf[:c.w])
			c.buf = grown
		}
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// Idle gives the read buffer back while nothing is expected.
func (c *Conn) Idle() {
	if c.r == c.w && len(c.buf) > readSize {
		c.buf, c.r, c.w = nil, 0, 0
	}
}

// Interrupt makes a blocked Next return with a timeout error; Resume undoes it.
func (c *Conn) Interrupt() { c.net.SetReadDeadline(time.Unix(1, 0)) }

// Deadline bounds the reads from now on; the zero time ends the bound.
func (c *Conn) Deadline(t time.Time) { c.net.SetReadDeadline(t) }

// Resume lets reads block again after Interrupt.
func (c *Conn) Resume() { c.net.SetReadDeadline(time.Time{}) }

// Cancel asks the server to cancel what this connection runs, and returns once the server has passed
// the request on. It may be called from any goroutine.
func (c *Conn) Cancel(ctx context.Context) error {
	d := net.Dialer{Timeout: DialTimeout}
	conn, err := d.DialContext(ctx, c.addr.Network(), c.addr.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(DialTimeout))
	msg := binary.BigEndian.AppendUint32(nil, uint32(12+len(c.key)))
	msg = binary.BigEndian.AppendUint32(msg, 80877102) // CancelRequestCode, src/include/libpq/pqcomm.h
	msg = binary.BigEndian.AppendUint32(msg, c.PID)
	msg = append(msg, c.key...)
	if _, err := conn.Write(msg); err != nil {
		return err
	}
	// The server closes once it has signalled the backend: only then may the next statement start.
	conn.Read(make([]byte, 1))
	return nil
}

// Close says goodbye and closes. It may be called from any goroutine, and more than once.
func (c *Conn) Close() error {
	c.net.SetWriteDeadline(time.Now().Add(time.Second))
	c.net.Write([]byte{'X', 0, 0, 0, 4})
	return c.net.Close()
}
