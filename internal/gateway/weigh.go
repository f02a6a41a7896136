package gateway

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/access"
	"sallyport/internal/pgframe"
)

// A statement is weighed when its answer decides whether it may stand: how many rows it changed (@affected),
// or how many it returned of those that it wrote (@rows). Its answer is taken before the server is sent
// anything that could commit it, and where it is too much the poison goes after it: the server itself aborts
// the transaction, implicit or the client's, as it would for an error of the statement's own.

// weigh says whether a plan is to be weighed.
func (p *plan) weigh() bool {
	f, o := p.facts, p.decision.Obligations
	return !f.Explain && f.Prepares == "" && f.Declares == "" && writes(f) && (o.Affected > 0 || (o.Rows > 0 || o.Bytes > 0) && len(f.Outputs) > 0)
}

// writes says whether a statement changes rows.
func writes(f *access.Facts) bool {
	return slices.ContainsFunc(f.Relations, func(r access.RelationUse) bool { return r.Action == access.ActWrite && r.Verb != "lock" })
}

// overdone is why a weighed execution that has come to its end must not stand, or nil.
func (r *run) overdone() *access.Error {
	limit := r.plan.decision.Obligations.Affected
	if r.refusal != nil || limit == 0 {
		return r.refusal
	}
	n, err := strconv.ParseInt(r.command[strings.LastIndexByte(r.command, ' ')+1:], 10, 64)
	if err != nil {
		return &access.Error{Kind: access.Unsupported, Code: "0A000", Message: fmt.Sprintf("how many rows this changed cannot be told (%s), and the policy limits that: nothing was changed", r.command),
			Hint: "use a plain INSERT, UPDATE, DELETE or MERGE"}
	}
	if n <= limit {
		return nil
	}
	return &access.Error{Kind: access.Denied, Code: "54000", Message: fmt.Sprintf("this would change %d rows, more than the %d that the policy allows a statement: nothing was changed", n, limit),
		Hint: "narrow it down with WHERE, or ask for a policy with a larger @affected"}
}

// veto takes the end of a weighed execution that must not stand: what it returned is dropped, and settle
// has the server undo it.
func (s *Session) veto(o *owed, r *run, why *access.Error) {
	if r.from >= 0 {
		s.held = slices.Delete(s.held, r.from, r.end)
		r.from = -1
	}
	s.recordRun(r, why)
	s.vetoed = why
	o.run++
	o.runs--
	s.next++
}

// undo has the server abort the transaction of a vetoed execution. Nothing was sent since.
func (s *Session) undo(sink Sink) error {
	why := s.vetoed
	s.vetoed = nil
	s.out = pgframe.AppendParse(s.out, "", poison, nil)
	s.owed = append(s.owed, owed{kind: 'P', replace: why})
	return s.settle(sink)
}

// queryStaged runs a simple query with weighed or capped statements. The server commits a simple query before it tells
// what it did, so each statement is executed through the extended protocol, and Sync, which commits, comes once
// all have been let stand. As in a simple query, an error ends the batch.
func (s *Session) queryStaged(list []judged, copies []*copyOut, sql string, sink Sink) error {
	if err := s.settle(sink); err != nil || s.skip {
		return err
	}
	for i := range list[:len(list)-1] {
		if list[i].plan.facts.CopyIn {
			return s.refuse(refusal{plan: list[i].plan, sql: sql, why: &access.Error{Kind: access.Unsupported, Code: "0A000",
				Message: "COPY FROM STDIN has to come alone or last where the policy limits rows", Hint: "send it on its own"}}, sql, 'Q', sink)
		}
	}
	for i := range list {
		if len(list) > 1 && list[i].costly() { // what the statements before it made is there now
			if err := s.affordable(list[i], nil, nil, 0, sql, sink); err != nil {
				if err := s.refuse(err, sql, 'P', sink); err != nil {
					return err
				}
				break
			}
		}
		r := s.addRun(list[i], nil, nil, sql)
		if i < len(copies) {
			s.runs[r].copy = copies[i]
		}
		s.appendRun(list[i], r, s.runs[r].holdTo("", s.cursorOf(list[i].named), 0))
		s.unsync = true
		if err := s.settle(sink); err != nil {
			return err
		}
		if s.copyIn {
			s.syncDue = true
			return nil
		}
		if s.skip {
			break
		}
	}
	s.endQuery()
	return nil
}

// endQuery ends a simple query that ran through the extended protocol.
func (s *Session) endQuery() {
	s.skip, s.syncDue = false, false
	s.out = pgframe.AppendEmpty(s.out, 'S')
	s.owed = append(s.owed, owed{kind: 'S'})
}

// weighs says whether the execution whose answer is owed next is a weighed one.
func (s *Session) weighs() bool {
	return s.next < len(s.owed) && s.owed[s.next].runs > 0 && s.runs[s.owed[s.next].run].plan.weighed
}
