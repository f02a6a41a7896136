package approval

import (
	"testing"
	"time"
)

// People may have names that they can change. Who asks and who approves are not one person under two of them, nor are two who approve.
func TestOnePersonUnderTwoNames(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	request := func() Request {
		r := Request{State: Pending, Created: now, Expires: now.Add(time.Hour), Needs: []Need{{Group: "dba", Quorum: 2}}}
		r.Binding.Principal, r.Binding.Actors, r.Subject.Kind, r.Subject.Account = "ada", []string{"triage-bot"}, SubjectStatement, "account-a"
		return r
	}
	by := func(name, account string) Reviewer {
		return Reviewer{Name: name, Groups: []string{"dba"}, Human: true, Account: account}
	}
	approve := func(r Request, v Reviewer) (Request, error) {
		return Next(r, Step{Vote: &Vote{Verdict: Approve, Justification: "looked at the ticket"}}, v, Terms{Claim: time.Minute}, now)
	}
	for name, v := range map[string]Reviewer{"renamed": by("ada2", "account-a"), "in another case": by("Ada", ""), "an actor in another case": by("Triage-Bot", "account-t")} {
		if ok, _ := func() (bool, string) { r := request(); return r.MayDecide(v) }(); ok {
			t.Errorf("%s: decides about what they ask for", name)
		}
		if _, err := approve(request(), v); err == nil {
			t.Errorf("%s: approved", name)
		}
	}
	first, err := approve(request(), by("bob", "account-b"))
	if err != nil || first.State != Pending {
		t.Fatal(first.State, err)
	}
	for name, v := range map[string]Reviewer{"renamed": by("robert", "account-b"), "in another case": by("BOB", "account-x"), "the same": by("bob", "account-b")} {
		if next, err := approve(first, v); err == nil || next.State == Approved {
			t.Errorf("%s: one person is two of them: %s, %v", name, next.State, err)
		}
		votes := append(append([]Vote{}, first.Votes...), Vote{Reviewer: v.Name, Account: v.Account, Groups: v.Groups, Verdict: Approve, At: now})
		if satisfied(first.Needs, votes) {
			t.Errorf("%s: one person fills two places", name)
		}
	}
	for name, v := range map[string]Reviewer{"another": by("carol", "account-c"), "of the configuration": by("carol", "")} {
		if next, err := approve(first, v); err != nil || next.State != Approved {
			t.Errorf("%s: %s, %v", name, next.State, err)
		}
	}
}
