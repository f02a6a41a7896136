package report

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"sallyport/audit"
)

// ProcessingReport is the draft of a record of processing activities, from what was really done. GDPR article 30(1).
type ProcessingReport struct {
	Basis      Basis      `json:"basis"`
	Activities []Activity `json:"activities"`
	Missing    []string   `json:"missing"` // what article 30 asks for and the record does not know
	Limits     []string   `json:"limits"`
}

// Activity is what one connection was used for, for one purpose; "" where none was stated.
type Activity struct {
	Connection  string      `json:"connection"`
	Purpose     string      `json:"purpose"`
	Text        string      `json:"text,omitempty"`
	LawfulBasis string      `json:"lawful_basis,omitempty"`
	Steps       int         `json:"steps"`
	Rows        int64       `json:"rows"`
	First       time.Time   `json:"first"`
	Last        time.Time   `json:"last"`
	Categories  []string    `json:"categories"` // labels
	Relations   []string    `json:"relations"`
	Recipients  []Recipient `json:"recipients"`
	Measures    []string    `json:"measures"` // masks that were applied
}

// Recipient is a principal, with whoever acted for it.
type Recipient struct {
	Principal string   `json:"principal"`
	Actors    []string `json:"actors,omitempty"`
	Steps     int      `json:"steps"`
	Unmasked  []string `json:"unmasked,omitempty"` // labels that it saw as they are
}

// Processing drafts the record from the steps that ran.
func Processing(o Options) (*ProcessingReport, error) {
	sessions, basis, err := o.read(audit.Filter{}, nil)
	if err != nil {
		return nil, err
	}
	found := map[string]*Activity{}
	for _, s := range sessions {
		for _, st := range s.Steps {
			if !ran(st) || st.Connection == "" || len(st.Plan.Relations) == 0 {
				continue
			}
			purposes := o.purposes(&st.Plan)
			if len(purposes) == 0 {
				purposes = []string{""}
			}
			for _, id := range purposes {
				key := st.Connection + "\x00" + id
				a := found[key]
				if a == nil {
					p, _ := o.purpose(id)
					a = &Activity{Connection: st.Connection, Purpose: id, Text: p.Text, LawfulBasis: p.LawfulBasis, First: st.Time.UTC(), Categories: []string{}}
					found[key] = a
				}
				a.Steps++
				a.Rows += st.Released()
				a.Last = st.Time.UTC()
				for _, l := range st.Plan.Labels {
					a.Categories = add(a.Categories, string(l))
				}
				for _, rel := range st.Plan.Relations {
					_, name, _ := strings.Cut(rel, " ")
					a.Relations = add(a.Relations, name)
				}
				for _, m := range st.Plan.Masks {
					a.Measures = add(a.Measures, string(m.Label)+": "+m.Transform)
				}
				i := slices.IndexFunc(a.Recipients, func(r Recipient) bool { return r.Principal == st.Principal })
				if i < 0 {
					i = len(a.Recipients)
					a.Recipients = append(a.Recipients, Recipient{Principal: st.Principal})
				}
				to := &a.Recipients[i]
				to.Steps++
				to.Actors = add(to.Actors, st.Actor)
				for _, c := range st.Plan.Shown {
					for _, l := range c.Labels {
						to.Unmasked = add(to.Unmasked, string(l))
					}
				}
			}
		}
	}
	r := &ProcessingReport{Basis: basis, Activities: []Activity{},
		Missing: []string{"name and contact of the controller, its representative and data protection officer", "categories of data subjects", "transfers to third countries and their safeguards", "envisaged time limits for erasure"},
		Limits: []string{
			"A draft: it lists what was done through the gateway in the period, not what is intended, and nothing that happens elsewhere.",
			"Purposes are those that the policies in force refer to; steps under other versions of the policies count as without purpose.",
			"Categories are labels; personal data in columns without a label is not among them.",
		}}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		a := found[key]
		slices.Sort(a.Categories)
		slices.Sort(a.Relations)
		slices.Sort(a.Measures)
		slices.SortFunc(a.Recipients, func(x, y Recipient) int { return cmp.Compare(x.Principal, y.Principal) })
		r.Activities = append(r.Activities, *a)
	}
	return r, nil
}
