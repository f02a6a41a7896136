package gateway

import (
	"cmp"
	"slices"
	"time"

	"sallyport/internal/access"
)

// Known lists, the last to prove themselves first, whom a provider speaks for and this gateway has met: those with live sessions and log-ins, those
// with credentials that hold, and those whose proofs came in since it started. Each is as the newest of these says, and no more is made up: who has
// not come in yet is in no list but the provider's. Of who is known by an earlier proof alone, the account and the scopes are not kept. Those who
// act for others are listed in their own name only.
func (g *Gateway) Known() []access.Principal {
	list := append(g.proofs.known(), g.issued.All()...)
	list = slices.DeleteFunc(list, func(p access.Principal) bool {
		return p.Proof.Issuer == "" || p.Actor != "" || !g.people.speaks(p.Proof.Issuer)
	})
	slices.SortStableFunc(list, func(a, b access.Principal) int {
		return cmp.Or(b.Proof.Issued.Compare(a.Proof.Issued), cmp.Compare(b.Proof.Subject, a.Proof.Subject)) // those of which more is known before
	})
	var out []access.Principal
	for _, p := range list {
		if !slices.ContainsFunc(out, func(o access.Principal) bool {
			return o.Same(p) || p.Proof.Subject == "" && o.Name == p.Name && o.Proof.Issuer == p.Proof.Issuer
		}) {
			out = append(out, p)
		}
	}
	// An earlier word of the provider's may be newer by the second than the proof that has an account.
	return slices.DeleteFunc(out, func(p access.Principal) bool {
		return p.Proof.Subject == "" && slices.ContainsFunc(out, func(o access.Principal) bool {
			return o.Proof.Subject != "" && o.Name == p.Name && o.Proof.Issuer == p.Proof.Issuer
		})
	})
}

// known gives those on whose proof something rests, and those whose proofs of a provider came in lately.
func (p *proofs) known() []access.Principal {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []access.Principal
	for _, of := range p.by {
		for x := range of {
			out = append(out, x.who)
		}
	}
	now := time.Now()
	for k, o := range p.latest {
		if now.Before(o.expires) {
			out = append(out, access.Principal{Name: k.name, Kind: o.kind, Actor: k.actor, Groups: o.groups, Attributes: o.attributes, Proof: access.Proof{Issuer: k.issuer, Issued: o.issued, Expires: o.expires}})
		}
	}
	return out
}
