package gateway

import (
	"context"

	"sallyport/internal/access"
	"sallyport/internal/pgframe"
)

// Reset makes the session what it was when it was opened: settings, prepared statements, advisory locks,
// temporary tables, sequences' last values. It is for doors whose calls must not depend on each other, and
// costs nothing after pure reads. An open transaction, or any error, ends the session: ErrEnded.
func (s *Session) Reset(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrEnded
	}
	if s.tx != 'I' || s.unsync || s.skip || s.copyIn || s.next < len(s.owed) {
		s.close("left in the middle of something")
		return ErrEnded
	}
	if !s.dirty {
		return nil
	}
	s.stopIdle()
	s.watch(ctx)
	if err := s.discard(); err != nil {
		s.gw.logger.Warn("session not reset", "session", s.id, "error", err)
		s.close("the session could not be reset")
		return ErrEnded
	}
	clear(s.stmts)
	clear(s.portals)
	s.pathStale, s.pathMoved, s.pathOpen = s.pathStale || s.pathMoved, false, false
	s.dirty, s.listens, s.moved, s.sampled = false, false, !s.pins.None(), nil
	return nil
}

// discard has the server run DISCARD ALL. What sallyport itself set at start-up comes back with it.
func (s *Session) discard() error {
	s.busy.Store(true)
	defer s.end()
	if err := s.up.Write(pgframe.AppendQuery(nil, "DISCARD ALL")); err != nil {
		return err
	}
	var failed error
	for {
		f, err := s.up.Next()
		if err != nil {
			return err
		}
		switch f.Type {
		case 'E':
			failed = orUpstream(nil, pgframe.Fields(f.Body()))
		case 'S':
			if err := s.status(f); err != nil {
				return err
			}
			s.held = s.held[:0] // nobody is told
		case 'Z':
			if failed == nil && f.Body()[0] != 'I' {
				failed = &access.Error{Kind: access.Upstream, Code: "25000", Message: "a transaction is open"}
			}
			return failed
		}
	}
}
