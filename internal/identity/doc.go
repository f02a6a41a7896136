// Package identity turns what a client presents into a principal: SCRAM-SHA-256 exchanges against
// stored verifiers, bearer tokens against stored hashes, user names with passwords, secrets and
// client certificates that the gateway issued (package credential), and tokens of OpenID Connect
// providers (package oidc).
//
// It trusts the list of local principals that the configuration declares, what providers say of
// names that no local principal has, the clock, and the cryptographic library. It keeps no secret in the clear: a verifier proves a password without
// holding it, and a token is kept as its SHA-256.
//
// It refuses whatever it does not know: an unknown user runs a mock exchange that looks like a real
// one and fails at its end (RFC 5802 section 9, PostgreSQL's mock authentication), so that user
// names cannot be listed; a wrong password and an unknown user give the same error after the same
// work; a finished exchange counts once and only for the Store that made it. Channel binding is not
// offered: the door ends TLS itself and announces SCRAM-SHA-256 only.
//
// Start at Store; exchange.go has the conversation, secret.go what operators store, issued.go what the
// gateway issued and what providers say.
package identity
