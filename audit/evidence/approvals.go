package evidence

import (
	"slices"
	"time"

	"sallyport/audit/internal/trace"
)

// Approval is a request that somebody decides about, with its history.
type Approval struct {
	ID         string       `json:"id"`
	State      string       `json:"state,omitempty"` // the last that is known
	Requester  string       `json:"requester,omitempty"`
	Actors     []string     `json:"actors,omitempty"`
	Session    string       `json:"session,omitempty"` // at the agents' door the task
	Door       string       `json:"door,omitempty"`
	Connection string       `json:"connection,omitempty"`
	Task       string       `json:"task,omitempty"`
	Asked      *time.Time   `json:"asked,omitempty"` // absent: how it began is not in the bundle, or erased
	Expires    *time.Time   `json:"expires,omitempty"`
	Digest     string       `json:"digest,omitempty"` // SHA-256 of what an approval is bound to
	Reason     string       `json:"claimed_reason,omitempty"`
	SQL        string       `json:"sql,omitempty"`
	Relations  []string     `json:"relations,omitempty"`
	Labels     []string     `json:"labels,omitempty"`
	Policies   []string     `json:"policies,omitempty"` // that asked for it
	Glass      *BrokenGlass `json:"broken_glass,omitempty"`
	Grant      *Grant       `json:"grant,omitempty"`
	WaitedMS   int64        `json:"waited_ms,omitempty"` // from the request to its decision
	Steps      []uint64     `json:"steps,omitempty"`     // of the bundle that ran under it or were held for it, by position
	History    []Turn       `json:"history"`
	Erased     bool         `json:"erased,omitempty"` // some of it is
}

// BrokenGlass says that a statement ran before anybody had been asked.
type BrokenGlass struct {
	Reason string `json:"reason"`
	Looked bool   `json:"looked_at"` // somebody has looked at it afterwards
}

// Grant is what an approval allowed.
type Grant struct {
	Mode        string     `json:"mode"`
	Uses        int        `json:"uses,omitempty"`
	Until       *time.Time `json:"until,omitempty"`
	Classes     []string   `json:"classes,omitempty"`
	Relations   []string   `json:"relations,omitempty"`
	Columns     []string   `json:"columns,omitempty"`
	Description string     `json:"description"` // all of it in words
}

// Turn is one step of a request.
type Turn struct {
	Position      uint64     `json:"position"`
	Time          time.Time  `json:"time"`
	From          string     `json:"from,omitempty"`
	To            string     `json:"to,omitempty"`
	Used          bool       `json:"used,omitempty"` // a statement was about to run under it
	Reviewer      string     `json:"reviewer,omitempty"`
	Groups        []string   `json:"groups,omitempty"`
	Instead       []string   `json:"instead,omitempty"` // groups that the reviewer stood in for
	Verdict       string     `json:"verdict,omitempty"`
	Channel       string     `json:"channel,omitempty"`
	Justification string     `json:"justification,omitempty"`
	Purpose       string     `json:"purpose,omitempty"`
	LawfulBasis   string     `json:"lawful_basis,omitempty"`
	Authenticated *time.Time `json:"authenticated,omitempty"`
	ACR           string     `json:"acr,omitempty"`        // how, by their provider's word
	Proven        string     `json:"proven,omitempty"`     // by what the reviewer was: the method, the provider and who they are there
	Afterwards    bool       `json:"afterwards,omitempty"` // about what had run behind broken glass
	Missing       []string   `json:"missing,omitempty"`    // groups that had not approved
	Escalated     *Escalated `json:"escalated,omitempty"`
	Lapsed        []Lapsed   `json:"lapsed,omitempty"` // approvals that count no longer from then on
	Outcome       string     `json:"outcome,omitempty"`
	Erased        bool       `json:"erased,omitempty"`
	Description   string     `json:"description"` // the same in words
}

// Lapsed is an approval that counts no longer.
type Lapsed struct {
	Reviewer string `json:"reviewer"`
	Why      string `json:"why"`
}

// Escalated says of a step that others may decide from then on in the place of a group that had not.
type Escalated struct {
	Group    string   `json:"group"`
	Quorum   int      `json:"quorum"`             // how many of it have to approve
	Approved int      `json:"approved,omitempty"` // how many of them had
	AfterMS  int64    `json:"after_ms"`           // the time that it had
	To       []string `json:"to"`                 // the groups that stand in
}

// approvals adds the requests of sessions to d, and the purposes that reviewers named.
func (d *Document) approvals(in *Input, sessions []*trace.Session) {
	for _, a := range trace.Approvals(sessions) {
		out := approval(a)
		for _, s := range d.Sessions {
			for _, st := range s.Steps {
				if st.Approval == a.ID {
					out.Steps = append(out.Steps, st.Position)
				}
			}
		}
		slices.Sort(out.Steps)
		for _, t := range a.Votes() {
			d.purpose(in.Purposes, t.Purpose)
		}
		d.Summary.Requests++
		if out.Glass != nil {
			d.Summary.BrokenGlass++
		}
		d.Approvals = append(d.Approvals, out)
	}
}

func approval(a *trace.Approval) Approval {
	first := a.Turns[0].Record
	out := Approval{ID: a.ID, State: a.State(), Requester: first.Principal, Actors: trace.Actors(first), Door: string(first.Door), Connection: first.Connection,
		Task: first.Task, WaitedMS: a.Waited().Milliseconds(), History: []Turn{}}
	if asked := a.Asked(); asked != nil {
		out.Asked, out.Expires, out.Digest = instant(asked.Record.Time), instant(asked.Expires), asked.Digest
		out.Session, out.Reason, out.SQL = asked.ReviewStep.Session, asked.Record.Reason, asked.Record.SQL
		out.Relations, out.Labels, out.Policies = asked.Relations, texts(asked.Labels), asked.Policies
	}
	if why, broken := a.Glass(); broken {
		out.Glass = &BrokenGlass{why, a.Looked()}
	}
	if g := a.Grant(); g != nil {
		out.Grant = &Grant{Mode: g.Mode, Uses: g.Uses, Until: instant(g.Until), Classes: g.Classes, Relations: g.Relations, Columns: g.Columns, Description: g.String()}
	}
	for i := range a.Turns {
		t := &a.Turns[i]
		out.Erased = out.Erased || t.Record.Erased
		var lapsed []Lapsed
		for _, l := range t.Lapsed {
			lapsed = append(lapsed, Lapsed(l))
		}
		out.History = append(out.History, Turn{Position: t.Record.Position, Time: t.Record.Time.UTC(), From: t.From, To: t.To, Used: t.Use,
			Reviewer: t.Reviewer, Groups: t.Groups, Instead: t.Instead, Escalated: (*Escalated)(t.Escalated), Lapsed: lapsed, Verdict: t.Verdict, Channel: t.Channel, Justification: t.Justification, Purpose: t.Purpose, LawfulBasis: t.LawfulBasis,
			Authenticated: instant(t.Authenticated), ACR: t.ACR, Proven: t.Proven, Afterwards: t.Afterwards, Missing: t.Missing, Outcome: t.Outcome, Erased: t.Record.Erased, Description: t.Words()})
	}
	return out
}

// instant is a time in UTC, or nil for none.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
