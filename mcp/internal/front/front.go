package front

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	sdk "github.com/mark3labs/mcp-go/server"

	"sallyport/internal/access"
)

// Path is where the MCP endpoint is.
const Path = "/mcp"

// Options say who may come in and how. Verify and Log are required.
type Options struct {
	// Verify turns a token into a principal, or fails with an *access.Error. It is asked for every
	// request, so that a withdrawn token stops working at once. client is the address that it came from.
	Verify func(ctx context.Context, c access.Credentials, client string) (access.Principal, error)
	Log    *slog.Logger
	// Watch gives a channel that is closed, with the cause in it before, when the proof of a principal holds no longer; nil: none
	// ever does.
	Watch func(access.Principal) (ended <-chan string, stop func())
	// Resource is what clients are told of this door; nil: nothing.
	Resource func() Resource

	Hosts           []string      // names allowed in Host beside localhost and addresses
	Origins         []string      // origins allowed, e.g. "https://inspector.example"
	LoopbackOrigins bool          // allow pages served from this machine
	MaxBody         int64         // bytes
	MaxSessions     int           // MCP sessions of one principal
	SessionIdle     time.Duration // an MCP session unused for so long ends
	ReadTimeout     time.Duration // for the body
	WriteTimeout    time.Duration // from the first byte of the request to the last of the answer
	Streams         bool          // serve streams of notifications; only the conformance fixture sends any
}

// Front is an http.Handler before an MCP server.
type Front struct {
	opt      Options
	sessions *sessions
	stream   *sdk.StreamableHTTPServer
}

// New puts a front before server. Call Sweep now and then, and Close at the end.
func New(server *sdk.MCPServer, opt Options) *Front {
	if opt.Resource == nil {
		opt.Resource = func() Resource { return Resource{} }
	}
	if opt.Watch == nil {
		opt.Watch = func(access.Principal) (<-chan string, func()) { return nil, func() {} }
	}
	f := &Front{opt: opt, sessions: newSessions(opt.SessionIdle, opt.MaxSessions)}
	f.stream = sdk.NewStreamableHTTPServer(server,
		sdk.WithSessionIdManagerResolver(f.sessions),
		sdk.WithDisableStreaming(!opt.Streams),
		sdk.WithDisableLocalhostProtection(true), // ours also covers other addresses
		sdk.WithStreamableHTTPLogger(opt.Log),
	)
	return f
}

// ServeHTTP implements http.Handler.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if v := recover(); v != nil {
			if v == http.ErrAbortHandler {
				panic(v)
			}
			f.opt.Log.Error("panic in an MCP request", "panic", v, "stack", string(debug.Stack()))
			refuse(w, http.StatusInternalServerError, "internal error in the gateway: the operator's log has the cause")
		}
	}()
	secure(w.Header())

	if !f.hostAllowed(r) {
		refuse(w, http.StatusForbidden, "this host name is not allowed: the operator lists those that are")
		return
	}
	if f.opt.Resource().isMetadata(r.URL.Path) {
		f.metadata(w, r)
		return
	}
	if !f.originAllowed(r) {
		refuse(w, http.StatusForbidden, "requests from this origin are not allowed: the operator lists those that are")
		return
	}
	if f.crossOrigin(w, r) {
		return
	}
	caller := f.authenticate(w, r)
	if caller == nil {
		return
	}
	if r.URL.Path != Path {
		refuse(w, http.StatusNotFound, "the MCP endpoint is "+Path)
		return
	}
	if !f.methodAllowed(w, r) {
		return
	}

	rc := http.NewResponseController(w)
	if r.Method == http.MethodPost {
		f.deadline(rc.SetWriteDeadline, time.Now().Add(f.opt.WriteTimeout))
	}
	f.deadline(rc.SetReadDeadline, time.Now().Add(f.opt.ReadTimeout)) // net/http lifts it when the body has ended
	body, ok := f.body(w, r)
	if !ok {
		return
	}
	modern := mcp.IsModernProtocol(r.Header.Get(mcp.HeaderProtocolVersion))
	if !modern {
		caller.Session = r.Header.Get(sdk.HeaderKeySessionID)
	}
	if caller.Session != "" && !f.sessions.owns(caller.Session, caller.Key()) {
		// The same answer whether it never was, has ended, or is somebody else's.
		refuse(w, http.StatusNotFound, "no such session: initialize a new one")
		return
	}
	if strayCancel(caller.Session, body) {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	if id, ok := idleStream(body); ok && !f.opt.Streams {
		refuseMethod(w, id, "there is nothing to listen to: this server's lists do not change")
		return
	}

	if caller.Session == "" && r.Method == http.MethodPost && wantsSession(r.Header, body) {
		// The library would call the session that was not named invalid (404), which sends a client to look for what it did wrong
		// with one that it has. 400 is what 2025-11-25 says (Streamable HTTP, Session Management).
		refuse(w, http.StatusBadRequest, "the header "+sdk.HeaderKeySessionID+" is missing: send the one that the answer to initialize has, or speak protocol "+mcp.ProtocolVersion20260728+", which has no sessions")
		return
	}

	f.serve(w, r, caller, body)
	if caller.Session == "" && !modern {
		f.Sweep(time.Now()) // it may have been an initialize: hold the cap
	}
}

// serve hands a request to the library. When the caller's proof holds no longer, what it runs is cancelled and streams end.
func (f *Front) serve(w http.ResponseWriter, r *http.Request, caller *Caller, body []byte) {
	caller.verdict = &verdict{}
	ctx, cancel := context.WithCancel(WithCaller(r.Context(), caller))
	ended, unwatch := f.opt.Watch(caller.Principal)
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case cause, ok := <-ended:
			if !ok {
				cause = "withdrawn"
			}
			caller.verdict.end(cause)
			cancel()
		case <-ctx.Done():
		}
	})
	defer watching.Wait()
	defer unwatch()
	defer cancel()
	r = r.WithContext(ctx)
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer := &judged{ResponseWriter: w, front: f, verdict: caller.verdict}
	f.stream.ServeHTTP(answer, r)
	answer.finish()
}

// deadline sets one where the server knows any; tests' recorders do not.
func (f *Front) deadline(set func(time.Time) error, at time.Time) {
	if err := set(at); err != nil && !errors.Is(err, http.ErrNotSupported) {
		f.opt.Log.Warn("no deadline on a request", "error", err)
	}
}

// methodAllowed leaves POST, DELETE (ends a session) and, for fixtures, GET. Whatever else the library
// would answer (HEAD) has no use here.
func (f *Front) methodAllowed(w http.ResponseWriter, r *http.Request) bool {
	switch r.Method {
	case http.MethodPost, http.MethodDelete:
		return true
	case http.MethodGet:
		// The library does not look whose session a GET names; a stream needs one that is the caller's.
		if f.opt.Streams && r.Header.Get(sdk.HeaderKeySessionID) != "" {
			return true
		}
	}
	w.Header().Set("Allow", "POST, DELETE")
	refuse(w, http.StatusMethodNotAllowed, "this endpoint takes POST and DELETE")
	return false
}

// body reads the request's body, which the library would do without a limit.
func (f *Front) body(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	if enc := r.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		refuse(w, http.StatusUnsupportedMediaType, "send the body without a content encoding")
		return nil, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, f.opt.MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		refuse(w, http.StatusRequestEntityTooLarge, "the request is larger than this door takes: shorten the statement")
		return nil, false
	case err != nil:
		refuse(w, http.StatusBadRequest, "the request's body could not be read")
		return nil, false
	}
	return body, true
}

// Sweep ends sessions that are idle, or more than their principal may have.
func (f *Front) Sweep(now time.Time) {
	for _, id := range f.sessions.expired(now) {
		f.end(id)
	}
}

// end ends a session by the library's own way, since only that frees what the library keeps for it.
func (f *Front) end(id string) {
	f.stream.Handle(discard{http.Header{}}, &sdk.HTTPRequest{
		Method:  http.MethodDelete,
		Header:  http.Header{sdk.HeaderKeySessionID: {id}},
		Context: context.Background(),
	})
}

// Close ends all streams and sessions.
func (f *Front) Close() {
	f.stream.CloseSessions(context.Background())
	for _, id := range f.sessions.expired(time.Now().Add(2 * f.opt.SessionIdle)) {
		f.end(id)
	}
}

func secure(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

func refuse(w http.ResponseWriter, status int, message string) { http.Error(w, message, status) }

// discard is an sdk.HTTPResponseWriter for answers that nobody waits for.
type discard struct{ header http.Header }

func (d discard) Header() http.Header       { return d.header }
func (discard) WriteHeader(int)             {}
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Flush()                      {}
func (discard) CanStream() bool             { return false }
