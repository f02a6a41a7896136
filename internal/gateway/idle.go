package gateway

import "sallyport/internal/access"

// An idle session that listens has to pass notifications on as they come. Between two calls of Do one
// goroutine reads the upstream; stopIdle interrupts it and waits for its end, so that the connection has
// one reader at a time. Sessions that never LISTEN have no such goroutine.

func (s *Session) startIdle(sink Sink) {
	if s.loopTask != nil {
		s.up.Own(nil)
		s.clientConn.Own(s.loopTask, nil)
	}
	s.idle = make(chan struct{})
	filter := s.idleFilter()
	go func(done chan struct{}) {
		defer close(done)
		for {
			f, err := s.up.Next()
			if err != nil {
				return // interrupted, or lost: the next Do finds out
			}
			out, err := filter.pass(f)
			if err != nil {
				s.gw.logger.Warn("session ended while idle", "session", s.id, "error", err)
				out = appendError(nil, "FATAL", access.AsError(err))
			}
			if released := sink.Release(out); err != nil || released != nil {
				if err != nil {
					s.up.Close() // the next Do finds out
				}
				return
			}
		}
	}(s.idle)
}

func (s *Session) stopIdle() {
	if s.idle == nil {
		return
	}
	s.up.Interrupt()
	<-s.idle
	s.up.Resume()
	if s.loopTask != nil {
		s.up.Own(s.loopTask)
		s.clientConn.Own(s.loopTask, s.loopTask)
	}
	s.idle = nil
}
