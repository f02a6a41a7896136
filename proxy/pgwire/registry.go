package pgwire

import (
	"slices"

	"sallyport/internal/fairness"
)

// admit takes a connection in. Beyond the sessions there is room for as many log-ins and cancel requests
// again, so that silent clients cannot keep others from sessions that are free. Where there is none left, the
// oldest log-in goes of the address that has the most, if that is more than c's has.
func (s *Server) admit(c *conn) bool {
	s.mu.Lock()
	lost, taken, ok := s.room.Enter(c, fairness.Source(c.nc.RemoteAddr().String()))
	if ok {
		s.conns[c] = struct{}{}
	}
	if taken {
		lost.displaced = true
	}
	s.mu.Unlock()
	if taken {
		lost.log.Warn("log-in ended: its address has the most under way, and others want in")
		lost.cancel()
		lost.nc.Close() // it has no session, so it has not moved to a loop
	}
	return ok
}

// enroll makes room for a session. It is called once the client has proved who it is.
func (s *Server) enroll(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.displaced || s.enrolled >= s.opt.MaxClients {
		return false
	}
	s.enrolled++
	c.enrolled = true
	s.room.Rank(c, fairness.Kept)
	return true
}

// publish makes c's session reachable for cancel requests.
func (s *Server) publish(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[c.params.PID] = c
}

// retire takes c's session back: its place is free, its cancel key means nothing any more.
func (s *Server) retire(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.enrolled {
		c.enrolled = false
		s.enrolled--
	}
	if s.sessions[c.params.PID] == c {
		delete(s.sessions, c.params.PID)
	}
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.room.Leave(c)
}

func (s *Server) byPID(pid uint32) *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[pid]
}

func (s *Server) snapshot(list []*conn) []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	list = slices.Grow(list[:0], len(s.conns))
	for c := range s.conns {
		list = append(list, c)
	}
	return list
}
