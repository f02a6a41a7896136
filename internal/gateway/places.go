package gateway

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"sallyport/internal/access"
)

// A statement under @concurrent takes one of its principal's places before anything of it goes upstream, and
// gives it back when its session's Do ends, or the session does. Places are counted over all sessions, connections
// and doors. Who finds none waits for a moment, in order, and is then refused.
const (
	placePatience = 5 * time.Second
	mostWaiting   = 64 // of one principal
)

// places are the statements and sessions of all principals. The zero value is ready.
type places struct {
	mu sync.Mutex
	by map[string]*held // guarded by mu; principals with nothing have no entry
}

// held is what one principal has.
type held struct {
	running  int64 // statements under a limit
	waiting  []*waiter
	sessions int64
}

// waiter is a statement that waits for a place.
type waiter struct {
	most      int64
	granted   chan struct{} // closed with the place given, under the lock
	cancelled chan struct{}
	once      sync.Once
}

// cancel ends the wait. It may be called from any goroutine, more than once.
func (w *waiter) cancel() { w.once.Do(func() { close(w.cancelled) }) }

func (p *places) of(who string) *held {
	h := p.by[who]
	if h == nil {
		if p.by == nil {
			p.by = map[string]*held{}
		}
		h = &held{}
		p.by[who] = h
	}
	return h
}

func (p *places) tidy(who string, h *held) {
	if h.running == 0 && h.sessions == 0 && len(h.waiting) == 0 {
		delete(p.by, who)
	}
}

// take takes a place of at most most. Where there is none it gives a waiter instead, or neither when too many
// wait already.
func (p *places) take(who string, most int64) (ok bool, w *waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.of(who)
	if h.running < most && len(h.waiting) == 0 {
		h.running++
		return true, nil
	}
	if len(h.waiting) >= mostWaiting {
		return false, nil
	}
	w = &waiter{most: most, granted: make(chan struct{}), cancelled: make(chan struct{})}
	h.waiting = append(h.waiting, w)
	return false, w
}

// leave gives a place back, to the next who waits for it.
func (p *places) leave(who string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.of(who)
	h.running--
	h.pass()
	p.tidy(who, h)
}

// pass gives free places to those who wait, in order.
func (h *held) pass() {
	for len(h.waiting) > 0 && h.running < h.waiting[0].most {
		h.running++
		close(h.waiting[0].granted)
		h.waiting = slices.Delete(h.waiting, 0, 1)
	}
}

// giveUp takes w out of the queue; false says that it was given a place before.
func (p *places) giveUp(who string, w *waiter) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.of(who)
	i := slices.Index(h.waiting, w)
	if i >= 0 {
		h.waiting = slices.Delete(h.waiting, i, i+1)
		h.pass() // who stood behind it may ask for less
	}
	p.tidy(who, h)
	return i >= 0
}

// enter counts a session in, unless there are most already; 0 is no limit.
func (p *places) enter(who string, most int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.of(who)
	if most > 0 && h.sessions >= most {
		return false
	}
	h.sessions++
	return true
}

// exit counts a session out.
func (p *places) exit(who string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.of(who)
	h.sessions--
	p.tidy(who, h)
}

// place makes sure that this session has a place for a statement of a plan, if it needs one.
func (s *Session) place(pl *plan, sql string) error {
	most := pl.decision.Obligations.Concurrent
	if most == 0 || s.placed {
		return nil
	}
	who := s.principal.Name
	ok, w := s.gw.places.take(who, most)
	if w != nil {
		ok = s.await(who, w)
	}
	if s.placed = ok; ok {
		return nil
	}
	select {
	case <-cancelledOf(w):
		return refusal{plan: pl, sql: sql, why: &access.Error{Kind: access.Unavailable, Code: "57014", Message: "canceled while waiting for another statement of " + who + " to end"}}
	default:
	}
	return refusal{plan: pl, sql: sql, why: &access.Error{Kind: access.Unavailable, Code: "53400",
		Message: fmt.Sprintf("the policy lets %s run %s at a time, over all sessions, and none of them has ended", who, statements(most)),
		Hint:    "wait for one to end or cancel it, or ask for a policy with a larger @concurrent"}}
}

func cancelledOf(w *waiter) <-chan struct{} {
	if w == nil {
		return nil
	}
	return w.cancelled
}

// await waits for a place.
func (s *Session) await(who string, w *waiter) bool {
	s.heavy()
	s.waits.Store(w)
	defer s.waits.Store(nil)
	timer := time.NewTimer(s.gw.placePatience)
	defer timer.Stop()
	select {
	case <-w.granted:
		return true
	case <-w.cancelled:
	case <-timer.C:
	case <-s.watched: // the client has gone
	}
	if s.gw.places.giveUp(who, w) {
		return false
	}
	select {
	case <-w.cancelled:
		s.gw.places.leave(who)
		return false
	default:
		return true // it came at the last moment
	}
}

// vacate gives this session's place back, if it has one.
func (s *Session) vacate() {
	if s.placed {
		s.placed = false
		s.gw.places.leave(s.principal.Name)
	}
}

// placeAll is place for a batch, by the least limit in it.
func (s *Session) placeAll(list []judged, sql string) error {
	var least *plan
	for i := range list {
		if n := list[i].plan.decision.Obligations.Concurrent; n > 0 && (least == nil || n < least.decision.Obligations.Concurrent) {
			least = list[i].plan
		}
	}
	if least == nil {
		return nil
	}
	return s.place(least, sql)
}

// enter counts a session in, or refuses it.
func (g *Gateway) enter(p access.Principal, most int64) error {
	if g.places.enter(p.Name, most) {
		return nil
	}
	return &access.Error{Kind: access.Denied, Code: "53300", Message: fmt.Sprintf("%s has as many sessions as the policy allows: %d", p.Name, most),
		Hint: "close one, or ask for a policy with a larger @sessions"}
}

func statements(n int64) string {
	if n == 1 {
		return "one statement"
	}
	return fmt.Sprintf("%d statements", n)
}
