package gateway

import (
	"context"
	"slices"
	"strings"

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

// withdraws reports whether a revocation is of whoever gave a vote, as a person or account. One of a single proof is not, nor one of an agent.
func withdraws(r access.Revocation, v approval.Vote) bool {
	if r.Token != "" || r.Credential != "" || r.Session != "" || r.Actor != "" {
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

// reconsider has votes lapse that count no longer, by what is known now or by also. What cannot be recorded is not claimed, and tried again by the
// sweep.
func (g *Gateway) reconsider(also func(approval.Vote, []string) string) {
	if g.approvals == nil {
		return // the gateway is being opened
	}
	if err := g.approvals.Lapse(context.Background(), also); err != nil {
		g.logger.Error("votes that count no longer could not be taken back on record", "error", err)
	}
	g.revealing.Add(1)
}

// withdrawnVotes has the votes lapse that were given by what r withdraws, where it is of a whole principal or account: the proofs of before may have
// been in foreign hands. One that is for good needs no time: lapses knows it.
func (g *Gateway) withdrawnVotes(r access.Revocation) {
	g.reconsider(func(v approval.Vote, _ []string) string {
		proven := v.Authenticated
		if proven.IsZero() {
			proven = v.At
		}
		if r.Before.IsZero() || !proven.Before(r.Before) || !withdraws(r, v) {
			return ""
		}
		return "what proved them was withdrawn: " + r.Cause
	})
}

// regroupedVotes has the votes of who has just logged in lapse that they gave as members of groups that their provider does not say of them any more.
func (g *Gateway) regroupedVotes(p access.Principal) {
	account := accountOf(p)
	if g.approvals == nil || account == "" {
		return
	}
	g.reconsider(func(v approval.Vote, groups []string) string {
		if v.Account != account {
			return ""
		}
		return outOf(groups, p.Groups)
	})
}
