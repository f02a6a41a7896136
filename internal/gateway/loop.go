package gateway

import (
	"runtime"

	"sallyport/internal/loop"
)

// openLoops starts the loops that sessions run on. Half as many as there are processors: the other half has the
// kernel's share of the work, the record, and what runs beside the loops. Where there is no loop, a session is
// a goroutine.
func (g *Gateway) openLoops() {
	for range max(1, runtime.NumCPU()/2) {
		l, err := loop.New(g.log.Kick)
		if err != nil {
			g.logger.Debug("no event loop: a goroutine for each session", "error", err)
			return
		}
		g.loops = append(g.loops, l)
	}
}

// closeLoops ends the loops; no session runs any more.
func (g *Gateway) closeLoops() {
	for _, l := range g.loops {
		l.Close()
	}
}

// Run has serve, which calls Do again and again, on an event loop, with client and the session's upstream
// connection on the same one. It returns what serve returns, once it has.
func (s *Session) Run(client *loop.Conn, serve func() error) (err error) {
	if len(s.gw.loops) == 0 {
		return serve()
	}
	moved := false
	s.gw.loops[int(s.pid)%len(s.gw.loops)].Run(func(t *loop.Task) {
		if s.up.Adopt(t) != nil {
			return
		}
		if client.Adopt(t) != nil {
			s.up.Own(nil)
			return
		}
		moved = true
		s.mu.Lock()
		s.loopTask, s.onDurable, s.clientConn = t, t.Signal, client
		s.mu.Unlock()
		defer func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			client.Own(nil, nil)
			s.up.Own(nil)
			s.loopTask = nil
		}()
		err = serve()
	})
	if !moved {
		return serve()
	}
	return err
}

// heavy says that what comes next takes long or blocks; Do ends it.
func (s *Session) heavy() {
	if s.loopTask != nil {
		s.loopTask.Heavy()
	}
}

// durable returns once all of this session's records are on disk.
func (s *Session) durable() error {
	if s.loopTask != nil && !s.ticket.Await(s.onDurable) {
		s.loopTask.Await(s.ticket.Over)
	}
	return s.ticket.Wait()
}
