// Package upstream is the only code of Sallyport that talks to a database. It dials, reads and writes
// frames, cancels, and takes catalog snapshots; it decides nothing. Being internal to the gateway, no
// door can import it: the compiler keeps every door behind the core.
package upstream

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"

	"sallyport/internal/access"
	"sallyport/internal/loop"
	"sallyport/internal/pgdsn"
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
	// maxNotice is how much of an error or notice is kept: a failed cast prints the whole value, and values
	// have up to a gigabyte.
	maxNotice = 64 << 10
)

// Conn is one authenticated connection. One goroutine may use it at a time, but for Cancel and Close.
type Conn struct {
	Status map[string]string // ParameterStatus at log-in
	User   string            // the gateway's own role there
	PID    uint32

	// MaxRow is the longest DataRow or CopyData that Next gives whole; 0 is no limit. Of a longer one it gives
	// the first five bytes, type and length, and throws the rest away without ever holding it.
	MaxRow int

	net  net.Conn
	sock *loop.Conn // below net, where TLS is on top
	key  []byte
	addr net.Addr
	tls  *tls.Config // of the connection; nil: there is none
	// direct is TLS from the first byte, without asking for it (sslnegotiation=direct).
	direct bool
	buf    []byte // buf[r:w] is read and not yet consumed
	r, w   int
}

// Dial connects and logs in. settings are run-time parameters for the startup packet. Errors are
// *access.Error of kind Unavailable or Upstream; they never hold the DSN.
func Dial(ctx context.Context, dsn string, settings map[string]string) (*Conn, error) {
	cfg, err := pgconn.ParseConfig(pgdsn.Secured(dsn))
	if err != nil {
		return nil, pgdsn.Malformed(err)
	}
	for name, value := range settings {
		cfg.RuntimeParams[name] = value
	}
	for name, value := range Pinned {
		cfg.RuntimeParams[name] = value
	}
	ctx, cancel := context.WithTimeout(ctx, DialTimeout)
	defer cancel()
	var sock *loop.Conn
	dial := cfg.DialFunc
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		sock = loop.Wrap(nc)
		return sock, nil
	}
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
	keepAlive(hc.Conn)
	c := &Conn{Status: hc.ParameterStatuses, User: cfg.User, PID: hc.PID, net: hc.Conn, sock: sock, key: hc.SecretKey, addr: hc.Conn.RemoteAddr(),
		tls: hc.TLSConfig, direct: cfg.SSLNegotiation == "direct"}
	for name, want := range Pinned {
		if got := c.Status[name]; got != want {
			c.Close()
			return nil, &access.Error{Kind: access.Unavailable, Code: "08001",
				Message: fmt.Sprintf("the database insists on %s = %s", name, got), Hint: "the gateway needs " + want}
		}
	}
	return c, nil
}

// keepAlive finds out within two minutes that a server is gone without a word. Go's default takes about an
// hour, for which a statement would hang.
func keepAlive(nc net.Conn) {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	if t, ok := nc.(*net.TCPConn); ok {
		t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 15 * time.Second, Count: 4})
	}
}

// Adopt moves the connection to t's loop.
func (c *Conn) Adopt(t *loop.Task) error { return c.sock.Adopt(t) }

// Own gives the connection's waits to t; nil has them block the calling goroutine.
func (c *Conn) Own(t *loop.Task) { c.sock.Own(t, t) }

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
		if need > maxNotice {
			switch typ := c.buf[c.r]; {
			case (typ == 'D' || typ == 'd') && c.MaxRow > 0 && need > c.MaxRow:
				return c.skim(need, 5)
			case typ == 'E' || typ == 'N':
				if f, err = c.skim(need, maxNotice); err == nil {
					f.Raw = endFields(f.Raw)
				}
				return f, err
			}
		}
		if err := c.fill(need); err != nil {
			return f, err
		}
	}
}

// Cut is the routine (field R) of an error or notice of which the rest was thrown away, the true routine too.
const Cut = "sallyport: cut"

// endFields makes a whole message of the first bytes of an ErrorResponse or NoticeResponse.
func endFields(raw []byte) []byte {
	if raw[len(raw)-1] != 0 { // in the middle of a value, perhaps of a character
		for range utf8.UTFMax - 1 {
			if r, n := utf8.DecodeLastRune(raw); r != utf8.RuneError || n != 1 {
				break
			}
			raw = raw[:len(raw)-1]
		}
		raw = append(raw, 0)
	}
	raw = pgframe.AppendCString(append(raw, 'R'), Cut)
	return pgframe.End(append(raw, 0), 0)
}

// skim reads past a message of need bytes and gives its first keep, which are a copy.
func (c *Conn) skim(need, keep int) (f pgframe.Frame, err error) {
	head := make([]byte, 0, keep)
	for left := need; left > 0; {
		if c.r == c.w {
			c.r, c.w = 0, 0
			if err := c.fill(0); err != nil {
				return f, err
			}
		}
		part := c.buf[c.r:min(c.w, c.r+left)]
		head = append(head, part[:min(len(part), keep-len(head))]...)
		c.r += len(part)
		left -= len(part)
	}
	return pgframe.Frame{Type: head[0], Raw: head}, nil
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

// Abort makes every read and write fail from now on. It may be called from any goroutine.
func (c *Conn) Abort() { c.net.SetDeadline(time.Unix(1, 0)) }

// Close says goodbye and closes. It may be called from any goroutine, and more than once.
func (c *Conn) Close() error {
	c.net.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)) // a socket that is full of what nobody reads takes no longer
	c.net.Write([]byte{'X', 0, 0, 0, 4})
	return c.net.Close()
}
