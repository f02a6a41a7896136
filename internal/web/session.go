package web

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
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
	authenticated time.Time     // when a password was last given
	ended         chan struct{} // closed when it has been ended; nil for a program's
}

// fresh reports whether the person proved who they are no longer than within ago.
func (s *session) fresh(now time.Time, within time.Duration) bool {
	return now.Sub(s.authenticated) < within
}

type sessions struct {
	secure bool
	name   string // of the cookie

	mu   sync.Mutex // guards open
	open map[[sha256.Size]byte]*session
}

func newSessions(secure bool) *sessions {
	s := &sessions{secure: secure, name: "sallyport", open: map[[sha256.Size]byte]*session{}}
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

// begin makes a session and gives its cookie. What the browser had before ends.
func (s *sessions) begin(r *http.Request, who access.Principal, now time.Time) *http.Cookie {
	s.end(r)
	token := secret()
	s.mu.Lock()
	defer s.mu.Unlock()
	mine, oldest := 0, [sha256.Size]byte{}
	for key, o := range s.open {
		if over(o, now) {
			s.drop(key)
		} else if o.who.Name == who.Name {
			if mine++; mine == 1 || o.created.Before(s.open[oldest].created) {
				oldest = key
			}
		}
	}
	if mine >= mostSessionsOne {
		s.drop(oldest)
	}
	if len(s.open) < mostSessions {
		s.open[sha256.Sum256([]byte(token))] = &session{who: who, csrf: secret(), created: now, seen: now, authenticated: now, ended: make(chan struct{})}
	}
	return s.cookie(token, 0)
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

func (s *sessions) key(r *http.Request) (key [sha256.Size]byte, ok bool) {
	c, err := r.Cookie(s.name)
	if err != nil || c.Value == "" {
		return key, false
	}
	return sha256.Sum256([]byte(c.Value)), true
}

// proved says that the session's person has just given their password.
func (s *sessions) proved(r *http.Request, now time.Time) {
	if key, ok := s.key(r); ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		if o := s.open[key]; o != nil {
			o.authenticated = now
		}
	}
}

// end ends the request's session, if it has one.
func (s *sessions) end(r *http.Request) {
	if key, ok := s.key(r); ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.drop(key)
	}
}

// drop forgets a session, and tells requests of it that wait. The caller has the lock.
func (s *sessions) drop(key [sha256.Size]byte) {
	if o := s.open[key]; o != nil {
		delete(s.open, key)
		close(o.ended)
	}
}
