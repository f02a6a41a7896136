package policy

import (
	cedar "github.com/cedar-policy/cedar-go"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"
)

// entitiesOf lists the entities that a policy names, in its scope and its conditions.
func entitiesOf(p *xast.Policy) []cedar.EntityUID {
	var uids []cedar.EntityUID
	for _, scope := range []xast.IsScopeNode{p.Principal, p.Action, p.Resource} {
		switch s := scope.(type) {
		case xast.ScopeTypeEq:
			uids = append(uids, s.Entity)
		case xast.ScopeTypeIn:
			uids = append(uids, s.Entity)
		case xast.ScopeTypeInSet:
			uids = append(uids, s.Entities...)
		case xast.ScopeTypeIsIn:
			uids = append(uids, s.Entity)
		}
	}
	inspect(p, func(n xast.IsNode) {
		if v, ok := n.(xast.NodeValue); ok {
			if uid, ok := v.Value.(cedar.EntityUID); ok {
				uids = append(uids, uid)
			}
		}
	})
	return uids
}

// readsReason is true when a condition can see the wording of the reason. The context as a whole
// counts: a comparison with it sees everything in it.
func readsReason(p *xast.Policy) bool {
	contexts, harmless := 0, 0
	inspect(p, func(n xast.IsNode) {
		switch n := n.(type) {
		case xast.NodeTypeVariable:
			if n.Name == "context" {
				contexts++
			}
		case xast.NodeTypeAccess:
			if v, ok := n.Arg.(xast.NodeTypeVariable); ok && v.Name == "context" && n.Value != "reason" {
				harmless++
			}
		case xast.NodeTypeHas:
			if v, ok := n.Arg.(xast.NodeTypeVariable); ok && v.Name == "context" {
				harmless++
			}
		}
	})
	return contexts > harmless
}

func inspect(p *xast.Policy, f func(xast.IsNode)) {
	for _, c := range p.Conditions {
		xast.Inspect(xast.NewNode(c.Body), func(n xast.IsNode) bool {
			f(n)
			return true
		})
	}
}
