package web

import (
	"context"
	"encoding/json"
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/access"
)

const (
	recordsPage = 50
	// traceMost is how many records of a session a page has; a bundle has all.
	traceMost = 2000
	rowsShown = 20 // of a result
)

// recordsData fills the page that looks for records.
type recordsData struct {
	Sessions bool // lists sessions by their open records
	Form     recordsForm
	Rows     []step
	Next     uint64
	Through  uint64
	Query    template.URL // of the address, without before; escaped by url.Values
}

// recordsForm is the filter as it was filled in.
type recordsForm struct{ Words, Principal, Connection, Door, Decision, Label, Relation, Since, Until string }

// String is what is looked for, for the record.
func (f recordsForm) String() string {
	out := f.Words
	for _, x := range []struct{ name, value string }{{"principal", f.Principal}, {"connection", f.Connection}, {"door", f.Door}, {"decision", f.Decision}, {"label", f.Label},
		{"relation", f.Relation}, {"since", f.Since}, {"until", f.Until}} {
		if x.value != "" {
			out += " " + x.name + "=" + x.value
		}
	}
	return strings.TrimSpace(out)
}

func (v *visit) listSessions() error { return v.records(true) }
func (v *visit) search() error       { return v.records(false) }

// records lists what the visitor may see: an auditor all, others what was done in their name.
func (v *visit) records(sessions bool) error {
	f := recordsForm{v.query("q"), v.query("principal"), v.query("connection"), v.query("door"), v.query("decision"), v.query("label"), v.query("relation"), v.query("since"), v.query("until")}
	q := RecordQuery{Principal: f.Principal, Connection: f.Connection, Door: f.Door, Decision: f.Decision, Label: f.Label, Relation: f.Relation, Limit: recordsPage}
	q.Words = strings.Fields(f.Words)
	if !v.auditor {
		q.Of, q.Principal, f.Principal = &v.who, "", v.who.Name
	}
	if sessions {
		q.Kind = string(access.RecordOpen)
	}
	var err error
	if q.Since, err = day(f.Since, 0); err == nil {
		q.Until, err = day(f.Until, 1)
	}
	if err != nil {
		return &problem{422, "that is no day", "write it like 2027-01-31"}
	}
	if b := v.query("before"); b != "" {
		if q.Before, err = strconv.ParseUint(b, 10, 64); err != nil {
			return errNotFound
		}
	}
	what := access.ViewSearch
	if sessions {
		what = access.ViewSessions
	}
	if err := v.viewed(what, "", f.String()); err != nil {
		return err
	}
	page, err := v.s.opt.Archive.Find(v.r.Context(), q)
	if err != nil {
		return err
	}
	d := recordsData{Sessions: sessions, Form: f, Next: page.Next, Through: page.Through}
	for _, rec := range page.Records {
		d.Rows = append(d.Rows, stepOf(rec))
	}
	values := v.r.URL.Query()
	values.Del("before")
	d.Query = template.URL(values.Encode())
	if sessions {
		return v.show("records", "Sessions", "sessions", d)
	}
	return v.show("records", "Search the record", "search", d)
}

// day reads a day, and gives the beginning of it, or of one some days later.
func day(s string, later int) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, s)
	return t.AddDate(0, 0, later), err
}

// step is what somebody did: a record, with what came of it.
type step struct {
	*access.Record
	Plan    access.PlanRecord
	Step    access.ReviewStep
	Looked  access.Viewing // what somebody looked at, of a record of such
	End     *access.Record // how it ended; the record itself where that says so; nil: not known
	Windows int            // release records
	Rows    [][]cell       // the first released
	More    int            // released rows that are not shown
	Verdict string         // allow, review, deny, failed, unknown, or the kind of a record that decides nothing
}

func stepOf(rec *access.Record) step {
	s := step{Record: rec}
	// They are of our own making; one that cannot be read is shown as empty.
	_ = json.Unmarshal(rec.Plan, &s.Plan)
	_ = json.Unmarshal(rec.Review, &s.Step)
	_ = json.Unmarshal(rec.Viewed, &s.Looked)
	switch rec.Kind {
	case access.RecordStatement, access.RecordRefused:
		s.End = rec
	}
	if s.judge(); rec.Kind == access.RecordIntent {
		s.Verdict = s.Plan.Effect // how it ended is in another record
	}
	return s
}

// judge says in a word how a step went.
func (s *step) judge() {
	switch {
	case s.Kind == access.RecordRefused && s.Plan.Effect == "review":
		s.Verdict = "review"
	case s.Kind == access.RecordRefused:
		s.Verdict = "deny"
	case s.Kind != access.RecordIntent && s.Kind != access.RecordStatement:
		s.Verdict = string(s.Kind)
	case s.End == nil:
		s.Verdict = "unknown"
	case s.End.Code != "":
		s.Verdict = "failed"
	default:
		s.Verdict = "allow"
	}
}

// traceData fills the page of a session or a task.
type traceData struct {
	ID                  string
	Task                bool
	Open, Close         *access.Record
	Steps               []step
	Cut                 bool // there are more records than the page has
	Replay, EvidenceToo bool
	Plays               bool // the page has the player: a replay would show something that can still be read
}

// trace shows a session or a task, side by side what was said, decided and answered.
func (v *visit) trace() error {
	d, err := v.traceData(v.r.PathValue("session"))
	if err != nil {
		return err
	}
	what := access.ViewSession
	if d.Task {
		what = access.ViewTask
	}
	if err := v.viewed(what, d.ID, ""); err != nil {
		return err
	}
	if d.Plays {
		v.w.Header().Set("Content-Security-Policy", playerPolicy)
	}
	return v.show("trace", "Session "+d.ID, "sessions", d)
}

func (v *visit) traceData(id string) (*traceData, error) {
	q := RecordQuery{Session: id, Limit: traceMost}
	d := &traceData{ID: id, Task: strings.HasPrefix(id, "task_"), EvidenceToo: v.auditor}
	if d.Task {
		q.Session, q.Task = "", id
	}
	if !v.auditor {
		q.Of = &v.who
	}
	page, err := v.s.opt.Archive.Find(v.r.Context(), q)
	if err != nil {
		return nil, err
	}
	if len(page.Records) == 0 {
		return nil, errNotFound
	}
	d.Cut, d.Replay = page.Next != 0, !d.Task && v.s.opt.Archive.Replay != nil
	slices.Reverse(page.Records)
	at := map[uint64]int{} // steps by the position of their intent
	for _, rec := range page.Records {
		switch rec.Kind {
		case access.RecordOpen:
			d.Open = rec
		case access.RecordClose:
			d.Close = rec
		case access.RecordRelease, access.RecordOutcome:
			i, ok := at[rec.Intent]
			if !ok {
				continue // its beginning is not on this page
			}
			if rec.Kind == access.RecordRelease {
				d.Steps[i].Windows++
			} else {
				d.Steps[i].End = rec
			}
		default:
			at[rec.Position] = len(d.Steps)
			d.Steps = append(d.Steps, stepOf(rec))
		}
	}
	for i := range d.Steps {
		s := &d.Steps[i]
		s.judge()
		if s.End != nil {
			s.Rows, s.More = rowsOf(s.End)
		}
	}
	d.Plays = d.Replay && (d.Cut || slices.ContainsFunc(d.Steps, func(s step) bool { return !s.Erased }))
	return d, nil
}

// replay gives a session as an asciicast, to be played by whatever plays these: of it what the visitor's page of it has.
func (v *visit) replay() error {
	if v.s.opt.Archive.Replay == nil {
		return errNotFound
	}
	of := &v.who
	if v.auditor {
		of = nil
	}
	return v.file(access.ViewReplay, ".cast", "application/x-asciicast", func(ctx context.Context, w io.Writer, session string) error {
		return v.s.opt.Archive.Replay(ctx, w, session, of)
	})
}

// evidence gives a bundle about a session, for auditors.
func (v *visit) evidence() error {
	if !v.auditor {
		return errNotFound
	}
	return v.file(access.ViewEvidence, ".zip", "application/zip", v.s.opt.Archive.Evidence)
}
