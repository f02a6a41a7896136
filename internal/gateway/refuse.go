package gateway

import (
	"errors"

	"sallyport/internal/access"
	"sallyport/internal/pgframe"
)

// poison is sent where a refusal has to abort a transaction: it fails to parse, so the server takes its
// own transaction to the state that the client is told of, and skips to Sync as the protocol says.
const poison = "sallyport: refused"

// refusal is an error of judgement with the plan that it came from.
type refusal struct {
	why  *access.Error
	plan *plan // nil when the text was not understood
	sql  string
	// probes are the guesses that it would have answered.
	probes int64
	// own is with what why's message begins in words of the gateway's alone, which the record keeps as they are: detectors take the
	// name of a reviewer for that of somebody in the data.
	own string
}

func (r refusal) Error() string { return r.why.Error() }
func (r refusal) Unwrap() error { return r.why }

// refuse answers an operation with an error, in its place in the sequence of answers. kind is the
// operation's. Nothing of it reaches the upstream, but an open transaction is aborted, as it would be had
// the server refused.
func (s *Session) refuse(err error, sql string, kind byte, sink Sink) error {
	if errors.Is(err, errLostTrack) || errors.Is(err, errRepinned) {
		return err
	}
	if serr := s.settle(sink); serr != nil || s.skip || s.copyIn {
		return serr
	}
	var r refusal
	if !errors.As(err, &r) {
		r = refusal{why: access.AsError(err), sql: sql}
	}
	if r.why.Err != nil {
		s.gw.logger.Warn("refused", "session", s.id, "code", r.why.Code, "error", r.why.Err)
	}
	s.unused(r.why.Message)
	s.lacking = r.why.Scopes
	s.recordRefused(r)
	if s.tx == 'I' && !s.unsync {
		s.held = appendError(s.held, "ERROR", r.why)
		if kind == 'Q' {
			s.held = pgframe.AppendEmpty(s.held, 'Z')
			s.held[len(s.held)-1] = 5
			s.held = append(s.held, s.tx)
		} else {
			s.skip = true
		}
		return s.release(sink)
	}
	if kind == 'Q' {
		s.out = pgframe.AppendQuery(s.out, poison)
		s.owed = append(s.owed, owed{kind: 'Q', replace: r.why})
	} else {
		s.out = pgframe.AppendParse(s.out, "", poison, nil)
		s.owed = append(s.owed, owed{kind: 'P', replace: r.why})
	}
	return s.settle(sink)
}
