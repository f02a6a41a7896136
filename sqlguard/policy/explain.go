package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	cedar "github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/ast"
	"github.com/cedar-policy/cedar-go/types"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"
	xeval "github.com/cedar-policy/cedar-go/x/exp/eval"

	"sallyport/internal/access"
)

// Explanation says how each policy took part in a verdict.
type Explanation struct {
	Request  Request
	Verdict  Verdict
	Policies []Part // those that matched first, then the near misses; others are left out
}

// Part is one policy's part in a verdict.
type Part struct {
	ID      string
	Where   string // file:line
	Effect  string // permit or forbid
	Matched bool
	// Why says in words why it matched, or the one thing that kept it from matching.
	Why string
	// misses counts what kept it from matching: principal, action, resource, each condition.
	misses int
}

// Explain judges a request and tells about every policy that matched and every one that nearly did:
// one that differs in one thing only, be it the principal, the resource or a condition.
func (s *Set) Explain(req Request) Explanation {
	ex := Explanation{Request: req, Verdict: s.Is(req)}
	principal, known := principalEntity(req.Principal)
	if s == nil || !known || req.Resource.entity.UID.IsZero() {
		return ex
	}
	env := xeval.Env{
		Entities:  entities{principal, req.Resource.entity},
		Principal: principal.UID,
		Action:    cedar.NewEntityUID(typeAction, cedar.String(req.Action)),
		Resource:  req.Resource.entity.UID,
		Context:   req.Context.record(req.Action, req.Principal),
	}
	for _, r := range s.byAction[req.Action] {
		if p := r.explain(env, req.Resource); p.Matched || p.misses == 1 {
			ex.Policies = append(ex.Policies, p)
		}
	}
	slices.SortStableFunc(ex.Policies, func(a, b Part) int { return a.misses - b.misses })
	return ex
}

// explain evaluates the parts of a policy one by one.
func (r *rule) explain(env xeval.Env, resource Resource) Part {
	p := (*xast.Policy)(r.policy.AST())
	line, _ := position(r.src.text, r.src.start)
	part := Part{ID: r.id, Where: fmt.Sprintf("%s:%d", r.src.file, line), Effect: "forbid"}
	if p.Effect == xast.EffectPermit {
		part.Effect = "permit"
	}
	var fits []string
	check := func(only *xast.Policy, yes, no string) {
		v, err := xeval.Eval(xeval.PolicyToNode(only).AsIsNode(), env)
		switch {
		case err != nil:
			part.misses++
			part.Why = fmt.Sprintf("%s cannot be evaluated: %v; while that is so, everything it could concern is denied", yes, err)
		case v == types.Value(types.True):
			fits = append(fits, yes)
		default:
			part.misses++
			part.Why = no
		}
	}
	blank := func() *xast.Policy { return xast.Permit() }
	if scope := scopeWords("the principal", p.Principal); scope != "" {
		only := blank()
		only.Principal = p.Principal
		check(only, scope, negated(scope))
	}
	if scope := scopeWords("the resource", p.Resource); scope != "" {
		only := blank()
		only.Resource = p.Resource
		check(only, scope, negated(scope))
	}
	if r.definition != "" && r.definition != resource.definition {
		part.misses++
		part.Why = "the function's definition is not the one that the policy was written for"
		if resource.definition == "" {
			part.Why = "the function's definition is not known here: explain a statement that calls it"
		}
	}
	for _, c := range p.Conditions {
		only := blank()
		only.Conditions = []xast.ConditionType{c}
		text := conditionText(only)
		check(only, text, text+" does not hold")
	}
	if part.Matched = part.misses == 0; part.Matched {
		part.Why = strings.Join(append([]string{"the action is " + string(actionOf(env))}, fits...), ", ")
	}
	return part
}

func actionOf(env xeval.Env) types.String { return env.Action.(cedar.EntityUID).ID }

// scopeWords puts a scope into words, "" for one that fits everything.
func scopeWords(what string, scope xast.IsScopeNode) string {
	switch s := scope.(type) {
	case xast.ScopeTypeEq:
		return fmt.Sprintf("%s is %s", what, s.Entity)
	case xast.ScopeTypeIn:
		return fmt.Sprintf("%s is in %s", what, s.Entity)
	case xast.ScopeTypeIs:
		return fmt.Sprintf("%s is a %s", what, s.Type)
	case xast.ScopeTypeIsIn:
		return fmt.Sprintf("%s is a %s in %s", what, s.Type, s.Entity)
	}
	return ""
}

func negated(words string) string { return strings.Replace(words, " is ", " is not ", 1) }

// conditionText gives a policy's only condition as Cedar text on one line.
func conditionText(p *xast.Policy) string {
	text := string(cedar.NewPolicyFromAST((*ast.Policy)(p)).MarshalCedar())
	if i := strings.IndexAny(text, ")"); i >= 0 { // the head is ( principal, action, resource )
		text = text[i+1:]
	}
	return strings.TrimSuffix(strings.Join(strings.Fields(text), " "), ";")
}

// String gives the explanation for a terminal.
func (ex Explanation) String() string {
	var b strings.Builder
	effect := "denied"
	if ex.Verdict.Allowed {
		effect = "allowed"
	}
	fmt.Fprintf(&b, "%s: %s %s on %s\n", effect, ex.Request.Principal.Name, ex.Request.Action, ex.Request.Resource)
	if ex.Verdict.Limited {
		fmt.Fprintf(&b, "  policies permit it, and the scopes of the token do not (%s)\n", strings.Join(ex.Request.Principal.Proof.Scopes, " "))
	}
	if ex.Verdict.Err != nil {
		fmt.Fprintf(&b, "  %v\n", ex.Verdict.Err)
	}
	for _, p := range ex.Policies {
		verb := "matches"
		if !p.Matched {
			verb = "nearly matches"
		}
		fmt.Fprintf(&b, "  %s %s (%s) %s: %s\n", p.Effect, p.ID, p.Where, verb, p.Why)
	}
	if len(ex.Policies) == 0 {
		b.WriteString("  no policy comes near: what no policy permits is denied\n")
	}
	if d := ex.Request.Resource.definition; d != "" {
		fmt.Fprintf(&b, "  its definition: %s\n", d)
	}
	if o := ObligationWords(ex.Verdict.Obligations); ex.Verdict.Allowed && o != "" {
		fmt.Fprintf(&b, "  obligations: %s\n", o)
	}
	return b.String()
}

// ObligationWords lists obligations as the annotations that ask for them.
func ObligationWords(o access.Obligations) string {
	var all []string
	for _, w := range words(o) {
		all = append(all, fmt.Sprintf("@%s(%q)", w.name, w.value))
	}
	return strings.Join(all, " ")
}

// word is one annotation.
type word struct{ name, value string }

// words are the annotations that ask for o. A name can be there more than once.
func words(o access.Obligations) []word {
	var all []word
	add := func(name, value string) {
		if value != "" {
			all = append(all, word{name, value})
		}
	}
	number := func(n int64) string {
		if n == 0 {
			return ""
		}
		return strconv.FormatInt(n, 10)
	}
	add("rows", number(o.Rows))
	if o.Affected > 0 {
		add("affected", "<="+number(o.Affected))
	}
	add("timeout", Span(o.Timeout))
	for _, l := range limits {
		add(l.name, l.write(o))
	}
	for _, w := range o.Where {
		add("where", w)
	}
	for _, r := range o.Role {
		add("role", r)
	}
	for _, s := range o.Settings {
		add("setting", s)
	}
	if o.Reason {
		add("reason", "required")
	}
	add("review", strings.Join(o.Review, ","))
	switch {
	case o.NoPreview:
		add("preview", "off")
	case o.AutoPreview:
		add("preview", "auto")
	}
	add("min_group", number(o.MinGroup))
	add("group_by", strings.Join(o.GroupBy, ", "))
	for _, b := range o.Probes {
		add("probes", writeProbes(b))
	}
	return all
}
