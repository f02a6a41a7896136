package front

import (
	"cmp"
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	sdk "github.com/mark3labs/mcp-go/server"
)

var errNoSession = errors.New("no such session")

// sessions binds each MCP session id (protocol 2025-11-25) to the principal that began it. It is the
// library's session manager, asked with the request at hand, so that an id in foreign hands is just
// as unknown as an invented one.
type sessions struct {
	idle time.Duration
	most int // live sessions of one principal

	mu   sync.Mutex
	byID map[string]*session // guarded by mu
}

type session struct {
	owner string // Caller.Key
	used  time.Time
}

func newSessions(idle time.Duration, most int) *sessions {
	return &sessions{idle: idle, most: most, byID: map[string]*session{}}
}

// ResolveSessionIdManager implements sdk.SessionIdManagerResolver. Requests that the front makes itself,
// to end sessions, and the library's own calls have no caller: they may end any session, begin none.
func (s *sessions) ResolveSessionIdManager(r *http.Request) sdk.SessionIdManager {
	if r != nil {
		if c := CallerFrom(r.Context()); c != nil {
			return &owned{s, c.Key()}
		}
	}
	return &owned{s, ""}
}

// owns says whether id is a live session of owner, and counts as a use of it.
func (s *sessions) owns(id, owner string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.byID[id]
	if got == nil || got.owner != owner || time.Since(got.used) > s.idle {
		return false
	}
	got.used = time.Now()
	return true
}

// expired gives the ids of sessions that ought to end: those idle for too long and the oldest of
// principals that hold more than they may.
func (s *sessions) expired(now time.Time) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	live := map[string][]string{}
	for id, got := range s.byID {
		if now.Sub(got.used) > s.idle {
			out = append(out, id)
			continue
		}
		live[got.owner] = append(live[got.owner], id)
	}
	for _, ids := range live {
		if len(ids) <= s.most {
			continue
		}
		slices.SortFunc(ids, func(a, b string) int { return cmp.Compare(s.byID[a].used.UnixNano(), s.byID[b].used.UnixNano()) })
		out = append(out, ids[:len(ids)-s.most]...)
	}
	return out
}

// owned is the session manager as one principal sees it.
type owned struct {
	*sessions
	owner string // "" is the front itself
}

// Generate implements sdk.SessionIdManager.
func (o *owned) Generate() string {
	if o.owner == "" {
		return ""
	}
	id := rand.Text()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.byID[id] = &session{owner: o.owner, used: time.Now()}
	return id
}

// Validate implements sdk.SessionIdManager.
func (o *owned) Validate(id string) (bool, error) {
	if !o.owns(id, o.owner) {
		return false, errNoSession
	}
	return false, nil
}

// Terminate implements sdk.SessionIdManager.
func (o *owned) Terminate(id string) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if got := o.byID[id]; got != nil && (o.owner == "" || got.owner == o.owner) {
		delete(o.byID, id)
	}
	return false, nil
}
