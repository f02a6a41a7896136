package access

import (
	"maps"
	"slices"
)

// What a token's scopes let be done. Policies say what a principal may do; scopes only take from it.

// Permits reports whether the scopes let an action be done. To connect is let by each scope that lets anything: nothing can be done
// without. Where scopes limit nothing, everything is let.
func (p Proof) Permits(a Action) bool {
	if !p.Scoped {
		return true
	}
	return slices.ContainsFunc(p.Scopes, func(s string) bool { return lets(p.actionsOf(s), a) })
}

func lets(actions []Action, a Action) bool {
	return slices.Contains(actions, a) || a == ActConnect && len(actions) > 0
}

// static reports whether scopes are names of actions, as those of the configuration's tokens are. A provider's mean what Grants says,
// and without it nothing.
func (p Proof) static() bool { return p.Grants == nil && p.Issuer == "" }

func (p Proof) actionsOf(scope string) []Action {
	if p.static() {
		if a := Action(scope); slices.Contains(Actions, a) {
			return []Action{a}
		}
		return nil
	}
	return p.Grants[scope]
}

// Wants gives the scope that a token would have to have for an action: of those that let it be done the one that lets the fewest
// others. It is "" where none does.
func (p Proof) Wants(a Action) string {
	if p.static() {
		return string(a)
	}
	if a == ActConnect {
		if s := p.Wants(ActRead); s != "" {
			return s // to see columns, say, is of no use without
		}
	}
	best := ""
	for _, s := range slices.Sorted(maps.Keys(p.Grants)) {
		if lets(p.Grants[s], a) && (best == "" || len(p.Grants[s]) < len(p.Grants[best])) {
			best = s
		}
	}
	return best
}

// Known are the scopes of p that let anything be done, sorted. The provider may have put others in the token, which mean nothing here.
func (p Proof) Known() []string {
	var out []string
	for _, s := range p.Scopes {
		if len(p.actionsOf(s)) > 0 {
			out = append(out, s)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Chain is everybody who acts for p, the nearest first: the actor, and who acted before it.
func (p Principal) Chain() []string {
	if p.Actor == "" {
		return nil
	}
	return append([]string{p.Actor}, p.Behind...)
}
