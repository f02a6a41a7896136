package report

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode"

	"sallyport/audit"
)

// DriftReport compares what tasks said with what they touched. GDPR article 5(1)(b).
type DriftReport struct {
	Basis  Basis       `json:"basis"`
	Tasks  []DriftTask `json:"tasks"` // those with something to look at, the most first
	Seen   int         `json:"seen"`  // tasks in the period
	Limits []string    `json:"limits"`
}

// DriftTask is a task with relations that its words, or its purposes, do not cover.
type DriftTask struct {
	Task      string       `json:"task"`
	Goal      string       `json:"goal,omitempty"`
	Ticket    string       `json:"ticket,omitempty"`
	Principal string       `json:"principal"`
	Actor     string       `json:"actor,omitempty"`
	Purposes  []string     `json:"purposes,omitempty"`
	Relations []DriftTable `json:"relations"`
}

// DriftTable is a relation that a task touched.
type DriftTable struct {
	Relation string   `json:"relation"`
	Why      string   `json:"why"` // outside: of every purpose's relations; unmentioned: neither goal nor reasons name it
	Steps    int      `json:"steps"`
	Tried    int      `json:"tried"`  // of those, refused
	Tasks    int      `json:"tasks"`  // how many tasks of the period touch it
	Labels   []string `json:"labels"` // of the statements that did
}

// Why a relation is listed.
const (
	Outside     = "outside"
	Unmentioned = "unmentioned"
)

type drifting struct {
	DriftTask
	words    map[string]bool
	patterns []string
	tables   map[string]*DriftTable
}

// Drift lists tasks that touched relations which their purposes do not have, or where no purpose says which, that goal,
// ticket and reasons do not mention.
func Drift(o Options) (*DriftReport, error) {
	sessions, basis, err := o.read(audit.Filter{}, nil)
	if err != nil {
		return nil, err
	}
	tasks := map[string]*drifting{}
	uses := map[string]map[string]bool{} // relation -> tasks
	for _, s := range sessions {
		for _, st := range s.Steps {
			if st.Task == "" {
				continue
			}
			t := tasks[st.Task]
			if t == nil {
				t = &drifting{DriftTask: DriftTask{Task: st.Task, Principal: st.Principal, Actor: st.Actor}, words: map[string]bool{}, tables: map[string]*DriftTable{}}
				tasks[st.Task] = t
			}
			if g, ticket := goal(st); g != "" || ticket != "" {
				t.Goal, t.Ticket = g, ticket
			}
			for _, w := range wordsOf(t.Goal + " " + t.Ticket + " " + st.Reason) {
				t.words[w] = true
			}
			for _, id := range o.purposes(&st.Plan) {
				t.Purposes = add(t.Purposes, id)
				p, _ := o.purpose(id)
				for _, r := range p.Relations {
					t.patterns = add(t.patterns, r)
				}
			}
			for _, rel := range st.Plan.Relations {
				_, name, _ := strings.Cut(rel, " ")
				if uses[name] == nil {
					uses[name] = map[string]bool{}
				}
				uses[name][st.Task] = true
				d := t.tables[name]
				if d == nil {
					d = &DriftTable{Relation: name, Labels: []string{}}
					t.tables[name] = d
				}
				d.Steps++
				if !ran(st) {
					d.Tried++
				}
				for _, l := range st.Plan.Labels {
					d.Labels = add(d.Labels, string(l))
				}
			}
		}
	}
	r := &DriftReport{Basis: basis, Tasks: []DriftTask{}, Seen: len(tasks), Limits: []string{
		"What is listed is worth a look, not proven wrong: words are compared with names of relations, and people call things by other names.",
		"What is not listed is not proven right: goals and reasons are claimed, and whoever wants to can name every table.",
		"Where a purpose of the catalogue lists relations these decide, and words do not.",
	}}
	for _, id := range slices.Sorted(maps.Keys(tasks)) {
		t := tasks[id]
		for _, name := range slices.Sorted(maps.Keys(t.tables)) {
			d := t.tables[name]
			switch {
			case len(t.patterns) > 0 && !slices.ContainsFunc(t.patterns, func(p string) bool { return matches(p, name) }):
				d.Why = Outside
			case len(t.patterns) == 0 && !t.mentions(name):
				d.Why = Unmentioned
			default:
				continue
			}
			d.Tasks = len(uses[name])
			t.Relations = append(t.Relations, *d)
		}
		if len(t.Relations) > 0 {
			r.Tasks = append(r.Tasks, t.DriftTask)
		}
	}
	slices.SortStableFunc(r.Tasks, func(a, b DriftTask) int { return cmp.Compare(len(b.Relations), len(a.Relations)) })
	return r, nil
}

// matches compares schema.table with a pattern of two such parts.
func matches(pattern, name string) bool {
	ps, pt, _ := strings.Cut(pattern, ".")
	ns, nt, _ := strings.Cut(name, ".")
	a, err1 := path.Match(ps, ns)
	b, err2 := path.Match(pt, nt)
	return a && b && err1 == nil && err2 == nil
}

// mentions reports whether some word of a relation's name was said.
func (t *drifting) mentions(relation string) bool {
	_, name, _ := strings.Cut(relation, ".")
	return slices.ContainsFunc(wordsOf(name), func(w string) bool { return t.words[w] })
}

// wordsOf gives the words of a text or an identifier, without the ends that make a plural.
func wordsOf(s string) []string {
	var out []string
	for _, w := range strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) }) {
		switch {
		case strings.HasSuffix(w, "ies") && len(w) > 4:
			w = w[:len(w)-3] + "y"
		case strings.HasSuffix(w, "sses") || strings.HasSuffix(w, "xes") || strings.HasSuffix(w, "ches"):
			w = w[:len(w)-2]
		case strings.HasSuffix(w, "s") && !strings.HasSuffix(w, "ss") && len(w) > 3:
			w = w[:len(w)-1]
		}
		if len(w) > 2 {
			out = append(out, w)
		}
	}
	return out
}
