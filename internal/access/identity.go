package access

import (
	"context"
	"errors"
	"time"
)

// Method is how a principal was proven.
type Method string

const (
	ByPassword    Method = "password"     // of a principal of the configuration
	ByToken       Method = "token"        // static, of a principal of the configuration
	ByAccessToken Method = "access token" // of a provider, for this gateway
	ByIDToken     Method = "id token"     // of a provider, handed over once at log-in; never a password
	BySecret      Method = "secret"       // that the gateway issued at a log-in
	ByCertificate Method = "certificate"  // that the gateway issued at a log-in
)

// Proof is what a principal was proven by, for the record and for whoever ends sessions. Nothing in it is secret.
type Proof struct {
	Method  Method `json:"method,omitempty"`
	Issuer  string `json:"issuer,omitempty"`  // URL of the provider; "" for principals of the configuration
	Subject string `json:"subject,omitempty"` // the provider's "sub"
	Client  string `json:"client,omitempty"`  // "azp", or "client_id": the program that the token was given to
	// Session is the provider's "sid", by which a back-channel logout names it.
	Session string `json:"sid,omitempty"`
	// Token is the SHA-256, in hex, of what was presented; of what the gateway issued, of the token that it was issued for.
	Token string `json:"token,omitempty"`
	// Twin is that of the one other form in which the same token verifies: who has (r, s) of an ECDSA signature has (r, n-s) too. "" where there is none.
	// What is said of a token by its hash is said of both.
	Twin string `json:"twin,omitempty"`
	// Credential is the id of what the gateway issued at a log-in: a certificate's serial number, or a secret's.
	Credential string    `json:"credential,omitempty"`
	Issued     time.Time `json:"issued,omitzero"`
	// Since is when the person logged in that this stems from, of what the gateway issued: a renewal by a refresh token is as old as what it renews.
	Since         time.Time `json:"since,omitzero"`
	Authenticated time.Time `json:"authenticated,omitzero"` // "auth_time": when the person last proved who they are
	Expires       time.Time `json:"expires,omitzero"`       // sessions end then; zero is never
	ACR           string    `json:"acr,omitempty"`
	AMR           []string  `json:"amr,omitempty"`
	BreakGlass    bool      `json:"break_glass,omitempty"` // by what is kept for when nobody else can come in
	// Scopes are those of an access token. Scoped says that they limit what may be done.
	Scopes []string `json:"scopes,omitempty"`
	Scoped bool     `json:"-"`
	// Grants are the actions that each scope lets be done, as Provider.Scopes has them. Without an issuer, and it, a scope is the name of one.
	Grants map[string][]Action `json:"-"`
	// Against stands for what in the configuration the proof was held against: the definition of its provider, or a password. Under
	// another the same proof may be somebody else's, or nobody's.
	Against string `json:"-"`
}

// Brief says in a line what p is, for who is to judge the word of whom it proves; "" where nothing was proven.
func (p Proof) Brief() string {
	text := string(p.Method)
	if p.Issuer != "" {
		text += " of " + p.Issuer
	}
	if p.Subject != "" {
		text += " (sub " + p.Subject + ")"
	}
	if p.BreakGlass {
		text = "BREAK GLASS, " + text
	}
	return text
}

// Recorded is p for a record: nil where nothing was proven.
func (p Proof) Recorded() *Proof {
	if p.Method == "" {
		return nil
	}
	p.Twin, p.Since = "", time.Time{}
	return &p
}

// IsToken reports whether a hash is that of the token, in whichever form it came.
func (p Proof) IsToken(hash string) bool {
	return hash != "" && (hash == p.Token || hash == p.Twin)
}

// Once is the same for the token in either form, by which it is known to have been handed in before.
func (p Proof) Once() string {
	if p.Twin != "" && p.Twin < p.Token {
		return p.Twin
	}
	return p.Token
}

// IDToken is what a provider says of somebody who has just logged in there with this gateway, or its command, as client.
type IDToken struct {
	Provider string // its name in the configuration
	Token    string
	// Nonce is what the token must be bound to.
	Nonce string
	// MaxAge is how long ago the person may have proved who they are; 0 asks for nothing.
	MaxAge time.Duration
	// AccessToken is the one that came with it, where there was one: "at_hash" is held against it.
	AccessToken string
}

func (IDToken) credentials() {}

// Certificate is a client certificate of which the client has proved the key in a TLS handshake, for the user that it asks to be.
type Certificate struct {
	User  string
	Chain [][]byte // DER, the client's own first
}

func (Certificate) credentials() {}

// ErrProofEnded is in the chain of the refusal of what this gateway issued and that has expired or was withdrawn: its holder is to be told,
// rather than asked for something else.
var ErrProofEnded = errors.New("issued by this gateway, and does not hold any more")

// Provider is an OpenID Connect provider that the configuration names.
type Provider struct {
	Name         string
	Issuer       string // URL, exactly as its tokens have it
	ClientID     string // of this gateway: of its web door and, where no other is named, of `sallyport login`
	ClientSecret string // "" for a public client
	// ReadSecret reads ClientSecret again from where it is kept; nil: it stays.
	ReadSecret func(context.Context) (string, error) `json:"-"`
	// LoginClientID is the public client that `sallyport login` is; "" is ClientID.
	LoginClientID string
	// Audiences are what access tokens for this gateway may have in "aud": the URL of the agents' door, where nothing else is said.
	Audiences   []string
	LoginScopes []string // asked for at log-in, beside openid
	// AnyTokenType takes access tokens whose "typ" is "JWT" or is not there, beside "at+jwt" (RFC 9068).
	AnyTokenType bool

	// UserClaim and GroupsClaim are paths into the claims: "sub", "preferred_username", "realm_access.roles", `"https://a.b/groups"`.
	UserClaim, GroupsClaim string
	Prefix                 string            // before user names, so that no two providers name the same person
	Groups                 map[string]string // the provider's name of a group to that of policies; nil takes all as they are
	Attributes             map[string]string // attributes of principals, to paths into the claims
	// ClaimSources are the origins ("https://claims.example.com") that distributed claims may be fetched from, beside the issuer's own.
	ClaimSources []string
	// Agents says which tokens are an agent's own: those that these clients got for themselves (client credentials).
	Agents []string
	// Actors are the clients that may act for people (RFC 8693 "act", or a client's own name as "azp"); nil none.
	Actors []string
	// Clients are programs in people's own hands, beside ClientID and LoginClientID: a person's access token that was given to one is the
	// person's own; "*" is all that are not in Actors. One that was given to another program is refused.
	Clients []string
	// Scopes are what each scope of an access token lets be done, by action of the policies; nil: scopes limit nothing.
	Scopes map[string][]Action

	ACR        []string      // "acr" values of which one is asked for to approve; nil: a fresh "auth_time" is enough
	Algorithms []string      // of signatures; nil: RS256, ES256 and EdDSA
	Skew       time.Duration // that clocks may differ by; 0 is 30 s
	Refresh    time.Duration // age at which keys are fetched again; 0 is 10 min
	CAFile     string        // certificates that the provider's TLS is checked by; "" the system's
}
