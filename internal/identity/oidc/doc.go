// Package oidc turns tokens of OpenID Connect providers into principals: access tokens for this gateway (RFC 9068), ID tokens of who has just
// logged in, and logout tokens (Back-Channel Logout 1.0).
//
// It trusts the issuers that the configuration names, as far as TLS proves them, the keys that they publish, and the clock. From the outside
// comes everything else: a token is nothing until its signature is verified by a key that its issuer publishes now, and then it is what that
// issuer says of one of its users, for one audience, for a while. go-oidc does discovery and verification; around it are the parts that it
// leaves to its users:
//
//   - keys.go: keys are fetched again before they are old, one fetch at a time, at most two a minute whatever tokens ask for; a key that is
//     withdrawn stops verifying within Refresh. While a provider is down its keys verify for Refresh and Grace; after that its tokens cannot be checked.
//   - supply.go: what was fetched outlives a reload of the configuration.
//   - token.go: what a token may look like before anybody looks at what it says; claims that stand twice are refused.
//   - check.go: what each kind of token has to say. No kind is taken for another.
//   - person.go: from claims to a principal, its groups, and the chain of who acts for it.
//   - sources.go: claims that stand elsewhere (OpenID Connect Core 5.6.2), fetched from where the configuration says only.
//
// It refuses what it does not know. Clients are told that a token is not valid; which check failed is a Refusal, for the operator. A token that
// cannot be checked is Unavailable, not Denied: nothing was found wrong with it.
// A provider that cannot be reached does not keep the gateway from starting.
//
// Where to start: Open, then Access.
package oidc
