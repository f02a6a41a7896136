package trace

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sallyport/audit/internal/show"
	"sallyport/internal/access"
)

// About names a step in a line: its verb and relations, or what it is instead.
func (st *Step) About() string {
	switch about := show.Join(" ", show.Clean(st.Plan.Tag), show.CleanList(st.Plan.Relations)); {
	case st.Kind == access.RecordTask:
		return show.Join(" ", "declared", show.Clean(st.Task))
	case st.Kind == access.RecordErased:
		return erasedWhat(st.Record)
	case st.Kind == access.RecordProposal:
		return "proposed to erase " + show.Plural(st.Rows, "record")
	case st.Kind == access.RecordHold:
		return "put records under a hold"
	case st.Kind == access.RecordLifted:
		return "ended a hold"
	case Blank(st.Record):
		return "(erased)"
	case st.Kind == access.RecordLogin && st.Proof != nil && st.Proof.BreakGlass:
		return "broke the glass to log in: by " + ProvenBy(st.Record, time.UTC)
	case st.Kind == access.RecordLogin:
		return "logged in at a provider, and was issued a credential"
	case st.Kind == access.RecordViewed:
		return viewed(st.Record)
	case st.Kind == access.RecordRevoked:
		return withdrawn(st.Record)
	case st.Kind == access.RecordReview:
		return show.Join(" ", "request for approval", show.Clean(st.Request.ID))
	case st.Part:
		return "(its beginning is not in this view)"
	case st.Session == "" && about == "" && st.SQL == "" && !st.Erased:
		return "log-in"
	default:
		return about
	}
}

func erasedWhat(rec *access.Record) string {
	var o access.Order
	_ = json.Unmarshal(rec.Order, &o) // of older records there is none
	what := "erased the content of " + show.Plural(rec.Rows, "record")
	if o.Tagged > 0 {
		what += ", and by whom " + show.Plural(int64(o.Tagged), "other") + " could be found"
	}
	return what
}

// IsOrder is true of records about the record: they belong to no session, nothing ran, and what they say of a person is all
// that is ever erased of them.
func IsOrder(k access.RecordKind) bool {
	return k == access.RecordErased || k == access.RecordProposal || k == access.RecordHold || k == access.RecordLifted
}

// IsProof is true of records about what proves somebody, or of what somebody looked at: nothing ran.
func IsProof(k access.RecordKind) bool {
	return k == access.RecordLogin || k == access.RecordRevoked || k == access.RecordViewed
}

// ViewOf is what a record says that somebody looked at; nothing where it is of another kind, or was erased.
func ViewOf(rec *access.Record) (v access.Viewing) {
	if len(rec.Viewed) > 0 {
		_ = json.Unmarshal(rec.Viewed, &v) // of our own making
	}
	return v
}

// viewed says in a line what somebody looked at.
func viewed(rec *access.Record) string {
	v := ViewOf(rec)
	if v.What == "" {
		return "looked at the record"
	}
	text := show.Join(" ", "looked at the record:", show.Clean(v.What), show.Clean(v.Of))
	if v.Query != "" {
		text += " for " + strconv.Quote(show.Clean(v.Query))
	}
	return text
}

// withdrawn says in a line which proofs a record withdrew, or that it took that back.
func withdrawn(rec *access.Record) string {
	var r access.RevocationStep
	_ = json.Unmarshal(rec.Revoked, &r) // of our own making; one that cannot be read withdrew something all the same
	var parts []string
	add := func(what, of string) {
		if of != "" {
			parts = append(parts, what+" "+show.Clean(of))
		}
	}
	add("of", r.Principal)
	add("by which acted", r.Actor)
	add("of the provider", r.Issuer)
	add("subject", r.Subject)
	add("session", r.Session)
	add("token", show.Clip(r.Token, 12))
	add("credential", r.Credential)
	if !r.Before.IsZero() {
		parts = append(parts, "from before "+r.Before.UTC().Format(time.RFC3339))
	}
	if len(r.Accounts) > 0 {
		parts = append(parts, "with "+show.Plural(int64(len(r.Accounts)), "account")+" that had the name")
	}
	what := "withdrew proofs"
	if r.Undone {
		what = "took back the withdrawal of proofs"
	}
	return strings.Join(append([]string{what}, parts...), " ")
}

// Limits says, one a part, what a decision asked for. nil asks for nothing.
func Limits(o *access.Obligations) []string {
	if o == nil {
		return nil
	}
	var limits []string
	if o.Rows > 0 {
		limits = append(limits, "at most "+show.Plural(o.Rows, "row"))
	}
	if o.Bytes > 0 {
		limits = append(limits, "at most "+show.Plural(o.Bytes, "byte")+" of rows")
	}
	if o.Affected > 0 {
		limits = append(limits, "changes at most "+show.Plural(o.Affected, "row"))
	}
	if o.Timeout > 0 {
		limits = append(limits, "at most "+show.Duration(o.Timeout))
	}
	if o.Cost > 0 {
		limits = append(limits, "costs at most "+strconv.FormatInt(o.Cost, 10)+" by the planner")
	}
	if o.LockTimeout > 0 {
		limits = append(limits, "waits at most "+show.Duration(o.LockTimeout)+" for locks")
	}
	if o.IdleTimeout > 0 {
		limits = append(limits, "idle in a transaction at most "+show.Duration(o.IdleTimeout))
	}
	if o.Concurrent > 0 {
		limits = append(limits, "at most "+show.Plural(o.Concurrent, "statement")+" at a time")
	}
	if o.Reason {
		limits = append(limits, "reason required")
	}
	if len(o.Review) > 0 {
		limits = append(limits, "review by "+show.CleanList(o.Review))
	}
	if o.NoPreview {
		limits = append(limits, "no preview for reviewers")
	}
	if o.MinGroup > 0 {
		text := fmt.Sprintf("groups of at least %d", o.MinGroup)
		if len(o.GroupBy) > 0 {
			text += " by " + show.CleanList(o.GroupBy)
		}
		limits = append(limits, text)
	}
	for _, b := range o.Probes {
		limits = append(limits, fmt.Sprintf("at most %d guesses in %s", b.Most, show.Duration(b.Window)))
	}
	for _, w := range o.Where {
		limits = append(limits, "only rows with "+show.Clean(w))
	}
	for _, r := range o.Role {
		limits = append(limits, "as the database's role "+show.Clean(r))
	}
	for _, s := range o.Settings {
		limits = append(limits, "set to "+show.Clean(s))
	}
	return limits
}

// Result says in one line what was released, in how many windows beside the last.
func Result(end *access.Record, releases int) string {
	var parts []string
	if end.Command == "" && end.Rows == 0 {
		parts = append(parts, "nothing released")
	}
	if end.Command != "" {
		parts = append(parts, show.Clean(end.Command))
	}
	if len(end.Columns) > 0 || end.Rows > 0 {
		parts = append(parts, show.Plural(end.Rows, "row"))
	}
	if end.Bytes > 0 {
		parts = append(parts, show.Size(end.Bytes))
	}
	if end.Micros > 0 {
		parts = append(parts, show.Duration(time.Duration(end.Micros)*time.Microsecond))
	}
	if releases > 0 {
		parts = append(parts, "released in "+show.Plural(int64(releases+1), "part"))
	}
	if end.Truncated {
		parts = append(parts, "cut short by a limit")
	}
	if end.Digest != "" {
		parts = append(parts, "sha256 "+show.Clip(show.Clean(end.Digest), 12))
	}
	return strings.Join(parts, " · ")
}

// Completeness says whether all records of the session are in view, by their numbers.
func (s *Session) Completeness() string {
	if s.Close != nil && s.Close.Rows == int64(s.Close.Seq) {
		if s.Count == s.Close.Seq && s.First == 1 {
			return fmt.Sprintf("%d, closed, complete", s.Count)
		}
		return fmt.Sprintf("%d of %d in this view, closed", s.Count, s.Close.Seq)
	}
	view := fmt.Sprintf("%d in this view, numbers %d to %d", s.Count, s.First, s.Last)
	if s.First == 1 && s.Count == s.Last {
		view = fmt.Sprintf("%d, none missing so far", s.Count)
	}
	if s.Close != nil {
		return fmt.Sprintf("%s; the close record counts %d", view, s.Close.Rows)
	}
	return view + "; no close record in view"
}
