// Package trace puts records together as people think of them: sessions, and in them steps with what was
// asked, decided and released. What is drawn of them (trace, replay, evidence) is elsewhere.
package trace

import (
	"encoding/json"
	"slices"
	"time"

	"sallyport/internal/access"
)

// Step is one thing that somebody did: the records of a statement taken together, or a single record.
type Step struct {
	*access.Record                   // the first record of the step
	Plan           access.PlanRecord // zero when the record has none
	Releases       []*access.Record  // windows of a large result
	End            *access.Record    // how it ended; the first record itself when that says so; nil: unknown
	Part           bool              // the first record is not in view, only what came of it
	TaskRecord     *access.Record    // the task's record, where in view
	Request        *Approval         // under which it ran, or for which it waits; of a step of kind review: itself
	Preview        string            // the request that it was tried for, and rolled back
}

// Session is a session, as far as it is in view.
type Session struct {
	ID    string
	Open  *access.Record
	Close *access.Record
	Steps []*Step
	Any   *access.Record // the first record in view
	First uint64         // lowest sequence number in view
	Last  uint64         // highest
	Count uint64         // records in view
	From  time.Time
	To    time.Time
}

// Group puts records, in the order of the log, into sessions and steps. Sessions are in the order of
// their first record. The records of a request for approval are with the steps that ran under it or were held for it; where none
// is in view, they are a step of their own. They may come before the records that they belong to.
func Group(recs []*access.Record) []*Session {
	var out []*Session
	sessions := map[string]*Session{}
	intents := map[uint64]*Step{}
	running := map[string]*Step{} // by session: a pure read that is released in parts
	tasks := map[string]*access.Record{}
	requests := map[string]*Approval{}
	for _, rec := range recs {
		if rec.Kind == access.RecordHeartbeat { // of the log, not of anybody
			continue
		}
		s := sessions[rec.Session]
		if s == nil {
			s = &Session{ID: rec.Session, Any: rec, First: rec.Seq, From: rec.Time, To: rec.Time}
			sessions[rec.Session] = s
			out = append(out, s)
		}
		s.Count++
		s.First, s.Last = min(s.First, rec.Seq), max(s.Last, rec.Seq)
		if rec.Time.Before(s.From) {
			s.From = rec.Time
		}
		if rec.Time.After(s.To) {
			s.To = rec.Time
		}
		if rec.Kind == access.RecordTask {
			tasks[rec.Task] = rec
		}
		switch rec.Kind {
		case access.RecordOpen:
			s.Open = rec
			continue
		case access.RecordClose:
			s.Close = rec
			continue
		case access.RecordReview:
			a := requests[rec.Approval]
			if a != nil {
				a.Turns = append(a.Turns, turn(rec))
				continue
			}
			a = &Approval{ID: rec.Approval, Turns: []Turn{turn(rec)}}
			requests[rec.Approval] = a
			s.Steps = append(s.Steps, &Step{Record: rec, End: rec, TaskRecord: tasks[rec.Task], Request: a})
			continue
		case access.RecordRelease:
			st := intents[rec.Intent]
			if rec.Intent == 0 && rec.SQL == "" {
				st = running[rec.Session]
			}
			if st != nil {
				st.Releases = append(st.Releases, rec)
				continue
			}
		case access.RecordOutcome:
			if st := intents[rec.Intent]; st != nil {
				st.End = rec
				continue
			}
		case access.RecordStatement:
			if st := running[rec.Session]; st != nil {
				st.End = rec
				delete(running, rec.Session)
				continue
			}
		}
		st := &Step{Record: rec, TaskRecord: tasks[rec.Task]}
		if len(rec.Plan) > 0 {
			// A plan that does not decode shows as a step without one; --json has its bytes.
			_ = json.Unmarshal(rec.Plan, &st.Plan)
		}
		switch rec.Kind {
		case access.RecordIntent:
			intents[rec.Position] = st
		case access.RecordRelease:
			st.Releases = append(st.Releases, rec)
			st.Part = rec.SQL == "" && !rec.Erased
			if rec.Intent == 0 {
				running[rec.Session] = st
			} else {
				intents[rec.Intent] = st
			}
		case access.RecordOutcome:
			st.Part = true
			st.End = rec
		default:
			st.End = rec
		}
		s.Steps = append(s.Steps, st)
	}
	return join(out, requests)
}

// OnlyRequests is true of a session, the gateway's own, that is in view for the requests for approval alone that its records speak of.
func (s *Session) OnlyRequests() bool {
	return s.Open == nil && s.Close == nil && len(s.Steps) > 0 && !slices.ContainsFunc(s.Steps, func(st *Step) bool { return st.Kind != access.RecordReview })
}

// join gives steps their requests.
func join(sessions []*Session, requests map[string]*Approval) []*Session {
	told := map[*Approval]bool{}
	for _, s := range sessions {
		tried := PreviewOf(s.Open)
		for _, st := range s.Steps {
			id, preview := RequestOf(st.Record)
			switch {
			case st.Kind == access.RecordReview:
				continue
			case preview:
				st.Preview = id
			case tried != "":
				st.Preview = tried
			case id != "":
				st.Request = requests[id]
				told[st.Request] = true
			}
		}
	}
	if len(requests) == 0 {
		return sessions
	}
	for _, s := range sessions {
		s.Steps = slices.DeleteFunc(s.Steps, func(st *Step) bool { return st.Kind == access.RecordReview && told[st.Request] })
	}
	return slices.DeleteFunc(sessions, func(s *Session) bool {
		return len(s.Steps) == 0 && s.Any.Kind == access.RecordReview && s.Open == nil && s.Close == nil
	})
}

// Verdict is the word that a step is headed with.
type Verdict string

const (
	Allowed   Verdict = "ALLOW"
	Refused   Verdict = "DENY"
	Held      Verdict = "REVIEW"
	Failed    Verdict = "FAILED"  // allowed, and ended in an error
	Uncertain Verdict = "UNKNOWN" // allowed, and nobody knows how it ended
	Declared  Verdict = "TASK"
	Erased    Verdict = "ERASED" // allowed, and how it ended can no longer be read
	Proven    Verdict = "PROOF"  // somebody logged in, or proofs were withdrawn
	Viewed    Verdict = "VIEWED" // somebody looked at the record
	Asked     Verdict = "ASKED"  // a request for approval of which nothing that ran is in view
)

// CodeUnknown is transaction_resolution_unknown (PostgreSQL, appendix A): an outcome that nobody saw.
const CodeUnknown = "08007"

// Verdict is how the step was decided, and how it ended.
func (st *Step) Verdict() Verdict {
	switch {
	case st.Kind == access.RecordTask:
		return Declared
	case st.Kind == access.RecordViewed:
		return Viewed
	case IsProof(st.Kind):
		return Proven
	case st.Kind == access.RecordReview:
		return Asked
	case st.Kind == access.RecordRefused && (st.Plan.Effect == access.Review.String() || st.Approval != ""):
		return Held
	case st.Kind == access.RecordRefused:
		return Refused
	case st.End != nil && Blank(st.End):
		return Erased
	case st.End == nil || st.End.Code == CodeUnknown:
		return Uncertain
	case st.End.Code != "" || st.End.Error != "":
		return Failed
	}
	return Allowed
}

// Blank is true of a record of which nothing is left but its head: that it was, when, and in which session.
func Blank(rec *access.Record) bool { return rec.Erased && rec.Principal == "" && rec.Door == "" }

// Released is how many rows were released.
func (st *Step) Released() int64 {
	switch n := len(st.Releases); {
	case st.Preview != "": // nobody was given them
		return 0
	case st.End != nil:
		return st.End.Rows
	case n > 0:
		return st.Releases[n-1].Rows
	}
	return 0
}

// Records are the records of the step, in the order of the log.
func (st *Step) Records() []*access.Record {
	out := []*access.Record{st.Record}
	if st.Kind == access.RecordReview {
		for _, t := range st.Request.Turns[1:] {
			out = append(out, t.Record)
		}
	}
	for _, rec := range append(slices.Clip(st.Releases), st.End) {
		if rec != nil && rec != st.Record {
			out = append(out, rec)
		}
	}
	return out
}
