package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sallyport/audit"
	"sallyport/audit/internal/trace"
	"sallyport/internal/access"
)

// BreachReport says what an identity has seen and done in an interval. GDPR article 33(3).
type BreachReport struct {
	Basis     Basis           `json:"basis"`
	Principal string          `json:"principal"`
	Sessions  []BreachSession `json:"sessions"`
	Relations []BreachTable   `json:"relations"`
	Columns   []BreachColumn  `json:"columns"`
	Steps     int             `json:"steps"` // that ran
	Refused   int             `json:"refused"`
	Rows      int64           `json:"rows"` // released, all steps together
	Bytes     int64           `json:"bytes"`
	Unmasked  int64           `json:"rows_unmasked"` // of those: by steps that used a labelled column as it is
	Unknown   int             `json:"unknown"`       // steps of which it is not known what they read
	Detected  int             `json:"detected"`      // values that the detectors hid
	Erased    int             `json:"erased"`
	Limits    []string        `json:"limits"`
}

// BreachSession is where the identity came from.
type BreachSession struct {
	ID         string    `json:"id"`
	From       time.Time `json:"from"`
	To         time.Time `json:"to"`
	Client     string    `json:"client,omitempty"`
	Door       string    `json:"door,omitempty"`
	Connection string    `json:"connection,omitempty"`
	Actor      string    `json:"actor,omitempty"`
	Proof      string    `json:"proof,omitempty"` // what the principal was proven by, in words
}

// BreachTable is a relation of a connection with the steps that touched it and the rows that these released.
type BreachTable struct {
	Connection string `json:"connection"`
	Action     string `json:"action"`
	Relation   string `json:"relation"`
	Steps      int    `json:"steps"`
	Rows       int64  `json:"rows"`
}

// BreachColumn is a labelled column, seen masked or as it is.
type BreachColumn struct {
	Connection string `json:"connection"`
	Label      string `json:"label"`
	Column     string `json:"column"`
	Masked     bool   `json:"masked"`
	Steps      int    `json:"steps"`
	Rows       int64  `json:"rows"`
}

// Breach adds up what a principal did.
func Breach(o Options, principal string) (*BreachReport, error) {
	sessions, basis, err := o.read(audit.Filter{Principal: principal}, nil)
	if err != nil {
		return nil, err
	}
	r := &BreachReport{Basis: basis, Principal: principal, Sessions: []BreachSession{}}
	tables, columns := map[BreachTable]*BreachTable{}, map[BreachColumn]*BreachColumn{}
	for _, s := range sessions {
		if s.ID != "" && !s.OnlyRequests() {
			head := s.Any
			if s.Open != nil {
				head = s.Open
			}
			r.Sessions = append(r.Sessions, BreachSession{ID: s.ID, From: s.From.UTC(), To: s.To.UTC(), Client: head.Client, Door: string(head.Door), Connection: head.Connection, Actor: head.Actor, Proof: trace.ProvenBy(head, time.UTC)})
		}
		for _, st := range s.Steps {
			if st.Kind == access.RecordRefused {
				r.Refused++
			}
			if gone(st) {
				r.Erased++
			}
			if !ran(st) {
				continue
			}
			rows := st.Released()
			r.Steps++
			r.Rows += rows
			for _, rec := range st.Records() {
				r.Detected += rec.Detected
			}
			var bytes int64
			for _, rec := range st.Records() {
				bytes = max(bytes, rec.Bytes)
			}
			r.Bytes += bytes
			if len(st.Plan.Shown) > 0 {
				r.Unmasked += rows
			}
			if len(st.Plan.Relations) == 0 && rows > 0 {
				r.Unknown++
			}
			for _, rel := range st.Plan.Relations {
				action, name, _ := strings.Cut(rel, " ")
				k := BreachTable{Connection: st.Connection, Action: action, Relation: name}
				if tables[k] == nil {
					v := k
					tables[k] = &v
				}
				tables[k].Steps++
				tables[k].Rows += rows
			}
			count := func(label access.Label, column string, masked bool) {
				k := BreachColumn{Connection: st.Connection, Label: string(label), Column: column, Masked: masked}
				if columns[k] == nil {
					v := k
					columns[k] = &v
				}
				columns[k].Steps++
				columns[k].Rows += rows
			}
			for _, m := range st.Plan.Masks {
				count(m.Label, m.Column, true)
			}
			for _, c := range st.Plan.Shown {
				for _, l := range c.Labels {
					count(l, c.Column, false)
				}
			}
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(tables), func(a, b BreachTable) int {
		return cmp.Or(cmp.Compare(a.Connection, b.Connection), cmp.Compare(a.Relation, b.Relation), cmp.Compare(a.Action, b.Action))
	}) {
		r.Relations = append(r.Relations, *tables[k])
	}
	for _, k := range slices.SortedFunc(maps.Keys(columns), func(a, b BreachColumn) int {
		if a.Masked != b.Masked { // what was seen as it is comes first
			if a.Masked {
				return 1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(a.Label, b.Label), cmp.Compare(a.Connection, b.Connection), cmp.Compare(a.Column, b.Column))
	}) {
		r.Columns = append(r.Columns, *columns[k])
	}
	r.Limits = []string{
		"Rows count answers, not people: the same row counts each time that it was released, and for each relation and column of its statement.",
		"A column counts as used where a condition looks at it, even if it is not in the answer.",
		"Values in columns without a label are not listed; what the detectors found in them was hidden.",
		"Who used the name of the principal is not known, only that they had its secret or token.",
	}
	if r.Unknown > 0 {
		r.Limits = append(r.Limits, fmt.Sprintf("Of %d steps that released rows it is not known what they read: they ran unresolved, by a policy that allows it. Take them for unmasked.", r.Unknown))
	}
	if r.Erased > 0 {
		r.Limits = append(r.Limits, fmt.Sprintf("Of %d steps records were erased.", r.Erased))
	}
	return r, nil
}
