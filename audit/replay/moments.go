package replay

import (
	"cmp"
	"slices"
	"time"

	"sallyport/audit/internal/trace"
	"sallyport/internal/access"
)

// what happens in a moment. Of moments that one record speaks of, the lower comes first.
type what int

const (
	opened what = iota
	asked
	released // a window of a large result left
	ended
	closed
)

// releasesMost is how many windows of one result are shown.
const releasesMost = 3

type moment struct {
	at      time.Time
	pos     uint64
	what    what
	session *trace.Session
	step    *trace.Step    // of asked, released, ended
	rec     *access.Record // of released
}

// moments puts what happened in the order in which it happened. A record that says both that something was asked and
// what came of it was written at the end; the time upstream tells when it was asked.
func moments(sessions []*trace.Session) []moment {
	var out []moment
	for _, s := range sessions {
		if s.Open != nil {
			out = append(out, moment{at: s.Open.Time, pos: s.Open.Position, what: opened, session: s})
		}
		var last time.Time // within a session nothing overtakes
		end := s.To
		for _, st := range s.Steps {
			at := st.Time
			if st.End == st.Record {
				at = at.Add(-time.Duration(st.End.Micros) * time.Microsecond)
			}
			if at.Before(last) {
				at = last
			}
			last = at
			add := func(w what, t time.Time, rec *access.Record) {
				if t.Before(at) {
					t = at
				}
				if t.After(end) {
					end = t
				}
				out = append(out, moment{at: t, pos: rec.Position, what: w, session: s, step: st, rec: rec})
			}
			add(asked, at, st.Record)
			for i, rec := range st.Releases {
				if i < releasesMost {
					add(released, rec.Time, rec)
				}
			}
			switch {
			case st.Kind == access.RecordRefused, st.Kind == access.RecordTask, st.Kind == access.RecordReview, trace.IsProof(st.Kind):
			case st.End != nil:
				add(ended, st.End.Time, st.End)
			case len(st.Releases) > 0:
				rec := st.Releases[len(st.Releases)-1]
				add(ended, rec.Time, rec)
			default:
				add(ended, at, st.Record)
			}
		}
		if s.ID != "" && !onlyTasks(s) {
			m := moment{at: end, pos: s.Any.Position, what: closed, session: s}
			if s.Close != nil {
				m.pos = s.Close.Position
				if s.Close.Time.After(end) {
					m.at = s.Close.Time
				}
			}
			out = append(out, m)
		}
	}
	slices.SortStableFunc(out, func(a, b moment) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.what.rank(), b.what.rank()), cmp.Compare(a.pos, b.pos), cmp.Compare(a.what, b.what))
	})
	return out
}

// onlyTasks is true of a session that is in view because a task of others was declared in it.
func onlyTasks(s *trace.Session) bool {
	return s.Open == nil && s.Close == nil && !slices.ContainsFunc(s.Steps, func(st *trace.Step) bool { return st.Kind != access.RecordTask })
}

// rank is the order at one time: sessions begin before, and end after, all that is in them.
func (w what) rank() int {
	switch w {
	case opened:
		return -1
	case closed:
		return 1
	}
	return 0
}
