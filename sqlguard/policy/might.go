package policy

import (
	"slices"

	cedar "github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/ast"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"

	"sallyport/internal/access"
)

// Might prepares to judge what p could be permitted in some circumstances, whatever the door, the statement
// and the reason: a permit's conditions about context count as met, a forbid with one counts as absent. It
// errs to the side of yes, so it is for finding out what to be careful with, never for permitting.
func (s *Set) Might(p access.Principal) *Asker {
	a := s.For(p, Context{})
	a.loose = true
	return a
}

// loosen gives a rule without its conditions about context, or false for a forbid that has one.
func loosen(r *rule) (*rule, bool) {
	policy := *(*xast.Policy)(r.policy.AST())
	kept := slices.DeleteFunc(slices.Clone(policy.Conditions), func(c xast.ConditionType) bool {
		found := false
		xast.Inspect(xast.NewNode(c.Body), func(n xast.IsNode) bool {
			v, ok := n.(xast.NodeTypeVariable)
			found = found || ok && v.Name == "context"
			return true
		})
		return found
	})
	if len(kept) == len(policy.Conditions) {
		return r, true
	}
	if policy.Effect == xast.EffectForbid {
		return nil, false
	}
	policy.Conditions = kept
	return &rule{id: r.id, policy: cedar.NewPolicyFromAST((*ast.Policy)(&policy)), obligations: r.obligations, definition: r.definition, src: r.src}, true
}
