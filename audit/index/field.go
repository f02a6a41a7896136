package index

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"sallyport/audit"
	"sallyport/audit/internal/show"
	"sallyport/audit/internal/trace"
	"sallyport/internal/access"
)

// Field is what a record can be found by. The values are on disk.
type Field byte

const (
	Principal   Field = 1
	Actor       Field = 2
	Task        Field = 3
	Session     Field = 4
	Connection  Field = 5
	Relation    Field = 6 // schema.table, or table
	Column      Field = 7 // schema.table.column, table.column or column; of columns with labels
	Label       Field = 8
	Decision    Field = 9 // allow, deny or review
	Fingerprint Field = 10
	Kind        Field = 11
	Door        Field = 12
	Approval    Field = 13 // the request that it is a step of, ran under, or was held for
	Issuer      Field = 14 // of what the principal was proven by

	word   Field = 100 // of the statement, the reason, the goal or the ticket
	detail Field = 101 // a word of what else may speak of a person
	cut    Field = 102 // that there are more words than are in the index
	tag    Field = 103 // of an identifier that was taken out of the record's texts
)

// Value is a field with what it has to be.
type Value struct {
	Field Field
	Value string
}

// giver calls f with what is not empty.
func giver(f func(Field, string)) func(Field, string) {
	return func(field Field, v string) {
		if v != "" {
			f(field, v)
		}
	}
}

// fields calls f with the values of all fields of a record but for its words.
func fields(rec *access.Record, f func(Field, string)) {
	ownFields(rec, f)
	plan := planOf(rec)
	planFields(&plan, f)
	giver(f)(Decision, decision(rec, plan.Effect))
}

// planOf is zero where there is none, or none that decodes: the record is then found by everything else.
func planOf(rec *access.Record) (plan access.PlanRecord) {
	if len(rec.Plan) > 0 {
		_ = json.Unmarshal(rec.Plan, &plan)
	}
	return plan
}

func ownFields(rec *access.Record, f func(Field, string)) {
	give := giver(f)
	give(Principal, rec.Principal)
	for _, actor := range trace.Actors(rec) {
		give(Actor, actor)
	}
	if rec.Proof != nil {
		give(Issuer, rec.Proof.Issuer)
	}
	give(Task, rec.Task)
	give(Session, rec.Session)
	give(Connection, rec.Connection)
	give(Kind, string(rec.Kind))
	give(Door, string(rec.Door))
	if id, preview := trace.RequestOf(rec); !preview {
		give(Approval, id)
	}
}

func planFields(plan *access.PlanRecord, f func(Field, string)) {
	give := giver(f)
	give(Fingerprint, plan.Fingerprint)
	for _, r := range plan.Relations {
		suffixes(r, func(s string) { give(Relation, s) })
	}
	for _, l := range plan.Labels {
		give(Label, string(l))
	}
	for _, m := range plan.Masks {
		suffixes(m.Column, func(s string) { give(Column, s) })
		give(Label, string(m.Label))
	}
	for _, c := range plan.Shown {
		suffixes(c.Column, func(s string) { give(Column, s) })
		for _, l := range c.Labels {
			give(Label, string(l))
		}
	}
}

// decision is how the trace heads a step: what was refused was not allowed, whatever the plan says.
func decision(rec *access.Record, effect string) string {
	switch {
	case rec.Kind != access.RecordRefused:
		return effect
	case rec.Approval != "":
		return access.Review.String()
	case effect != access.Review.String():
		return access.Deny.String()
	}
	return effect
}

// suffixes calls f with a qualified name and with what is left of it without its first parts.
func suffixes(name string, f func(string)) {
	for {
		f(name)
		i := strings.IndexByte(name, '.')
		if i < 0 {
			return
		}
		name = name[i+1:]
	}
}

// Kinds are the kinds of records that can be found.
func Kinds() []access.RecordKind {
	return []access.RecordKind{access.RecordOpen, access.RecordRefused, access.RecordIntent, access.RecordStatement, access.RecordRelease, access.RecordOutcome, access.RecordTask,
		access.RecordClose, access.RecordReview, access.RecordErased, access.RecordProposal, access.RecordHold, access.RecordLifted, access.RecordLogin, access.RecordRevoked, access.RecordViewed, access.RecordHeartbeat}
}

// texts calls f with the texts that are searched for words, until it returns false.
func texts(rec *access.Record, f func(string) bool) bool {
	words, _ := trace.ReviewTexts(rec)
	return f(rec.SQL) && f(rec.Reason) && f(rec.Goal) && f(rec.Ticket) && !slices.ContainsFunc(words, func(s string) bool { return !f(s) })
}

// details calls f with what else in a record may speak of a person, until it returns false: what an erasure looks at, but for the
// person that an order about the record names. That one was named to be forgotten, or kept from it, and is not to be found by it.
func details(rec *access.Record, f func(string) bool) bool {
	_, review := trace.ReviewTexts(rec)
	view := trace.ViewOf(rec)
	for _, s := range slices.Concat([]string{rec.Error, rec.Hint, rec.Principal, rec.Actor, rec.Client, view.Of, view.Query}, rec.Behind, trace.ProofTexts(rec), review) {
		if !f(s) {
			return false
		}
	}
	if slices.ContainsFunc(rec.Params, func(s string) bool { return !f(s) }) {
		return false
	}
	if len(rec.Result) == 0 {
		return true
	}
	going := true
	_, err := show.EachRow(rec.Result, rec.Formats, func(values []show.Value) {
		for _, v := range values {
			going = going && f(string(v.Data))
		}
	})
	if err != nil { // rows in a form that is not known here
		going = going && f(string(rec.Result))
	}
	return going
}

// A record has no more words in the index than these: whoever pads a statement would else fill the disk with its
// index. Records with more are candidates of every search for words, and read.
const (
	wordsMost   = 1000    // different ones, of the texts, and of the details
	scannedMost = 1 << 16 // that are looked at
)

// Query says which records to find. All that is set must apply.
type Query struct {
	Fields []Value
	Words  []string  // each a word, or several with what is between them, of the statement, reason, goal, ticket or a review's justification
	Person []string  // identifiers of somebody, as whole words anywhere in what the record says, or taken out of it
	Since  time.Time // at or after
	Until  time.Time // before
	Before uint64    // at positions below; 0: the newest
	Limit  int       // at most so many; 0 is 50

	tags [][]string // that each of Person may have left
}

// named is q with the tags that the log in dir has for its people.
func (q Query) named(dir string) (Query, error) {
	q.tags = nil
	for _, p := range q.Person {
		tags, err := audit.PersonTags(dir, p)
		if err != nil {
			return q, err
		}
		q.tags = append(q.tags, tags)
	}
	return q, nil
}

// match is whether a record is one that is asked for. It decides: the index only says which records to ask.
func (q *Query) match(rec *access.Record) bool {
	if !q.Since.IsZero() && rec.Time.Before(q.Since) || !q.Until.IsZero() && !rec.Time.Before(q.Until) {
		return false
	}
	if len(q.Fields) > 0 {
		found := make([]bool, len(q.Fields))
		fields(rec, func(f Field, v string) {
			for i, want := range q.Fields {
				found[i] = found[i] || want.Field == f && want.Value == v
			}
		})
		if slices.Contains(found, false) {
			return false
		}
	}
	without := func(phrase string) func(string) bool {
		phrase = lower(phrase)
		return func(text string) bool { return !has(text, phrase) }
	}
	for _, w := range q.Words {
		if texts(rec, without(w)) {
			return false
		}
	}
	for i, p := range q.Person {
		tagged := slices.ContainsFunc(rec.Persons, func(t string) bool { return slices.Contains(q.tags[i], t) })
		if f := without(p); !tagged && texts(rec, f) && details(rec, f) {
			return false
		}
	}
	return rec.Kind != access.RecordHeartbeat || slices.ContainsFunc(q.Fields, func(v Value) bool { return v.Field == Kind })
}
