package approval

import (
	"slices"

	"sallyport/internal/access"
)

// Asker is what, beside the names in Binding and Subject, decided what who asks may do when they asked, and tells whether what proved them
// still holds. It is for trying a request out in their name. The zero Asker is nobody's.
type Asker struct {
	Attributes map[string]string `json:"attributes,omitempty"`
	Proof      access.Proof      `json:"proof,omitzero"`
	// What a Proof has for itself only: its Scoped, Grants and Against.
	Scoped  bool                       `json:"scoped,omitempty"`
	Grants  map[string][]access.Action `json:"grants,omitempty"`
	Against string                     `json:"against,omitempty"`
}

// AskerOf is p as somebody who asks.
func AskerOf(p access.Principal) Asker {
	return Asker{p.Attributes, p.Proof, p.Proof.Scoped, p.Proof.Grants, p.Proof.Against}
}

// Asked is who made the request, as they were then. ok is false where the request does not know how they were proven.
func (r *Request) Asked() (p access.Principal, ok bool) {
	a := r.Subject.Asker
	p = access.Principal{Name: r.Binding.Principal, Kind: r.Subject.Who, Groups: r.Subject.Groups, Proof: a.Proof, Attributes: a.Attributes}
	p.Proof.Scoped, p.Proof.Grants, p.Proof.Against = a.Scoped, a.Grants, a.Against
	if len(r.Binding.Actors) > 0 {
		p.Actor, p.Behind = r.Binding.Actors[0], r.Binding.Actors[1:]
	}
	return p, a.Proof.Method != "" && a.Proof.Issuer == r.Binding.Issuer
}

// ProvenBy is by what, and by whose word, who asked was proven, for who decides; "" where that is not known.
func (r *Request) ProvenBy() string {
	q := r.Subject.Asker.Proof
	return access.Proof{Method: q.Method, Issuer: q.Issuer, BreakGlass: q.BreakGlass}.Brief()
}

// Shown is r for people, who are told by what and by whose word who asked was proven, and no more of that.
func (r *Request) Shown() *Request {
	c := *r
	c.Proven = r.ProvenBy()
	c.Subject.Asker, c.Votes, c.Lapsed = Asker{}, slices.Clone(r.Votes), slices.Clone(r.Lapsed)
	for i := range c.Votes {
		c.Votes[i].Issuer, c.Votes[i].Against = "", ""
	}
	for i := range c.Lapsed {
		c.Lapsed[i].Issuer, c.Lapsed[i].Against = "", ""
	}
	return &c
}
