package audit

import (
	"time"

	"sallyport/audit/internal/trace"
	"sallyport/internal/access"
)

// Filter picks records. Empty fields pick all; the others must all match.
type Filter struct {
	Session    string
	Task       string
	Principal  string
	Actor      string
	Connection string
	Door       access.Door
	Since      time.Time // at or after
	Until      time.Time // before
	Refused    bool      // refusals only
	Last       int       // the newest so many records; 0 is all
	// Keep decides about what all else picks; nil keeps it. Match does not ask it.
	Keep func(*access.Record) (bool, error)
}

// Match is true when rec is picked. Last is for Collect.
func (f *Filter) Match(rec *access.Record) bool {
	return is(f.Session, rec.Session) &&
		is(f.Task, rec.Task) &&
		is(f.Principal, rec.Principal) &&
		is(f.Actor, rec.Actor) &&
		is(f.Connection, rec.Connection) &&
		is(f.Door, rec.Door) &&
		(f.Since.IsZero() || !rec.Time.Before(f.Since)) &&
		(f.Until.IsZero() || rec.Time.Before(f.Until)) &&
		(!f.Refused || rec.Kind == access.RecordRefused)
}

func is[T ~string](want, have T) bool { return want == "" || want == have }

// Collect reads the records of a log that f picks, in order. In front come those that Render
// needs to speak of them: the open record of each session, the record of each task and those of each request for
// approval, picked or not.
func Collect(from Source, f Filter) ([]*access.Record, error) {
	var picked []*access.Record
	opens := map[string]*access.Record{} // by session; the sessions of picked records stay
	tasks := map[string]*access.Record{} // by task
	seen := map[string]bool{}
	reviews := map[string][]*access.Record{} // by request
	err := from(func(rec *access.Record) error {
		switch rec.Kind {
		case access.RecordOpen:
			opens[rec.Session] = rec
		case access.RecordTask:
			if rec.Task != "" {
				tasks[rec.Task] = rec
			}
		case access.RecordReview:
			reviews[rec.Approval] = append(reviews[rec.Approval], rec)
		}
		match := f.Match(rec)
		if match && f.Keep != nil {
			var err error
			if match, err = f.Keep(rec); err != nil {
				return err
			}
		}
		if match {
			picked = append(picked, rec)
			seen[rec.Session] = true
		}
		if rec.Kind == access.RecordClose && !seen[rec.Session] {
			delete(opens, rec.Session)
		}
		if f.Last > 0 && len(picked) >= 2*f.Last+64 {
			picked = append(picked[:0], picked[len(picked)-f.Last:]...)
		}
		return nil
	})
	if f.Last > 0 && len(picked) > f.Last {
		picked = picked[len(picked)-f.Last:]
	}
	have := map[uint64]bool{}
	for _, rec := range picked {
		have[rec.Position] = true
	}
	var context []*access.Record
	for _, rec := range picked {
		belonging := []*access.Record{opens[rec.Session], tasks[rec.Task]}
		if id, preview := trace.RequestOf(rec); id != "" && !preview {
			belonging = append(belonging, reviews[id]...)
		}
		for _, c := range belonging {
			if c != nil && !have[c.Position] {
				have[c.Position] = true
				context = append(context, c)
			}
		}
	}
	return append(context, picked...), err
}
