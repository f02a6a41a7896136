package gateway

import (
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/approval"
)

// What was asked and decided under a name is not whoever's has the name now.
func TestRequestsAreOfAPersonAndNotOfAName(t *testing.T) {
	of := func(name, issuer, subject string) access.Principal {
		return access.Principal{Name: name, Kind: access.Human, Proof: access.Proof{Issuer: issuer, Subject: subject}}
	}
	ada := of("ada", "https://idp.example", "1")
	r := &ReviewRequest{Binding: approval.Binding{Principal: "ada", Issuer: "https://idp.example", Actors: []string{"bot"}}, Subject: approval.Subject{Account: accountOf(ada)},
		Votes: []ReviewVote{{Reviewer: "ada", Account: accountOf(ada)}}}
	local := &ReviewRequest{Binding: approval.Binding{Principal: "ada"}, Votes: []ReviewVote{{Reviewer: "ada"}}}
	older := &ReviewRequest{Binding: approval.Binding{Principal: "ada", Issuer: "https://idp.example"}}
	for name, c := range map[string]struct {
		who                   access.Principal
		r                     *ReviewRequest
		asked, decided, again bool
	}{
		"their own":                        {ada, r, true, true, true},
		"another account of the name":      {of("ada", "https://idp.example", "2"), r, false, false, true},
		"another provider":                 {of("ada", "https://other.example", "1"), r, false, false, true},
		"of the configuration":             {of("ada", "", ""), r, false, false, true},
		"another name of the account":      {of("eva", "https://idp.example", "1"), r, false, false, true},
		"somebody else":                    {of("eva", "https://idp.example", "3"), r, false, false, false},
		"the configuration's own":          {of("ada", "", ""), local, true, true, true},
		"a provider's, under a local name": {ada, local, false, false, true},
		"from before accounts were kept":   {ada, older, true, false, false},
		"nobody":                           {access.Principal{}, &ReviewRequest{}, false, false, false},
	} {
		if asked, decided, again := Asked(c.who, c.r), Decided(c.who, c.r), Voted(c.who, c.r); asked != c.asked || decided != c.decided || again != c.again {
			t.Errorf("%s: asked %v, decided %v, voted %v", name, asked, decided, again)
		}
		if ownRequest(c.who, r) {
			t.Errorf("%s has what an agent asked for in their name without the agent", name)
		}
	}
}
