// Package login is how a person's machine gets a credential of a gateway and keeps it: the client's side of what internal/web serves
// under /api/v1/login and /api/v1/credential.
//
// Login lets an OpenID Connect provider say who sits there, by the browser (authorization code with PKCE on a loopback port, RFC 8252) or,
// where there is none, by a code that is typed in elsewhere (RFC 8628). The ID token goes to the gateway once, bound by its nonce to a key
// that was made for this log-in; what comes back, a certificate for that key and a secret for tools without certificates, is kept in a
// folder that nobody else can read, for as long as it holds. Start at Ensure.
//
// It trusts the gateway behind the URL that it was given, by TLS, to name the provider; of the provider it checks issuer, audience,
// signature, nonce and at_hash. It refuses plain HTTP beyond this machine, redirects, and a folder that others can read.
package login
