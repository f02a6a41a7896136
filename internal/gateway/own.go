package gateway

import (
	"slices"

	"sallyport/internal/access"
)

// Names are not people: who has a name next, at another provider or at the same one, is not shown what was asked, decided and recorded
// under it before.

// Asked reports whether a request was made in p's name, by p or by who acted for p (approval.Request.Of).
func Asked(p access.Principal, r *ReviewRequest) bool {
	return r.Of(p.Name, p.Proof.Issuer, accountOf(p))
}

// ownRequest reports whether a request is p's, acting as it did then.
func ownRequest(p access.Principal, r *ReviewRequest) bool {
	return Asked(p, r) && slices.Equal(r.Binding.Actors, p.Chain())
}

// Decided reports whether p gave a word about a request.
func Decided(p access.Principal, r *ReviewRequest) bool {
	account := accountOf(p)
	return slices.ContainsFunc(r.Votes, func(v ReviewVote) bool { return v.Reviewer == p.Name && v.Account == account })
}

// Voted reports whether one more word of p's could not count: theirs is among those about the request, or that of somebody whose name a
// person would read as theirs.
func Voted(p access.Principal, r *ReviewRequest) bool { return r.Voted(reviewerOf(p)) }
