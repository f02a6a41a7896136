package access

import (
	"slices"
	"strings"
	"time"
)

// Account is somebody at a provider, whatever they are called there.
type Account struct {
	Issuer  string `json:"iss"`
	Subject string `json:"sub"`
}

// Revocation says which proofs hold no longer. A proof that has each of its fields that is not empty is withdrawn; a Revocation
// without any withdraws nothing. A proof that says its subject and not its session, as most access tokens do, may rest on any session of that subject:
// where one of these is withdrawn, so is it.
type Revocation struct {
	Principal  string `json:"principal,omitempty"` // in whatever case: providers may write it otherwise next time
	Actor      string `json:"actor,omitempty"`     // an agent, in whatever case: of those in whose chain it is, and its own
	Issuer     string `json:"issuer,omitempty"`
	Subject    string `json:"subject,omitempty"`
	Session    string `json:"sid,omitempty"`        // the provider's, with Issuer
	Token      string `json:"token,omitempty"`      // SHA-256, as in Proof
	Credential string `json:"credential,omitempty"` // of what the gateway issued
	// Before limits it to what was issued before then: somebody who logs in anew has a proof that holds. Zero is for ever.
	Before time.Time `json:"before,omitzero"`
	Cause  string    `json:"cause"` // for the record, and for who is told: "logged out"
	// Accounts are those that are known to have had the name of Principal last: it withdraws them whatever they are called.
	Accounts []Account `json:"accounts,omitempty"`
}

// RevocationStep is what a record says of a revocation: that it was made, or taken back.
type RevocationStep struct {
	Revocation
	Undone bool `json:"undone,omitempty"`
}

// Covers reports whether r withdraws the proof of p.
func (r Revocation) Covers(p Principal) bool {
	any := false
	is := func(want, got string) bool {
		any = any || want != ""
		return want == "" || want == got
	}
	q := p.Proof
	name := r.Principal == "" || strings.EqualFold(r.Principal, p.Name) || q.Subject != "" && slices.Contains(r.Accounts, Account{q.Issuer, q.Subject})
	any = any || r.Principal != "" || r.Token != ""
	all := name && is(r.Issuer, q.Issuer) && is(r.Subject, q.Subject) && (is(r.Session, q.Session) || r.Subject != "" && q.Session == "") &&
		(r.Token == "" || q.IsToken(r.Token)) && is(r.Credential, q.Credential)
	if r.Actor != "" {
		any = true
		is := func(name string) bool { return strings.EqualFold(name, r.Actor) }
		all = all && (is(p.Actor) || slices.ContainsFunc(p.Behind, is) || p.Kind != Human && is(p.Name))
	}
	return any && all && (r.Before.IsZero() || q.Issued.Before(r.Before))
}

// Logout is a provider's word that somebody has logged out there.
type Logout struct {
	Revocation
	// Token is the SHA-256, in hex, of what tells its token from all others; of one that comes again nothing is taken until Expires.
	Token   string
	Expires time.Time
}
