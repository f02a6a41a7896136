package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	sdk "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
	"sallyport/mcp/internal/front"
)

// maxCall is the longest that a call may take: TypeScript clients give up after 60 s.
const maxCall = 42 * time.Second // with grace, 45 s

// Options tune the door. The zero value is a sound one.
type Options struct {
	Hosts           []string      // names allowed in the Host header beside localhost and addresses
	Origins         []string      // browser origins allowed, e.g. "https://inspector.example"
	LoopbackOrigins bool          // allow pages served from this machine
	MaxBody         int64         // bytes of a request; 0 is 1 MiB
	CallTimeout     time.Duration // of one tool call; 0, or more than 42 s, is 42 s
	Concurrency     int           // calls of one principal at once; 0 is 8
	SessionIdle     time.Duration // a database session unused for so long is closed; 0 is 2 min
	Version         string        // told to clients
	// Resource is the URL of this door, which access tokens of providers are for; "" where there are none.
	Resource string
	// Documentation is the URL of a page for people who write clients, or "".
	Documentation string
	Log           *slog.Logger // nil discards
}

func (o Options) withDefaults() Options {
	if o.MaxBody <= 0 {
		o.MaxBody = 1 << 20
	}
	if o.CallTimeout <= 0 || o.CallTimeout > maxCall {
		o.CallTimeout = maxCall
	}
	if o.Concurrency <= 0 {
		o.Concurrency = 8
	}
	if o.SessionIdle <= 0 {
		o.SessionIdle = 2 * time.Minute
	}
	if o.Version == "" {
		o.Version = "dev"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Server is the agents' door.
type Server struct {
	opt      Options
	core     gateway.Core
	sessions *sessions
	cursors  *cursors
	seals    *seals
	patience int // seconds that check_approval waits where the call does not say
	places   *places
	mcp      *server.MCPServer
	front    *front.Front

	mu      sync.Mutex
	closed  bool           // guarded by mu; no call begins any more
	running sync.WaitGroup // calls; added to under mu while not closed
	stop    chan struct{}  // ends the janitor
	janitor sync.WaitGroup
}

// New makes a door onto core. Close or Shutdown it.
func New(core gateway.Core, opt Options) (*Server, error) {
	if core == nil {
		return nil, errors.New("mcp: no core")
	}
	return newServer(core, opt, func(ctx context.Context, l gateway.Login) (session, error) {
		s, err := core.Connect(ctx, l)
		if err != nil {
			return nil, err // not a typed nil
		}
		return s, nil
	}), nil
}

// newServer lets tests bring their own sessions.
func newServer(core gateway.Core, opt Options, c connect) *Server {
	opt = opt.withDefaults()
	s := &Server{
		opt:      opt,
		core:     core,
		sessions: newSessions(c, opt.SessionIdle, 2, 64),
		cursors:  newCursors(5*time.Minute, 8<<20, 64<<20),
		seals:    newSeals(),
		patience: waitDefault,
		places:   newPlaces(opt.Concurrency),
		mcp: server.NewMCPServer("sallyport", opt.Version,
			server.WithTitle("Sallyport"),
			server.WithInstructions(instructions),
			server.WithToolCapabilities(false)),
		stop: make(chan struct{}),
	}
	for i := range tools {
		s.mcp.AddTool(tools[i].definition(), s.handler(&tools[i]))
	}
	s.front = front.New(s.mcp, front.Options{
		Verify: func(ctx context.Context, c access.Credentials, client string) (access.Principal, error) {
			return core.Recognise(ctx, gateway.Login{Door: access.DoorMCP, Client: client, Credentials: c})
		},
		Watch: core.Watch, Resource: s.resource, Log: opt.Log,
		Hosts: opt.Hosts, Origins: opt.Origins, LoopbackOrigins: opt.LoopbackOrigins,
		MaxBody: opt.MaxBody, MaxSessions: 64, SessionIdle: 30 * time.Minute,
		ReadTimeout: 15 * time.Second, WriteTimeout: time.Minute,
	})
	s.janitor.Go(s.tidy)
	return s
}

// Handler serves /mcp, and what clients are told of it as a protected resource.
func (s *Server) Handler() http.Handler { return s.front }

// handler is what the library calls for t. It gives no error but the one that asks a client of 2025-11-25 to show a page: any
// other would become -32603, which tells a model nothing.
func (s *Server) handler(t *tool) server.ToolHandlerFunc {
	return func(ctx context.Context, req sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		a, err := s.call(ctx, t, req)
		if err == nil && a.open != nil && a.state == "" {
			return nil, sdk.URLElicitationRequiredError{Elicitations: []sdk.ElicitationParams{*a.open}}
		}
		if err == nil {
			return a.result(), nil
		}
		e := access.AsError(err)
		if c := front.CallerFrom(ctx); c != nil {
			c.Lacks(e.Scopes)
		}
		if e.Kind == access.Internal {
			s.opt.Log.Error("a tool call failed", slog.String("tool", t.name), slog.Any("error", err))
		}
		return refusal(e), nil
	}
}

func (s *Server) call(ctx context.Context, t *tool, req sdk.CallToolRequest) (*answer, error) {
	c := front.CallerFrom(ctx)
	if c == nil || c.Principal.Name == "" {
		return nil, errors.New("mcp: a call without a caller")
	}
	raw := req.Params.RawArguments
	if raw == nil && req.Params.Arguments != nil {
		var err error
		if raw, err = json.Marshal(req.Params.Arguments); err != nil {
			return nil, fmt.Errorf("mcp: arguments: %w", err)
		}
	}
	a, err := parse(raw, t.params)
	if err != nil {
		return nil, err
	}
	a.digest = a.digestFor(t.name)
	leave, err := s.places.enter(c.Key())
	if err != nil {
		return nil, err
	}
	named := *c
	named.Client, named.OpensURLs = clientName(ctx, c.Client), opensURLs(ctx)
	if m := req.Params.Meta; m != nil {
		named.Traceparent, _ = m.AdditionalFields["traceparent"].(string)
	}
	return s.within(ctx, leave, func(ctx context.Context) (*answer, error) {
		if back := req.Params.MultiRoundTripParams; back.RequestState != "" || len(back.InputResponses) > 0 {
			return s.resume(ctx, &named, a, back)
		}
		got, err := t.perform(s, ctx, &named, a)
		if err != nil {
			if e := access.AsError(err); e.Kind == access.ReviewPending && e.Review != "" {
				return s.held(ctx, &named, a, e), nil
			}
		}
		return got, err
	})
}

// clientName adds to an address what the client calls itself.
func clientName(ctx context.Context, address string) string {
	with, ok := server.ClientSessionFromContext(ctx).(server.SessionWithClientInfo)
	if !ok {
		return address
	}
	info := with.GetClientInfo()
	if info.Name == "" {
		return address
	}
	return address + " " + clip(harmless(info.Name+"/"+info.Version), 80)
}

// tidy frees, now and then, what nobody has used for a while.
func (s *Server) tidy() {
	tick := time.NewTicker(min(15*time.Second, s.opt.SessionIdle))
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			s.sessions.sweep(now)
			s.cursors.sweep(now)
			s.seals.sweep()
			s.front.Sweep(now)
		case <-s.stop:
			return
		}
	}
}

// Shutdown lets running calls end, at most until ctx is done, and closes the door. New calls are
// refused from the start.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	if !first {
		return nil
	}
	close(s.stop)
	done := make(chan struct{})
	go func() { // ends when the last call does, which its deadline ensures
		s.running.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.janitor.Wait()
	s.sessions.close()
	s.front.Close()
	return err
}

// Close closes the door without waiting for calls.
func (s *Server) Close() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
