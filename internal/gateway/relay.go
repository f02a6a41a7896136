package gateway

import (
	"fmt"
	"strings"

	"sallyport/internal/access"
	"sallyport/internal/pgframe"
	"sallyport/mask"
)

// send writes what is to go upstream, once every intent among it is durable.
func (s *Session) send() error {
	if len(s.out) == 0 {
		return nil
	}
	if s.logErr != nil {
		return s.logErr
	}
	if s.ending.Load() != nil {
		return ErrEnded
	}
	if s.intents {
		if err := s.durable(); err != nil {
			return err
		}
		s.intents, s.tickets = false, false
	}
	s.begin()
	s.begun = true
	err := s.up.Write(s.out)
	s.out = s.out[:0]
	if cap(s.out) > 1<<20 {
		s.out = nil
	}
	return err
}

// settle sends what is to be sent, takes every answer that is owed and releases it. On return nothing is
// owed, unless the upstream waits for COPY data.
func (s *Session) settle(sink Sink) error {
	if n := len(s.owed); n > s.next && !s.copyIn {
		if k := s.owed[n-1].kind; k != 'S' && k != 'Q' {
			s.out = pgframe.AppendEmpty(s.out, 'H')
		}
	}
	if err := s.send(); err != nil {
		return err
	}
	for s.next < len(s.owed) && !s.copyIn {
		f, err := s.up.Next()
		if err != nil {
			return err
		}
		if err := s.answer(f, sink); err != nil {
			return err
		}
	}
	if s.next == len(s.owed) {
		s.done()
	}
	if s.vetoed != nil {
		return s.undo(sink)
	}
	return s.release(sink)
}

// release lets go of what is held, once it is recorded.
func (s *Session) release(sink Sink) error {
	if len(s.held) == 0 {
		return nil
	}
	if s.logErr != nil {
		return s.logErr
	}
	if s.ending.Load() != nil { // also that it was cancelled: the client is told why
		return ErrEnded
	}
	if s.tickets {
		if err := s.durable(); err != nil {
			return err
		}
		s.tickets, s.intents = false, false
	}
	err := sink.Release(s.held)
	s.held = s.held[:0]
	if cap(s.held) > 2*laterWindowSize {
		s.held = nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errSink, err)
	}
	return nil
}

// answer takes one backend message.
func (s *Session) answer(f pgframe.Frame, sink Sink) error {
	o := &s.owed[s.next]
	switch f.Type {
	case 'D':
		return s.row(o, f, sink)
	case 'C', 's', 'I':
		return s.complete(o, f)
	case 'T', 'n':
		s.described(o, f)
	case 't':
		s.hold(o, f)
	case '1', '2', '3':
		s.hold(o, f)
		s.next++
	case 'Z':
		s.ready(f)
	case 'E':
		s.failed(o, f)
	case 'N':
		s.notice(o, f)
		if !s.up.Buffered() {
			// The server flushes notices at once; somebody may be waiting for this one.
			return s.release(sink)
		}
	case 'S':
		return s.status(f)
	case 'A':
		s.notification(f)
	case 'G':
		s.held = append(s.held, f.Raw...)
		s.copyIn = true
		if o.runs > 0 && s.runs[o.run].plan.copied != nil {
			var err error
			if s.copied, err = newCopiedRows(s, s.runs[o.run].plan); err != nil {
				return err
			}
		}
		// The server ignores a Sync that was sent along: in copy-in mode it waits for CopyDone.
		for n := len(s.owed); n > s.next+1; n-- {
			if s.owed[n-1].kind != 'S' {
				return &access.Error{Kind: access.Unsupported, Code: "08P01", Message: "operations after COPY FROM STDIN were sent before its data"}
			}
			s.owed = s.owed[:n-1]
		}
	case 'H':
		s.held = append(s.held, f.Raw...)
	case 'd':
		return s.copyData(o, f, sink)
	case 'c':
		s.copyDone(o, f)
	default:
		return &access.Error{Kind: access.Upstream, Code: "08P01", Message: fmt.Sprintf("the database sent a message of unknown type %q", f.Type)}
	}
	return nil
}

// hold keeps f for release, unless it answers a question of our own.
func (s *Session) hold(o *owed, f pgframe.Frame) {
	if !o.hidden {
		s.held = append(s.held, f.Raw...)
	}
}

// row takes a DataRow, or a row of COPY that was watched before: counted, watched, held, and released by the window.
func (s *Session) row(o *owed, f pgframe.Frame, sink Sink) error {
	r := &s.runs[o.run]
	pl := r.plan
	if o := &pl.decision.Obligations; (o.Rows > 0 || o.Bytes > 0) && s.over(r, f) {
		return nil
	}
	if s.up.MaxRow > 0 && s.cut(r, f) {
		return nil
	}
	if pl.rounds && f.Type == 'D' {
		f = roundPlan(f)
	}
	if len(r.columns) == 0 && f.Type == 'D' {
		r.mark(s)
	}
	if r.from >= 0 && r.end != len(s.held) {
		r.absorb(s.held) // a notice came between two rows
	}
	if r.from < 0 {
		r.from = len(s.held)
	}
	r.rows++
	r.weight += int64(len(f.Raw))
	if pl.detects && f.Type == 'D' {
		if err := s.watchRow(r, f); err != nil {
			return err
		}
	} else {
		s.held = append(s.held, f.Raw...)
	}
	r.end = len(s.held)
	size := windowSize
	if s.windows {
		size = laterWindowSize
	}
	if len(s.held) > size {
		return s.window(r, sink)
	}
	return nil
}

// window releases a part of a large result after a record that says so.
func (s *Session) window(r *run, sink Sink) error {
	if s.ending.Load() != nil {
		return ErrEnded
	}
	s.heavy() // there is more to come
	r.absorb(s.held)
	if err := s.recordRelease(r); err != nil {
		return err
	}
	if err := s.release(sink); err != nil {
		return err
	}
	s.windows = true
	return nil
}

// complete takes the end of one execution.
func (s *Session) complete(o *owed, f pgframe.Frame) error {
	if o.runs == 0 { // an empty query
		s.hold(o, f)
		if o.kind == 'E' {
			s.next++
		}
		return nil
	}
	r := &s.runs[o.run]
	if r.approval != "" && r.portal != nil {
		r.portal.opened = true // not before: the server may have skipped it
	}
	if f.Type == 's' {
		if on, err := s.resumes(r); on {
			return err
		}
	}
	s.warnUnchecked(r)
	r.command = "suspended"
	if f.Type == 'C' {
		r.command, _, _ = pgframe.CString(f.Body())
	}
	if r.plan.weighed {
		if why := r.overdone(); why != nil {
			s.veto(o, r, why)
			return nil
		}
	}
	if r.refusal != nil {
		// The cancel came too late: everything was read, and what was over the limit was dropped.
		s.recordRun(r, r.refusal)
		s.held = appendError(s.held, "ERROR", r.refusal)
	} else if r.omitted > 0 {
		s.completeCut(r, f)
	} else {
		r.tally()
		if r.limited {
			r.command = r.cutCommand(f.Type == 's')
		}
		s.recordRun(r, nil)
		if r.limited {
			s.held = r.appendCutNotice(s.held)
			s.held = appendCommand(s.held, r.command)
		} else {
			s.hold(o, f)
		}
		s.succeeded(r)
	}
	o.run++
	o.runs--
	if o.kind == 'E' {
		s.next++
	}
	return nil
}

// described takes a RowDescription or NoData.
func (s *Session) described(o *owed, f pgframe.Frame) {
	pl := o.plan
	if o.kind != 'D' {
		if o.runs > 0 {
			pl = s.runs[o.run].plan
		}
	} else {
		s.next++
	}
	if !o.simple || f.Type == 'T' {
		s.hold(o, f)
	}
	if pl == nil || pl.shared {
		return
	}
	if f.Type == 'T' && (pl.detects || pl.fields.Load() == nil) {
		pl.fields.Store(readFields(f.Body(), pl))
	} else if f.Type == 'n' && pl.fields.Load() == nil {
		pl.fields.Store(&fields{})
	}
}

// ready takes ReadyForQuery: the transaction status is known, and all of the burst has been answered.
func (s *Session) ready(f pgframe.Frame) {
	s.hold(&s.owed[s.next], f)
	s.next++
	before := s.tx
	s.tx = f.Body()[0]
	s.begun = false
	if len(s.underway) > 0 {
		s.answered(s.erred)
	}
	s.unsync, s.erred, s.block = false, false, s.tx != 'I'
	if s.tx == 'I' {
		s.failedWith = nil
		if s.altered != 0 {
			s.unaltered()
		}
		// The transaction's end takes SET LOCAL back, and SET too where it failed.
		s.pathStale, s.pathOpen = s.pathStale || s.pathOpen, false
		s.claims.ready()
		s.moved, s.mayMove = s.moved || s.mayMove, false
		for name, p := range s.portals {
			if !p.hold {
				delete(s.portals, name)
			}
		}
		if before != 'I' && s.db.ddl.Load() {
			s.db.stale()
		}
	}
}

// failed takes an ErrorResponse: the rest of the segment up to its Sync will not be answered.
func (s *Session) failed(o *owed, f pgframe.Frame) {
	s.erred = true
	pgerr := pgframe.Fields(f.Body())
	passed := s.appendUpstream(nil, 'E', pgerr, s.planOf(o), s.asked(o))
	halted := s.halted(field(pgerr, 'C'))
	var shown *access.Error
	switch {
	case o.replace != nil:
		s.held = appendError(s.held, "ERROR", o.replace)
	case o.runs > 0 && s.runs[o.run].cutShort(pgerr):
		s.warnUnchecked(&s.runs[o.run])
		s.appendCut(&s.runs[o.run])
	case o.runs > 0:
		r := &s.runs[o.run]
		shown = r.refusal
		if shown == nil {
			shown = halted
		}
		if shown == nil && r.plan.facts.CopyIn && strings.Contains(field(pgerr, 'M'), mask.SentinelError) {
			shown = mask.CopyRefused()
		}
		if shown == nil && len(r.plan.decision.Resolve) > 0 {
			shown = mask.Unresolved(field(pgerr, 'M'))
		}
		s.recordRun(r, orUpstream(shown, pgframe.Fields(passed[5:]))) // as the client sees it
	default:
		shown = halted // Parse, Bind or Describe waited
	}
	if o.replace == nil && (o.runs == 0 || !s.runs[o.run].cutShort(pgerr)) {
		if shown != nil {
			s.held = appendError(s.held, "ERROR", shown)
		} else {
			s.held = append(s.held, passed...)
		}
	}
	if field(pgerr, 'S') == "FATAL" || field(pgerr, 'V') == "FATAL" || field(pgerr, 'V') == "PANIC" {
		return // the connection closes next, and the session with it
	}
	if o.kind == 'Q' {
		for ; o.runs > 1; o.runs-- { // the rest of the batch is not run
			o.run++
			s.recordSkipped(&s.runs[o.run])
		}
		o.runs = 0 // ReadyForQuery follows
		return
	}
	end := s.next
	for end < len(s.owed) && s.owed[end].kind != 'S' {
		end++
	}
	for i := end - 1; i >= s.next; i-- {
		s.revert(s.owed[i].undo)
		if s.owed[i].kind != 'E' || i == s.next {
			continue
		}
		if r := &s.runs[s.owed[i].run]; halted != nil && o.runs == 0 {
			s.recordRun(r, halted)
		} else {
			s.recordSkipped(r)
		}
	}
	s.next = end
	if end == len(s.owed) {
		s.skip = true
	}
}

// revert gives a name back what it meant before an operation that the upstream did not perform.
func (s *Session) revert(u undo) {
	switch u.what {
	case 's':
		if s.stmts[u.name] = u.stmt; u.stmt == nil {
			delete(s.stmts, u.name)
		}
	case 'p':
		if s.portals[u.name] = u.port; u.port == nil {
			delete(s.portals, u.name)
		}
	}
}

// notice takes a NoticeResponse. What user code says may hold values that the principal may not see.
func (s *Session) notice(o *owed, f pgframe.Frame) {
	pl := s.planOf(o)
	if pl == nil || !pl.masked {
		s.held = append(s.held, f.Raw...)
		return
	}
	fields := pgframe.Fields(f.Body())
	if pl.userCode || byUserCode(fields) {
		return
	}
	s.held = s.appendUpstream(s.held, 'N', fields, pl, s.asked(o))
}

// planOf is the plan that a message belongs to; a masked principal's session has a masked one throughout.
func (s *Session) planOf(o *owed) *plan {
	if o.runs > 0 {
		return s.runs[o.run].plan
	}
	if o.plan != nil {
		return o.plan
	}
	if s.hides() {
		return maskedNobody
	}
	return nil
}

// done forgets what was answered.
func (s *Session) done() {
	s.owed, s.next = s.owed[:0], 0
	for i := range s.runs {
		s.runs[i].repeats, s.runs[i].asks, s.runs[i].copy = nil, nil, nil // they have values, and the array stays
	}
	s.runs = s.runs[:0]
	s.end()
}
