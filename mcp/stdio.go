package mcp

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"

	sdk "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"sallyport/internal/access"
	"sallyport/mcp/internal/front"
)

// ServeStdio serves one client on a pair of streams, a JSON-RPC message a line, until in ends or ctx is
// done. The library's own stdio server reads lines of any length, shares one session in the whole
// process and drops the answers that are still being worked on when in ends; this one does not.
//
// A read that blocks in in cannot be interrupted: after ctx is done it may linger until the process
// ends or in is closed.
func (s *Server) ServeStdio(ctx context.Context, credentials access.Credentials, in io.Reader, out io.Writer) error {
	if _, err := s.core.Verify(ctx, credentials); err != nil {
		return err
	}
	line := &stdio{
		server: s, credentials: credentials, out: out,
		session: &stdioSession{id: rand.Text(), notifications: make(chan sdk.JSONRPCNotification, 16)},
		places:  make(chan struct{}, 64),
	}
	if err := s.mcp.RegisterSession(ctx, line.session); err != nil {
		return fmt.Errorf("mcp: stdio session: %w", err)
	}
	defer s.mcp.UnregisterSession(context.WithoutCancel(ctx), line.session.id)
	ctx = s.mcp.WithContext(ctx, line.session)

	over := make(chan struct{})
	var notifier sync.WaitGroup
	notifier.Go(func() { line.notify(over) })
	defer notifier.Wait()
	defer close(over)

	lines := make(chan inLine)
	go func() { // see above why nobody waits for it
		r := bufio.NewReaderSize(in, 64<<10)
		for {
			l := readLine(r, int(s.opt.MaxBody))
			select {
			case lines <- l:
			case <-ctx.Done():
				return
			}
			if l.err != nil {
				return
			}
		}
	}()
	defer line.running.Wait()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case l := <-lines:
			if l.tooLong {
				line.write(jsonError(nil, sdk.INVALID_REQUEST, "the message is larger than this door takes"))
			} else if len(l.text) > 0 {
				line.take(ctx, l.text)
			}
			if errors.Is(l.err, io.EOF) {
				return nil
			}
			if l.err != nil {
				return fmt.Errorf("mcp: stdio: %w", l.err)
			}
		}
	}
}

// stdio is one client on a pair of streams.
type stdio struct {
	server      *Server
	credentials access.Credentials
	session     *stdioSession
	running     sync.WaitGroup
	places      chan struct{} // messages at work

	mu  sync.Mutex
	out io.Writer // guarded by mu
}

// take works on one message. Requests run side by side; initialize and notifications, among them
// cancellations, are done before the next line is read.
func (l *stdio) take(ctx context.Context, text []byte) {
	var m struct {
		ID     any           `json:"id"`
		Method sdk.MCPMethod `json:"method"`
	}
	if json.Unmarshal(text, &m) != nil || m.ID == nil || m.Method == sdk.MethodInitialize {
		l.handle(ctx, m.ID, text)
		return
	}
	l.places <- struct{}{}
	l.running.Go(func() {
		defer func() { <-l.places }()
		l.handle(ctx, m.ID, text)
	})
}

func (l *stdio) handle(ctx context.Context, id any, text []byte) {
	defer func() {
		if v := recover(); v != nil {
			l.server.opt.Log.Error("panic in an MCP message", slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
			l.write(jsonError(id, sdk.INTERNAL_ERROR, "internal error in the gateway: the operator's log has the cause"))
		}
	}()
	// Verified for each message, as over HTTP: a token that is withdrawn ends what its holder can do.
	principal, err := l.server.core.Verify(ctx, l.credentials)
	if err != nil {
		e := access.AsError(err)
		l.write(jsonError(id, sdk.INVALID_REQUEST, harmless(e.Message)))
		return
	}
	ctx = front.WithCaller(ctx, &front.Caller{
		Credentials: l.credentials, Principal: principal, Session: l.session.id, Client: "stdio",
	})
	if answer := l.server.mcp.HandleMessage(ctx, text); answer != nil {
		l.write(answer)
	}
}

func (l *stdio) write(message any) {
	b, err := json.Marshal(message)
	if err != nil {
		l.server.opt.Log.Error("an MCP message cannot be encoded", slog.Any("error", err))
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.out.Write(append(b, '\n')); err != nil {
		l.server.opt.Log.Warn("an MCP answer could not be written", slog.Any("error", err))
	}
}

// notify passes on what the library itself has to notify about.
func (l *stdio) notify(over <-chan struct{}) {
	for {
		select {
		case n := <-l.session.notifications:
			l.write(n)
		case <-over:
			return
		}
	}
}

func jsonError(id any, code int, message string) sdk.JSONRPCError {
	return sdk.NewJSONRPCError(sdk.NewRequestId(id), code, message, nil)
}

type inLine struct {
	text    []byte
	tooLong bool
	err     error
}

// readLine reads up to the next line break. A line longer than most is skipped, not kept.
func readLine(r *bufio.Reader, most int) inLine {
	var l inLine
	for {
		part, err := r.ReadSlice('\n')
		if !l.tooLong && len(l.text)+len(part) > most {
			l.text, l.tooLong = nil, true
		}
		if !l.tooLong {
			l.text = append(l.text, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		l.err = err
		return l
	}
}

// stdioSession implements server.ClientSession.
type stdioSession struct {
	id            string
	notifications chan sdk.JSONRPCNotification
	initialized   atomic.Bool
}

func (s *stdioSession) SessionID() string { return s.id }
func (s *stdioSession) NotificationChannel() chan<- sdk.JSONRPCNotification {
	return s.notifications
}
func (s *stdioSession) Initialize()       { s.initialized.Store(true) }
func (s *stdioSession) Initialized() bool { return s.initialized.Load() }

var _ server.ClientSession = (*stdioSession)(nil)
