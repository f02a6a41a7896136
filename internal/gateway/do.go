package gateway

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"sallyport/internal/access"
	"sallyport/internal/pgframe"
)

// windowSize is how much of a result is held until its record is durable. The first window is the
// small-result case: one record, one wait. Later windows are larger, so that a large result pays for one
// durable write a quarter of a megabyte.
const (
	windowSize      = 64 << 10
	laterWindowSize = 256 << 10
)

// owed is one answer that the upstream owes for something that was sent.
type owed struct {
	kind    byte          // the frontend message: P B D C E S Q
	stmt    bool          // Describe: of a statement rather than a portal
	hidden  bool          // the core's own question: its answer is not the client's
	simple  bool          // Describe for a simple query, which knows no NoData
	replace *access.Error // our refusal stands in for the error that the poison provokes
	run     int           // E, Q: the first of its runs; the others follow
	runs    int
	plan    *plan // P, B, D: what is parsed, bound or described
	undo    undo
}

// undo restores a name that an operation bound, for when the upstream then refuses that operation.
type undo struct {
	what byte // 0 nothing, 's' statement, 'p' portal
	name string
	stmt *prepared
	port *portal
}

// Do runs a burst of operations and releases all that can be answered. After a burst that does not end in
// Sync or Query the session waits for more. An error is ErrEnded, ctx's, or the sink's: the session is
// then closed; everything else is an answer and goes through the sink.
func (s *Session) Do(ctx context.Context, ops []Op, sink Sink) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrEnded
	}
	if s.ending.Load() != nil {
		return s.fail(ErrEnded, sink)
	}
	s.stopIdle()
	if s.idleLimit > 0 {
		s.idleClock.stop()
	}
	s.watch(ctx)
	s.windows = false
	if s.loopTask != nil {
		defer s.loopTask.Light()
	}
	for i := range ops {
		if err := s.op(&ops[i], sink); err != nil {
			return s.fail(err, sink)
		}
	}
	if err := s.settle(sink); err != nil {
		return s.fail(err, sink)
	}
	s.up.Idle()
	if s.listens && s.next == len(s.owed) && !s.unsync {
		s.startIdle(sink) // from here on the upstream has another reader
	}
	if s.idleLimit > 0 {
		s.pause(sink)
	}
	if !s.copyIn {
		s.vacate()
	}
	return ctx.Err()
}

// fail ends the session after an error that is not an answer, telling the client what it may know.
func (s *Session) fail(err error, sink Sink) error {
	s.heavy() // the end is recorded, and waited for
	cause := "the connection to the database was lost"
	if s.overdue.Load() {
		err = errOverdue
	}
	if why := s.ending.Load(); why != nil {
		cause = why.cause
		s.held = s.held[:0]
		why.tell(sink)
	} else if ae := (*access.Error)(nil); errors.As(err, &ae) {
		cause = ae.Message
		s.held = appendError(s.held[:0], "FATAL", ae)
		sink.Release(s.held)
	} else if !errors.Is(err, errSink) && !errors.Is(err, ErrEnded) {
		s.gw.logger.Warn("session lost", "session", s.id, "error", err)
		// Nothing held may leave without its record; the loss itself holds no data.
		s.held = appendError(s.held[:0], "FATAL", &access.Error{Kind: access.Unavailable, Code: "08006", Message: cause,
			Hint: "connect again; whether an unanswered statement ran is not known"})
		sink.Release(s.held)
	}
	s.close(cause)
	return ErrEnded
}

// op takes one operation.
func (s *Session) op(op *Op, sink Sink) error {
	if s.copyIn {
		if err := s.copyOp(op); err != nil || s.copyIn || !s.weighs() && !s.syncDue {
			return err
		}
		if err := s.settle(sink); err != nil { // before anything else is sent
			return err
		}
		if s.syncDue {
			s.endQuery()
		}
		return nil
	}
	if s.skip && op.Kind != OpSync {
		// PostgreSQL discards everything until Sync after an error, simple queries too.
		return nil
	}
	// After a Sync or Query all names are settled before the next is bound: an operation is never
	// judged by a plan other than the one that the upstream has under that name.
	if n := len(s.owed); n > s.next && (s.owed[n-1].kind == 'S' || s.owed[n-1].kind == 'Q') {
		if err := s.settle(sink); err != nil {
			return err
		}
		if s.copyIn {
			return s.copyOp(op)
		}
	}
	switch op.Kind {
	case OpQuery:
		return s.query(op, sink)
	case OpParse:
		return s.parse(op, sink)
	case OpBind:
		return s.bind(op, sink)
	case OpDescribe:
		return s.describe(op, sink)
	case OpExecute:
		return s.execute(op, sink)
	case OpClose:
		s.closeName(op)
		return nil
	case OpFlush:
		return s.settle(sink)
	case OpSync:
		s.skip = false
		s.out = pgframe.AppendEmpty(s.out, 'S')
		s.owed = append(s.owed, owed{kind: 'S'})
		return nil
	case OpCopyData, OpCopyDone, OpCopyFail:
		// Data may come before the server's word that it wants it. Outside of COPY it ignores them too.
		if s.next < len(s.owed) {
			if err := s.settle(sink); err != nil {
				return err
			}
			if s.copyIn {
				return s.copyOp(op)
			}
		}
		return nil
	}
	return fmt.Errorf("unknown operation %q", op.Kind)
}

// query takes a simple-protocol batch: judged statement by statement, refused whole if one is.
func (s *Session) query(op *Op, sink Sink) error {
	delete(s.stmts, "")
	delete(s.portals, "")
	list, err := s.judge(op.SQL, sink)
	if err == nil {
		list, err = s.approved(wanted{list: s.guess(list), sql: op.SQL, again: func() ([]judged, error) {
			list, err := s.judge(op.SQL, sink)
			return s.guess(list), err
		}}, sink)
	}
	if err == nil {
		err = s.placeAll(list, op.SQL)
	}
	if err == nil {
		list, err = s.probeAll(list, op.SQL)
	}
	if err == nil && len(list) == 1 && list[0].costly() {
		err = s.affordable(list[0], nil, nil, 0, op.SQL, sink)
	}
	if err != nil {
		return s.refuse(err, op.SQL, 'Q', sink)
	}
	if len(list) == 1 && list[0].plan.pages() && !list[0].plan.meters() {
		return s.queryPaged(op, list[0])
	}
	copies, err := s.copiesOf(list, op.SQL, sink)
	if err != nil {
		return s.refuse(err, op.SQL, 'Q', sink)
	}
	if staged(list) {
		return s.queryStaged(list, copies, op.SQL, sink)
	}
	first := len(s.runs)
	for i := range list {
		r := s.addRun(list[i], nil, nil, op.SQL)
		if i < len(copies) {
			s.runs[r].copy = copies[i]
		}
	}
	at := 0
	s.out, at = pgframe.Begin(s.out, 'Q')
	for i := range list {
		if i > 0 {
			s.out = append(s.out, ';')
		}
		s.out = list[i].append(s.out)
	}
	if len(list) == 0 {
		s.out = append(s.out, op.SQL...)
	}
	s.out = pgframe.End(append(s.out, 0), at)
	s.owed = append(s.owed, owed{kind: 'Q', run: first, runs: len(list)})
	return nil
}

// queryPaged runs a simple query with a row limit through the extended protocol, where Execute can stop
// after so many rows. PostgreSQL destroys the unnamed statement and portal on a simple query as well.
func (s *Session) queryPaged(op *Op, j judged) error {
	r := s.addRun(j, nil, nil, op.SQL)
	s.appendRun(j, r, s.runs[r].holdTo("", s.cursorOf(j.named), 0))
	s.out = pgframe.AppendEmpty(s.out, 'S')
	s.owed = append(s.owed, owed{kind: 'S'})
	return nil
}

// appendRun executes one statement of a simple query through the extended protocol.
func (s *Session) appendRun(j judged, r int, rows int64) {
	at := 0
	s.out, at = pgframe.Begin(s.out, 'P')
	s.out = append(s.out, 0)
	s.out = j.append(s.out)
	s.out = pgframe.End(append(s.out, 0, 0, 0), at)
	s.owed = append(s.owed, owed{kind: 'P', hidden: true, plan: j.plan})
	s.out, at = pgframe.Begin(s.out, 'B')
	s.out = pgframe.End(append(s.out, 0, 0, 0, 0, 0, 0, 0, 0), at)
	s.owed = append(s.owed, owed{kind: 'B', hidden: true, plan: j.plan, run: r})
	s.out = pgframe.End(append(s.out, 'D', 0, 0, 0, 0, 'P', 0), len(s.out))
	s.owed = append(s.owed, owed{kind: 'D', plan: j.plan, simple: true})
	s.appendExecute("", rows)
	s.owed = append(s.owed, owed{kind: 'E', run: r, runs: 1})
}

func (s *Session) appendExecute(portal string, rows int64) {
	at := 0
	s.out, at = pgframe.Begin(s.out, 'E')
	s.out = pgframe.AppendCString(s.out, portal)
	s.out = pgframe.End(binary.BigEndian.AppendUint32(s.out, uint32(rows)), at)
}

// parse takes a Parse: the compiled statement is what the upstream learns.
func (s *Session) parse(op *Op, sink Sink) error {
	old := s.stmts[op.Name]
	if old != nil && op.Name != "" {
		// The upstream will refuse the name. Let it, alone, so that the name keeps its plan.
		if err := s.settle(sink); err != nil || s.skip {
			return err
		}
	}
	list, err := s.judge(op.SQL, sink)
	if err == nil && len(op.ParamOIDs) > 0 {
		err = s.scope.paramTypes(op.ParamOIDs)
	}
	if err == nil && len(list) > 1 {
		err = &access.Error{Kind: access.Invalid, Code: "42601", Message: "cannot insert multiple commands into a prepared statement"}
	}
	if err != nil {
		return s.refuse(err, op.SQL, 'P', sink)
	}
	st := &prepared{sql: op.SQL, plan: emptyPlan, oids: op.ParamOIDs, declared: op.ParamOIDs}
	if len(list) == 1 && list[0].plan.heldLater() {
		if err := s.sample(sink); err != nil || s.skip {
			return err
		}
		st.of = s.moment(list[0].plan)
	}
	at := 0
	s.out, at = pgframe.Begin(s.out, 'P')
	s.out = pgframe.AppendCString(s.out, op.Name)
	if len(list) == 1 {
		st.plan = list[0].itself()
		if st.text = st.plan.sql; list[0].tmpl != nil || list[0].sql != "" {
			st.text = list[0].text()
		}
		s.out = append(s.out, st.text...)
	} else {
		s.out = append(s.out, op.SQL...)
	}
	s.out = append(s.out, 0)
	s.out = binary.BigEndian.AppendUint16(s.out, uint16(len(op.ParamOIDs)))
	for _, o := range op.ParamOIDs {
		s.out = binary.BigEndian.AppendUint32(s.out, o)
	}
	s.out = pgframe.End(s.out, at)
	st.oids = st.plan.knownTypes(op.ParamOIDs)
	s.strain(st.plan)
	s.owed = append(s.owed, owed{kind: 'P', plan: st.plan, undo: undo{what: 's', name: op.Name, stmt: old}})
	s.stmts[op.Name] = st
	s.unsync = true
	if old != nil && op.Name != "" {
		return s.settle(sink)
	}
	return nil
}

// bind takes a Bind: it goes upstream as it came, once its statement's plan is known to be current.
func (s *Session) bind(op *Op, sink Sink) error {
	st := s.stmts[op.Name]
	if st == nil {
		return s.refuse(noStatement(op.Name), "", 'B', sink)
	}
	if err := s.current(st, sink); err != nil {
		return s.refuse(err, st.sql, 'B', sink)
	}
	old := s.portals[op.Portal]
	if old != nil && op.Portal != "" {
		if err := s.settle(sink); err != nil || s.skip {
			return err
		}
	}
	p := &portal{stmt: st, plan: st.plan}
	var ok bool
	if ok = s.readBind(op.Raw, p); !ok {
		return &access.Error{Kind: access.Invalid, Code: "08P01", Message: "malformed Bind message"}
	}
	if err := st.plan.refuseSentinels(p.params); err != nil {
		return s.refuse(refusal{plan: st.plan, sql: st.sql, why: err}, st.sql, 'B', sink)
	}
	if len(st.plan.probes.Lists) > 0 {
		p.lists = listSizes(op.Raw)
	}
	if st.plan.heldLater() {
		if err := s.sample(sink); err != nil || s.skip {
			return err
		}
		p.values, p.of = boundValues(op.Raw), s.moment(st.plan)
	}
	s.out = append(s.out, op.Raw...)
	s.owed = append(s.owed, owed{kind: 'B', plan: st.plan, undo: undo{what: 'p', name: op.Portal, port: old}})
	if st.plan.decision.Obligations.Cost > 0 && len(p.params) > 0 {
		p.bind = bytes.Clone(op.Raw)
	}
	s.portals[op.Portal] = p
	s.strain(st.plan)
	s.unsync = true
	if old != nil && op.Portal != "" {
		return s.settle(sink)
	}
	return nil
}

func (s *Session) describe(op *Op, sink Sink) error {
	o := owed{kind: 'D', stmt: op.Target == 'S'}
	name := op.Portal
	if o.stmt {
		name = op.Name
		st := s.stmts[name]
		if st == nil {
			return s.refuse(noStatement(name), "", 'D', sink)
		}
		if err := s.current(st, sink); err != nil {
			return s.refuse(err, st.sql, 'D', sink)
		}
		o.plan = st.plan
	} else if p := s.portals[name]; p != nil {
		o.plan = p.plan
	} else {
		return s.refuse(noPortal(name), "", 'D', sink)
	}
	at := 0
	s.out, at = pgframe.Begin(s.out, 'D')
	s.out = pgframe.End(pgframe.AppendCString(append(s.out, op.Target), name), at)
	s.owed = append(s.owed, o)
	s.unsync = true
	return nil
}

func (s *Session) execute(op *Op, sink Sink) error {
	p := s.portals[op.Portal]
	if p == nil {
		return s.refuse(noPortal(op.Portal), "", 'E', sink)
	}
	if p.stmt != nil {
		// A portal outlives a change of policy; what it may still release does not.
		if err := s.current(p.stmt, sink); err != nil {
			return s.refuse(err, p.stmt.sql, 'E', sink)
		}
		p.plan = p.stmt.plan
	}
	pl, err := s.effective(p.plan, sink)
	if p.used && err == nil && pl.pages() {
		// How much of the caps is left is known once the parts before are in.
		err = s.settle(sink)
		if err != nil || s.skip {
			return err
		}
	}
	if p.claimed && !p.opened && err == nil {
		// Whether it was opened is known once the execution before is answered.
		if err = s.settle(sink); err != nil || s.skip {
			return err
		}
	}
	var j judged
	if err == nil {
		if j, err = s.approvedPortal(p, pl, sink); err == nil {
			pl = j.plan
		}
	}
	if err == nil {
		err = s.place(pl, p.sql())
	}
	probes, known := int64(0), true
	if err == nil {
		probes, known = p.portalGuesses(pl)
		err = s.probe(pl, p.sql(), probes, known, j.approval != "")
	}
	p.used = true
	if err == nil && !p.afford && pl.decision.Obligations.Cost > 0 {
		err = s.affordable(p.judged(pl), p.stmt, p.bind, len(p.formats), p.sql(), sink)
		p.afford = err == nil
	}
	if err != nil {
		return s.refuse(err, p.sql(), 'E', sink)
	}
	if pl.detects && pl.copy == nil && pl.fields.Load() == nil {
		// Which columns hold text must be known before the first row can be judged.
		at := 0
		s.out, at = pgframe.Begin(s.out, 'D')
		s.out = pgframe.End(pgframe.AppendCString(append(s.out, 'P'), op.Portal), at)
		s.owed = append(s.owed, owed{kind: 'D', hidden: true, plan: pl})
	}
	copied, err := s.copyOf(pl, p.sql(), sink)
	if err != nil {
		return s.refuse(err, p.sql(), 'E', sink)
	}
	r := s.addRun(judged{plan: pl, probes: probes, approval: j.approval, opened: j.opened}, p, p.params, p.sql())
	p.claimed = p.claimed || j.approval != ""
	s.runs[r].copy = copied
	cursor := s.cursorOf(p.plan)
	if cursor == nil {
		cursor = p
	}
	rows := s.runs[r].holdTo(op.Portal, cursor, int64(op.MaxRows))
	if pl.weighed {
		rows = 0 // the count comes with the last row
	}
	s.appendExecute(op.Portal, rows)
	s.owed = append(s.owed, owed{kind: 'E', run: r, runs: 1})
	s.unsync = true
	if p.plan.turns() || pl.turns() || pl.weighed || pl.meters() {
		return s.settle(sink)
	}
	return nil
}

func (s *Session) closeName(op *Op) {
	name, o := op.Name, owed{kind: 'C'}
	if op.Target == 'P' {
		name = op.Portal
		o.undo = undo{what: 'p', name: name, port: s.portals[name]}
		delete(s.portals, name)
	} else {
		o.undo = undo{what: 's', name: name, stmt: s.stmts[name]}
		delete(s.stmts, name)
	}
	at := 0
	s.out, at = pgframe.Begin(s.out, 'C')
	s.out = pgframe.End(pgframe.AppendCString(append(s.out, op.Target), name), at)
	s.owed = append(s.owed, o)
	s.unsync = true
}

func noStatement(name string) *access.Error {
	if name == "" {
		return &access.Error{Kind: access.Invalid, Code: "26000", Message: "unnamed prepared statement does not exist"}
	}
	return &access.Error{Kind: access.Invalid, Code: "26000", Message: fmt.Sprintf("prepared statement %q does not exist", name)}
}

func noPortal(name string) *access.Error {
	return &access.Error{Kind: access.Invalid, Code: "34000", Message: fmt.Sprintf("portal %q does not exist", name)}
}
