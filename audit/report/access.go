package report

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"sallyport/audit"
	"sallyport/audit/internal/show"
	"sallyport/internal/access"
)

// AccessReport says who consulted a person's data and why. GDPR article 15.
type AccessReport struct {
	Basis   Basis         `json:"basis"`
	Person  []string      `json:"person"` // identifiers that were looked for
	Entries []AccessEntry `json:"entries"`
	Hidden  int           `json:"hidden"`  // steps in whose texts the detectors hid a value and left no tag: whose is not known
	Partial int           `json:"partial"` // steps of which not all released rows were kept
	Erased  int           `json:"erased"`  // steps with erased records
	Steps   int           `json:"steps"`   // looked at
	Limits  []string      `json:"limits"`
}

// AccessEntry is a step in which an identifier of the person was found.
type AccessEntry struct {
	Time       time.Time `json:"time"`
	Principal  string    `json:"principal"`
	Actor      string    `json:"actor,omitempty"`
	Connection string    `json:"connection,omitempty"`
	Session    string    `json:"session"`
	Position   uint64    `json:"position"`
	Outcome    string    `json:"outcome"`
	Task       string    `json:"task,omitempty"`
	Goal       string    `json:"goal,omitempty"`
	Ticket     string    `json:"ticket,omitempty"`
	Reason     string    `json:"claimed_reason,omitempty"`
	Purposes   []string  `json:"purposes,omitempty"`
	Relations  []string  `json:"relations,omitempty"`
	Labels     []string  `json:"labels,omitempty"`
	Rows       int64     `json:"rows"`
	Found      []string  `json:"found"` // where
}

var hiddenForm = regexp.MustCompile(`\[(?:email|phone|card|iban|id|ssn|birth|name|address|ip|mac|credentials|key|crypto)\]`)

// takenOut is where an identifier was found that the record does not hold.
const takenOut = "a text, before the identifier was taken out of it"

// Access looks for identifiers of a person (an address, a number, a name) as whole words in statements, parameters,
// reasons and released rows, whatever their case, and as what the detectors took out of those texts.
func Access(o Options, person []string) (*AccessReport, error) {
	r := &AccessReport{Entries: []AccessEntry{}}
	for _, p := range person {
		if p = strings.ToLower(strings.TrimSpace(p)); utf8.RuneCountInString(p) < 2 {
			return nil, &access.Error{Kind: access.Invalid, Code: "22023", Message: "an identifier of a person has two characters at least", Hint: "shorter ones are found everywhere"}
		}
		r.Person = append(r.Person, p)
	}
	found := map[uint64][]string{}
	hidden, partial := map[uint64]bool{}, map[uint64]bool{}
	tags, err := o.tags(r.Person)
	if err != nil {
		return nil, err
	}
	sessions, basis, err := o.read(audit.Filter{}, func(rec *access.Record) {
		if slices.ContainsFunc(rec.Persons, func(t string) bool { return slices.Contains(tags, t) }) {
			found[rec.Position] = add(found[rec.Position], takenOut)
		}
		look := func(where, text string) {
			if r.in(text) {
				found[rec.Position] = add(found[rec.Position], where)
			}
			if len(rec.Persons) == 0 && hiddenForm.MatchString(text) {
				hidden[rec.Position] = true
			}
		}
		look("statement", rec.SQL)
		for i, p := range rec.Params {
			look(fmt.Sprintf("parameter %d", i+1), p)
		}
		look("reason", rec.Reason)
		look("goal", rec.Goal)
		look("error", rec.Error)
		rows, err := show.EachRow(rec.Result, rec.Formats, func(values []show.Value) {
			for i, v := range values {
				name := fmt.Sprintf("column %d", i+1)
				if i < len(rec.Columns) {
					name = "column " + rec.Columns[i]
				}
				look("result, "+name, string(v.Data))
			}
		})
		partial[rec.Position] = err != nil || rec.Kind != access.RecordRelease && int64(rows) < rec.Rows
	})
	if err != nil {
		return nil, err
	}
	for _, s := range sessions {
		for _, st := range s.Steps {
			r.Steps++
			var where []string
			isHidden, isPartial := false, false
			for _, rec := range st.Records() {
				for _, w := range found[rec.Position] {
					where = add(where, w)
				}
				isHidden, isPartial = isHidden || hidden[rec.Position], isPartial || partial[rec.Position]
			}
			if gone(st) {
				r.Erased++
			}
			if len(where) == 0 {
				if isHidden {
					r.Hidden++
				}
				if isPartial {
					r.Partial++
				}
				continue
			}
			e := AccessEntry{Time: st.Time.UTC(), Principal: st.Principal, Actor: st.Actor, Connection: st.Connection, Session: s.ID, Position: st.Position,
				Outcome: strings.ToLower(string(st.Verdict())), Task: st.Task, Reason: st.Reason, Purposes: o.purposes(&st.Plan), Relations: st.Plan.Relations, Rows: st.Released(), Found: where}
			e.Goal, e.Ticket = goal(st)
			for _, l := range st.Plan.Labels {
				e.Labels = append(e.Labels, string(l))
			}
			r.Entries = append(r.Entries, e)
		}
	}
	r.Basis = basis
	r.Limits = []string{
		"Reasons and goals are claimed; nobody has checked them.",
		"Only what went through the gateway is known.",
		fmt.Sprintf("In %d further steps the detectors hid a value before it was recorded, and left no tag of it: whose it was cannot be told.", r.Hidden),
		fmt.Sprintf("Of %d further steps not all released rows were kept: whether the person was in the rest cannot be told.", r.Partial),
		"An identifier that the detectors hid is found in full only, and not where it was written in another way than its punctuation, spaces and capitals.",
		"A person who was read through a mask, or in a sum, is not found by name.",
	}
	if r.Erased > 0 {
		r.Limits = append(r.Limits, fmt.Sprintf("Of %d steps records were erased.", r.Erased))
	}
	return r, nil
}

// tags are those that identifiers of a person have in records from which they were taken out.
func (o *Options) tags(person []string) (all []string, err error) {
	for _, p := range person {
		tags, err := audit.PersonTags(o.Dir, p)
		if err != nil {
			return nil, err
		}
		all = append(all, tags...)
	}
	return all, nil
}

// in reports whether text has an identifier of the person that is not a part of a longer word or number.
func (r *AccessReport) in(text string) bool {
	if text == "" {
		return false
	}
	text = strings.ToLower(text)
	for _, p := range r.Person {
		for at := 0; ; {
			i := strings.Index(text[at:], p)
			if i < 0 {
				break
			}
			start, end := at+i, at+i+len(p)
			before, _ := utf8.DecodeLastRuneInString(text[:start])
			after, _ := utf8.DecodeRuneInString(text[end:])
			if !word(before) && !word(after) {
				return true
			}
			_, n := utf8.DecodeRuneInString(text[start:])
			at = start + n
		}
	}
	return false
}

func word(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
