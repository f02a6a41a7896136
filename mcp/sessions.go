package mcp

import (
	"context"
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
	Close() error
}

// connect opens a session; it fails with an *access.Error.
type connect func(ctx context.Context, l gateway.Login) (session, error)

// sessions keeps idle sessions, so that a call does not pay for a connect. A session is only ever
// handed to the principal (with the same groups), MCP session and connection that it was opened for.
type sessions struct {
	connect connect
	idle    time.Duration
	perKey  int
	most    int

	mu     sync.Mutex
	byKey  map[string][]parked // guarded by mu; the most recently used last
	count  int                 // guarded by mu
	closed bool                // guarded by mu
}

type parked struct {
	session session
	since   time.Time
}

func newSessions(c connect, idle time.Duration, perKey, most int) *sessions {
	return &sessions{connect: c, idle: idle, perKey: perKey, most: most, byKey: map[string][]parked{}}
}

// query runs q on a session of c to connection.
func (s *sessions) query(ctx context.Context, c *front.Caller, connection string, q gateway.Query) (*gateway.Result, error) {
	key := c.Key() + "\x00\x00" + c.Session + "\x00\x00" + connection
	sess := s.take(key)
	if sess == nil {
		var err error
		sess, err = s.connect(ctx, gateway.Login{
			Door:        access.DoorMCP,
			Connection:  connection,
			Credentials: c.Credentials,
			Client:      c.Client,
		})
		if err != nil {
			return nil, err
		}
	}
	keep := false
	defer func() {
		if !keep || !s.put(key, sess) {
			_ = sess.Close() // nobody waits for it any more; the core records the close
		}
	}()
	res, err := sess.Query(ctx, q)
	keep = ctx.Err() == nil && clean(res, err)
	return res, err
}

// clean says that a session carries nothing over to the next statement. Statements of another kind
// (BEGIN, SET, PREPARE, DECLARE, LISTEN, LOCK ...) end with their session, so that agents' calls
// cannot depend on each other or leave a transaction open.
func clean(res *gateway.Result, err error) bool {
	if err != nil {
		switch access.AsError(err).Kind {
		case access.Denied, access.Invalid, access.Unsupported, access.ReviewPending:
			return true // nothing ran
		}
		return false
	}
	verb, _, _ := strings.Cut(res.Command, " ")
	switch verb {
	case "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "EXPLAIN", "SHOW", "VALUES", "TABLE":
		return true
	}
	return false
}

func (s *sessions) take(key string) session {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.byKey[key]
	if len(list) == 0 {
		return nil
	}
	last := list[len(list)-1]
	s.keepList(key, list[:len(list)-1])
	s.count--
	return last.session
}

// put parks sess, or says that there is no room.
func (s *sessions) put(key string, sess session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.byKey[key]
	if s.closed || s.count >= s.most || len(list) >= s.perKey {
		return false
	}
	s.byKey[key] = append(list, parked{sess, time.Now()})
	s.count++
	return true
}

func (s *sessions) keepList(key string, list []parked) {
	if len(list) == 0 {
		delete(s.byKey, key)
		return
	}
	s.byKey[key] = list
}

// sweep closes sessions that have been idle for too long.
func (s *sessions) sweep(now time.Time) {
	var old []parked
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
	for _, p := range old {
		_ = p.session.Close()
	}
}

// close closes all idle sessions, and those in use as they come back.
func (s *sessions) close() {
	s.mu.Lock()
	s.closed = true
	lists := s.byKey
	s.byKey, s.count = map[string][]parked{}, 0
	s.mu.Unlock()
	for _, list := range lists {
		for _, p := range list {
			_ = p.session.Close()
		}
	}
}
