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

// LawfulnessReport says what was used on which lawful basis, and what on none that is known. GDPR article 6(1).
type LawfulnessReport struct {
	Basis     Basis       `json:"basis"`
	Uses      []LawfulUse `json:"uses"`
	None      []Unfounded `json:"none"`            // labelled columns that were used without a purpose
	Personal  int         `json:"personal_steps"`  // that used a labelled column
	Grounded  int         `json:"grounded_steps"`  // of those: with a lawful basis
	Unlabeled int         `json:"unlabeled_steps"` // that used none, and are not looked at
	Unused    []string    `json:"unused"`          // purposes of the catalogue that nothing was done for
	Limits    []string    `json:"limits"`
}

// LawfulUse is what was done for a purpose, on its lawful basis, by whose word.
type LawfulUse struct {
	LawfulBasis string   `json:"lawful_basis"` // "" for a purpose that is not in the catalogue
	Purpose     string   `json:"purpose"`
	Said        string   `json:"said_by"` // policy or reviewer
	Steps       int      `json:"steps"`
	Rows        int64    `json:"rows"`
	Principals  []string `json:"principals"`
	Labels      []string `json:"labels"`
	Shown       []string `json:"shown"` // labels that were seen as they are
}

// Unfounded is use of labelled columns for which no purpose is known.
type Unfounded struct {
	Connection string   `json:"connection"`
	Principal  string   `json:"principal"`
	Relations  []string `json:"relations"`
	Labels     []string `json:"labels"`
	Shown      []string `json:"shown"`
	Steps      int      `json:"steps"`
	Rows       int64    `json:"rows"`
}

// Said by whom.
const (
	byPolicy   = "policy"
	byReviewer = "reviewer"
)

// Lawfulness puts the steps that used labelled columns under the lawful bases of their purposes.
func Lawfulness(o Options) (*LawfulnessReport, error) {
	sessions, basis, err := o.read(audit.Filter{}, nil)
	if err != nil {
		return nil, err
	}
	r := &LawfulnessReport{Basis: basis, Uses: []LawfulUse{}, None: []Unfounded{}, Unused: []string{}}
	uses, none := map[string]*LawfulUse{}, map[string]*Unfounded{}
	known := map[string]bool{}
	for _, s := range sessions {
		for _, st := range s.Steps {
			if !ran(st) || st.Connection == "" {
				continue
			}
			labels, shown := labelsOf(st)
			if len(labels) == 0 {
				r.Unlabeled++
				continue
			}
			r.Personal++
			grounded := false
			use := func(purpose, basis, said string) {
				known[purpose] = true
				grounded = grounded || basis != ""
				key := basis + "\x00" + purpose + "\x00" + said
				u := uses[key]
				if u == nil {
					u = &LawfulUse{LawfulBasis: basis, Purpose: purpose, Said: said, Shown: []string{}}
					uses[key] = u
				}
				u.Steps++
				u.Rows += st.Released()
				u.Principals = add(u.Principals, st.Principal)
				u.Labels, u.Shown = addAll(u.Labels, labels), addAll(u.Shown, shown)
			}
			for _, id := range o.purposes(&st.Plan) {
				p, _ := o.purpose(id)
				use(id, p.LawfulBasis, byPolicy)
			}
			for _, v := range votes(st) {
				if v.Purpose != "" {
					use(v.Purpose, v.LawfulBasis, byReviewer)
				}
			}
			if grounded {
				r.Grounded++
				continue
			}
			key := st.Connection + "\x00" + st.Principal
			u := none[key]
			if u == nil {
				u = &Unfounded{Connection: st.Connection, Principal: st.Principal, Relations: []string{}, Shown: []string{}}
				none[key] = u
			}
			u.Steps++
			u.Rows += st.Released()
			for _, rel := range st.Plan.Relations {
				_, name, _ := strings.Cut(rel, " ")
				u.Relations = add(u.Relations, name)
			}
			u.Labels, u.Shown = addAll(u.Labels, labels), addAll(u.Shown, shown)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(uses)) {
		u := uses[key]
		slices.Sort(u.Principals)
		r.Uses = append(r.Uses, *u)
	}
	for _, key := range slices.Sorted(maps.Keys(none)) {
		r.None = append(r.None, *none[key])
	}
	slices.SortStableFunc(r.None, func(a, b Unfounded) int {
		return cmp.Or(cmp.Compare(len(b.Shown), len(a.Shown)), cmp.Compare(b.Steps, a.Steps))
	})
	for _, p := range o.Purposes {
		if !known[p.ID] {
			r.Unused = append(r.Unused, p.ID)
		}
	}
	r.Limits = []string{
		"A lawful basis is what the catalogue in the configuration, or a reviewer, says it is. Whether it holds for these people and this use is for you to judge.",
		"Purposes by policy are known where the version of the policies that judged the step is still in force; earlier steps are among those under none.",
		"Only labelled columns count as personal data here. Steps without one are counted and not looked at.",
		"Consent of single people (6(1)(a)) is not known to the gateway.",
	}
	return r, nil
}

// labelsOf are the labels of the columns that a step used, and those that it saw as they are.
func labelsOf(st *trace.Step) (labels, shown []string) {
	eachColumn(st, func(_ string, label access.Label, masked bool) {
		labels = add(labels, string(label))
		if !masked {
			shown = add(shown, string(label))
		}
	})
	return labels, shown
}

// votes are the approvals of the request under which a step ran.
func votes(st *trace.Step) []trace.Turn {
	if st.Request == nil {
		return nil
	}
	return slices.DeleteFunc(st.Request.Votes(), func(t trace.Turn) bool { return t.Verdict != "approve" })
}

// allPurposes are those of the policies and of the reviewers.
func (o *Options) allPurposes(st *trace.Step) []string {
	out := o.purposes(&st.Plan)
	for _, v := range votes(st) {
		out = add(out, v.Purpose)
	}
	return out
}

func addAll(list, more []string) []string {
	for _, v := range more {
		list = add(list, v)
	}
	slices.Sort(list)
	return list
}
