// Package connect is a door of a person's own machine for programs that know neither certificates nor passwords that change: a GUI
// connects to it on the loopback interface with a password that is made for this run, and it connects to the gateway with what the
// person was logged in for. From the gateway's "you are in" on it passes bytes and looks into none.
//
// It trusts the gateway behind the TLS that Way gives, and nobody on this machine: whoever does not know the password of the run gets
// no connection to the gateway. It listens on loopback addresses only and speaks no TLS there. Start at Server.
package connect

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xdg-go/scram"

	"sallyport/internal/access"
)

const (
	handshakeTime = 30 * time.Second
	dialTime      = 15 * time.Second
	mostClients   = 200
)

// Way is how to come in at the gateway's pgwire door, now.
type Way struct {
	Address string      // host:port
	TLS     *tls.Config // with the client's certificate, where there is one; nil: the door has no TLS
	User    string
	Secret  string // what answers SCRAM-SHA-256; "" where the certificate is enough
}

// Server takes clients of this machine to one connection of a gateway.
type Server struct {
	Connection string
	Password   string // that clients must give
	// Way is asked for each client anew, so that what it gives holds. It may take as long as somebody needs to log in.
	Way func(context.Context) (Way, error)
	// Report is told, in one line, of clients that could not be served.
	Report func(error)

	keys scram.StoredCredentials
	last atomic.Pointer[Way] // that led to the gateway, or should have
}

// Listen opens a socket that only this machine can reach.
func Listen(address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	if err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, &access.Error{Kind: access.Invalid, Message: address + " is no address of this machine alone", Hint: "give 127.0.0.1:PORT, or 127.0.0.1:0 for any port"}
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, &access.Error{Kind: access.Unavailable, Message: "cannot listen on " + address, Hint: "is the port in use? --listen 127.0.0.1:0 takes a free one", Err: err}
	}
	return ln, nil
}

// Serve takes clients until ctx ends; then it cuts those that are there off, and returns when all is closed.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	var err error
	if s.keys, err = storedKeys(s.Password); err != nil {
		return err
	}
	var clients sync.WaitGroup
	defer clients.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	places := make(chan struct{}, mostClients)
	for {
		conn, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			var ne net.Error
			if errors.As(err, &ne) && ne.Timeout() {
				continue
			}
			return err
		}
		select {
		case places <- struct{}{}:
		default:
			conn.Close()
			s.Report(errors.New("more than 200 clients at once: one was turned away"))
			continue
		}
		clients.Go(func() {
			defer func() { <-places }()
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			if err := s.client(ctx, conn); err != nil && ctx.Err() == nil {
				s.Report(err)
			}
		})
	}
}

// NewPassword makes a password for one run.
func NewPassword() string { return rand.Text() }

func storedKeys(password string) (scram.StoredCredentials, error) {
	c, err := scram.SHA256.NewClient("", password, "")
	if err != nil {
		return scram.StoredCredentials{}, err
	}
	return c.GetStoredCredentialsWithError(scram.KeyFactors{Salt: rand.Text(), Iters: 4096})
}
