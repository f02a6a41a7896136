package gateway

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/approval"
)

// An approval counts for as long as who gave it could give it: not once they were withdrawn for good, are not in the configuration any more, are no
// longer of the group that was asked, or their provider speaks no more or otherwise. That they logged out, or that their log-in ran out, takes nothing
// back.

// againstOf is what a provider's word about p was made of.
func againstOf(p access.Principal) string {
	if p.Proof.Issuer == "" {
		return "" // a password may be changed by who knows it
	}
	return p.Proof.Against
}

// lapses says why a vote that was given as a member of groups counts no longer, or "" (approval.Config.Lapses).
func (g *Gateway) lapses(v approval.Vote, groups []string) string {
	for _, r := range g.issued.ForGood() {
		if withdraws(r, v) {
			return "withdrawn for good: " + r.Cause
		}
	}
	for _, r := range g.issued.Ordered() { // the proofs of before may have been in foreign hands
		if provenBefore(v, r.Before) && withdraws(r, v) {
			return "what proved them was withdrawn: " + r.Cause
		}
	}
	if now, known := g.regroupings.of(v.Account); known {
		if gone := outOf(groups, now); gone != "" {
			return gone
		}
	}
	store := g.people.store.Load()
	if v.Account != "" || v.Issuer != "" {
		switch {
		case store.Has(v.Reviewer):
			return "the configuration has somebody else of that name"
		case v.Issuer == "": // from before that was kept
		case !g.people.speaks(v.Issuer):
			return "the provider that spoke for them is not one of this gateway any more"
		case !store.Holds(access.Principal{Name: v.Reviewer, Proof: access.Proof{Issuer: v.Issuer, Against: v.Against}}):
			return "the provider that spoke for them was defined otherwise"
		}
		return ""
	}
	i := slices.IndexFunc(g.listed(), func(p access.Principal) bool { return p.Name == v.Reviewer })
	if i < 0 {
		return "they are not in the configuration any more"
	}
	if p := g.listed()[i]; p.Kind != access.Human {
		return "they are no person any more"
	} else if gone := outOf(groups, p.Groups); gone != "" {
		return gone
	}
	return ""
}

// outOf says which of the groups somebody is no longer of, or "".
func outOf(groups, now []string) string {
	for _, g := range groups {
		if !slices.Contains(now, g) {
			return "they are no longer of the group " + g
		}
	}
	return ""
}

// provenBefore reports whether a vote, or anything of what proved who gave it, is from before t.
func provenBefore(v approval.Vote, t time.Time) bool {
	before := func(at time.Time) bool { return !at.IsZero() && at.Before(t) }
	return before(v.At) || before(v.Issued) || before(v.Authenticated)
}

// withdraws reports whether a revocation is of whoever gave a vote, as a person or account. One of a single proof is not, nor one of an agent.
func withdraws(r access.Revocation, v approval.Vote) bool {
	if !whole(r) {
		return false
	}
	is := func(a access.Account) bool { return v.Account != "" && account(a.Issuer, a.Subject) == v.Account }
	if slices.ContainsFunc(r.Accounts, is) {
		return true
	}
	switch by := r.Issuer == "" || r.Issuer == v.Issuer || v.Issuer == "" && v.Account != ""; {
	case r.Subject != "":
		return (r.Principal == "" || strings.EqualFold(r.Principal, v.Reviewer)) && is(access.Account{Issuer: r.Issuer, Subject: r.Subject})
	case r.Principal != "":
		return by && strings.EqualFold(r.Principal, v.Reviewer)
	default:
		return by && r.Issuer != "" && (v.Issuer != "" || v.Account != "")
	}
}

// whole reports whether a revocation is of principals, accounts or providers, not of a single proof or an agent.
func whole(r access.Revocation) bool {
	return r.Token == "" && r.Credential == "" && r.Session == "" && r.Actor == ""
}

// reconsider has votes lapse that count no longer. Those of which that cannot be recorded are not claimed, and the sweep tries again.
func (g *Gateway) reconsider() error {
	if g.approvals == nil {
		return nil // the gateway is being opened
	}
	known := g.regroupings.all()
	n, err := g.approvals.Lapse(context.Background())
	if err != nil {
		g.logger.Error("votes that count no longer could not be taken back on record", "error", err)
	} else {
		g.regroupings.done(known)
	}
	if n > 0 || err != nil {
		g.revealing.Add(1)
	}
	return err
}

// regroupings are the groups that providers have last said of accounts of which votes are to lapse by that, until these have. They are kept in memory
// alone: after a restart they are known at the next log-in.
type regroupings struct {
	mu sync.Mutex
	by map[string][]string
}

func (r *regroupings) of(account string) (groups []string, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	groups, known = r.by[account]
	return groups, known
}

func (r *regroupings) set(account string, groups []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = map[string][]string{}
	}
	r.by[account] = slices.Clone(groups)
}

func (r *regroupings) all() map[string][]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.by)
}

// done forgets what was there, and has not come to be otherwise.
func (r *regroupings) done(was map[string][]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.by, func(account string, now []string) bool {
		then, ok := was[account]
		return ok && slices.Equal(then, now)
	})
}

// regroupedVotes has the votes of who has just logged in lapse that they gave as members of groups that their provider does not say of them any more.
func (g *Gateway) regroupedVotes(p access.Principal) {
	account := accountOf(p)
	if g.approvals == nil || account == "" {
		return
	}
	g.deciding.Lock() // who decides by an older proof has done it, or is refused
	defer g.deciding.Unlock()
	if !g.approvals.Voted(account) {
		return
	}
	g.regroupings.set(account, p.Groups)
	g.reconsider() // an error is logged; that they log in does not depend on it
}
