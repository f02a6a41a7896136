package mcp

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
	"sallyport/mcp/internal/front"
)

// session is what this door needs of a *gateway.Session.
type session interface {
	// Query runs one statement. It is called by one goroutine at a time.
	Query(ctx context.Context, q gateway.Query) (*gateway.Result, error)
	// AskReveal makes a request to see columns.
	AskReveal(ctx context.Context, q gateway.RevealQuery) (string, error)
	// Reset makes the session as it was when opened, or fails: then it has ended.
	Reset(ctx context.Context) error
	Close() error
}

// connect opens a session; it fails with an *access.Error.
type connect func(ctx context.Context, l gateway.Login) (session, error)

// sessions keeps idle sessions, so that a call does not pay for a connect. A session is only ever
// handed to who proves with the same token to be who it was opened for (same groups, same agents), in the same MCP session.
type sessions struct {
	connect connect
	idle    time.Duration
	perKey  int
	most    int

	mu     sync.Mutex
	byKey  map[string][]*live // parked ones; guarded by mu; the most recently used last
	count  int                // guarded by mu
	closed bool               // guarded by mu
}

// live is an open session with a context as old as itself. Query is always given that one, never a
// call's: the core may act on a context's end a moment late, and must not hit the next call's statement.
type live struct {
	session
	ctx   context.Context
	end   context.CancelFunc
	since time.Time // parked since
}

func (l *live) close() {
	l.end()
	_ = l.session.Close() // nobody waits for it any more; the core records the close
}

func newSessions(c connect, idle time.Duration, perKey, most int) *sessions {
	return &sessions{connect: c, idle: idle, perKey: perKey, most: most, byKey: map[string][]*live{}}
}

// query runs q on a session of c to connection.
func (s *sessions) query(ctx context.Context, c *front.Caller, connection string, q gateway.Query) (*gateway.Result, error) {
	var res *gateway.Result
	err := s.with(ctx, c, connection, func(l *live) (_ bool, err error) {
		res, err = l.Query(l.ctx, q)
		return stateless(res, err), err
	})
	return res, err
}

// reveal asks on a session of c to connection to see columns, and gives the request's id.
func (s *sessions) reveal(ctx context.Context, c *front.Caller, connection string, q gateway.RevealQuery) (string, error) {
	var id string
	err := s.with(ctx, c, connection, func(l *live) (_ bool, err error) {
		id, err = l.AskReveal(l.ctx, q)
		return err == nil || alone(err), err
	})
	return id, err
}

// with has use work with a session of c to connection, and keeps it for the next call where use says so. When ctx ends
// first, what runs is cancelled and the session with it.
func (s *sessions) with(ctx context.Context, c *front.Caller, connection string, use func(*live) (keep bool, err error)) error {
	key := c.Proven() + "\x00" + c.Session + "\x00" + connection
	l := s.take(key)
	if l == nil {
		opened, err := s.connect(ctx, gateway.Login{
			Door:        access.DoorMCP,
			Connection:  connection,
			Credentials: c.Credentials,
			Client:      c.Client,
		})
		if err != nil {
			return err
		}
		l = &live{session: opened}
		l.ctx, l.end = context.WithCancel(context.WithoutCancel(ctx))
	}
	keep := false
	defer func() {
		if !keep || !s.put(key, l) {
			l.close()
		}
	}()
	uncancelled := context.AfterFunc(ctx, l.end)
	keep, err := use(l)
	keep = keep && l.Reset(l.ctx) == nil
	keep = uncancelled() && keep
	if errors.Is(err, gateway.ErrEnded) {
		err = &access.Error{
			Kind: access.Unavailable, Code: "08003", Message: "the session with the database had ended",
			Hint: "call again: a new one is opened", Err: err,
		}
	}
	if err != nil && strings.HasPrefix(access.AsError(err).Code, "08") {
		s.drop(key) // its siblings were opened to the same server
	}
	return err
}

// stateless says that a statement's purpose was not to leave something in the session. Statements of another
// kind (BEGIN, SET, PREPARE, DECLARE, LISTEN, LOCK ...) end with their session, so that agents' calls cannot
// depend on each other or leave a transaction open; what a function leaves behind (set_config, advisory locks)
// Reset takes back.
func stateless(res *gateway.Result, err error) bool {
	if err != nil {
		return alone(err)
	}
	verb, _, _ := strings.Cut(res.Command, " ")
	switch verb {
	case "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "EXPLAIN", "SHOW":
		return true
	}
	return false
}

// alone says that a statement failed, and its session did not.
func alone(err error) bool {
	switch access.AsError(err).Kind {
	case access.Denied, access.Invalid, access.Unsupported, access.ReviewPending:
		return true
	}
	return false
}

func (s *sessions) take(key string) *live {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.byKey[key]
	if len(list) == 0 {
		return nil
	}
	last := list[len(list)-1]
	s.keepList(key, list[:len(list)-1])
	s.count--
	return last
}

// put parks l, or says that there is no room.
func (s *sessions) put(key string, l *live) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.byKey[key]
	if s.closed || s.count >= s.most || len(list) >= s.perKey {
		return false
	}
	l.since = time.Now()
	s.byKey[key] = append(list, l)
	s.count++
	return true
}

func (s *sessions) keepList(key string, list []*live) {
	if len(list) == 0 {
		delete(s.byKey, key)
		return
	}
	s.byKey[key] = list
}

// drop closes what is parked under key.
func (s *sessions) drop(key string) {
	s.mu.Lock()
	list := s.byKey[key]
	s.count -= len(list)
	delete(s.byKey, key)
	s.mu.Unlock()
	for _, l := range list {
		l.close()
	}
}

// sweep closes sessions that have been idle for too long.
func (s *sessions) sweep(now time.Time) {
	var old []*live
	s.mu.Lock()
	for key, list := range s.byKey {
		n := 0
		for n < len(list) && now.Sub(list[n].since) > s.idle {
			n++
		}
		old = append(old, list[:n]...)
		s.count -= n
		s.keepList(key, list[n:])
	}
	s.mu.Unlock()
	for _, l := range old {
		l.close()
	}
}

// close closes all idle sessions, and those in use as they come back.
func (s *sessions) close() {
	s.mu.Lock()
	s.closed = true
	lists := s.byKey
	s.byKey, s.count = map[string][]*live{}, 0
	s.mu.Unlock()
	for _, list := range lists {
		for _, l := range list {
			l.close()
		}
	}
}
