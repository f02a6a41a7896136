package report

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

// Options are what all reports need.
type Options struct {
	Dir string // of the log
	// Source is of the records that the report is about, with what belongs to them; nil is all of Dir.
	Source audit.Source
	From   time.Time // at or after; zero: from the beginning
	To     time.Time // before; zero: to the end
	// Purposes is the catalogue; ByPolicy says which of them a policy of PolicyVersion refers to.
	Purposes      []access.Purpose
	ByPolicy      map[string]string
	PolicyVersion string
	// Retention, Defaults and Measures are what is configured and what was found beside the records, for Erasures, Design and Security.
	Retention, Defaults, Measures []Setting
}

// purposes of a step, where the policies that allowed it are still in force.
func (o *Options) purposes(p *access.PlanRecord) []string {
	var out []string
	if p.PolicyVersion == "" || p.PolicyVersion != o.PolicyVersion {
		return nil
	}
	for _, id := range p.Policies {
		if purpose := o.ByPolicy[id]; purpose != "" && !slices.Contains(out, purpose) {
			out = append(out, purpose)
		}
	}
	return out
}

func (o *Options) purpose(id string) (access.Purpose, bool) {
	i := slices.IndexFunc(o.Purposes, func(p access.Purpose) bool { return p.ID == id })
	if i < 0 {
		return access.Purpose{}, false
	}
	return o.Purposes[i], true
}

// mostRecords bounds what is held in memory.
const mostRecords = 500_000

var errTooMany = errors.New("too many")

// read puts the records of the period that f picks into sessions. look, unless it is nil, sees each with its rows, which
// are then dropped.
func (o *Options) read(f audit.Filter, look func(*access.Record)) ([]*trace.Session, Basis, error) {
	f.Since, f.Until = o.From, o.To
	var recs []*access.Record
	tasks := map[string]*access.Record{}
	reviews, asked := map[string][]*access.Record{}, map[string]bool{} // the histories of requests, and those that are spoken of
	from := o.Source
	if from == nil {
		from = audit.Whole(o.Dir)
	}
	err := from(func(rec *access.Record) error {
		if look != nil && f.Match(rec) {
			look(rec)
		}
		rec.Result, rec.Formats = nil, nil
		if rec.Kind == access.RecordTask && rec.Task != "" {
			tasks[rec.Task] = rec
		}
		if rec.Kind == access.RecordReview {
			reviews[rec.Approval] = append(reviews[rec.Approval], rec)
		}
		if !f.Match(rec) {
			return nil
		}
		if id, preview := trace.RequestOf(rec); id != "" && !preview {
			asked[id] = true
		}
		if rec.Kind == access.RecordReview {
			return nil // with the rest of its history
		}
		if len(recs) == mostRecords {
			return errTooMany
		}
		recs = append(recs, rec)
		return nil
	})
	if errors.Is(err, errTooMany) {
		return nil, Basis{}, &access.Error{Kind: access.Invalid, Code: "54000", Message: fmt.Sprintf("more than %d records match", mostRecords), Hint: "ask about shorter periods"}
	}
	if err != nil {
		return nil, Basis{}, err
	}
	for id := range asked {
		recs = append(recs, reviews[id]...)
	}
	slices.SortFunc(recs, func(a, b *access.Record) int { return cmp.Compare(a.Position, b.Position) })
	sessions := trace.Group(recs)
	for _, s := range sessions {
		for _, st := range s.Steps {
			if st.TaskRecord == nil && st.Task != "" {
				st.TaskRecord = tasks[st.Task] // declared before the period
			}
		}
	}
	return sessions, basisOf(recs), nil
}

// ran is true of statements that reached the database for somebody, as far as is known. What somebody does to the record is none,
// nor is what was tried for a reviewer and rolled back.
func ran(st *trace.Step) bool {
	switch st.Verdict() {
	case trace.Allowed, trace.Failed, trace.Uncertain, trace.Erased:
		return !trace.IsOrder(st.Kind) && st.Preview == ""
	}
	return false
}

func gone(st *trace.Step) bool {
	return slices.ContainsFunc(st.Records(), func(r *access.Record) bool { return r.Erased })
}

func goal(st *trace.Step) (goal, ticket string) {
	if st.TaskRecord != nil {
		return st.TaskRecord.Goal, st.TaskRecord.Ticket
	}
	return st.Goal, st.Ticket
}

// add appends v unless it is there, or empty.
func add(list []string, v string) []string {
	if v == "" || slices.Contains(list, v) {
		return list
	}
	return append(list, v)
}
