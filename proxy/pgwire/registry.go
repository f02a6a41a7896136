package pgwire

import "slices"

// admit takes a connection in. Beyond the sessions there is room for as many log-ins and cancel requests
// again, so that silent clients cannot keep others from sessions that are free.
func (s *Server) admit(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) >= 2*s.opt.MaxClients+64 {
		return false
	}
	s.conns[c] = struct{}{}
	return true
}

// enroll makes room for a session. It is called once the client has proved who it is.
func (s *Server) enroll(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.enrolled >= s.opt.MaxClients {
		return false
	}
	s.enrolled++
	c.enrolled = true
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
