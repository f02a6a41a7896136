package gateway

import (
	"time"

	"sallyport/internal/access"
	"sallyport/sqlguard/policy"
)

// A client that pauses inside of a transaction, or in the middle of COPY data, holds locks and keeps the server from
// cleaning up. @idle_timeout bounds that: between two calls of Do a clock runs, and when it rings the session ends,
// which rolls the transaction back.

// Ender is a Sink that can be told, between two calls of Do, that its session has ended, so that its door closes the
// client's connection. The last words were released before.
type Ender interface{ Ended() }

// strain holds the transaction under way to the idle limit of a plan in it.
func (s *Session) strain(p *plan) {
	if d := p.decision.Obligations.IdleTimeout; d > 0 && (s.idleLimit == 0 || d < s.idleLimit) {
		s.idleLimit = d
	}
}

// pause starts the idle clock, where a limit holds and the server keeps something for this client.
func (s *Session) pause(sink Sink) {
	if s.tx == 'I' && !s.unsync && !s.copyIn {
		s.idleLimit = 0
		return
	}
	s.idleSink = sink
	s.idleClock.set(s.idleLimit, s.idledOut)
}

// idledOut is called when the client has been silent for too long.
func (s *Session) idledOut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.idleClock.rings(); s.closed || !ok {
		return
	}
	s.stopIdle()
	if s.loopTask != nil {
		// The task waits for the client; what is written here is waited for here.
		s.up.Own(nil)
		s.clientConn.Own(s.loopTask, nil)
	}
	why := idleLimit(s.idleLimit)
	s.close(why.Message)
	s.idleSink.Release(appendError(nil, "FATAL", why))
	if e, ok := s.idleSink.(Ender); ok {
		e.Ended()
	}
}

func idleLimit(d time.Duration) *access.Error {
	return &access.Error{Kind: access.Denied, Code: "25P03", Message: "the session was idle in a transaction for longer than the " + policy.Span(d) + " that the policy allows: it was rolled back",
		Hint: "connect again, and do not keep transactions open"}
}
