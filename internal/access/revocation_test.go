package access

import (
	"testing"
	"time"
)

func TestRevocationCovers(t *testing.T) {
	at := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	ada := Principal{Name: "ada", Kind: Human, Actor: "bot", Behind: []string{"planner"}, Proof: Proof{Issuer: "https://i", Subject: "u1", Session: "s1", Token: "t", Credential: "c", Issued: at}}
	token := ada
	token.Proof.Session, token.Proof.Credential = "", ""
	for name, c := range map[string]struct {
		r               Revocation
		session, access bool // what it withdraws: a proof that says its session, and an access token that does not
	}{
		"nothing":             {Revocation{Cause: "x"}, false, false},
		"principal":           {Revocation{Principal: "ada"}, true, true},
		"another":             {Revocation{Principal: "eve"}, false, false},
		"subject":             {Revocation{Issuer: "https://i", Subject: "u1"}, true, true},
		"subject elsewhere":   {Revocation{Issuer: "https://j", Subject: "u1"}, false, false},
		"session":             {Revocation{Issuer: "https://i", Session: "s1"}, true, false},
		"session of subject":  {Revocation{Issuer: "https://i", Subject: "u1", Session: "s1"}, true, true},
		"other session of it": {Revocation{Issuer: "https://i", Subject: "u1", Session: "s2"}, false, true},
		"session of another":  {Revocation{Issuer: "https://i", Subject: "u2", Session: "s1"}, false, false},
		"actor":               {Revocation{Actor: "bot"}, true, true},
		"behind":              {Revocation{Actor: "planner"}, true, true},
		"actor in capitals":   {Revocation{Actor: "Bot"}, true, true},
		"no actor, a person":  {Revocation{Actor: "ada"}, false, false},
		"no actor of it":      {Revocation{Actor: "mail"}, false, false},
		"credential":          {Revocation{Credential: "c"}, true, false},
		"before":              {Revocation{Principal: "ada", Before: at.Add(1)}, true, true},
		"not before":          {Revocation{Principal: "ada", Before: at}, false, false},
	} {
		if got := c.r.Covers(ada); got != c.session {
			t.Errorf("%s: the proof of a session: %v", name, got)
		}
		if got := c.r.Covers(token); got != c.access {
			t.Errorf("%s: an access token: %v", name, got)
		}
	}
}

// An agent is one, whomever it acts for.
func TestRevocationOfAnAgentInItsOwnName(t *testing.T) {
	own := Principal{Name: "bot", Kind: Agent}
	if !(Revocation{Actor: "bot"}).Covers(own) || !(Revocation{Actor: "BOT"}).Covers(own) || (Revocation{Actor: "mail"}).Covers(own) || (Revocation{Actor: "bot", Issuer: "https://i"}).Covers(own) {
		t.Error("an agent of its own")
	}
}
