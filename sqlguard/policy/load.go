package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	cedar "github.com/cedar-policy/cedar-go"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"

	"sallyport/internal/access"
	"sallyport/sqlguard/rowfilter"
)

// File is the text of one policy file.
type File struct{ Name, Text string }

// Set is a set of policies, ready to judge. It never changes once loaded; a nil or zero Set denies.
type Set struct {
	version string
	rules   []*rule
	// byAction has the rules that can match a request for an action, in the order of the files.
	byAction map[access.Action][]*rule
	// looseByAction has them less what they say about context, see Might.
	looseByAction map[access.Action][]*rule
	// usesReason is true when some condition reads context.reason.
	usesReason bool
}

// rule is one policy with what its annotations say.
type rule struct {
	id          string
	policy      *cedar.Policy
	obligations access.Obligations
	definition  string // what a function has to be for the permit to concern it, or ""
	src         source
}

// Load reads policies. Every problem of every file is reported at once, as a *LoadError with file,
// line, column and a hint. No files, or files without policies, load into a Set that denies all.
func Load(files []File) (*Set, error) {
	s := &Set{byAction: map[access.Action][]*rule{}, looseByAction: map[access.Action][]*rule{}}
	var problems []Problem
	seen := map[string]*rule{}
	check := validate.New(loadSchema())
	for _, f := range files {
		list, err := cedar.NewPolicyListFromBytes(f.Name, []byte(f.Text))
		if err != nil {
			problems = append(problems, syntaxProblem(f.Name, f.Text, err))
			continue
		}
		for i, p := range list {
			r := &rule{policy: p, src: source{file: f.Name, text: f.Text, start: p.Position().Offset, end: len(f.Text)}}
			if i+1 < len(list) {
				r.src.end = list[i+1].Position().Offset
			}
			var bad []Problem
			r.id, r.definition, r.obligations, bad = annotated(p, r.src)
			problems = append(problems, bad...)
			if r.id == "" {
				r.id = fmt.Sprintf("%s:%d", f.Name, p.Position().Line)
				if seen[r.id] != nil {
					r.id += fmt.Sprintf(":%d", p.Position().Column)
				}
			}
			if first := seen[r.id]; first != nil {
				line, _ := position(first.src.text, first.src.start)
				problems = append(problems, r.src.problem(fmt.Sprintf("policy id %q is used twice", r.id),
					fmt.Sprintf("the first is in %s:%d", first.src.file, line), "@id"))
			}
			seen[r.id] = r
			if err := check.Policy("", (*xast.Policy)(p.AST())); err != nil {
				problems = append(problems, schemaProblems(r.src, err)...)
			}
			s.add(r)
		}
	}
	if len(problems) > 0 {
		return nil, &LoadError{problems}
	}
	s.version = version(files)
	return s, nil
}

// version is a digest over names and texts; each part is preceded by its length so that no two lists
// of files run together.
func version(files []File) string {
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%d %s %d %s\n", len(f.Name), f.Name, len(f.Text), f.Text)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Version identifies the policies; it is part of every plan key and every record.
func (s *Set) Version() string { return s.version }

// UsesReason is true when some policy looks at the wording of the reason. A decision then holds only
// for the reason that it was made with; otherwise it depends on whether one was given.
func (s *Set) UsesReason() bool { return s != nil && s.usesReason }

// Filters is true when some policy has a row filter.
func (s *Set) Filters() bool {
	return s != nil && slices.ContainsFunc(s.rules, func(r *rule) bool { return len(r.obligations.Where) > 0 })
}

// ProbeWindow is the longest window of a budget of guesses, 0 where there is none.
func (s *Set) ProbeWindow() time.Duration {
	var longest time.Duration
	if s != nil {
		for _, r := range s.rules {
			for _, b := range r.obligations.Probes {
				longest = max(longest, b.Window)
			}
		}
	}
	return longest
}

// Costs is true when some policy limits what a statement may cost.
func (s *Set) Costs() bool {
	return s != nil && slices.ContainsFunc(s.rules, func(r *rule) bool { return r.obligations.Cost > 0 })
}

// Asked lists the attributes of a principal that row filters and pins speak of.
func (s *Set) Asked() []string {
	found := map[string]bool{}
	for _, r := range s.rules {
		for _, a := range r.pinned() {
			found[a] = true
		}
		for _, w := range r.obligations.Where {
			if f, err := rowfilter.Parse(w); err == nil { // it has been parsed before
				for _, a := range f.Asks() {
					found[a] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// Holds is true when some policy asks for a review.
func (s *Set) Holds() bool {
	return s != nil && slices.ContainsFunc(s.rules, func(r *rule) bool { return len(r.obligations.Review) > 0 })
}

// Reviewing picks those of ids, which are of policies, that ask for a review.
func (s *Set) Reviewing(ids []string) []string {
	var out []string
	for _, r := range s.rules {
		if len(r.obligations.Review) > 0 && slices.Contains(ids, r.id) {
			out = append(out, r.id)
		}
	}
	return out
}

// WithoutPreview picks those of ids, which are of policies, by which nothing is tried out for reviewers.
func (s *Set) WithoutPreview(ids []string) []string {
	var out []string
	for _, r := range s.rules {
		if r.obligations.NoPreview && slices.Contains(ids, r.id) {
			out = append(out, r.id)
		}
	}
	return out
}

// Len is the number of policies.
func (s *Set) Len() int { return len(s.rules) }

// IDs lists the policies in the order of the files.
func (s *Set) IDs() []string {
	ids := make([]string, len(s.rules))
	for i, r := range s.rules {
		ids[i] = r.id
	}
	return ids
}

// Mentioned lists the ids of one entity type ("Group", "Connection", "Label" ...) that policies name,
// so that whoever knows the configuration can report those that do not exist.
func (s *Set) Mentioned(entityType string) []string {
	found := map[string]bool{}
	for _, r := range s.rules {
		for _, uid := range entitiesOf((*xast.Policy)(r.policy.AST())) {
			if string(uid.Type) == entityType {
				found[string(uid.ID)] = true
			}
		}
		if entityType == string(typeGroup) {
			for _, g := range r.obligations.Review {
				found[g] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// named are actions that a permit has to name: one of everything does not mean them, for what they open is asked about
// only where revealing is forbidden.
var named = []access.Action{access.ActPredicate, access.ActOrder, access.ActGroup, access.ActAggregate}

// add files a rule under every action that its scope can match. Cedar evaluates the scope before the
// conditions, so leaving out a rule whose action scope differs changes neither decision nor errors.
func (s *Set) add(r *rule) {
	s.rules = append(s.rules, r)
	policy := (*xast.Policy)(r.policy.AST())
	s.usesReason = s.usesReason || readsReason(policy)
	loose, counts := loosen(r)
	for _, a := range actions {
		if _, all := policy.Action.(xast.ScopeTypeAll); all && policy.Effect == xast.EffectPermit && slices.Contains(named, a) {
			continue
		}
		switch scope := policy.Action.(type) {
		case xast.ScopeTypeEq:
			if string(scope.Entity.ID) != string(a) {
				continue
			}
		case xast.ScopeTypeInSet:
			if !slices.ContainsFunc(scope.Entities, func(e cedar.EntityUID) bool { return string(e.ID) == string(a) }) {
				continue
			}
		}
		s.byAction[a] = append(s.byAction[a], r)
		if counts {
			s.looseByAction[a] = append(s.looseByAction[a], loose)
		}
	}
}
