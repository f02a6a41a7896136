package trace

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport/audit/internal/show"
	"sallyport/internal/access"
)

// Approval is a request for approval with its history, as far as it is in view.
type Approval struct {
	ID    string
	Turns []Turn // in the order of the log
}

// Turn is one step of a request, with its record.
type Turn struct {
	Record *access.Record
	access.ReviewStep
}

// previewMark is in front of the request that a statement was tried for.
const previewMark = "preview of "

// RequestOf is the request that a record belongs to, and whether it is a preview of it only: run to show a reviewer what the
// request would do, and rolled back.
func RequestOf(rec *access.Record) (id string, preview bool) {
	id, preview = strings.CutPrefix(rec.Approval, previewMark)
	return id, preview
}

// PreviewOf is the request that a session was opened for to try, or "". What a client says of itself comes behind its address.
func PreviewOf(open *access.Record) string {
	if open == nil {
		return ""
	}
	rest, ok := strings.CutPrefix(open.Client, "preview of request ")
	if !ok {
		return ""
	}
	id, _, _ := strings.Cut(rest, " ")
	return id
}

// turn reads the step that a record of kind review holds.
func turn(rec *access.Record) Turn {
	t := Turn{Record: rec}
	if len(rec.Review) > 0 {
		_ = json.Unmarshal(rec.Review, &t.ReviewStep) // one that does not decode shows as a step of which nothing is known; --json has its bytes
	}
	return t
}

// ReviewTexts are what somebody wrote in a record of kind review (the justification, why nobody was asked), and what else in its
// step may speak of a person: who decided, and how it ended.
func ReviewTexts(rec *access.Record) (words, further []string) {
	if len(rec.Review) == 0 {
		return nil, nil
	}
	t := turn(rec)
	return []string{t.Justification, t.Glass}, []string{t.Reviewer, t.Outcome, t.Proven}
}

// Asked is the turn with which the request began, or nil where that is not in view.
func (a *Approval) Asked() *Turn {
	if t := &a.Turns[0]; t.From == "" && t.To != "" {
		return t
	}
	return nil
}

// State is where the request stood last, "" where that was erased.
func (a *Approval) State() string { return a.Turns[len(a.Turns)-1].To }

// Glass is why nobody was asked beforehand, and whether that is so.
func (a *Approval) Glass() (why string, broken bool) {
	for _, t := range a.Turns {
		if t.Glass != "" {
			return t.Glass, true
		}
	}
	return "", false
}

// Looked is whether somebody has looked at a broken glass.
func (a *Approval) Looked() bool {
	return slices.ContainsFunc(a.Turns, func(t Turn) bool { return t.Afterwards })
}

// Votes are the turns that are somebody's word.
func (a *Approval) Votes() []Turn {
	var out []Turn
	for _, t := range a.Turns {
		if t.Verdict != "" {
			out = append(out, t)
		}
	}
	return out
}

// Waited is the time from the request to its decision, 0 where either is not in view.
func (a *Approval) Waited() time.Duration {
	asked := a.Asked()
	if asked == nil || asked.To != "pending" {
		return 0
	}
	for _, t := range a.Turns {
		if t.From == "pending" && t.To != "pending" {
			return t.Record.Time.Sub(asked.Record.Time)
		}
	}
	return 0
}

// Grant is what an approval allows: the form of internal/approval's.
type Grant struct {
	Mode      string          `json:"mode"`
	Uses      int             `json:"uses"`
	Ranges    json.RawMessage `json:"ranges"`
	Until     time.Time       `json:"until"`
	Classes   []string        `json:"classes"`
	Relations []string        `json:"relations"`
	Columns   []string        `json:"columns"`
}

// Grant is what the request's approval allowed; nil where there is none.
func (a *Approval) Grant() *Grant {
	for _, t := range slices.Backward(a.Turns) {
		if len(t.ReviewStep.Grant) > 0 {
			g := new(Grant)
			if json.Unmarshal(t.ReviewStep.Grant, g) == nil {
				return g
			}
		}
	}
	return nil
}

// String says what is allowed in words that are safe to print.
func (g *Grant) String() string {
	until := ""
	if !g.Until.IsZero() {
		until = " until " + g.Until.UTC().Format("2006-01-02 15:04:05 UTC")
	}
	switch g.Mode {
	case "once":
		return "this statement, once"
	case "form":
		values := "with the same values"
		if len(g.Ranges) > 0 {
			values = "with values in the ranges that were given"
		}
		return fmt.Sprintf("%s of this form, %s%s", show.Plural(int64(g.Uses), "statement"), values, until)
	case "window":
		return fmt.Sprintf("every %s statement that does no more than %s%s", show.CleanList(g.Classes), show.CleanList(g.Relations), until)
	case "reveal":
		return "to see " + show.CleanList(g.Columns) + " as it is" + until
	}
	return "mode " + show.Clean(g.Mode) + until
}

// Words say what happened in a turn, in words that are safe to print. They do not say when.
func (t *Turn) Words() string {
	switch {
	case t.To == "" && t.Record.Erased:
		return "(erased: can no longer be read)"
	case t.To == "":
		return "(cannot be read)"
	case t.Escalated != nil:
		return t.escalated()
	case len(t.Lapsed) > 0:
		return t.lapsed()
	case t.From == "" && t.Glass != "":
		return "THE GLASS WAS BROKEN by " + asker(t.Record) + ": nobody was asked. Reason: " + show.Clean(t.Glass)
	case t.From == "":
		text := "asked by " + asker(t.Record)
		if len(t.Missing) > 0 {
			text += ", of " + show.CleanList(t.Missing)
		}
		return text
	case t.Verdict != "":
		return t.vote()
	case t.Use:
		return "used: about to run"
	}
	return show.Join(": ", show.Clean(t.To), show.Clean(t.Outcome))
}

// escalated says who stands in for whom from then on, and why.
func (t *Turn) escalated() string {
	e := t.Escalated
	many, did := "nobody", "approved"
	if e.Approved > 0 {
		many = fmt.Sprintf("%d of %d", e.Approved, e.Quorum)
	}
	if t.Glass != "" {
		did = "looked at it"
	}
	return fmt.Sprintf("escalated: %s had %s for %s after %s; members of %s may decide in their place from now on", many, did, show.Clean(e.Group),
		show.Duration(time.Duration(e.AfterMS)*time.Millisecond), show.CleanList(e.To))
}

// lapsed says whose approval counts no longer, and what became of the request by it.
func (t *Turn) lapsed() string {
	var parts []string
	for _, v := range t.Lapsed {
		parts = append(parts, show.Clean(v.Reviewer)+"'s approval counts no longer: "+show.Clean(v.Why))
	}
	text := show.Clean(t.To)
	if t.From == t.To {
		text += " still"
	}
	if t.To == "pending" && len(t.Missing) > 0 {
		text += ", waits for " + show.CleanList(t.Missing)
	}
	return strings.Join(parts, "; ") + "; it is " + text
}

func (t *Turn) vote() string {
	word := "approved"
	if t.Verdict == "deny" {
		word = "denied"
	}
	if t.Afterwards {
		word = map[string]string{"approved": "looked at it afterwards, and accepts it", "denied": "looked at it afterwards, and objects"}[word]
	}
	text := show.Clean(t.Reviewer)
	if len(t.Groups) > 0 {
		text += " (" + show.CleanList(t.Groups) + ")"
	}
	text += " " + word
	if len(t.Instead) > 0 {
		text += " in the place of " + show.CleanList(t.Instead)
	}
	if t.Channel != "" {
		text += " (" + show.Clean(t.Channel) + ")"
	}
	if how := t.proven(); how != "" {
		text += ", " + how
	}
	if t.Justification != "" {
		text += ": " + show.Clean(t.Justification)
	}
	if t.Purpose != "" {
		text += "; purpose " + show.Clean(t.Purpose)
	}
	if t.LawfulBasis != "" {
		text += ", lawful basis " + show.Clean(t.LawfulBasis)
	}
	if t.Verdict != "deny" && !t.Afterwards && len(t.Missing) > 0 {
		text += "; still missing " + show.CleanList(t.Missing)
	}
	return text
}

// proven says by what a reviewer was proven, and when.
func (t *Turn) proven() string {
	var parts []string
	if t.Proven != "" {
		parts = append(parts, "by "+show.Clip(show.Clean(t.Proven), 240))
	}
	if t.ACR != "" {
		parts = append(parts, "with acr "+show.Clip(show.Clean(t.ACR), 120))
	}
	if !t.Authenticated.IsZero() {
		parts = append(parts, "at "+t.Authenticated.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	if len(parts) == 0 {
		return ""
	}
	return "proven " + strings.Join(parts, ", ")
}

func asker(rec *access.Record) string {
	who := show.Clean(rec.Principal)
	if who == "" {
		who = "somebody"
	}
	if rec.Actor != "" {
		who += " through " + show.Clean(rec.Actor)
	}
	return who
}

// Told says in a line what happened last.
func (a *Approval) Told() string { return show.Clean(a.ID) + ": " + a.Turns[len(a.Turns)-1].Words() }

// Summary says in a line how the request stands, in words that are safe to print.
func (a *Approval) Summary() string {
	parts := []string{show.Clean(a.ID)}
	if state := a.State(); state != "" {
		parts = append(parts, show.Clean(state))
	}
	if g := a.Grant(); g != nil {
		parts = append(parts, "allowed "+g.String())
	}
	if w := a.Waited(); w > 0 {
		parts = append(parts, "decided after "+show.Duration(w))
	}
	if _, broken := a.Glass(); broken {
		text := "BROKEN GLASS"
		if !a.Looked() {
			text += ", and nobody has looked at it"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, " · ")
}

// Approvals are the requests of sessions, each once, by the order in which they began.
func Approvals(sessions []*Session) []*Approval {
	var out []*Approval
	for _, s := range sessions {
		for _, st := range s.Steps {
			if st.Request != nil && !slices.Contains(out, st.Request) {
				out = append(out, st.Request)
			}
		}
	}
	slices.SortFunc(out, func(a, b *Approval) int {
		return cmp.Compare(a.Turns[0].Record.Position, b.Turns[0].Record.Position)
	})
	return out
}
