package gateway

import (
	"sallyport/internal/access"
	"sallyport/internal/pgframe"
)

// ask puts a question of the gateway's own, about a statement that is about to run, in the protocol's own pipeline: it
// ends in as many Close messages as closes says, and an open implicit transaction stays open. Nothing may be owed. The
// server may make us wait for a lock, so this counts as running: it can be cancelled, and the limits on time hold.
// take gets the rows and their description. An error of the server's is a refusal of the statement.
func (s *Session) ask(question []byte, closes int, pl *plan, sql string, take func(pgframe.Frame)) error {
	last := byte('S')
	if s.unsync {
		last = 'H'
	}
	s.allow(&pl.decision.Obligations)
	s.busy.Store(true)
	defer s.end()
	if err := s.up.Write(pgframe.AppendEmpty(question, last)); err != nil {
		return err
	}
	var failed *access.Error
	for {
		f, err := s.up.Next()
		if err != nil {
			return err
		}
		switch f.Type {
		case 'T', 'D':
			take(f)
		case '3':
			if closes--; closes == 0 && s.unsync {
				return nil
			}
		case 'E':
			failed = s.notDescribed(pl, pgframe.Fields(f.Body()))
			if s.unsync {
				// The server answers nothing before Sync, so the refusal is answered here.
				s.recordRefused(refusal{why: failed, plan: pl, sql: sql})
				s.held = appendError(s.held, "ERROR", failed)
				s.skip, s.erred = true, true
				return failed
			}
		case 'Z':
			s.tx = f.Body()[0]
			if failed != nil {
				return refusal{why: failed, plan: pl, sql: sql}
			}
			return nil
		case 'S':
			if err := s.status(f); err != nil {
				return err
			}
		case 'A':
			s.notification(f)
		case 'N':
			s.notice(&owed{plan: pl}, f)
		}
	}
}
