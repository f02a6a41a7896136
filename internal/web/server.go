package web

import (
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
)

// Options say how the door is reached and who may see what.
type Options struct {
	Address   string // as it listens: host:port
	PublicURL string // how people reach it; "" for the address
	TLS       bool   // it serves HTTPS itself

	// Auditors are the groups whose members see every session and request, Operators those who may end sessions.
	Auditors, Operators []string
	// StepUp is how long after a password was given approving asks for none; 0 for DefaultStepUp, negative for never.
	StepUp time.Duration
	// Purposes are what an approval can be for; NeedPurpose says that it has to name one.
	Purposes    []access.Purpose
	NeedPurpose bool

	PGWire *PGWireAddress // the other doors, for those who log in to use them; nil where there is none
	MCP    *MCPAddress
	// Authority is the certificate, PEM, by which clients check the door for PostgreSQL clients where it made its own; nil: there is none.
	Authority func() []byte

	Archive *Archive     // what has been recorded; nil: pages about it do not exist
	Log     *slog.Logger // nil discards
}

// Server is the door. Its Handler may be served by any number of goroutines.
type Server struct {
	core     *gateway.Gateway
	opt      Options
	log      *slog.Logger
	site     site
	sessions *sessions
	base     string // where people reach this door, without a slash at its end; "" where that is not fixed
	logins   *logins
	logouts  *logouts // by providers
	flows    *flows
	familiar *familiar
	pages    *pages
	now      func() time.Time

	mu     sync.Mutex         // guards asking
	asking map[asking]*logins // what each provider is asked: codes to be exchanged, tokens to be checked

	ending chan struct{} // closed by Shutdown
	end    sync.Once
}

// DefaultStepUp is for Options.StepUp.
const DefaultStepUp = 5 * time.Minute

// New makes the door of a core. It fails where its own pages cannot be read.
func New(core *gateway.Gateway, o Options) (*Server, error) {
	s := &Server{core: core, opt: o, log: o.Log, now: time.Now, ending: make(chan struct{}), logins: newLogins(loginsQueued), asking: map[asking]*logins{}, logouts: newLogouts()}
	if o.StepUp == 0 {
		s.opt.StepUp = DefaultStepUp
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if s.site, err = newSite(o); err != nil {
		return nil, err
	}
	if s.base = baseOf(o); s.base == "" && len(core.Providers()) > 0 {
		return nil, errors.New("listen.web.public_url is missing: providers have to know where to send people back to")
	}
	s.sessions = newSessions(s.site.secure, core.Watch, s.log)
	if s.flows, err = newFlows(s.site.secure); err != nil {
		return nil, err
	}
	if s.familiar, err = newFamiliar(s.site.secure, core.SealKey("familiar browsers")); err != nil {
		return nil, err
	}
	s.pages, err = loadPages()
	return s, err
}

// Shutdown ends requests that wait for something to happen. Those that come later do not wait.
func (s *Server) Shutdown() { s.end.Do(func() { close(s.ending) }) }

// Close lets go of the sessions. It comes after the last request, and before the core is closed.
func (s *Server) Close() {
	s.Shutdown()
	s.sessions.shut()
}

// Timeouts for who serves the Handler. A request that waits for news takes shorter than writing may.
const (
	ReadTimeout  = 30 * time.Second
	WriteTimeout = time.Minute
	MaxHeader    = 64 << 10
)

// Handler serves all of the door.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /static/{name}", s.static)
	mux.HandleFunc("GET /login", s.loginPage)
	mux.HandleFunc("POST /login", s.login)
	mux.HandleFunc("GET /auth/start", s.startLogin)
	mux.HandleFunc("GET "+callbackPath, s.callback)
	mux.HandleFunc("GET "+callbackPath+"/{provider}", s.callback)
	mux.HandleFunc("POST /auth/backchannel-logout", s.backchannelLogout)
	s.apiRoutes(mux)
	for pattern, h := range s.routes() {
		mux.HandleFunc(pattern, s.signedIn(h))
	}
	mux.HandleFunc("/", s.signedIn(func(*visit) error { return errNotFound }))
	return s.guard(mux)
}

// routes are the pages for who has logged in. A handler that changes something is a POST: signedIn has checked origin and token.
func (s *Server) routes() map[string]handler {
	r := map[string]handler{
		"GET /{$}":     func(v *visit) error { return v.redirect("/reviews") },
		"POST /logout": (*visit).logout,

		"GET /reviews":                (*visit).inbox,
		"GET /reviews/live":           (*visit).inboxLive,
		"GET /reviews/{id}":           (*visit).review,
		"GET /reviews/{id}/live":      (*visit).reviewLive,
		"GET /reviews/{id}/statement": (*visit).statement,
		"POST /reviews/{id}/preview":  (*visit).preview,
		"POST /reviews/{id}/approve":  (*visit).approve,
		"POST /reviews/{id}/deny":     (*visit).deny,
		"POST /reviews/{id}/cancel":   (*visit).cancel,
		"POST /reviews/{id}/step-up":  (*visit).stepUp,

		"GET /overview":            (*visit).overview,
		"POST /glass/{id}/looked":  (*visit).lookAtGlass,
		"GET /live":                (*visit).live,
		"POST /live/{session}/end": (*visit).endSession,
		"GET /people":              (*visit).people,
		"GET /people/{name}":       (*visit).one,
		"POST /people/{name}":      (*visit).one, // a statement does not belong into an address
		"GET /connections":         (*visit).holdings,
		"GET /policy":              (*visit).policy,
		"POST /policy":             (*visit).testPolicy,
	}
	if s.opt.Archive != nil {
		r["GET /sessions"] = (*visit).listSessions
		r["GET /sessions/{session}"] = (*visit).trace
		r["GET /sessions/{session}/replay"] = (*visit).replay
		r["GET /sessions/{session}/evidence"] = (*visit).evidence
		r["GET /search"] = (*visit).search
		r["GET /record"] = (*visit).status
	}
	return r
}
