package report

import (
	"cmp"
	"maps"
	"slices"

	"sallyport/audit"
	"sallyport/audit/internal/show"
	"sallyport/audit/internal/trace"
	"sallyport/internal/access"
)

// Setting is something that is configured, or that was found where the record lies, with what shows it.
type Setting struct {
	Name  string `json:"name"`
	State string `json:"state"`
	// Missing says that it is a measure that is not taken.
	Missing bool `json:"missing,omitempty"`
}

// DesignReport says which defaults protect data, and whom they reach. GDPR article 25.
type DesignReport struct {
	Basis    Basis          `json:"basis"`
	Settings []Setting      `json:"settings"` // in force
	Columns  []DesignColumn `json:"columns"`
	Unjudged []string       `json:"unjudged"` // columns that nobody has judged, and that were used: connection and name
	Refused  int            `json:"refused"`  // statements that were refused
	Held     int            `json:"held"`
	Detected int            `json:"detected"` // values without a label that the detectors hid
	Whole    int            `json:"whole"`    // of those: hidden whole, because the model said nothing of them
	Limits   []string       `json:"limits"`
}

// DesignColumn is a labelled column with how many principals saw it masked, and as it is.
type DesignColumn struct {
	Connection string   `json:"connection"`
	Column     string   `json:"column"`
	Label      string   `json:"label"`
	Transforms []string `json:"transforms"`
	Masked     []string `json:"masked_for"`
	Shown      []string `json:"shown_to"`
}

// Design adds up whom masks reach.
func Design(o Options) (*DesignReport, error) {
	sessions, basis, err := o.read(audit.Filter{}, nil)
	if err != nil {
		return nil, err
	}
	r := &DesignReport{Basis: basis, Settings: o.Defaults, Columns: []DesignColumn{}, Unjudged: []string{}}
	type key struct{ connection, column, label string }
	found := map[key]*DesignColumn{}
	for _, s := range sessions {
		for _, st := range s.Steps {
			switch st.Verdict() {
			case trace.Refused:
				r.Refused++
			case trace.Held:
				r.Held++
			}
			for _, rec := range st.Records() {
				r.Detected += rec.Detected
				r.Whole += rec.Unchecked
			}
			if !ran(st) {
				continue
			}
			at := func(column string, label access.Label) *DesignColumn {
				k := key{st.Connection, column, string(label)}
				if found[k] == nil {
					found[k] = &DesignColumn{Connection: k.connection, Column: k.column, Label: k.label, Transforms: []string{}, Masked: []string{}, Shown: []string{}}
				}
				if label == access.Unjudged {
					r.Unjudged = add(r.Unjudged, show.Join(" ", st.Connection, column))
				}
				return found[k]
			}
			for _, m := range st.Plan.Masks {
				c := at(m.Column, m.Label)
				c.Transforms, c.Masked = add(c.Transforms, m.Transform), add(c.Masked, st.Principal)
			}
			for _, c := range st.Plan.Shown {
				for _, l := range c.Labels {
					d := at(c.Column, l)
					d.Shown = add(d.Shown, st.Principal)
				}
			}
		}
	}
	for _, c := range found {
		slices.Sort(c.Masked)
		slices.Sort(c.Shown)
		r.Columns = append(r.Columns, *c)
	}
	slices.SortFunc(r.Columns, func(a, b DesignColumn) int {
		return cmp.Or(cmp.Compare(len(b.Shown), len(a.Shown)), cmp.Compare(a.Label, b.Label), cmp.Compare(a.Connection, b.Connection), cmp.Compare(a.Column, b.Column))
	})
	slices.Sort(r.Unjudged)
	r.Limits = []string{
		"Columns are those that statements of the period used. A labelled column that nobody asked about is not listed; `sallyport check` counts all, and lists those that nobody has judged.",
		"Settings are those of the configuration as it is now, not as it was when a statement ran; the decision of each is in its record.",
		"Whether the labels are right is a judgement of people; `sallyport classify` proposes, and `classify --drift` finds columns that came since.",
	}
	return r, nil
}

// SecurityReport lists measures with what shows that they are taken. GDPR article 32.
type SecurityReport struct {
	Basis    Basis     `json:"basis"`
	Measures []Setting `json:"measures"`
	// Versions of the policies that judged statements of the period, with how many.
	Versions  []Counted `json:"policy_versions"`
	Refusals  []Counted `json:"refusals"` // by SQLSTATE
	Doors     []Counted `json:"doors"`    // statements by door
	Approvals Approvals `json:"approvals"`
	Steps     int       `json:"steps"` // that ran
	Compiled  int       `json:"compiled"`
	Limits    []string  `json:"limits"`
}

// Counted is something with how often it was.
type Counted struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

// Approvals counts requests by how they stand.
type Approvals struct {
	Requests int       `json:"requests"`
	States   []Counted `json:"states"`
	Glass    int       `json:"broken_glass"`
	Unlooked int       `json:"broken_glass_not_looked_at"`
}

// Security adds what the record shows to the measures that o.Measures has.
func Security(o Options) (*SecurityReport, error) {
	sessions, basis, err := o.read(audit.Filter{}, nil)
	if err != nil {
		return nil, err
	}
	r := &SecurityReport{Basis: basis, Measures: o.Measures}
	versions, refusals, doors, states := map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
	for _, s := range sessions {
		for _, st := range s.Steps {
			if v := st.Plan.PolicyVersion; v != "" {
				versions[v]++
			}
			if st.Kind == access.RecordRefused {
				refusals[st.Code]++
			}
			if !ran(st) || st.Door == "" {
				continue
			}
			r.Steps++
			doors[string(st.Door)]++
			if st.Plan.Compiled {
				r.Compiled++
			}
		}
	}
	for _, a := range trace.Approvals(sessions) {
		r.Approvals.Requests++
		states[a.State()]++
		if _, broken := a.Glass(); broken {
			r.Approvals.Glass++
			if !a.Looked() {
				r.Approvals.Unlooked++
			}
		}
	}
	r.Versions, r.Refusals, r.Doors, r.Approvals.States = counted(versions), counted(refusals), counted(doors), counted(states)
	r.Limits = []string{
		"Measures are those of the configuration and the record as they are now. Firewalls, operating systems, the databases' own permissions and backups are not known here.",
		"That the record is sound was checked when this was made, where it says so; `sallyport verify` checks it against a key and a checkpoint that you keep elsewhere. Earlier checks are not on record.",
		"Whether clients used TLS where a door offers it without requiring it is not recorded.",
		"Testing and evaluating the measures regularly (32(1)(d)) is up to you: this is one way.",
	}
	return r, nil
}

// counted has the most frequent first.
func counted(m map[string]int) []Counted {
	out := []Counted{}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, Counted{k, m[k]})
	}
	slices.SortStableFunc(out, func(a, b Counted) int { return cmp.Compare(b.Count, a.Count) })
	return out
}
