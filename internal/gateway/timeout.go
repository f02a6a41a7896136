package gateway

import (
	"time"

	"sallyport/internal/access"
)

// start is what times are measured from that must not jump with the wall clock.
var start = time.Now()

// errOverdue ends a session whose upstream answered neither in time nor to the cancel request.
var errOverdue = &access.Error{Kind: access.Unavailable, Code: "08006",
	Message: "the database answered neither within the time that the policy allows nor to the request to cancel: the session ends",
	Hint:    "connect again; whether the statement ran is not known"}

// allow starts the clock of a time limit; end stops it.
func (s *Session) allow(limit time.Duration) {
	s.timedOut.Store(false)
	s.due.Store(int64(time.Since(start) + limit))
	if s.timer == nil {
		s.timer = time.AfterFunc(limit, s.timeout)
	} else {
		s.timer.Reset(limit)
	}
}

// timeout is called when a time limit has passed: it cancels what runs, and gives an upstream up that does not react.
// A timer that fires as its statement ends must not hit the next one.
func (s *Session) timeout() {
	due := s.due.Load()
	if due == 0 || int64(time.Since(start)) < due {
		return
	}
	s.timedOut.Store(true)
	time.AfterFunc(s.gw.patience, func() {
		if s.due.Load() == due {
			s.overdue.Store(true)
			s.up.Abort()
		}
	})
	s.cancelRunning()
}
