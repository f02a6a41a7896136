package gateway

import (
	"context"
	"sync/atomic"
	"time"

	"sallyport/internal/access"
	"sallyport/sqlguard/policy"
)

// The limits on time are kept by the gateway's own clocks: no setting of the server's, which a client may change,
// has a part in them.

// start is what times are measured from that must not jump with the wall clock.
var start = time.Now()

// errOverdue ends a session whose upstream answered neither in time nor to the cancel request.
var errOverdue = &access.Error{Kind: access.Unavailable, Code: "08006",
	Message: "the database answered neither within the time that the policy allows nor to the request to cancel: the session ends",
	Hint:    "connect again; whether the statement ran is not known"}

// clock runs for what is under way; its timer is made when it is first needed. set and stop are called by who holds
// the session.
type clock struct {
	timer *time.Timer
	due   atomic.Int64 // when it rings, in ns since start; 0 while it stands
}

func (c *clock) set(d time.Duration, ring func()) {
	c.due.Store(int64(time.Since(start) + d))
	if c.timer == nil {
		c.timer = time.AfterFunc(d, ring)
	} else {
		c.timer.Reset(d)
	}
}

func (c *clock) stop() {
	if c.timer != nil {
		c.timer.Stop()
		c.due.Store(0)
	}
}

// rings gives the due time of a clock that has come to it: a timer that fires as its statement ends must not hit the
// next one.
func (c *clock) rings() (due int64, ok bool) {
	due = c.due.Load()
	return due, due != 0 && int64(time.Since(start)) >= due
}

// allow starts the clocks of what was just sent, for as long as o says; end stops them.
func (s *Session) allow(o *access.Obligations) {
	s.stopped.Store(nil)
	s.times = *o
	if o.Timeout > 0 {
		s.clock.set(o.Timeout, s.timeout)
	}
	if o.LockTimeout > 0 {
		s.lockLimit.Store(int64(o.LockTimeout))
		s.lockClock.set(o.LockTimeout, s.lockTimeout)
	}
}

// hasten lowers times to those of o.
func hasten(times, o *access.Obligations) {
	if o.Timeout > 0 && (times.Timeout == 0 || o.Timeout < times.Timeout) {
		times.Timeout = o.Timeout
	}
	if o.LockTimeout > 0 && (times.LockTimeout == 0 || o.LockTimeout < times.LockTimeout) {
		times.LockTimeout = o.LockTimeout
	}
}

// timeout is called when a time limit has passed: it cancels what runs.
func (s *Session) timeout() {
	if due, ok := s.clock.rings(); ok {
		s.halt(&s.clock, due, timeLimit)
	}
}

// halt cancels what runs because of a clock, and gives an upstream up that does not react.
func (s *Session) halt(c *clock, due int64, why func(*access.Obligations) *access.Error) {
	time.AfterFunc(s.gw.patience, func() {
		if c.due.Load() == due {
			s.overdue.Store(true)
			s.up.Abort()
		}
	})
	s.cancelWhile(func() bool {
		still := c.due.Load() == due
		if still {
			s.stopped.Store(&why)
		}
		return still
	})
}

// lockTimeout is called when what runs has run for as long as it may wait for one lock: it asks the server, on a
// connection of the gateway's own, whether it waits and since when.
func (s *Session) lockTimeout() {
	due, ok := s.lockClock.rings()
	if !ok {
		return
	}
	limit := time.Duration(s.lockLimit.Load())
	ctx, stop := context.WithTimeout(context.Background(), s.gw.patience)
	defer stop()
	waited, err := s.db.watcher.LockWait(ctx, s.up.PID)
	if err != nil {
		s.gw.logger.Warn("lock waits cannot be seen", "connection", s.db.conf.Name, "error", err)
		s.halt(&s.lockClock, due, lockUnknown)
		return
	}
	if waited >= limit {
		s.halt(&s.lockClock, due, lockLimit)
		return
	}
	// A wait that begins from now on cannot be too long before that.
	next := int64(time.Since(start) + limit - waited)
	if s.lockClock.due.CompareAndSwap(due, next) {
		time.AfterFunc(limit-waited, s.lockTimeout)
	}
}

// halted is why what ran was cancelled by a clock, or nil.
func (s *Session) halted(code string) *access.Error {
	if why := s.stopped.Load(); why != nil && code == "57014" {
		return (*why)(&s.times)
	}
	return nil
}

func timeLimit(o *access.Obligations) *access.Error {
	return &access.Error{Kind: access.Denied, Code: "57014", Message: "the statement took longer than the " + policy.Span(o.Timeout) + " that the policy allows",
		Hint: "make the statement cheaper, or ask for a policy with a larger @timeout"}
}

func lockLimit(o *access.Obligations) *access.Error {
	return &access.Error{Kind: access.Unavailable, Code: "55P03", Message: "the statement waited for a lock longer than the " + policy.Span(o.LockTimeout) + " that the policy allows",
		Hint: "try again later: another session holds the lock"}
}

func lockUnknown(o *access.Obligations) *access.Error {
	return &access.Error{Kind: access.Unavailable, Code: "55P03", Message: "the statement ran for " + o.LockTimeout.String() + ", and whether it waits for a lock, which the policy limits, cannot be told",
		Hint: "try again later; the operator's log has the cause"}
}
