package gateway

import (
	"context"
	"errors"
	"time"

	"sallyport/internal/access"
)

// What somebody gets who logs in by a provider, and how it ends.

// Issued is what the gateway gives who has logged in, to come in with at the doors for a while.
type Issued struct {
	Principal   access.Principal
	Credential  string // its id, by which it is withdrawn
	Certificate []byte // PEM: the client's, and the authority's behind it; for the key of the request
	Secret      string // to be used as password where a client has no certificates; the gateway keeps its hash
	Expires     time.Time
	Connections []string // that the principal may connect to through pgwire
}

var errNoProviders = &access.Error{Kind: access.Unsupported, Code: "0A000", Message: "this gateway has no identity provider", Hint: "its operator names one in identity.providers of the configuration"}

// Providers lists the identity providers that people can log in with, without their secrets.
func (g *Gateway) Providers() []access.Provider { return nil }

// Issue gives a credential to who proves with an access.IDToken, fresh and never seen before, that they have just logged in. request
// is a certificate request (PKCS #10, PEM), of whose key the token's nonce must be the base64url SHA-256 of the SubjectPublicKeyInfo
// (where the log-in was one that carries no nonce, l.Credentials say so by an empty one). It is recorded, as is a refusal.
func (g *Gateway) Issue(ctx context.Context, l Login, request []byte) (Issued, error) {
	return Issued{}, errNoProviders
}

// Revoke withdraws proofs, for good or until somebody logs in anew, and ends the sessions that rest on them: what runs is cancelled.
// It returns when the revocation is durable and the sessions have been told to end, and says how many there were.
func (g *Gateway) Revoke(ctx context.Context, by access.Principal, r access.Revocation) (ended int, err error) {
	return 0, errors.New("not built")
}

// BackchannelLogout takes a provider's logout token (OpenID Connect Back-Channel Logout 1.0) and ends what rests on its subject or session.
func (g *Gateway) BackchannelLogout(ctx context.Context, token string) error { return errNoProviders }

// Watch gives a channel that is closed, with the cause in it before, when the proof of p holds no longer: it expired, was withdrawn, or
// the configuration says something else of them now. stop ends the watching.
func (g *Gateway) Watch(p access.Principal) (ended <-chan string, stop func()) {
	return nil, func() {}
}
