package gateway

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"sallyport/audit"
	"sallyport/internal/access"
)

// newRecord begins a record of this session; the sequence number is taken here, so every record that is
// made must be given to the log.
func (s *Session) newRecord(kind access.RecordKind) *access.Record {
	s.seq++
	trace := s.traceparent
	if kind == access.RecordClose { // it belongs to no call
		trace = ""
	}
	rec := &access.Record{Session: s.id, Seq: s.seq, Time: time.Now().UTC(), Kind: kind, Door: s.door,
		Connection: s.db.conf.Name, Principal: s.principal.Name, Actor: s.principal.Actor,
		Task: s.task.ID, Traceparent: trace}
	rec.Reason = s.gw.forRecord(rec, s.reason)
	return rec
}

// whoAsks writes down who asks, and how that was proven: where a session begins, and in what belongs to none.
func whoAsks(rec *access.Record, p access.Principal) {
	rec.Principal, rec.Actor, rec.Behind, rec.Groups, rec.Proof = p.Name, p.Actor, p.Behind, p.Groups, p.Proof.Recorded()
}

// forRecord is a text as it goes into a record: the identifiers that the detectors know are taken out of it, and are
// given to the log to make tags of.
func (g *Gateway) forRecord(rec *access.Record, text string) (kept string) {
	kept, rec.Named = g.detector.Take(text, rec.Named)
	return kept
}

// sqlForRecord is forRecord for SQL, and shortens it.
func (g *Gateway) sqlForRecord(rec *access.Record, sql string) (kept string) {
	kept, rec.Named = g.detector.SQL(shortened(sql, mostSQL), rec.Named)
	return kept
}

// note records what belongs to no session of its own, in the gateway's session, and returns once it is durable.
func (g *Gateway) note(kind access.RecordKind, fill func(*access.Record)) error {
	g.system.mu.Lock()
	rec := g.system.newRecord(kind)
	fill(rec)
	err := g.system.enqueue(rec) // under the lock: numbers and positions go up together
	ticket := g.system.ticket
	g.system.mu.Unlock()
	if err != nil {
		return err
	}
	return ticket.Wait()
}

// enqueue gives a record to the log; nothing is released before it is durable.
func (s *Session) enqueue(rec *access.Record) error {
	t, err := s.gw.log.Enqueue(rec)
	if err != nil && t == (audit.Ticket{}) {
		s.seq-- // the log took nothing: the number is still to be given
		return err
	}
	// The log is one sequence: once the newest record is durable, all before it are.
	s.ticket, s.tickets = t, true
	return err
}

// recordIntent enqueues what is about to run; send waits until it is durable.
func (s *Session) recordIntent(r *run) {
	rec := s.newRecord(access.RecordIntent)
	s.describeRun(rec, r)
	if s.note(rec) {
		r.intent = rec.Position
		s.intents = true
	}
}

func (s *Session) describeRun(rec *access.Record, r *run) {
	rec.SQL = s.gw.sqlForRecord(rec, r.sql)
	rec.Plan, rec.Probes, rec.Approval = r.plan.record, r.probes, r.approval
	r.probes = 0 // counted once, whatever of the run is described again
	if r.portal != nil {
		rec.Nulls = r.portal.nulls
	}
	for _, p := range r.params {
		rec.Params = append(rec.Params, s.gw.forRecord(rec, shortened(p, mostParam)))
	}
}

// note enqueues, and makes a failure to do so fail whatever waits for durability next.
func (s *Session) note(rec *access.Record) bool {
	if err := s.enqueue(rec); err != nil {
		s.logErr = err
		return false
	}
	return true
}

// recordRun enqueues how an execution ended: in one record with its intent for a pure read that was not
// released in parts.
func (s *Session) recordRun(r *run, failure *access.Error) {
	kind := access.RecordOutcome
	if r.intent == 0 {
		kind = access.RecordStatement
	}
	rec := s.newRecord(kind)
	if kind == access.RecordStatement {
		s.describeRun(rec, r)
	} else {
		rec.Intent = r.intent
	}
	rec.Rows, rec.Detected, rec.Command, rec.Truncated = r.rows, r.detected, r.command, r.limited
	if r.asks != nil {
		rec.Unchecked = r.asks.unchecked
	}
	if !r.started.IsZero() {
		rec.Micros = time.Since(r.started).Microseconds()
	}
	if failure != nil {
		rec.Code, rec.Error, rec.Command = failure.Code, s.gw.forRecord(rec, failure.Message), ""
	} else {
		rec.Columns = r.columns
		if r.portal != nil {
			rec.Formats = r.portal.formats
		}
		rec.Digest, rec.Result, rec.Bytes = r.digest(s.held)
	}
	s.note(rec)
	if r.approval != "" {
		s.finish(r, failure)
	}
	s.lastPos, s.lastDetected, s.lastLimited, s.lastPlan = rec.Position, r.detected, r.limited, r.plan
}

// recordRelease enqueues that a part of a large result is about to leave.
func (s *Session) recordRelease(r *run) error {
	rec := s.newRecord(access.RecordRelease)
	if r.intent == 0 && !r.released {
		s.describeRun(rec, r)
	}
	r.released = true
	rec.Intent, rec.Rows, rec.Bytes, rec.Columns = r.intent, r.rows, r.bytes, r.columns
	return s.enqueue(rec)
}

// recordSkipped closes the intent of an execution that the upstream skipped after an earlier error.
func (s *Session) recordSkipped(r *run) {
	if r.intent == 0 {
		return
	}
	s.recordRun(r, &access.Error{Code: "25P02", Message: "not run: an earlier statement of the same burst failed"})
}

// recordRefused enqueues a refusal.
func (s *Session) recordRefused(r refusal) {
	rec := s.newRecord(access.RecordRefused)
	rec.SQL = s.gw.sqlForRecord(rec, r.sql)
	if r.plan != nil {
		rec.Plan = r.plan.record
	}
	rec.Probes, rec.Approval = r.probes, r.why.Review
	said, own := strings.CutPrefix(r.why.Message, r.own)
	rec.Code, rec.Error, rec.Hint = r.why.Code, s.gw.forRecord(rec, said), s.gw.forRecord(rec, r.why.Hint)
	if own {
		rec.Error = r.own + rec.Error
	}
	s.note(rec)
}

// A record keeps as much of a text as the guard takes of a statement, and of a parameter what a person reads.
// The digest of what was cut tells whether two were the same.
const (
	mostSQL   = 1 << 20
	mostParam = 4 << 10
)

// shortened is s, or its beginning with the length and digest of the whole.
func shortened(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return fmt.Sprintf("%s ... (%d bytes, sha256 %x)", strings.ToValidUTF8(s[:most], ""), len(s), sha256.Sum256([]byte(s)))
}
