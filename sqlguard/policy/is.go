package policy

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	cedar "github.com/cedar-policy/cedar-go"

	"sallyport/internal/access"
)

// Request asks whether a principal may do one thing to one resource.
type Request struct {
	Principal access.Principal
	Action    access.Action
	Resource  Resource
	Context   Context
}

// Verdict is the answer to a Request. The zero Verdict does not allow.
type Verdict struct {
	Allowed bool
	// Policies are the ids that decided: the permits of an allowed request, the forbids of a denied
	// one, those that failed where Err is set. None: nothing permits it.
	Policies    []string
	Obligations access.Obligations // of all permits that matched, the strictest of each
	// Outdated are, where nothing else permits it, the permits that would but for @definition: the function is not
	// what they were written for.
	Outdated []string
	// Limited says that policies permit it, and the scopes of the principal's token do not. Policies and Obligations are then those
	// of the permits.
	Limited bool
	// Err says which policy could not be evaluated. cedar-go skips such a policy, even a forbid, so
	// the request is denied whatever the others say.
	Err error
}

// Is judges one request. To judge many for the same principal and context, use For.
func (s *Set) Is(req Request) Verdict {
	return s.For(req.Principal, req.Context).Is(req.Action, req.Resource)
}

// Asker judges the requests of one principal in one context. It is not safe for concurrent use.
type Asker struct {
	set       *Set
	known     bool // the principal is somebody
	loose     bool // see Might
	principal cedar.Entity
	who       access.Principal
	context   Context
	records   map[access.Action]cedar.Record
}

// For prepares to judge the requests of p.
func (s *Set) For(p access.Principal, c Context) *Asker {
	a := &Asker{set: s, who: p, context: c, records: map[access.Action]cedar.Record{}}
	a.principal, a.known = principalEntity(p)
	return a
}

// Is judges one request: by the policies, and then by the scopes of the token that the principal came with, which only take away.
func (a *Asker) Is(action access.Action, r Resource) Verdict {
	v := a.judge(action, r)
	if v.Allowed && !a.loose && !a.who.Proof.Permits(action) {
		v.Allowed, v.Limited = false, true
	}
	return v
}

// judge asks the policies.
func (a *Asker) judge(action access.Action, r Resource) Verdict {
	if a.set == nil || !a.known || r.entity.UID.IsZero() {
		return Verdict{}
	}
	context, ok := a.records[action]
	if !ok {
		context = a.context.record(action, a.who)
		a.records[action] = context
	}
	rules := a.set.byAction[action]
	if a.loose {
		rules = a.set.looseByAction[action]
	}
	rules, outdated := r.concerned(rules)
	authorize := func(rules []*rule) (cedar.Decision, cedar.Diagnostic) {
		return cedar.Authorize(ruleIterator(rules), entities{a.principal, r.entity}, cedar.Request{
			Principal: a.principal.UID,
			Action:    cedar.NewEntityUID(typeAction, cedar.String(action)),
			Resource:  r.entity.UID,
			Context:   context,
		})
	}
	decision, diag := authorize(rules)
	if len(diag.Errors) > 0 {
		return failed(diag.Errors)
	}
	v := Verdict{Allowed: decision == cedar.Allow}
	for _, reason := range diag.Reasons {
		v.Policies = append(v.Policies, string(reason.PolicyID))
	}
	slices.Sort(v.Policies)
	if !v.Allowed {
		if len(outdated) > 0 && len(v.Policies) == 0 {
			_, diag := authorize(outdated)
			for _, reason := range diag.Reasons {
				v.Outdated = append(v.Outdated, string(reason.PolicyID))
			}
			slices.Sort(v.Outdated)
		}
		return v
	}
	for _, r := range rules {
		if r.policy.Effect() == cedar.Permit && slices.Contains(v.Policies, r.id) {
			v.Obligations = Strictest(v.Obligations, r.obligations)
		}
	}
	return v
}

// concerned leaves out the permits that were given for another definition of the function.
func (r Resource) concerned(rules []*rule) (concerned, outdated []*rule) {
	if r.entity.UID.Type != typeFunction || !slices.ContainsFunc(rules, func(x *rule) bool { return x.definition != "" }) {
		return rules, nil
	}
	for _, x := range rules {
		if x.definition != "" && x.definition != r.definition {
			outdated = append(outdated, x)
		} else {
			concerned = append(concerned, x)
		}
	}
	return concerned, outdated
}

func failed(errs []cedar.DiagnosticError) Verdict {
	var v Verdict
	var texts []string
	for _, e := range errs {
		v.Policies = append(v.Policies, string(e.PolicyID))
		texts = append(texts, fmt.Sprintf("policy %s could not be evaluated: %s", e.PolicyID, e.Message))
	}
	slices.Sort(v.Policies)
	v.Err = fmt.Errorf("%s", strings.Join(texts, "; "))
	return v
}

// ruleIterator offers rules to cedar.Authorize.
type ruleIterator []*rule

func (rs ruleIterator) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) {
		for _, r := range rs {
			if !yield(cedar.PolicyID(r.id), r.policy) {
				return
			}
		}
	}
}

// entities are the principal and the resource of a request. Their parents are complete (every
// ancestor is a direct parent), so no others are needed.
type entities [2]cedar.Entity

func (e entities) Get(uid cedar.EntityUID) (cedar.Entity, bool) {
	for _, x := range e {
		if x.UID == uid {
			return x, true
		}
	}
	return cedar.Entity{}, false
}
