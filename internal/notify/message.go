package notify

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"sallyport/audit"
	"sallyport/internal/access"
)

// Event is what happened to a request.
type Event string

const (
	Requested Event = "requested" // somebody waits for a decision
	Vote      Event = "vote"      // a reviewer approved, and others are still to
	Escalated Event = "escalated" // a group had not decided in its time, and others may in its place
	Lapsed    Event = "lapsed"    // who had approved may not any more: it waits again
	Approved  Event = "approved"
	Denied    Event = "denied"
	Expired   Event = "expired"
	Cancelled Event = "cancelled"
	Executed  Event = "executed"
	Failed    Event = "failed"
	Unknown   Event = "unknown"  // whether it ran is not known
	Glass     Event = "glass"    // somebody broke the glass: it runs, and nobody was asked
	Reviewed  Event = "reviewed" // of a broken glass: somebody has looked at it

	GlassLogin Event = "glass_login" // somebody logged in by what is kept for when nobody else can
)

// Events lists all.
func Events() []Event {
	return []Event{Requested, Vote, Escalated, Lapsed, Approved, Denied, Expired, Cancelled, Executed, Failed, Unknown, Glass, Reviewed, GlassLogin}
}

// Message is what a webhook is sent of an event; the other channels put the same into words. All of its text is clean.
type Message struct {
	ID            string    `json:"id"` // of the event: log and position, the same whenever it is sent
	Event         Event     `json:"event"`
	Time          time.Time `json:"time"`
	Request       string    `json:"request,omitempty"` // absent of what is no request
	State         string    `json:"state,omitempty"`
	URL           string    `json:"url,omitempty"`    // where it is decided
	Digest        string    `json:"digest,omitempty"` // what an approval is bound to
	Expires       time.Time `json:"expires,omitzero"`
	Quiet         time.Time `json:"quiet_until,omitzero"` // what else they ask for is not told before then
	Principal     string    `json:"principal"`
	Actor         string    `json:"actor,omitempty"`
	Door          string    `json:"door,omitempty"`
	Connection    string    `json:"connection,omitempty"`
	Task          string    `json:"task,omitempty"`
	Ticket        string    `json:"ticket,omitempty"`
	Claimed       string    `json:"claimed_reason,omitempty"` // as claimed by who asks, never verified
	Glass         string    `json:"glass_reason,omitempty"`   // as claimed by who broke it
	Relations     []string  `json:"relations,omitempty"`
	Labels        []string  `json:"labels,omitempty"`
	Columns       []string  `json:"columns,omitempty"`   // that are to be shown as they are
	Asked         []string  `json:"asked,omitempty"`     // groups that decide, with those that stand in
	Missing       []string  `json:"missing,omitempty"`   // those of them that have not approved
	For           string    `json:"for,omitempty"`       // of an escalation: the group that had not decided
	StandIns      []string  `json:"stand_ins,omitempty"` // ... and those who may in its place
	After         string    `json:"after,omitempty"`     // ... because it had had this long, "30m"
	Reviewer      string    `json:"reviewer,omitempty"`
	Verdict       string    `json:"verdict,omitempty"`
	Justification string    `json:"justification,omitempty"` // the reviewer's
	Outcome       string    `json:"outcome,omitempty"`       // of a vote that lapsed: why
	SQL           string    `json:"sql,omitempty"`           // where the channel is told to
	Client        string    `json:"client,omitempty"`        // of a log-in: from where, and by what
	Method        string    `json:"method,omitempty"`
}

// How much of what others wrote goes into a message.
const (
	mostText = 300 // characters
	mostSQL  = 1000
	mostList = 10
)

// stepOf reads the step that a record is of. One that was erased is none.
func stepOf(rec *access.Record) (*access.ReviewStep, error) {
	step := new(access.ReviewStep)
	if rec.Kind != access.RecordReview || len(rec.Review) == 0 {
		return step, nil
	}
	if err := json.Unmarshal(rec.Review, step); err != nil {
		return nil, fmt.Errorf("record %d holds a step of a request that cannot be read: %w", rec.Position, err)
	}
	return step, nil
}

func newMessage(event Event, log string, rec *access.Record, step *access.ReviewStep) *Message {
	m := &Message{ID: fmt.Sprintf("%s-%d", log, rec.Position), Event: event, Time: rec.Time.UTC(), Request: text(rec.Approval), State: text(step.To), Digest: text(step.Digest),
		Expires: step.Expires.UTC(), Principal: text(rec.Principal), Actor: text(rec.Actor), Door: text(string(rec.Door)), Connection: text(rec.Connection), Task: text(rec.Task),
		Ticket: unlinked(rec.Ticket), Claimed: unlinked(rec.Reason), Relations: list(step.Relations), Labels: list(step.Labels), Columns: list(step.Columns), Asked: list(step.Asked),
		Reviewer: text(step.Reviewer), Verdict: text(step.Verdict), Justification: unlinked(step.Justification)}
	switch event {
	case Requested, Vote, Escalated, Lapsed:
		m.Missing = list(step.Missing)
		if len(step.Lapsed) > 0 {
			m.Reviewer, m.Outcome = text(step.Lapsed[0].Reviewer), unlinked(step.Lapsed[0].Why)
		}
		if e := step.Escalated; e != nil {
			m.For, m.StandIns, m.After, m.Glass = text(e.Group), list(e.To), span(time.Duration(e.AfterMS)*time.Millisecond), unlinked(step.Glass)
		}
	case Glass, Reviewed:
		m.Glass = unlinked(step.Glass)
	case Executed, Expired, Cancelled, Unknown: // a command tag, or our own words
		m.Outcome = text(step.Outcome)
	case Failed: // an error of the database may hold values
		m.Outcome = "the database refused it"
	}
	m.SQL = short(unlink(audit.Clean(strings.Join(strings.Fields(rec.SQL), " "))), mostSQL)
	return m
}

// loginMessage is of a log-in by break glass.
func loginMessage(log string, rec *access.Record) *Message {
	return &Message{ID: fmt.Sprintf("%s-%d", log, rec.Position), Event: GlassLogin, Time: rec.Time.UTC(), Principal: text(rec.Principal), Door: text(string(rec.Door)),
		Connection: text(rec.Connection), Client: unlinked(rec.Client), Method: text(string(rec.Proof.Method)), Expires: rec.Proof.Expires.UTC()}
}

func eventOf(s *access.ReviewStep) Event {
	switch {
	case s.To == "":
		return ""
	case s.Escalated != nil:
		return Escalated
	case len(s.Lapsed) > 0 && s.To == "pending":
		return Lapsed
	case s.From == "" && s.Glass != "":
		return Glass
	case s.From == "":
		return Requested
	case s.Afterwards:
		return Reviewed
	case s.Use:
		return "" // it is about to run: how that ended is told
	case s.To == "pending":
		return Vote
	case s.From == s.To:
		return ""
	}
	switch e := Event(s.To); e {
	case Approved, Denied, Expired, Cancelled, Executed, Failed, Unknown:
		return e
	}
	return ""
}

// Title says in a line what happened. Names in it are clean.
func (m *Message) Title() string {
	who := m.Principal
	if m.Actor != "" {
		who = m.Actor + " for " + m.Principal
	}
	switch m.Event {
	case Requested:
		if !m.Quiet.IsZero() {
			return fmt.Sprintf("%s asks for approval on %s, again and again: what else they ask for is in the inbox alone", who, m.Connection)
		}
		return fmt.Sprintf("%s asks for approval on %s", who, m.Connection)
	case Vote:
		return fmt.Sprintf("%s approved a request of %s; others are still to", m.Reviewer, who)
	case Escalated:
		return m.escalated(who)
	case Lapsed:
		return fmt.Sprintf("%s's approval of a request of %s counts no longer: it waits again", m.Reviewer, who)
	case Approved:
		return fmt.Sprintf("%s approved a request of %s", m.Reviewer, who)
	case Denied:
		return fmt.Sprintf("%s denied a request of %s", m.Reviewer, who)
	case Expired:
		return fmt.Sprintf("A request of %s has expired", who)
	case Cancelled:
		return fmt.Sprintf("A request of %s was withdrawn", who)
	case Executed:
		return fmt.Sprintf("What %s asked for was executed", who)
	case Failed:
		return fmt.Sprintf("What %s asked for failed", who)
	case Unknown:
		return fmt.Sprintf("Whether a statement of %s took effect is not known", who)
	case Glass:
		return fmt.Sprintf("BREAK GLASS: %s runs a statement on %s that nobody approved", who, m.Connection)
	case Reviewed:
		return fmt.Sprintf("%s looked at the broken glass of %s", m.Reviewer, who)
	case GlassLogin:
		return fmt.Sprintf("BREAK GLASS: %s logged in", who)
	}
	return "A request has changed"
}

func (m *Message) escalated(who string) string {
	stand := cmp.Or(strings.Join(m.StandIns, ", "), "others")
	if m.Glass != "" {
		return fmt.Sprintf("Nobody has looked at the broken glass of %s for %s: %s may now", who, cmp.Or(m.For, "a group"), stand)
	}
	return fmt.Sprintf("A request of %s waits for %s still: %s may decide in their place now", who, cmp.Or(m.For, "a group"), stand)
}

// Link names the page that the message leads to.
func (m *Message) Link() string {
	if m.Event == GlassLogin {
		return "Open the overview"
	}
	return "Open the request"
}

// Loud reports whether it is meant to wake somebody.
func (m *Message) Loud() bool { return m.Event == Glass || m.Event == Unknown || m.Event == GlassLogin }

// Fact is one line of a message.
type Fact struct{ Name, Value string }

// Facts are what is told beside the title, in the order in which people want it.
func (m *Message) Facts() []Fact {
	var out []Fact
	add := func(name, value string) {
		if value != "" {
			out = append(out, Fact{name, value})
		}
	}
	who := m.Principal
	if m.Actor != "" {
		who += ", through " + m.Actor
	}
	if m.Event == GlassLogin {
		add("Who", who)
	} else {
		add("Who asks", who)
	}
	add("Connection", m.Connection)
	add("Touches", strings.Join(m.Relations, ", "))
	add("Columns to be shown", strings.Join(m.Columns, ", "))
	add("Labels", strings.Join(m.Labels, ", "))
	add("Reason (claimed, not verified)", m.Claimed)
	add("Reason for breaking the glass (claimed, not verified)", m.Glass)
	add("Ticket (claimed)", m.Ticket)
	add("Statement", m.SQL)
	add("Reviewer", m.Reviewer)
	add("Justification", m.Justification)
	add("Outcome", m.Outcome)
	switch m.Event {
	case Requested, Vote, Escalated, Lapsed:
		add("Asked", strings.Join(m.Missing, ", "))
		add("Standing in for "+m.For, strings.Join(m.StandIns, ", "))
		add("Because nobody decided in", m.After)
		if m.Glass == "" {
			add("Until", m.Expires.Format(time.RFC3339))
		}
	case Glass:
		add("To be looked at by", strings.Join(m.Asked, ", "))
	case GlassLogin:
		add("Door", m.Door)
		add("From", m.Client)
		add("By", m.Method)
	}
	if !m.Quiet.IsZero() {
		add("Told no more before", m.Quiet.Format(time.RFC3339))
	}
	add("Request", m.Request)
	return out
}

// plain is the message without a word that anybody else wrote: what is sent where the whole is not taken.
func (m *Message) plain() *Message {
	return &Message{ID: m.ID, Event: m.Event, Time: m.Time, Request: m.Request, State: m.State, URL: m.URL, Digest: m.Digest, Expires: m.Expires, Quiet: m.Quiet,
		Principal: "somebody", Connection: "a connection", Reviewer: "somebody"}
}

// span is a time as configurations have it: "30m", "1h30m".
func span(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func text(s string) string { return short(audit.Clean(s), mostText) }

// unlinked is text in which nothing is taken for the address of a page: whoever wrote it does not choose where reviewers go.
func unlinked(s string) string { return short(unlink(audit.Clean(s)), mostText) }

func unlink(s string) string {
	return strings.NewReplacer("://", "[:]//", "www.", "www[.]", "WWW.", "WWW[.]").Replace(s)
}

// short cuts to a number of characters, and says so.
func short(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + " […]"
}

func list[T ~string](all []T) []string {
	var out []string
	for i, s := range all {
		if i == mostList {
			return append(out, fmt.Sprintf("%d more", len(all)-i))
		}
		out = append(out, text(string(s)))
	}
	return out
}
