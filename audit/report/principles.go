package report

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"sallyport/audit"
	"sallyport/audit/internal/trace"
	"sallyport/internal/access"
)

// PrinciplesReport says how the principles show in what was done: purpose limitation and minimisation by purpose, accountability by
// share. GDPR article 5(1)(b), (c) and 5(2).
type PrinciplesReport struct {
	Basis          Basis          `json:"basis"`
	Purposes       []PurposeUse   `json:"purposes"`
	Accountability Accountability `json:"accountability"`
	Limits         []string       `json:"limits"`
}

// PurposeUse is what was done for a purpose, "" for none.
type PurposeUse struct {
	Purpose string      `json:"purpose"`
	Text    string      `json:"text,omitempty"`
	Steps   int         `json:"steps"`
	Rows    int64       `json:"rows"`
	Columns []ColumnUse `json:"columns"`           // with labels
	Outside []string    `json:"outside,omitempty"` // relations that the purpose does not list, where it lists any
}

// ColumnUse is a labelled column with the steps that read it as its mask and those that saw it as it is.
type ColumnUse struct {
	Connection string `json:"connection"`
	Column     string `json:"column"`
	Label      string `json:"label"`
	Masked     int    `json:"masked"`
	Shown      int    `json:"shown"`
}

// Accountability counts, of the steps that ran, those for which somebody said why.
type Accountability struct {
	Steps     int `json:"steps"`
	Reason    int `json:"with_reason"`
	Task      int `json:"with_task"`
	Purpose   int `json:"with_purpose"`
	Approved  int `json:"approved"`     // under an approval that somebody gave beforehand
	Glass     int `json:"broken_glass"` // behind broken glass
	Refused   int `json:"refused"`      // beside them
	Held      int `json:"held"`         // for approval
	Labelled  int `json:"labelled"`     // of the steps: use a labelled column
	Unfounded int `json:"unfounded"`    // of those: with neither reason, task nor purpose
}

// Principles adds up what the steps that ran used, by purpose.
func Principles(o Options) (*PrinciplesReport, error) {
	sessions, basis, err := o.read(audit.Filter{}, nil)
	if err != nil {
		return nil, err
	}
	r := &PrinciplesReport{Basis: basis, Purposes: []PurposeUse{}}
	type used struct {
		PurposeUse
		columns map[ColumnUse]*ColumnUse
	}
	found := map[string]*used{}
	a := &r.Accountability
	for _, s := range sessions {
		for _, st := range s.Steps {
			switch st.Verdict() {
			case trace.Refused:
				a.Refused++
			case trace.Held:
				a.Held++
			}
			if !ran(st) || st.Connection == "" {
				continue
			}
			purposes := o.allPurposes(st)
			a.count(st, len(purposes) > 0)
			if len(purposes) == 0 {
				purposes = []string{""}
			}
			for _, id := range purposes {
				u := found[id]
				p, _ := o.purpose(id)
				if u == nil {
					u = &used{PurposeUse{Purpose: id, Text: p.Text}, map[ColumnUse]*ColumnUse{}}
					found[id] = u
				}
				u.Steps++
				u.Rows += st.Released()
				for _, rel := range st.Plan.Relations {
					if _, name, _ := strings.Cut(rel, " "); len(p.Relations) > 0 && !slices.ContainsFunc(p.Relations, func(pattern string) bool { return matches(pattern, name) }) {
						u.Outside = add(u.Outside, name)
					}
				}
				eachColumn(st, func(column string, label access.Label, masked bool) {
					k := ColumnUse{Connection: st.Connection, Column: column, Label: string(label)}
					if u.columns[k] == nil {
						v := k
						u.columns[k] = &v
					}
					if masked {
						u.columns[k].Masked++
					} else {
						u.columns[k].Shown++
					}
				})
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(found)) {
		u := found[id]
		u.Columns = sortedColumns(u.columns)
		slices.Sort(u.Outside)
		r.Purposes = append(r.Purposes, u.PurposeUse)
	}
	r.Limits = []string{
		"Purposes are those of the policies in force that allowed a step, and those that reviewers named. Steps under other versions of the policies have no others.",
		"Reasons and tasks are claimed: that one was given is counted, not that it is true or enough.",
		"Minimisation is seen by labelled columns. Personal data in columns without a label is not counted, but for what the detectors hid.",
		"Accuracy (5(1)(d)) and whether the purposes themselves are lawful cannot be told from the record; storage limitation is in `report erasure`, integrity and confidentiality in `report security`.",
	}
	return r, nil
}

func (a *Accountability) count(st *trace.Step, purpose bool) {
	one := func(n *int, is bool) {
		if is {
			*n++
		}
	}
	goal, _ := goal(st)
	labelled := len(st.Plan.Masks)+len(st.Plan.Shown) > 0
	a.Steps++
	one(&a.Reason, st.Reason != "")
	one(&a.Task, st.Task != "")
	one(&a.Purpose, purpose)
	one(&a.Labelled, labelled)
	one(&a.Unfounded, labelled && st.Reason == "" && goal == "" && !purpose)
	if st.Request != nil {
		_, broken := st.Request.Glass()
		one(&a.Glass, broken)
		one(&a.Approved, !broken)
	}
}

// eachColumn calls f with the labelled columns of a step.
func eachColumn(st *trace.Step, f func(column string, label access.Label, masked bool)) {
	for _, m := range st.Plan.Masks {
		f(m.Column, m.Label, true)
	}
	for _, c := range st.Plan.Shown {
		for _, l := range c.Labels {
			f(c.Column, l, false)
		}
	}
}

// sortedColumns has those that were seen as they are first.
func sortedColumns(m map[ColumnUse]*ColumnUse) []ColumnUse {
	out := []ColumnUse{}
	for _, c := range m {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b ColumnUse) int {
		return cmp.Or(cmp.Compare(b.Shown, a.Shown), cmp.Compare(a.Label, b.Label), cmp.Compare(a.Connection, b.Connection), cmp.Compare(a.Column, b.Column))
	})
	return out
}
