package gateway

import (
	"cmp"
	"slices"
	"time"

	"sallyport/internal/access"
)

// Known lists, the last to prove themselves first, whom a provider speaks for and this gateway has met: those with live sessions and log-ins, those
// with credentials, and those whose proofs came in since it started, as far as these hold. Each is as the newest of these says, and no more is made up:
// who has not come in yet is in no list but the provider's. Of who is known by an earlier proof alone, the account and the scopes are not told. Those
// who act for others are listed in their own name only.
func (g *Gateway) Known() []access.Principal {
	live, met := g.proofs.known()
	issued, store := g.issued.All(), g.people.store.Load()
	for i, p := range issued { // the file does not say it: what was issued under another is not there any more
		issued[i].Proof.Against = store.Against(p.Proof.Issuer)
	}
	none := func(p access.Principal) bool {
		if p.Proof.Issuer == "" || p.Actor != "" {
			return true
		}
		_, gone := g.gone(p)
		return gone
	}
	list := slices.DeleteFunc(append(live, issued...), none)
	for _, p := range slices.DeleteFunc(met, none) {
		p.Proof = access.Proof{Issuer: p.Proof.Issuer, Issued: p.Proof.Issued, Expires: p.Proof.Expires}
		list = append(list, p)
	}
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

// known gives those on whose proof something rests, and those whose proofs of a provider came in and have not expired, with what proofOf keeps.
func (p *proofs) known() (live, met []access.Principal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, of := range p.by {
		for x := range of {
			live = append(live, x.who)
		}
	}
	now := time.Now()
	for k, o := range p.latest {
		if now.Before(o.proof.Expires) {
			met = append(met, access.Principal{Name: k.name, Kind: o.kind, Actor: k.actor, Groups: o.groups, Attributes: o.attributes, Proof: o.proof})
		}
	}
	return live, met
}
