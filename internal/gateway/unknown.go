package gateway

import (
	"slices"
	"strings"

	"sallyport/internal/access"
)

// Unknown says what of a revocation belongs to nobody that this gateway knows: to no principal, agent or actor of the configuration, to nobody who has logged
// in, and to no session. "" is none of that. It may be right all the same: somebody may come who is not there yet.
func (g *Gateway) Unknown(r access.Revocation) string {
	switch {
	case r.Principal != "" && !g.knowsName(r.Principal):
		return "the name " + r.Principal
	case r.Actor != "" && !g.knowsActor(r.Actor):
		return "the actor " + r.Actor
	case r.Credential != "" && !g.issued.Knows(r.Credential) && !g.proofs.any(func(p access.Principal) bool { return p.Proof.Credential == r.Credential }):
		return "the credential " + r.Credential
	}
	return ""
}

func (g *Gateway) knowsName(name string) bool {
	return g.people.store.Load().Has(name) || len(g.issued.Widened(access.Revocation{Principal: name}).Accounts) > 0 || g.proofs.any(func(p access.Principal) bool { return strings.EqualFold(p.Name, name) })
}

func (g *Gateway) knowsActor(name string) bool {
	return g.people.store.Load().Has(name) ||
		slices.ContainsFunc(*g.people.providers.Load(), func(o access.Provider) bool {
			return slices.ContainsFunc(slices.Concat(o.Actors, o.Agents), func(a string) bool { return o.Prefix+a == name })
		}) ||
		g.proofs.any(func(p access.Principal) bool { return p.Actor == name || slices.Contains(p.Behind, name) })
}
