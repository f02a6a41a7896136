package approval

import (
	"slices"
	"strings"
	"time"
)

// Reviewer is who decides. Only a door for people makes one, from a login.
type Reviewer struct {
	Name   string
	Groups []string
	Human  bool
	// Account stands for the account at a provider that they logged in with, whatever they are called there now; "" of who has none.
	Account string
	// Issuer is that provider, and Against stands for what its configuration made of its word; "" of who has none.
	Issuer, Against string
	Issued          time.Time // when what proves them was issued
}

// SamePerson reports whether a name and an account, and another's, are of one person. Names that a person would read as the same are; and who has
// been given another at their provider since is who they were.
func SamePerson(name, account, other, othersAccount string) bool {
	return strings.EqualFold(name, other) || account != "" && account == othersAccount
}

// Voted reports whether a word of v's is among those about r.
func (r *Request) Voted(v Reviewer) bool {
	return slices.ContainsFunc(r.Votes, func(o Vote) bool { return SamePerson(o.Reviewer, o.Account, v.Name, v.Account) })
}

// stands reports whether a member of groups counts for the need: one who was asked, or who stands in by an escalation that is on record.
func (n Need) stands(groups []string) bool {
	return slices.Contains(groups, n.Group) || n.standsIn(groups)
}

func (n Need) standsIn(groups []string) bool {
	return !n.Escalated.IsZero() && slices.ContainsFunc(n.Escalate, func(g string) bool { return slices.Contains(groups, g) })
}

// filledBy reports whether a vote counts for the need. Who stands in does by what the vote says: what was cast before the escalation stays
// what it was.
func (n Need) filledBy(v Vote) bool {
	return slices.Contains(v.Groups, n.Group) || n.standsIn(v.Groups) && slices.Contains(v.Instead, n.Group)
}

// instead are the groups of the needs for which a member of groups counts by standing in.
func (r *Request) instead(groups []string) (out []string) {
	for _, n := range r.Needs {
		if !slices.Contains(groups, n.Group) && n.standsIn(groups) {
			out = append(out, n.Group)
		}
	}
	return out
}

// MayDecide reports whether v's word counts for r, and if not, why, for v to read.
func (r *Request) MayDecide(v Reviewer) (bool, string) {
	switch {
	case !v.Human:
		return false, "only people decide about requests"
	case r.Excludes(v.Name), v.Account != "" && v.Account == r.Subject.Account:
		return false, "nobody decides about what they ask for, or what is asked in their name or through them"
	case !slices.ContainsFunc(r.Needs, func(n Need) bool { return n.stands(v.Groups) }):
		return false, "none of your groups was asked to decide about this"
	}
	return true, ""
}

// satisfied reports whether the approvals among votes fill all needs, each vote for one place of one need only: four eyes
// stay four where one person is in two groups.
func satisfied(needs []Need, votes []Vote) bool {
	for i, n := range seated(needs, votes) {
		if n < max(needs[i].Quorum, 1) {
			return false
		}
	}
	return len(needs) > 0
}

// seated is how many places of each need approvals among votes fill, of as many in all as they can; a need comes before those behind it.
func seated(needs []Need, votes []Vote) []int {
	voters := make([]Vote, 0, len(votes))
	for _, v := range votes {
		again := slices.ContainsFunc(voters, func(o Vote) bool { return SamePerson(o.Reviewer, o.Account, v.Reviewer, v.Account) })
		if v.Verdict == Approve && !v.Review && !again {
			voters = append(voters, v)
		}
	}
	// A matching of places to voters, by augmenting paths, which leave no place that was filled without a voter. There are a handful of each.
	taken := make([]int, len(voters)) // the need, -1 for none
	for i := range taken {
		taken[i] = -1
	}
	var seat func(need int, tried []bool) bool
	seat = func(need int, tried []bool) bool {
		for i, v := range voters {
			if tried[i] || !needs[need].filledBy(v) {
				continue
			}
			tried[i] = true
			if taken[i] < 0 || seat(taken[i], tried) {
				taken[i] = need
				return true
			}
		}
		return false
	}
	out := make([]int, len(needs))
	for i, n := range needs {
		for range max(n.Quorum, 1) {
			if seat(i, make([]bool, len(voters))) {
				out[i]++
			}
		}
	}
	return out
}

// Missing lists the groups that have not approved r yet, each as often as votes are missing of it.
func (r *Request) Missing() []string {
	var out []string
	for i, n := range seated(r.Needs, r.Votes) {
		for range max(r.Needs[i].Quorum, 1) - n {
			out = append(out, r.Needs[i].Group)
		}
	}
	return out
}
