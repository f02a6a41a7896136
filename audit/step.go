package audit

import (
	"encoding/json"
	"time"

	"sallyport/internal/access"
)

// step is one thing that somebody did: the records of a statement taken together, or a single record.
type step struct {
	*access.Record                   // the first record of the step
	plan           access.PlanRecord // zero when the record has none
	releases       []*access.Record  // windows of a large result
	end            *access.Record    // how it ended; the first record itself when that says so; nil: unknown
	part           bool              // the first record is not in view, only what came of it
	task           *access.Record    // the task's record, where in view
}

// traced is a session, as far as it is in view.
type traced struct {
	id    string
	open  *access.Record
	close *access.Record
	steps []*step
	any   *access.Record // the first record in view
	first uint64         // lowest sequence number in view
	last  uint64         // highest
	count uint64         // records in view
	from  time.Time
	to    time.Time
}

// trace puts records, in the order of the log, into sessions and steps. Sessions are in the order of
// their first record.
func trace(recs []*access.Record) []*traced {
	var out []*traced
	sessions := map[string]*traced{}
	intents := map[uint64]*step{}
	running := map[string]*step{} // by session: a pure read that is released in parts
	tasks := map[string]*access.Record{}
	for _, rec := range recs {
		s := sessions[rec.Session]
		if s == nil {
			s = &traced{id: rec.Session, any: rec, first: rec.Seq, from: rec.Time, to: rec.Time}
			sessions[rec.Session] = s
			out = append(out, s)
		}
		s.count++
		s.first, s.last = min(s.first, rec.Seq), max(s.last, rec.Seq)
		if rec.Time.Before(s.from) {
			s.from = rec.Time
		}
		if rec.Time.After(s.to) {
			s.to = rec.Time
		}
		if rec.Kind == access.RecordTask {
			tasks[rec.Task] = rec
		}
		switch rec.Kind {
		case access.RecordOpen:
			s.open = rec
			continue
		case access.RecordClose:
			s.close = rec
			continue
		case access.RecordRelease:
			st := intents[rec.Intent]
			if rec.Intent == 0 && rec.SQL == "" {
				st = running[rec.Session]
			}
			if st != nil {
				st.releases = append(st.releases, rec)
				continue
			}
		case access.RecordOutcome:
			if st := intents[rec.Intent]; st != nil {
				st.end = rec
				continue
			}
		case access.RecordStatement:
			if st := running[rec.Session]; st != nil {
				st.end = rec
				delete(running, rec.Session)
				continue
			}
		}
		st := &step{Record: rec, task: tasks[rec.Task]}
		if len(rec.Plan) > 0 {
			// A plan that does not decode shows as a step without one; --json has its bytes.
			_ = json.Unmarshal(rec.Plan, &st.plan)
		}
		switch rec.Kind {
		case access.RecordIntent:
			intents[rec.Position] = st
		case access.RecordRelease:
			st.releases = append(st.releases, rec)
			st.part = rec.SQL == ""
			if rec.Intent == 0 {
				running[rec.Session] = st
			} else {
				intents[rec.Intent] = st
			}
		case access.RecordOutcome:
			st.part = true
			st.end = rec
		default:
			st.end = rec
		}
		s.steps = append(s.steps, st)
	}
	return out
}

// verdict is the word that a step is headed with.
type verdict string

const (
	allowed   verdict = "ALLOW"
	refused   verdict = "DENY"
	held      verdict = "REVIEW"
	failed    verdict = "FAILED"  // allowed, and ended in an error
	uncertain verdict = "UNKNOWN" // allowed, and nobody knows how it ended
	declared  verdict = "TASK"
)

func (st *step) verdict() verdict {
	switch {
	case st.Kind == access.RecordTask:
		return declared
	case st.Kind == access.RecordRefused && st.plan.Effect == access.Review.String():
		return held
	case st.Kind == access.RecordRefused:
		return refused
	case st.end == nil || st.end.Code == codeUnknown:
		return uncertain
	case st.end.Code != "" || st.end.Error != "":
		return failed
	}
	return allowed
}

// rows is how many rows were released.
func (st *step) rows() int64 {
	switch n := len(st.releases); {
	case st.end != nil:
		return st.end.Rows
	case n > 0:
		return st.releases[n-1].Rows
	}
	return 0
}
