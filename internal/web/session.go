package web

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"sallyport/internal/access"
)

const (
	idleTime     = 30 * time.Minute
	absoluteTime = 8 * time.Hour

	mostSessions    = 10000
	mostSessionsOne = 20 // of one person: a new log-in ends the oldest
)

// session is one log-in of a browser. It is kept under the hash of its cookie: who reads memory or a dump finds no cookie.
type session struct {
	who           access.Principal
	csrf          string
	created, seen time.Time
	authenticated time.Time     // when they last proved who they are, well enough to approve
	ended         chan struct{} // closed when it has been ended; nil for a program's

	// Of those who logged in by a provider:
	provider string
	idToken  string // for the provider, at the log-out
	draft    *draft // what they were about to decide when they were sent to prove who they are
	proved   string // the request that they did so for, until they have decided about it
}

type sessionKey = [sha256.Size]byte // of a cookie

// fresh reports whether the person proved who they are no longer than within ago.
func (s *session) fresh(now time.Time, within time.Duration) bool {
	return now.Sub(s.authenticated) < within
}

type sessions struct {
	secure bool
	name   string // of the cookie
	// watch tells, with the cause, when what proved somebody holds no longer.
	watch func(access.Principal) (ended <-chan string, stop func())
	log   *slog.Logger

	mu       sync.Mutex // guards what follows
	open     map[sessionKey]*session
	closed   bool
	closing  chan struct{}
	watchers sync.WaitGroup
}

func newSessions(secure bool, watch func(access.Principal) (<-chan string, func()), log *slog.Logger) *sessions {
	s := &sessions{secure: secure, name: "sallyport", watch: watch, log: log, open: map[sessionKey]*session{}, closing: make(chan struct{})}
	if secure {
		s.name = "__Host-sallyport" // RFC 6265bis, "Cookie Name Prefixes": no other host can have set it
	}
	return s
}

func secret() string {
	var b [32]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// begin makes a session of who gave their password, and gives its cookie. What the browser had before ends.
func (s *sessions) begin(r *http.Request, who access.Principal, now time.Time) (*http.Cookie, error) {
	s.end(r)
	return s.add(&session{who: who, authenticated: now}, now)
}

// errFull is of a log-in that there is no room for; one that ends makes some.
var errFull = &problem{http.StatusServiceUnavailable, "as many people as this gateway has room for are logged in, or it is ending: you were not logged in", "try again in a moment"}

// add opens a session under a cookie that nobody has seen before. It ends when what proved its person does.
func (s *sessions) add(o *session, now time.Time) (*http.Cookie, error) {
	token := secret()
	o.seen, o.ended = now, make(chan struct{})
	if o.created.IsZero() {
		o.created, o.csrf = now, secret()
	}
	lost, stop := s.watch(o.who)
	s.mu.Lock()
	defer s.mu.Unlock()
	mine, oldest := 0, sessionKey{}
	for key, other := range s.open {
		if over(other, now) {
			s.drop(key)
		} else if other.who.Same(o.who) {
			if mine++; mine == 1 || other.created.Before(s.open[oldest].created) {
				oldest = key
			}
		}
	}
	if mine >= mostSessionsOne {
		s.drop(oldest)
	}
	if len(s.open) >= mostSessions || s.closed {
		stop()
		return nil, errFull
	}
	key := sha256.Sum256([]byte(token))
	s.open[key] = o
	s.watchers.Add(1)
	go s.attend(key, o, lost, stop)
	return s.cookie(token, 0), nil
}

// attend ends a session when what proved its person holds no longer.
func (s *sessions) attend(key sessionKey, o *session, lost <-chan string, stop func()) {
	defer s.watchers.Done()
	defer stop()
	select {
	case cause := <-lost:
		s.mu.Lock()
		s.drop(key)
		s.mu.Unlock()
		s.log.Info("log-in ended", "door", "web", "principal", o.who.Name, "cause", cause)
	case <-o.ended:
	case <-s.closing:
	}
}

// shut ends the watching, and waits for it.
func (s *sessions) shut() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.closing)
	}
	s.mu.Unlock()
	s.watchers.Wait()
}

func (s *sessions) cookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{Name: s.name, Value: value, Path: "/", HttpOnly: true, Secure: s.secure, SameSite: http.SameSiteStrictMode, MaxAge: maxAge}
}

func over(o *session, now time.Time) bool {
	return now.Sub(o.seen) >= idleTime || now.Sub(o.created) >= absoluteTime
}

// find gives a copy of the request's session, or nil. active says that somebody is there: what a page asks for by itself
// does not keep a session from falling idle.
func (s *sessions) find(r *http.Request, active bool, now time.Time) *session {
	key, ok := s.key(r)
	if !ok {
		return nil
	}
	return s.at(key, active, now)
}

// at is find for a key that is known.
func (s *sessions) at(key sessionKey, active bool, now time.Time) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.open[key]
	if o == nil {
		return nil
	}
	if over(o, now) {
		s.drop(key)
		return nil
	}
	if active {
		o.seen = now
	}
	c := *o
	return &c
}

func (s *sessions) key(r *http.Request) (key sessionKey, ok bool) {
	c, err := r.Cookie(s.name)
	if err != nil || c.Value == "" {
		return key, false
	}
	return sha256.Sum256([]byte(c.Value)), true
}

// change does something to the request's session, if there is one.
func (s *sessions) change(r *http.Request, do func(*session)) {
	if key, ok := s.key(r); ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		if o := s.open[key]; o != nil {
			do(o)
		}
	}
}

// endAt ends a session by its key, and reports whether it was there.
func (s *sessions) endAt(key sessionKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.drop(key)
}

// end ends the request's session, if it has one.
func (s *sessions) end(r *http.Request) {
	if key, ok := s.key(r); ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.drop(key)
	}
}

// drop forgets a session, and tells requests of it that wait; it reports whether it was there. The caller has the lock.
func (s *sessions) drop(key sessionKey) bool {
	o := s.open[key]
	if o != nil {
		delete(s.open, key)
		close(o.ended)
	}
	return o != nil
}
