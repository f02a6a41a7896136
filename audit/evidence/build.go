package evidence

import (
	"cmp"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
	"time"

	"sallyport/audit/internal/trace"
	"sallyport/internal/access"
)

// build makes the document of a bundle, without proofs and policies' files, from records in the order of the log.
func build(in *Input) *Document {
	d := &Document{Schema: SchemaID, Generator: in.Generator, Scope: scopeOf(in.Scope), Sessions: []Session{}, Records: []Record{}, Policies: []Policy{}}
	for _, rec := range in.Records {
		d.Records = append(d.Records, Record{Position: rec.Position, Session: rec.Session, Sequence: rec.Seq, Kind: rec.Kind, Time: rec.Time.UTC(), Erased: rec.Erased})
		if rec.Kind == access.RecordTask {
			at := rec.Time.UTC()
			d.Tasks = append(d.Tasks, Task{ID: rec.Task, Goal: rec.Goal, Ticket: rec.Ticket, Principal: rec.Principal, Actors: trace.Actors(rec), Identity: identity(rec), Declared: &at, Position: rec.Position, Erased: rec.Erased})
		}
	}
	slices.SortFunc(d.Records, func(a, b Record) int { return cmp.Compare(a.Position, b.Position) })
	d.Log.Records = len(d.Records)
	if n := len(d.Records); n > 0 {
		d.Log.First, d.Log.Last = d.Records[0].Position, d.Records[n-1].Position
	}
	versions := map[string]int{}
	sessions := trace.Group(in.Records)
	for _, s := range sessions {
		if s.OnlyRequests() {
			continue
		}
		out := session(s)
		for _, st := range s.Steps {
			if st.Kind == access.RecordReview {
				continue
			}
			step := in.step(st, s)
			d.count(&step)
			if st.Task != "" && !slices.ContainsFunc(d.Tasks, func(t Task) bool { return t.ID == st.Task }) {
				d.Tasks = append(d.Tasks, Task{ID: st.Task, Principal: st.Principal, Actors: trace.Actors(st.Record)})
			}
			if v := st.Plan.PolicyVersion; v != "" {
				versions[v]++
			}
			for _, id := range step.Purposes {
				d.purpose(in.Purposes, id)
			}
			out.Steps = append(out.Steps, step)
		}
		d.Summary.Sessions++
		d.Sessions = append(d.Sessions, out)
	}
	d.approvals(in, sessions)
	for v, n := range versions {
		d.Policies = append(d.Policies, Policy{Version: v, Steps: n, Included: v == in.Policy.Version && len(in.Policy.Files) > 0})
	}
	slices.SortFunc(d.Policies, func(a, b Policy) int { return strings.Compare(a.Version, b.Version) })
	return d
}

func scopeOf(s Scope) DocumentScope {
	out := DocumentScope{Kind: s.kind(), ID: s.Session + s.Task + s.Principal}
	if !s.From.IsZero() {
		t := s.From.UTC()
		out.From = &t
	}
	if !s.To.IsZero() {
		t := s.To.UTC()
		out.To = &t
	}
	return out
}

func session(s *trace.Session) Session {
	head := s.Any
	if s.Open != nil {
		head = s.Open
	}
	out := Session{ID: s.ID, From: s.From.UTC(), To: s.To.UTC(), Completeness: s.Completeness(), Steps: []Step{}}
	if s.ID == "" {
		out.Completeness = "records outside of sessions are not numbered"
		return out
	}
	out.Subject, out.Actors, out.Groups, out.Client = head.Principal, trace.Actors(head), head.Groups, head.Client
	out.Identity = identity(head)
	out.Door, out.Connection = string(head.Door), head.Connection
	out.PreviewOf = trace.PreviewOf(s.Open)
	out.Erased = s.Open != nil && trace.Blank(s.Open)
	if s.Open != nil {
		out.Opened = s.Open.Position
	}
	if s.Close != nil {
		out.Closed, out.Ended = s.Close.Position, s.Close.Error
		out.Complete = s.Close.Rows == int64(s.Close.Seq) && s.Count == s.Close.Seq && s.First == 1
	}
	return out
}

func (in *Input) step(st *trace.Step, s *trace.Session) Step {
	p, end := &st.Plan, st.End
	out := Step{Sequence: st.Seq, Position: st.Position, Time: st.Time.UTC(), Partial: st.Part, Door: string(st.Door), Connection: st.Connection,
		Subject: st.Principal, Actors: trace.Actors(st.Record), Identity: identityOutside(st.Record, s), Task: st.Task, Traceparent: traceparent(st.Traceparent), PreviewOf: st.Preview, Reason: st.Reason, Class: string(p.Class), Command: p.Tag, Fingerprint: p.Fingerprint,
		SQL: st.SQL, Parameters: parameters(st.Record), Labels: texts(p.Labels), Columns: columns(p), Rows: st.Released(), Hint: st.Hint}
	if trace.IsProof(st.Kind) {
		out.Command = st.About()
	}
	for _, rel := range p.Relations {
		action, name, _ := strings.Cut(rel, " ")
		out.Relations = append(out.Relations, Relation{action, name})
	}
	for _, rec := range st.Records() {
		out.Positions = append(out.Positions, rec.Position)
		out.Erased = out.Erased || rec.Erased
		out.Bytes = max(out.Bytes, rec.Bytes)
		out.Guesses += rec.Probes
	}
	if n := len(st.Releases); n > 0 && end != nil && end.Kind != access.RecordRelease {
		out.ReleasedIn = n + 1
	}
	if id, preview := trace.RequestOf(st.Record); !preview && st.Preview == "" {
		out.Approval = id
	}
	if st.Preview != "" {
		out.Bytes = 0
	}
	detected := 0
	if end != nil {
		detected = end.Detected
		out.Truncated, out.Digest, out.SQLState, out.Error, out.Microseconds = end.Truncated, hexOf(end.Digest), end.Code, end.Error, end.Micros
		out.ResultNames = end.Columns
		if end.Command != "" {
			out.Command = end.Command
		}
		if end.Hint != "" {
			out.Hint = end.Hint
		}
	}
	out.Outcome = outcome(st)
	if trace.IsOrder(st.Kind) { // its rows are records
		out.Command, out.Rows = strings.ToUpper(st.About()), 0
	}
	if p.Effect != "" {
		out.Decision = &Decision{Effect: p.Effect, Policies: p.Policies, PolicyVersion: p.PolicyVersion, CatalogVersion: p.CatalogVersion, Compiled: p.Compiled, Obligations: obligations(p.Obligations)}
	}
	if len(p.Masks) > 0 || detected > 0 {
		out.Masks = &Masks{Columns: len(p.Masks), Detected: detected}
	}
	if p.PolicyVersion != "" && p.PolicyVersion == in.Policy.Version { // another version may have said another purpose
		for _, id := range p.Policies {
			if purpose := in.Policy.Purposes[id]; purpose != "" && !slices.Contains(out.Purposes, purpose) {
				out.Purposes = append(out.Purposes, purpose)
			}
		}
	}
	return out
}

var traceparentForm = regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)

// traceparent is one of version 00, or nothing for what is none.
func traceparent(s string) string { return traceparentForm.FindString(s) }

// hexOf is a SHA-256 in hexadecimal, or nothing for what is none.
func hexOf(s string) string {
	if b, err := hex.DecodeString(s); err != nil || len(b) != 32 {
		return ""
	}
	return strings.ToLower(s)
}

func outcome(st *trace.Step) Outcome {
	switch v := st.Verdict(); {
	case v == trace.Declared, v == trace.Proven, v == trace.Viewed, trace.IsOrder(st.Kind):
		return Declared
	case v == trace.Held:
		return Held
	case v == trace.Refused:
		return Refused
	case v == trace.Erased:
		return Erased
	case v == trace.Uncertain:
		return Unknown
	case v == trace.Failed:
		return Failed
	}
	return Allowed
}

func columns(p *access.PlanRecord) []Column {
	var out []Column
	for _, m := range p.Masks {
		out = append(out, Column{Column: m.Column, Label: string(m.Label), Masked: true, Transform: m.Transform})
	}
	for _, s := range p.Shown {
		for _, l := range s.Labels {
			out = append(out, Column{Column: s.Column, Label: string(l)})
		}
	}
	slices.SortStableFunc(out, func(a, b Column) int {
		return strings.Compare(a.Label+"\x00"+a.Column, b.Label+"\x00"+b.Column)
	})
	return out
}

func texts[T ~string](list []T) []string {
	var out []string
	for _, v := range list {
		out = append(out, string(v))
	}
	return out
}

func obligations(o *access.Obligations) *Obligations {
	if o == nil {
		return nil
	}
	out := &Obligations{Rows: o.Rows, Bytes: o.Bytes, Affected: o.Affected, TimeoutMS: o.Timeout.Milliseconds(), LockMS: o.LockTimeout.Milliseconds(),
		IdleMS: o.IdleTimeout.Milliseconds(), Cost: o.Cost, Concurrent: o.Concurrent, Sessions: o.Sessions, Reason: o.Reason, Review: o.Review, NoPreview: o.NoPreview,
		Where: o.Where, MinGroup: o.MinGroup, GroupBy: o.GroupBy, Description: strings.Join(trace.Limits(o), ", ")}
	for _, b := range o.Probes {
		out.Probes = append(out.Probes, Probes{b.Most, b.Window.Milliseconds()})
	}
	return out
}

func (d *Document) count(st *Step) {
	s := &d.Summary
	if st.Outcome == Declared {
		return
	}
	if st.PreviewOf != "" {
		s.Previews++
		return
	}
	s.Steps++
	s.Rows += st.Rows
	s.Bytes += st.Bytes
	*map[Outcome]*int{Allowed: &s.Allowed, Refused: &s.Refused, Held: &s.Held, Failed: &s.Failed, Unknown: &s.Unknown, Erased: &s.Erased}[st.Outcome]++
}

// purpose adds an entry of the catalogue once.
func (d *Document) purpose(catalogue []access.Purpose, id string) {
	if slices.ContainsFunc(d.Purposes, func(p Purpose) bool { return p.ID == id }) {
		return
	}
	for _, p := range catalogue {
		if p.ID == id {
			d.Purposes = append(d.Purposes, Purpose{p.ID, p.Text, p.LawfulBasis})
		}
	}
}

// zipTime is the time of every file in a bundle: the earliest that a zip file can hold.
var zipTime = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
