package evidence

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"sallyport/audit"
	"sallyport/audit/internal/trace"
	"sallyport/internal/access"
)

// Scope says what a bundle is about: one session, one task or one principal, or all there is; all of them within a
// period, where one is given.
type Scope struct {
	Session   string
	Task      string
	Principal string
	From      time.Time // at or after; zero: from the beginning
	To        time.Time // before; zero: to the end
}

// kind is the word for what the scope is about.
func (s Scope) kind() string {
	switch {
	case s.Session != "":
		return "session"
	case s.Task != "":
		return "task"
	case s.Principal != "":
		return "principal"
	}
	return "period"
}

// mostRecords bounds what is held in memory and what a reader can be expected to read.
const mostRecords = 200_000

var errTooMany = errors.New("too many")

// Collect reads what a bundle is made of from a log: the records of the scope, in the order of the log, with
// the open records of their sessions, the records of their tasks and the history of their requests for approval. Released rows are left behind.
func Collect(from audit.Source, s Scope) ([]*access.Record, error) {
	f := audit.Filter{Session: s.Session, Task: s.Task, Principal: s.Principal, Since: s.From, Until: s.To}
	period := audit.Filter{Since: s.From, Until: s.To}
	opens, tasks := map[string]*access.Record{}, map[string]*access.Record{}
	theirs := map[string]bool{}              // sessions of the principal
	reviews := map[string][]*access.Record{} // by request
	var picked []*access.Record
	have := map[uint64]bool{}
	pick := func(rec *access.Record) {
		if rec != nil && !have[rec.Position] {
			have[rec.Position] = true
			picked = append(picked, rec)
		}
	}
	err := from(func(rec *access.Record) error {
		if rec.Kind == access.RecordHeartbeat { // of the log, not of anybody
			return nil
		}
		rec.Result, rec.Formats = nil, nil
		switch {
		case rec.Kind == access.RecordOpen:
			opens[rec.Session] = rec
		case rec.Kind == access.RecordTask && rec.Task != "":
			tasks[rec.Task] = rec
		case rec.Kind == access.RecordReview:
			reviews[rec.Approval] = append(reviews[rec.Approval], rec)
		}
		// The gateway's own session, which nobody opened, speaks of many.
		if s.Principal != "" && rec.Principal == s.Principal && opens[rec.Session] != nil {
			theirs[rec.Session] = true
		}
		// Of what is erased whole the record does not say whose it was. A session is one principal's.
		erased := trace.Blank(rec) && rec.Session != "" && (have[rec.Intent] || theirs[rec.Session])
		if f.Match(rec) || erased && period.Match(rec) {
			pick(opens[rec.Session])
			pick(tasks[rec.Task])
			pick(rec)
		}
		if rec.Kind == access.RecordClose {
			delete(opens, rec.Session)
		}
		if len(picked) > mostRecords {
			return errTooMany
		}
		return nil
	})
	if errors.Is(err, errTooMany) {
		return nil, &access.Error{Kind: access.Invalid, Code: "54000", Message: fmt.Sprintf("more than %d records match", mostRecords),
			Hint: "make several bundles, of shorter periods"}
	}
	for _, rec := range slices.Clip(picked) {
		if id, preview := trace.RequestOf(rec); id != "" && !preview {
			for _, r := range reviews[id] {
				pick(r)
			}
		}
	}
	slices.SortFunc(picked, func(a, b *access.Record) int { return cmp.Compare(a.Position, b.Position) })
	return picked, err
}
