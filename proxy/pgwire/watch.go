package pgwire

import "time"

// watch looks after every client from one goroutine, so that the way of a statement needs no timer and no
// second goroutine: who runs a statement and has gone away is cancelled, who does not read is cut off.
func (s *Server) watch(stop <-chan struct{}) {
	ticker := time.NewTicker(s.period)
	defer ticker.Stop()
	var list []*conn
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		now := s.tick.Add(1)
		list = s.snapshot(list)
		for _, c := range list {
			s.look(c, now)
		}
		clear(list)
	}
}

// look checks one client. A tick's number is stored when something begins, so what began in the running
// tick is too young to be looked at.
func (s *Server) look(c *conn, now uint64) {
	if since := c.out.since.Load(); since > 0 && now-since > uint64(s.opt.WriteStall/s.period) {
		c.log.Warn("client does not read: connection cut off", "stall", s.opt.WriteStall)
		c.cancel()
		c.nc.SetDeadline(past)
		return
	}
	if since := c.busy.Load(); since > 0 && now-since > 1 && c.raw != nil && peerGone(c.raw) {
		c.log.Debug("client went away while its statement ran")
		c.cancel()
	}
}
