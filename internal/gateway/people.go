package gateway

import (
	"context"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/approval"
)

// What the door for people needs beside the requests.

// ErrNoReview says that there is no request of that id, or none that the asker may know of.
var ErrNoReview = approval.ErrUnknown

// RefusedReview is why a request takes no such step, in words for who asked. Other errors of a step are the gateway's own.
type RefusedReview = approval.Refused

// Bounds of what a reviewer can give and has to say.
const (
	MostReviewUses           = approval.MostUses
	MostReviewTime           = approval.MostWindow
	LeastReviewJustification = approval.LeastJustification
)

// Admit verifies who comes in at a door that opens no session to a database, and records whom it refuses. Only people come in there.
func (g *Gateway) Admit(ctx context.Context, l Login) (access.Principal, error) {
	p, err := g.people.Verify(ctx, l.Credentials)
	if err == nil && (p.Kind != access.Human || p.Actor != "") {
		err = &access.Error{Kind: access.Denied, Code: "28000", Message: "only people come in at this door", Hint: "agents use the mcp door"}
	}
	if err == nil && p.Proof.Method == access.ByIDToken {
		err = g.issued.Use(p.Proof.Once(), p.Proof.Expires)
	}
	if err == nil {
		err = g.brokeGlass(l, p)
	}
	if err != nil {
		g.recordLogin(l, p, err)
		return access.Principal{}, err
	}
	if p.Proof.Method == access.ByIDToken {
		// It says until when the token may be handed over, not how long who logged in by it stays: that is the door's to limit.
		p.Proof.Expires = time.Time{}
	}
	return p, nil
}

// BrokenGlass gives the requests of broken glass that nobody has looked at, the newest first.
func (g *Gateway) BrokenGlass() []*ReviewRequest { return g.approvals.Broken() }

// WithdrawReview ends a request in the name of the person who asked, or in whose name an agent did.
func (g *Gateway) WithdrawReview(ctx context.Context, p access.Principal, id string) (*ReviewRequest, error) {
	r, err := g.approvals.Get(id)
	if err != nil {
		return nil, err
	}
	if p.Kind != access.Human || p.Actor != "" || !Asked(p, r) {
		return nil, ErrNoReview
	}
	if err := g.Stands(p); err != nil {
		return nil, err
	}
	return g.approvals.Cancel(ctx, id, withdrawnBy(p.Name))
}
