package gateway

import (
	"sallyport/internal/access"
	"sallyport/internal/pgframe"
)

// copyOf makes ready to watch the data of a COPY ... TO STDOUT: COPY tells neither names nor types of its
// columns, so the server is asked to describe the query that it copies. It is asked each time, for the
// answer is not part of the catalog snapshot that plans are kept by. Asking runs nothing.
func (s *Session) copyOf(pl *plan, sql string, sink Sink) (*copyOut, error) {
	if pl.copy == nil || !pl.detects {
		return nil, nil
	}
	c := &copyOut{copyFormat: pl.copy}
	if s.tx == 'E' {
		// Nothing can be asked in a failed transaction, and no data comes from one: next refuses any.
		return c, nil
	}
	if err := s.settle(sink); err != nil {
		return nil, err
	}
	if s.skip {
		return nil, &access.Error{Kind: access.Internal, Message: "skipped after an error"} // refuse sees that too, and answers nothing
	}
	fs, err := s.describeQuery(pl, sql, sink)
	if err != nil {
		return nil, err
	}
	c.watch, c.oids, c.known = fs.watch, fs.oids, true
	return c, nil
}

// copiesOf is copyOf for a batch: nil, or one for each statement, nil where that is no COPY.
func (s *Session) copiesOf(list []judged, sql string, sink Sink) ([]*copyOut, error) {
	var out []*copyOut
	for i, j := range list {
		if j.plan.copy == nil {
			continue
		}
		for _, before := range list[:i] {
			if before.plan.facts.Class == access.ClassDDL {
				return nil, refusal{plan: j.plan, sql: sql, why: &access.Error{Kind: access.Unsupported, Code: "0A000",
					Message: "COPY TO STDOUT behind a change of definitions is not available in one batch where columns are masked", Hint: "send it on its own"}}
			}
		}
		if j.source != "" {
			sql = j.source
		}
		c, err := s.copyOf(j.plan, sql, sink)
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = make([]*copyOut, len(list))
		}
		out[i] = c
	}
	return out, nil
}

// describeQuery asks for the columns of what a COPY copies. The server may make us wait for a lock, so this
// counts as running: it can be cancelled, and the time limit holds.
func (s *Session) describeQuery(pl *plan, sql string, sink Sink) (*fields, error) {
	const name = "sallyport copy"
	b := pgframe.AppendParse(nil, name, pl.copy.columns, nil)
	for _, typ := range []byte{'D', 'C'} {
		at := 0
		b, at = pgframe.Begin(b, typ)
		b = pgframe.End(pgframe.AppendCString(append(b, 'S'), name), at)
	}
	fs := &fields{}
	err := s.ask(b, 1, pl, sql, func(f pgframe.Frame) {
		if f.Type == 'T' {
			fs = readFields(f.Body(), pl)
		}
	})
	return fs, err
}

// notDescribed is the server's refusal to describe what a COPY copies, as the COPY itself would have met it.
func (s *Session) notDescribed(pl *plan, fields []pgframe.Field) *access.Error {
	if why := s.halted(field(fields, 'C')); why != nil {
		return why
	}
	shown := pgframe.Fields(s.appendUpstream(nil, 'E', fields, pl, nil)[5:])
	return &access.Error{Kind: access.Upstream, Code: field(shown, 'C'), Message: field(shown, 'M'), Hint: field(shown, 'H')}
}

// copyData takes COPY data: row by row, each in a message of its own, once the detectors have looked at it.
func (s *Session) copyData(o *owed, f pgframe.Frame, sink Sink) error {
	r := &s.runs[o.run]
	if !r.plan.detects {
		return s.row(o, f, sink)
	}
	if r.copy == nil {
		r.copy = &copyOut{}
	}
	c, data := r.copy, f.Body()
	if r.refusal != nil { // what the server sends until it has stopped, which may be much
		c.rest = nil
		return nil
	}
	if len(c.rest) > 0 {
		c.rest = append(c.rest, data...)
		data = c.rest
	}
	for r.refusal == nil {
		u, rest, err := c.next(data)
		if err != nil {
			s.endCopy(r, err)
			return nil
		}
		data = rest
		if !u.found {
			break
		}
		c.asks = s.asksOf(r, c.oids)
		out, found, err := c.message(u, s.gw.detector)
		if err != nil {
			s.endCopy(r, err)
			return nil
		}
		if !u.row {
			s.holdPart(r, out)
			continue
		}
		if err := s.row(o, out, sink); err != nil {
			return err
		}
		r.detected += found
	}
	c.rest = append(c.rest[:0], data...)
	return nil
}

// copyDone takes the end of COPY data.
func (s *Session) copyDone(o *owed, f pgframe.Frame) {
	r := &s.runs[o.run]
	if r.copy != nil {
		if err := r.copy.end(); err != nil {
			s.endCopy(r, err)
		}
		r.copy = nil
	}
	s.held = append(s.held, f.Raw...)
}

// endCopy makes the COPY fail: nothing more of it is released, and the upstream is told to stop.
func (s *Session) endCopy(r *run, err error) {
	if r.refusal != nil {
		return
	}
	r.refusal = &access.Error{Kind: access.Upstream, Code: "08P01", Message: "the COPY data from the database was not understood: " + err.Error(),
		Hint: "use SELECT, and COPY outside of batches and failed transactions"}
	go s.cancelRunning() // ends at the latest when done() takes cancelMu
}

// holdPart holds a header or trailer: it is digested like the rows, but is none.
func (s *Session) holdPart(r *run, f pgframe.Frame) {
	if r.from >= 0 && r.end != len(s.held) {
		r.absorb(s.held)
	}
	if r.from < 0 {
		r.from = len(s.held)
	}
	s.held = append(s.held, f.Raw...)
	r.end = len(s.held)
}
