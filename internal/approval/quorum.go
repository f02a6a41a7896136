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
}

// one reports whether a name and an account, and another's, are of one person. Names that a person would read as the same are; and who has
// been given another at their provider since is who they were.
func one(name, account, other, othersAccount string) bool {
	return strings.EqualFold(name, other) || account != "" && account == othersAccount
}

// stands reports whether a member of groups counts for the need at a time.
func (n Need) stands(groups []string, created, now time.Time) bool {
	if slices.Contains(groups, n.Group) {
		return true
	}
	if n.After <= 0 || now.Sub(created) < n.After {
		return false
	}
	return slices.ContainsFunc(n.Escalate, func(g string) bool { return slices.Contains(groups, g) })
}

// Escalated reports whether the groups that stand in for n may decide now.
func (n Need) Escalated(created, now time.Time) bool {
	return n.After > 0 && len(n.Escalate) > 0 && now.Sub(created) >= n.After
}

// MayDecide reports whether v's word counts for r now, and if not, why, for v to read.
func (r *Request) MayDecide(v Reviewer, now time.Time) (bool, string) {
	switch {
	case !v.Human:
		return false, "only people decide about requests"
	case r.Excludes(v.Name), v.Account != "" && v.Account == r.Subject.Account:
		return false, "nobody decides about what they ask for, or what is asked in their name or through them"
	case !slices.ContainsFunc(r.Needs, func(n Need) bool { return n.stands(v.Groups, r.Created, now) }):
		return false, "none of your groups was asked to decide about this"
	}
	return true, ""
}

// satisfied reports whether the approvals among votes fill all needs, each vote for one place of one need only: four eyes
// stay four where one person is in two groups.
func satisfied(needs []Need, votes []Vote, created time.Time) bool {
	if len(needs) == 0 {
		return false
	}
	var places []Need
	for _, n := range needs {
		for range max(n.Quorum, 1) {
			places = append(places, n)
		}
	}
	voters := make([]Vote, 0, len(votes))
	for _, v := range votes {
		again := slices.ContainsFunc(voters, func(o Vote) bool { return one(o.Reviewer, o.Account, v.Reviewer, v.Account) })
		if v.Verdict == Approve && !v.Review && !again {
			voters = append(voters, v)
		}
	}
	// A matching of places to voters, by augmenting paths: there are a handful of each.
	taken := make([]int, len(voters))
	for i := range taken {
		taken[i] = -1
	}
	var seat func(place int, tried []bool) bool
	seat = func(place int, tried []bool) bool {
		for i, v := range voters {
			if tried[i] || !places[place].stands(v.Groups, created, v.At) {
				continue
			}
			tried[i] = true
			if taken[i] < 0 || seat(taken[i], tried) {
				taken[i] = place
				return true
			}
		}
		return false
	}
	for p := range places {
		if !seat(p, make([]bool, len(voters))) {
			return false
		}
	}
	return true
}

// Missing lists the groups that have not approved r yet, each as often as votes are missing of it.
func (r *Request) Missing() []string {
	var out []string
	var met []Need
	for _, n := range r.Needs {
		for range max(n.Quorum, 1) {
			one := n
			one.Quorum = 1
			if satisfied(append(slices.Clone(met), one), r.Votes, r.Created) {
				met = append(met, one)
			} else {
				out = append(out, n.Group)
			}
		}
	}
	return out
}
