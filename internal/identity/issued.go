package identity

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/xdg-go/scram"

	"sallyport/internal/access"
	"sallyport/internal/identity/credential"
)

// What the gateway itself issued proves people too: a secret in the place of a password, and a client certificate.

// With has s take what c has issued, and refuse what it has withdrawn. It is called before s is used.
func (s *Store) With(c *credential.Store) error {
	known, err := c.FirstKnown(s.tokenSums())
	if err != nil {
		return err
	}
	s.issued, s.firstKnown, s.mockKey = c, known, c.MockKey()
	return nil
}

// Issue gives p, who has logged in at a provider, a certificate for the key of a request and a secret.
func (s *Store) Issue(p access.Principal, request []byte, life time.Duration) (credential.Issued, error) {
	// The salt is the one that everybody was shown before p had a secret.
	return s.issued.Issue(p, request, life, s.mock(p.Name).KeyFactors)
}

// candidate is one way to prove a name: the password of the configuration, or a secret that was issued. One with neither is made up.
type candidate struct {
	keys   scram.StoredCredentials
	user   *user
	secret string // id of the credential
	over   bool   // it has expired: clients are told what they are of a wrong one, so that nobody learns that it was right
}

// counts reports whether somebody is proved by it at all.
func (c *candidate) counts() bool { return (c.user != nil || c.secret != "") && !c.over }

// errOver is for the operator's log.
var errOver = errors.New("the password was right, and has expired")

// candidates gives the ways to prove a name, as many for each, all with the same salt and iteration count.
func (s *Store) candidates(name string) []candidate {
	made := s.mock(name)
	if s.issued == nil {
		if u := s.users[name]; u != nil && u.keys != nil {
			return []candidate{{keys: *u.keys, user: u, over: u.over(s.now())}}
		}
		return []candidate{{keys: made}}
	}
	var list []candidate
	if u := s.users[name]; u != nil && u.keys != nil {
		list = append(list, candidate{keys: *u.keys, user: u, over: u.over(s.now())})
		made.KeyFactors = u.keys.KeyFactors
	} else {
		for _, v := range s.issued.Verifiers(name, made.KeyFactors) {
			list = append(list, candidate{keys: v.Keys, secret: v.ID})
		}
	}
	for len(list) < credential.Most {
		list = append(list, candidate{keys: made})
	}
	return list
}

// who is the principal that a candidate speaks for.
func (s *Store) who(c *candidate) (access.Principal, error) {
	if c.user == nil {
		return s.issued.Secret(c.secret)
	}
	p := clonePrincipal(c.user.principal)
	now := s.now()
	p.Proof = access.Proof{Method: access.ByPassword, Issued: now, Authenticated: now, Expires: c.user.expires, BreakGlass: c.user.glass, Against: digestOf(c.user.keys)}
	return p, nil
}

func (s *Store) verifyCertificate(c access.Certificate) (access.Principal, error) {
	if s.issued == nil {
		return access.Principal{}, &access.Error{Kind: access.Denied, Code: "28000", Message: "client certificates are not accepted here", Hint: "log in with a password or a token"}
	}
	return s.issued.Certificate(c)
}

// holds refuses a proof that was withdrawn.
func (s *Store) holds(p access.Principal) error {
	if s.issued == nil {
		return nil
	}
	cause, yes := s.issued.Withdrawn(p)
	if !yes {
		return nil
	}
	no := &access.Error{Kind: access.Denied, Code: "28000", Message: "what proves " + p.Name + " does not hold any more: " + cause, Hint: "log in again, or ask the operator for a new token"}
	if s.issued.Barred(p) {
		no.Message, no.Hint = "what proves "+p.Name+" was withdrawn for good: "+cause, "neither a new log-in nor a new token helps: only the gateway's operator can take it back (sallyport revoke undo)"
		no.Err = s.issued.Bind(p) // where it fails they stay out by this name, and not by another
	}
	return no
}

// tokenSums lists the static tokens, by their hex SHA-256.
func (s *Store) tokenSums() []string {
	var out []string
	for sum := range s.tokens {
		out = append(out, hex.EncodeToString(sum[:]))
	}
	slices.Sort(out)
	return out
}

// FirstKnown is when a static token, by its hex SHA-256, was first read in the configuration; ok is false where it is not one of now.
func (s *Store) FirstKnown(sum string) (at time.Time, ok bool) {
	at, ok = s.firstKnown[sum]
	return at, ok
}

// Holds reports whether what s says of p is what p was proven to be. Of a principal of the configuration these are groups, attributes, and that
// the password or token is still the one that proved it. Of people whom a provider speaks for, they are the definition of the provider, and
// that nobody of the configuration has their name.
func (s *Store) Holds(p access.Principal) bool { return s.WhyNot(p) == "" }

// WhyNot is why Holds is not so, for an operator; "" where it is.
func (s *Store) WhyNot(p access.Principal) string {
	if p.Proof.Issuer != "" {
		switch {
		case s.Has(p.Name):
			return "the configuration has principals of these names"
		case s.defined[p.Proof.Issuer] != p.Proof.Against:
			return "the provider " + p.Proof.Issuer + " is defined otherwise"
		case s.foreign != nil && s.foreign(p.Proof.Issuer, p.Name):
			return "names with this prefix are another provider's to say now"
		}
		return ""
	}
	u := s.users[p.Name]
	switch {
	case u == nil:
		return "they are not in the configuration any more"
	case u.glass != p.Proof.BreakGlass || u.principal.Kind != p.Kind || !slices.Equal(u.principal.Groups, p.Groups) || !maps.Equal(u.principal.Attributes, p.Attributes):
		return "their kind, groups or attributes were changed"
	case p.Proof.Method == access.ByPassword && (u.keys == nil || digestOf(u.keys) != p.Proof.Against || !u.expires.Equal(p.Proof.Expires)):
		return "their password was changed"
	case p.Proof.Method == access.ByToken && !s.hasToken(p):
		return "their token was changed"
	}
	return ""
}

// Against is what proofs by a provider are held against now (access.Proof); "" where no provider of the configuration has the issuer.
func (s *Store) Against(issuer string) string { return s.defined[issuer] }

// digestOf stands for a password's verifier where that need not be known.
func digestOf(k *scram.StoredCredentials) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d %x %x %x", k.Iters, k.Salt, k.StoredKey, k.ServerKey)
	return hex.EncodeToString(h.Sum(nil))
}

// hasToken reports whether the token that proved p is p's in s, with the same end and good for the same.
func (s *Store) hasToken(p access.Principal) bool {
	raw, err := hex.DecodeString(p.Proof.Token)
	if err != nil || len(raw) != sha256.Size {
		return false
	}
	t, ok := s.tokens[[sha256.Size]byte(raw)]
	return ok && t.user.principal.Name == p.Name && t.expires.Equal(p.Proof.Expires) && slices.Equal(t.scopes, p.Proof.Scopes) && (t.scopes != nil) == p.Proof.Scoped
}

// Providers verify what identity providers say. An error of Kind Unavailable says nothing of a token: it cannot be checked at the moment.
type Providers interface {
	// AccessToken tells whom an access token for this gateway is of. Proof is whole.
	AccessToken(ctx context.Context, token string) (access.Principal, error)
	// IDToken tells who has just logged in. Proof has Method, Issuer, Subject, Token (SHA-256, hex), Issued ("iat") and Expires.
	IDToken(ctx context.Context, t access.IDToken) (access.Principal, error)
	// Logout verifies a logout token (OpenID Connect Back-Channel Logout 1.0, 2.6) and gives what it withdraws, with Before when it was issued.
	Logout(ctx context.Context, token string) (access.Logout, error)
}

// Has reports whether a principal of the configuration has a name, in whatever case: what looks the same to a person is taken for the same.
func (s *Store) Has(name string) bool {
	_, yes := s.names[credential.Folded(name)]
	return yes
}

// Close ends what the providers have begun. Tokens that need it then are refused.
func (s *Store) Close() error {
	if c, ok := s.providers.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// By has s take the word of providers, of whose definitions there are digests by issuer; foreign reports whether a name that an issuer has said is another
// provider's to say. It is called before s is used.
func (s *Store) By(p Providers, defined map[string]string, foreign func(issuer, name string) bool) {
	s.providers, s.defined, s.foreign = p, defined, foreign
}

var errNoProvider = &access.Error{Kind: access.Unsupported, Code: "0A000", Message: "this gateway has no identity provider", Hint: "its operator names one in identity.providers of the configuration"}

func (s *Store) verifyIDToken(ctx context.Context, t access.IDToken) (access.Principal, error) {
	if s.providers == nil {
		return access.Principal{}, errNoProvider
	}
	return s.providers.IDToken(ctx, t)
}

// Logout gives what a provider's logout token withdraws.
func (s *Store) Logout(ctx context.Context, token string) (access.Logout, error) {
	if s.providers == nil {
		return access.Logout{}, errNoProvider
	}
	return s.providers.Logout(ctx, token)
}
