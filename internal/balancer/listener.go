package balancer

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// patience is how long a balancer may take over a header; it is one packet, sent at once.
	patience = 5 * time.Second
	// mostPending is how many connections may be without their header at a time.
	mostPending = 1024
)

// Listener accepts connections for a door. Each header is read by a goroutine of its own: a balancer that says nothing holds up nobody.
type Listener struct {
	ln       net.Listener
	from     []netip.Prefix
	log      *slog.Logger
	patience time.Duration

	ready chan net.Conn
	errs  chan error
	done  chan struct{} // closed by Close
	tasks sync.WaitGroup

	mu      sync.Mutex            // guards the fields below
	pending map[net.Conn]struct{} // headers being read
	closed  bool
}

// Listen takes the connections of ln. Those that come from one of the prefixes have to begin with a PROXY header; an empty list
// demands it of nobody. ln is closed with the Listener.
func Listen(ln net.Listener, from []netip.Prefix, log *slog.Logger) *Listener {
	return listen(ln, from, log, patience)
}

func listen(ln net.Listener, from []netip.Prefix, log *slog.Logger, patience time.Duration) *Listener {
	l := &Listener{ln: ln, from: from, log: log, patience: patience, ready: make(chan net.Conn), errs: make(chan error),
		done: make(chan struct{}), pending: map[net.Conn]struct{}{}}
	l.tasks.Go(l.run)
	return l
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case <-l.done:
		return nil, net.ErrClosed
	case nc := <-l.ready:
		return nc, nil
	case err := <-l.errs:
		return nil, err
	}
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return l.ln.Addr() }

// Close stops listening, and drops connections that nobody has accepted.
func (l *Listener) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return net.ErrClosed
	}
	l.closed = true
	for nc := range l.pending {
		nc.Close()
	}
	l.mu.Unlock()
	close(l.done)
	err := l.ln.Close()
	l.tasks.Wait()
	return err
}

func (l *Listener) run() {
	for {
		nc, err := l.ln.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			select {
			case l.errs <- err: // the door knows which it can wait out
			case <-l.done:
				return
			}
		case !l.trusts(nc.RemoteAddr()):
			l.hand(nc)
		case !l.begin(nc):
			l.log.Warn("balancer refused: too many connections without their PROXY header", "peer", nc.RemoteAddr().String())
			nc.Close()
		default:
			l.tasks.Go(func() {
				c, err := l.header(nc)
				l.end(nc)
				if err != nil {
					l.log.Warn("balancer refused", "peer", nc.RemoteAddr().String(), "error", err)
					nc.Close()
					return
				}
				l.hand(c)
			})
		}
	}
}

func (l *Listener) hand(nc net.Conn) {
	select {
	case l.ready <- nc:
	case <-l.done:
		nc.Close()
	}
}

func (l *Listener) begin(nc net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.pending) >= mostPending {
		return false
	}
	l.pending[nc] = struct{}{}
	return true
}

func (l *Listener) end(nc net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.pending, nc)
}

func (l *Listener) trusts(peer net.Addr) bool {
	a, ok := address(peer)
	for _, p := range l.from {
		if ok && p.Contains(a) {
			return true
		}
	}
	return false
}

// header reads the header of a connection, and gives the connection as its client's.
func (l *Listener) header(nc net.Conn) (net.Conn, error) {
	nc.SetReadDeadline(time.Now().Add(l.patience))
	frame, err := readFrame(nc)
	if err != nil {
		return nil, err
	}
	nc.SetReadDeadline(time.Time{})
	client, named, err := decode(frame)
	if err != nil || !named {
		return nc, err
	}
	// Who is on loopback may do more in the clear. That is not for another machine to say.
	if peer, ok := address(nc.RemoteAddr()); client.Addr().IsLoopback() && !(ok && peer.IsLoopback()) {
		return nil, errLoopback
	}
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return nil, errFamily
	}
	return &conn{TCPConn: tcp, client: net.TCPAddrFromAddrPort(client)}, nil
}

// conn is the socket, under its client's address.
type conn struct {
	*net.TCPConn
	client net.Addr
}

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return c.client }

func address(a net.Addr) (netip.Addr, bool) {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}, false
	}
	return tcp.AddrPort().Addr().Unmap().WithZone(""), true
}
