// Package credential is what the gateway itself issues to who has logged in at a provider, and what it knows to hold no longer: client
// certificates of its own authority, secrets that stand in for passwords, revocations, and identity tokens that were handed in once.
//
// It trusts the caller to have verified the principal that it issues for, and the data directory to be the gateway's alone:
// DATA/authority.key has the authority's key with its certificates, DATA/identity.db the rest. A credential holds only as long as its entry is
// there: what is withdrawn is gone, and neither a certificate's own words nor its signature bring it back. Each change is durable before
// it is answered. Of secrets only verifiers are kept.
//
// It refuses requests whose key nobody has proved to hold, or is weak; certificates of anybody else, also those that an operating system
// trusts; a token that was handed in before; and proofs so old that revocations of then are no longer known.
//
// Where to start: Open, then Issue, Certificate and Withdrawn.
package credential
