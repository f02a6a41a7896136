package gateway

import (
	"errors"
	"time"

	"sallyport/internal/access"
)

// A session ends from outside when what it rests on does: the proof expired or was withdrawn, the configuration says something else, or an
// operator wants it. Whatever it does then (a result that goes to a client that does not read, a wait for a reviewer, a place or a lock, a
// pause within a transaction or COPY), it has endGrace: what runs is cancelled, the client told FATAL 57P01 with the cause where it
// reads, and from then on nothing of it is released.

const (
	endGrace = 300 * time.Millisecond
	lastWord = 200 * time.Millisecond
	// endAgain is how often the cancel request is repeated: a statement may just have begun, or a wait.
	endAgain = 100 * time.Millisecond
)

// Hurrier is a Sink that can be told to hurry: no Release, neither the one under way nor a later one, may take longer than d from now;
// one that does fails, and so do all after it where it was in the middle of a message.
type Hurrier interface{ Hurry(d time.Duration) }

// errSink wraps what a door's Release answered.
var errSink = errors.New("client gone")

// ending is why a session is to end.
type ending struct{ cause, hint string }

// tell says so to the client, which has lastWord to take it: rows are not released any more.
func (e *ending) tell(sink Sink) {
	if h, ok := sink.(Hurrier); ok {
		h.Hurry(lastWord)
	}
	sink.Release(appendError(nil, "FATAL", &access.Error{Kind: access.Denied, Code: "57P01" /* admin_shutdown */, Message: "terminating connection: " + e.cause, Hint: e.hint}))
}

const (
	hintLogIn  = "log in again"
	hintKilled = "an operator of the gateway has ended this session"
)

// Attend tells the session through what its client can be reached between two calls of Do. A door whose clients wait for words of
// the server calls it once it has greeted its client.
func (s *Session) Attend(sink Sink) {
	s.attended.Store(&sink)
	if s.ending.Load() == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed { // it ended before anybody could be told
		s.farewell(sink)
	}
}

// rest registers a session of p as resting on their proof.
func (s *Session) rest(p access.Principal) {
	s.proven = s.gw.proofs.add(p, func(cause string) { s.endSoon(&ending{cause, hintLogIn}) })
}

// endSoon has the session end, and returns at once.
func (s *Session) endSoon(why *ending) {
	if s.ending.CompareAndSwap(nil, why) {
		s.gw.logger.Info("a session is ended", "session", s.id, "principal", s.principal.Name, "cause", why.cause)
		s.gw.proofs.spawn(s.endNow)
	}
}

// endNow carries out what ending says.
func (s *Session) endNow() {
	if sink := s.attended.Load(); sink != nil {
		if h, ok := (*sink).(Hurrier); ok {
			h.Hurry(endGrace)
		}
	}
	if !s.mu.TryLock() { // a Do is under way
		give := time.AfterFunc(endGrace, s.up.Abort)
		locked := make(chan struct{})
		s.gw.proofs.spawn(func() {
			again := time.NewTicker(endAgain)
			defer again.Stop()
			for {
				s.cancelRunning()
				select {
				case <-locked:
					return
				case <-again.C:
				}
			}
		})
		s.mu.Lock()
		give.Stop()
		close(locked)
	}
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.stopIdle()
	if s.loopTask != nil {
		// The task waits for the client; what is written here is waited for here.
		s.up.Own(nil)
		s.clientConn.Own(s.loopTask, nil)
	}
	sink := s.attended.Load()
	if sink != nil {
		s.ending.Load().tell(*sink)
	}
	if err := s.close(s.ending.Load().cause); err != nil {
		s.gw.logger.Error("the end of a session was not recorded", "session", s.id, "error", err)
	}
	if sink != nil {
		if e, ok := (*sink).(Ender); ok {
			e.Ended()
		}
	}
}

// farewell tells a client whose session has ended already.
func (s *Session) farewell(sink Sink) {
	s.ending.Load().tell(sink)
	if e, ok := sink.(Ender); ok {
		e.Ended()
	}
}
