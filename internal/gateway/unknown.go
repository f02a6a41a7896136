package gateway

import (
	"slices"
	"strings"

	"sallyport/internal/access"
)

// Unknown says what of a revocation belongs to nobody that this gateway knows: to no principal, agent or actor of the configuration, to nobody who has logged
// in, to no session, and to no provider. "" is none of that. It may be right all the same: somebody may come who is not there yet. Subjects and
// sessions of a provider and tokens are not looked at: most of those that it gives the gateway never sees.
func (g *Gateway) Unknown(r access.Revocation) string {
	switch {
	case r.Principal != "" && !g.knowsName(r.Principal):
		return "the name " + r.Principal
	case r.Actor != "" && !g.knowsActor(r.Actor):
		return "the actor " + r.Actor
	case r.Credential != "" && !g.issued.Knows(r.Credential) && !g.proofs.any(func(p access.Principal) bool { return p.Proof.Credential == r.Credential }):
		return "the credential " + r.Credential
	case r.Issuer != "" && !g.knowsIssuer(r.Issuer):
		return "the issuer " + r.Issuer
	}
	return ""
}

func (g *Gateway) knowsName(name string) bool {
	return g.people.store.Load().Has(name) || len(g.issued.Widened(access.Revocation{Principal: name}).Accounts) > 0 || g.proofs.any(func(p access.Principal) bool { return strings.EqualFold(p.Name, name) })
}

// knowsIssuer is exact, as what compares it with proofs is: a slash too many is another issuer.
func (g *Gateway) knowsIssuer(issuer string) bool {
	by := func(p access.Principal) bool { return p.Proof.Issuer == issuer }
	return g.people.speaks(issuer) || g.proofs.any(by) || slices.ContainsFunc(g.issued.All(), by)
}

func (g *Gateway) knowsActor(name string) bool {
	is := func(a string) bool { return strings.EqualFold(a, name) }
	return slices.ContainsFunc(g.listed(), func(p access.Principal) bool { return p.Kind == access.Agent && is(p.Name) }) ||
		slices.ContainsFunc(*g.people.providers.Load(), func(o access.Provider) bool {
			return slices.ContainsFunc(slices.Concat(o.Actors, o.Agents), func(a string) bool { return is(o.Prefix + a) })
		}) ||
		g.proofs.any(func(p access.Principal) bool { return is(p.Actor) || slices.ContainsFunc(p.Behind, is) })
}
