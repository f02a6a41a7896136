package pgwire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/fairness"
	"sallyport/internal/gateway"
	"sallyport/internal/loop"
)

// Options configure a Server. The zero value serves without TLS, with the defaults given here.
type Options struct {
	TLS        *tls.Config // nil: TLS is not offered
	RequireTLS bool        // refuse clients without TLS; cancel requests may come without it
	Log        *slog.Logger

	HandshakeTimeout time.Duration // from accept to the end of the log-in; 0 means 15 s
	ConnectTimeout   time.Duration // for the core to open a session; 0 means 30 s
	WriteStall       time.Duration // a client that takes no 128 KiB for so long is dropped; 0 means 5 min
	MaxMessage       int           // longest message in bytes; 0 means 64 MiB
	MaxBuffered      int64         // bytes of long messages of all clients together; 0 means 1 GiB
	MaxClients       int           // sessions at once; 0 means 1000
}

func (o Options) withDefaults() Options {
	setDefault(&o.HandshakeTimeout, 15*time.Second)
	setDefault(&o.ConnectTimeout, 30*time.Second)
	setDefault(&o.WriteStall, 5*time.Minute)
	setDefault(&o.MaxMessage, 64<<20)
	setDefault(&o.MaxBuffered, 1<<30)
	setDefault(&o.MaxClients, 1000)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.TLS != nil {
		o.TLS = o.TLS.Clone()
		o.TLS.MinVersion = max(o.TLS.MinVersion, tls.VersionTLS12)
		o.TLS.NextProtos = []string{alpn}
		o.TLS.SessionTicketsDisabled = true // as PostgreSQL has it: a ticket must not stand for a certificate
	}
	return o
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// core is what this door needs of gateway.Core.
type core interface {
	SCRAM(user string) gateway.Exchange
	Verify(ctx context.Context, c access.Credentials) (access.Principal, error)
	Providers() []access.Provider
	Connect(ctx context.Context, l gateway.Login) (session, error)
	Cancel(pid, key uint32)
}

// session is what this door needs of *gateway.Session.
type session interface {
	Do(ctx context.Context, ops []gateway.Op, sink gateway.Sink) error
	Params() gateway.SessionParams
	Attend(sink gateway.Sink)
	Run(client *loop.Conn, serve func() error) error
	Close() error
}

// wholeCore adapts gateway.Core: its Connect gives a concrete type.
type wholeCore struct{ gateway.Core }

func (w wholeCore) Connect(ctx context.Context, l gateway.Login) (session, error) {
	s, err := w.Core.Connect(ctx, l)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Server is the PostgreSQL door. New makes one, Serve runs it, Shutdown ends it gracefully.
type Server struct {
	core core
	opt  Options
	log  *slog.Logger

	authDelay time.Duration // before a failed log-in is answered
	period    time.Duration // of the watcher
	tick      atomic.Uint64 // the watcher's clock, from 1
	budget    atomic.Int64  // what is left of MaxBuffered

	mu       sync.Mutex // guards the fields below
	ln       net.Listener
	conns    map[*conn]struct{} // every connection, from accept to close
	room     *fairness.Room[*conn]
	sessions map[uint32]*conn // those with a session, by the PID of their cancel key
	enrolled int              // how many of conns count as sessions
	serving  chan struct{}    // closed when Serve has returned; nil before it runs

	draining atomic.Bool // no new work; each client gets a last word. Never unset
	cutting  atomic.Bool // no more patience
}

// errServed says that Serve was called for a server that has run already.
var errServed = errors.New("pgwire: a Server serves once")

// New makes a server; it opens nothing.
func New(c gateway.Core, opt Options) *Server { return newServer(wholeCore{c}, opt) }

func newServer(c core, opt Options) *Server {
	opt = opt.withDefaults()
	s := &Server{
		core: c, opt: opt, log: opt.Log,
		authDelay: 300 * time.Millisecond,
		period:    500 * time.Millisecond,
		conns:     map[*conn]struct{}{},
		room:      fairness.NewRoom[*conn](2*opt.MaxClients + 64),
		sessions:  map[uint32]*conn{},
	}
	if opt.TLS != nil {
		// The core judges a certificate; the handshake proves that the client has its key. Only where somebody logs in by a provider has
		// the gateway issued any.
		asking := opt.TLS.Clone()
		asking.ClientAuth = tls.RequestClientCert
		opt.TLS.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
			if len(c.Providers()) == 0 {
				return nil, nil
			}
			return asking, nil
		}
	}
	s.tick.Store(1)
	s.budget.Store(opt.MaxBuffered)
	return s
}

// Serve takes connections from ln until Shutdown, which makes it return nil, or until ctx ends, which cuts
// every connection off. It closes ln, and returns once no goroutine of the server is left.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	defer ln.Close()
	s.mu.Lock()
	if s.serving != nil {
		s.mu.Unlock()
		return errServed
	}
	serving := make(chan struct{})
	s.serving, s.ln = serving, ln
	s.mu.Unlock()
	defer close(serving)
	if s.draining.Load() {
		return nil
	}

	var clients, helpers sync.WaitGroup
	stop := make(chan struct{})
	helpers.Go(func() { s.watch(stop) })
	helpers.Go(func() {
		select {
		case <-ctx.Done():
			s.drain()
			s.cut()
		case <-stop:
		}
	})
	err := s.accept(ln, &clients)
	if err != nil {
		s.drain()
	}
	clients.Wait()
	close(stop)
	helpers.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// accept hands each connection to a goroutine of its own at once: it reads nothing itself, so a silent
// client holds up nobody.
func (s *Server) accept(ln net.Listener, clients *sync.WaitGroup) error {
	pause := time.Duration(0)
	for {
		nc, err := ln.Accept()
		if err != nil {
			if s.draining.Load() {
				return nil
			}
			if !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) && !errors.Is(err, syscall.ECONNABORTED) && !errors.Is(err, syscall.ENOBUFS) && !errors.Is(err, syscall.ENOMEM) {
				return fmt.Errorf("accept a client: %w", err)
			}
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.log.Error("cannot accept a client", "error", err, "pause", pause)
			time.Sleep(pause)
			continue
		}
		pause = 0
		c := newConn(s, nc)
		if !s.admit(c) {
			s.log.Warn("client refused: too many connections", "client", nc.RemoteAddr().String())
			turnAway(nc)
			continue
		}
		clients.Go(c.serve)
	}
}

// turnAway says why and closes. Nothing was written to nc yet, so its buffer takes the words at once; what the
// client has sent stays unread, which costs it nothing but the order of close and reset.
func turnAway(nc net.Conn) {
	nc.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
	nc.Write(appendError(nil, "FATAL", tooManyClients()))
	nc.Close()
}

// past is a deadline that makes every read or write return at once.
var past = time.Unix(1, 0)

// drain stops accepting and wakes every waiting client: each finds out that the server is draining when
// its current burst is done.
func (s *Server) drain() {
	s.draining.Store(true)
	s.mu.Lock()
	ln := s.ln
	s.mu.Unlock()
	if ln != nil {
		ln.Close()
	}
	for _, c := range s.snapshot(nil) {
		c.nc.SetReadDeadline(past)
	}
}

// cut ends what is still running.
func (s *Server) cut() {
	s.cutting.Store(true)
	for _, c := range s.snapshot(nil) {
		c.cancel()
		c.nc.SetDeadline(past)
	}
}

// Shutdown stops accepting, tells idle clients FATAL 57P01, lets busy ones finish their current burst, and
// returns when Serve has. When ctx ends first, what is left is cut off and ctx's error returned.
func (s *Server) Shutdown(ctx context.Context) error {
	s.drain()
	s.mu.Lock()
	serving := s.serving
	s.mu.Unlock()
	if serving == nil {
		return nil
	}
	select {
	case <-serving:
		return nil
	case <-ctx.Done():
		s.cut()
		<-serving
		return ctx.Err()
	}
}
