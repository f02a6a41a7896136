package oidc

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	jose "github.com/go-jose/go-jose/v4"

	"sallyport/internal/access"
)

const (
	// How old an ID token may be that is handed in: log-in takes no longer from the provider to us. One without a nonce is bound to nothing
	// but its time.
	maxAge        = 10 * time.Minute
	maxAgeUnbound = 2 * time.Minute
)

// Said is what a token that was found good says.
type Said struct {
	Principal access.Principal
	Provider  string
	Groups    []string // as the provider names them, before they were mapped
	ID        string   // "jti"
}

// Access verifies an access token for this gateway (RFC 9068, RFC 8707). Errors are *access.Error with a *Refusal behind it:
// Denied, or Unavailable where the token cannot be checked at the moment.
func (ps *Providers) Access(ctx context.Context, raw string) (Said, error) {
	said, err := ps.access(ctx, raw)
	if err = ps.free(said, err); err != nil {
		return Said{}, denied("access token", err)
	}
	return said, nil
}

func (ps *Providers) access(ctx context.Context, raw string) (Said, error) {
	h, claims, err := decode(raw)
	if err != nil {
		return Said{}, err
	}
	iss, _ := claims["iss"].(string)
	p := ps.issuer(iss)
	if p == nil {
		return Said{}, refuse(Issuer, "%q is not the issuer of a provider of the configuration", shown(iss))
	}
	if h.typ != "at+jwt" && !(p.AnyTokenType && slices.Contains([]string{"", "jwt"}, h.typ)) {
		return Said{}, refuse(Header, "typ %q is not that of an access token (at+jwt)", shown(h.typ)).hint("where the provider does not set it: `access_token_typ: any`")
	}
	if claims, err = p.verified(ctx, h, raw); err != nil {
		return Said{}, err
	}
	said, err := p.access(ctx, raw, h.alg, claims)
	return said, signed(err, access.ByAccessToken, p.Issuer, claims)
}

// access is what claims say that the provider has signed.
func (p *provider) access(ctx context.Context, raw, alg string, claims map[string]any) (Said, error) {
	t, err := p.times(claims, true)
	if err != nil {
		return Said{}, err
	}
	aud, err := texts(claims, "aud")
	if err != nil || !slices.ContainsFunc(aud, func(a string) bool { return slices.Contains(p.audiences, a) }) {
		return Said{}, refuse(Audience, "aud %q is not %q", aud, p.audiences).hint("`audiences` says what tokens for this gateway have there")
	}
	for _, name := range []string{"nonce", "at_hash", "c_hash", "s_hash"} {
		if _, there := claims[name]; there {
			return Said{}, refuse(Audience, "an ID token is no access token (it has %q)", name)
		}
	}
	if _, there := claims["events"]; there {
		return Said{}, refuse(Audience, "a token about an event is no access token")
	}
	if _, there := claims["cnf"]; there { // RFC 7800: worth nothing without the key, of which nobody has proved anything here
		return Said{}, refuse(Claims, "the token is bound to a key (cnf), which this gateway does not check").hint("have the provider issue bearer tokens for this audience")
	}
	client, err := client(claims, !p.AnyTokenType)
	if err != nil {
		return Said{}, err
	}
	scopes, err := scopes(claims)
	if err != nil {
		return Said{}, err
	}
	said, err := p.person(ctx, claims, client, false)
	if err != nil {
		return Said{}, err
	}
	proof := &said.Principal.Proof
	*proof = p.proof(access.ByAccessToken, raw, alg, claims, t, client)
	proof.Scopes, proof.Scoped, proof.Grants = scopes, p.Scopes != nil, p.Scopes
	said.ID, _ = claims["jti"].(string)
	return said, nil
}

// ID verifies an ID token of who has just logged in (OpenID Connect Core 3.1.3.7). That it was not handed in before is for the caller to
// know, by Principal.Proof.Token. Errors are as Access's.
func (ps *Providers) ID(ctx context.Context, c access.IDToken) (Said, error) {
	said, err := ps.id(ctx, c)
	if err = ps.free(said, err); err != nil {
		return Said{}, denied("identity token", err)
	}
	return said, nil
}

func (ps *Providers) id(ctx context.Context, c access.IDToken) (Said, error) {
	i := slices.IndexFunc(ps.list, func(p *provider) bool { return p.Name == c.Provider })
	if i < 0 {
		return Said{}, refuse(Issuer, "there is no identity provider %q", shown(c.Provider))
	}
	p := ps.list[i]
	h, claims, err := decode(c.Token)
	if err != nil {
		return Said{}, err
	}
	if h.typ != "" && h.typ != "jwt" {
		return Said{}, refuse(Header, "typ %q is not that of an ID token", shown(h.typ))
	}
	if iss, _ := claims["iss"].(string); iss != p.Issuer {
		return Said{}, refuse(Issuer, "%q is not %q", shown(iss), p.Issuer)
	}
	if claims, err = p.verified(ctx, h, c.Token); err != nil {
		return Said{}, err
	}
	said, err := p.id(ctx, c, h.alg, claims)
	return said, signed(err, access.ByIDToken, p.Issuer, claims)
}

// id is what claims say that the provider has signed.
func (p *provider) id(ctx context.Context, c access.IDToken, alg string, claims map[string]any) (Said, error) {
	t, err := p.times(claims, true)
	if err != nil {
		return Said{}, err
	}
	client, err := p.forUs(claims)
	if err != nil {
		return Said{}, err
	}
	if _, there := claims["events"]; there {
		return Said{}, refuse(Audience, "a token about an event is no ID token")
	}
	if err := p.bound(c, claims, alg, t); err != nil {
		return Said{}, err
	}
	if _, there := claims["act"]; there {
		return Said{}, refuse(Actor, "an ID token is of somebody who logs in themselves; this one has an actor")
	}
	said, err := p.person(ctx, claims, "", true)
	if err != nil {
		return Said{}, err
	}
	said.Principal.Proof = p.proof(access.ByIDToken, c.Token, alg, claims, t, client)
	said.ID, _ = claims["jti"].(string)
	return said, nil
}

// forUs gives the client that an ID token is for, which is one of ours and no other: section 3.1.3.7, points 3 to 5.
func (p *provider) forUs(claims map[string]any) (string, error) {
	aud, err := texts(claims, "aud")
	if err != nil || len(aud) == 0 || slices.ContainsFunc(aud, func(a string) bool { return !slices.Contains(p.clients, a) }) {
		return "", refuse(Audience, "aud %q is not the client %q alone", aud, p.clients)
	}
	azp, err := text(claims, "azp")
	if err != nil || azp == "" && len(aud) > 1 || azp != "" && !slices.Contains(aud, azp) {
		return "", refuse(Audience, "azp %q is not the client %q", shown(azp), aud)
	}
	if azp == "" {
		azp = aud[0]
	}
	return azp, nil
}

// bound checks what ties an ID token to this log-in.
func (p *provider) bound(c access.IDToken, claims map[string]any, alg string, t times) error {
	nonce, err := text(claims, "nonce")
	if err != nil || len(nonce) != len(c.Nonce) || subtle.ConstantTimeCompare([]byte(nonce), []byte(c.Nonce)) != 1 {
		return refuse(Nonce, "the nonce is not that of this log-in")
	}
	most := maxAge
	if c.Nonce == "" {
		most = maxAgeUnbound
	}
	now := p.now()
	if age := now.Sub(t.issued); age > most+p.Skew {
		return refuse(Time, "issued %s ago; a log-in takes at most %s", age.Round(time.Second), most)
	}
	if c.AccessToken != "" {
		got, err := text(claims, "at_hash")
		if err != nil || got != "" && subtle.ConstantTimeCompare([]byte(got), []byte(halfHash(alg, c.AccessToken))) != 1 {
			return refuse(Nonce, "at_hash is not that of the access token that came with it")
		}
	}
	if c.MaxAge > 0 {
		if t.authenticated.IsZero() {
			return refuse(Time, "there is no auth_time, which was asked for")
		}
		if age := now.Sub(t.authenticated); age > c.MaxAge+p.Skew {
			return refuse(Time, "who they are was proved %s ago; at most %s was asked for", age.Round(time.Second), c.MaxAge)
		}
	}
	return nil
}

// halfHash is at_hash: OpenID Connect Core 3.1.3.6. EdDSA with Ed25519 has SHA-512.
func halfHash(alg, token string) string {
	var sum []byte
	switch {
	case strings.HasSuffix(alg, "256"):
		s := sha256.Sum256([]byte(token))
		sum = s[:]
	case strings.HasSuffix(alg, "384"):
		s := sha512.Sum384([]byte(token))
		sum = s[:]
	default:
		s := sha512.Sum512([]byte(token))
		sum = s[:]
	}
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// verified gives the claims of a token that p has signed.
func (p *provider) verified(ctx context.Context, h header, raw string) (map[string]any, error) {
	if !slices.ContainsFunc(p.algs, func(a jose.SignatureAlgorithm) bool { return string(a) == h.alg }) {
		return nil, refuse(Header, "alg %q is not taken; %q are", shown(h.alg), p.algs)
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	keys := &saying{set: p.keys}
	tok, err := gooidc.NewVerifier(p.Issuer, keys, p.verify).Verify(ctx, raw)
	switch {
	case keys.why != nil:
		return nil, keys.why
	case err != nil:
		return nil, &Refusal{Check: Form, Detail: "the token cannot be read", Err: err}
	}
	var payload json.RawMessage
	if err := tok.Claims(&payload); err != nil {
		return nil, refuse(Form, "no claims")
	}
	return parseObject(payload)
}

// saying keeps why a key set refused, of which go-oidc would leave the words alone.
type saying struct {
	set *keySet
	why error
}

func (s *saying) VerifySignature(ctx context.Context, raw string) (payload []byte, err error) {
	payload, s.why = s.set.verify(ctx, raw)
	return payload, s.why
}

// times are the times of a token.
type times struct{ issued, expires, authenticated time.Time }

func (p *provider) times(claims map[string]any, expires bool) (times, error) {
	var t times
	var before time.Time
	for name, to := range map[string]*time.Time{"iat": &t.issued, "exp": &t.expires, "nbf": &before, "auth_time": &t.authenticated} {
		v, err := moment(claims, name)
		if err != nil {
			return times{}, err
		}
		*to = v
	}
	now := p.now()
	switch {
	case t.expires.IsZero() && expires:
		return times{}, refuse(Time, "the token does not expire (no exp)")
	case t.issued.IsZero():
		return times{}, refuse(Time, "when it was issued is not said (no iat)")
	case !t.expires.IsZero() && !now.Before(t.expires.Add(p.Skew)):
		return times{}, refuse(Time, "expired at %s", t.expires.UTC().Format(time.RFC3339))
	case now.Add(p.Skew).Before(before):
		return times{}, refuse(Time, "not valid before %s", before.UTC().Format(time.RFC3339))
	case now.Add(p.Skew).Before(t.issued):
		return times{}, refuse(Time, "issued at %s, which is to come", t.issued.UTC().Format(time.RFC3339)).hint("compare the provider's clock with this machine's")
	case now.Add(p.Skew).Before(t.authenticated):
		return times{}, refuse(Time, "auth_time is to come")
	}
	return t, nil
}

// client is whom an access token was given to. Where the token keeps to RFC 9068, it is client_id; providers that do not have azp, cid (Okta)
// or appid (Entra ID). Those that are there agree.
func client(claims map[string]any, strict bool) (string, error) {
	names := []string{"client_id", "azp"}
	if !strict {
		names = append(names, "cid", "appid")
	}
	out := ""
	for _, name := range names {
		v, err := text(claims, name)
		if err != nil {
			return "", err
		}
		if v != "" && out != "" && v != out {
			return "", refuse(Audience, "%s is %q, and another claim says %q", name, v, out)
		}
		if v != "" {
			out = v
		}
	}
	if out == "" {
		return "", refuse(Audience, "the token does not say which client it was given to (client_id)")
	}
	return out, nil
}

// scopes are those of "scope" (RFC 8693 4.2: words in a string) and of "scp", which some providers have instead, as words or an array.
func scopes(claims map[string]any) ([]string, error) {
	var out []string
	for _, name := range []string{"scope", "scp"} {
		list, err := texts(claims, name)
		if err != nil {
			return nil, err
		}
		for _, s := range list {
			out = append(out, words(s)...)
		}
	}
	for _, s := range out {
		if len(s) > maxString || strings.ContainsFunc(s, control) {
			return nil, refuse(Claims, "a scope has control characters, or is too long")
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func (p *provider) proof(m access.Method, raw, alg string, claims map[string]any, t times, client string) access.Proof {
	q := access.Proof{Method: m, Issuer: p.Issuer, Client: client, Token: hashOf(raw), Twin: twin(alg, raw), Issued: t.issued, Authenticated: t.authenticated, Expires: t.expires}
	q.Subject, _ = text(claims, "sub")
	q.Session, _ = text(claims, "sid")
	q.ACR, _ = text(claims, "acr")
	if amr, err := texts(claims, "amr"); err == nil && !slices.ContainsFunc(amr, func(s string) bool { return len(s) > maxString || strings.ContainsFunc(s, control) }) {
		q.AMR = amr
	}
	return q
}

// shown shortens what a token says, for the operator.
func shown(s string) string {
	if len(s) > 200 {
		return s[:200] + "..."
	}
	return s
}

// free refuses who has the name of a principal of the configuration, or one that is for another provider to give: a provider makes nobody of them.
func (ps *Providers) free(said Said, err error) error {
	if err != nil {
		return err
	}
	name := said.Principal.Name
	whose := ""
	if ps.took != nil && ps.took(name) {
		whose = "is a principal of the configuration"
	}
	own := ps.list[slices.IndexFunc(ps.list, func(p *provider) bool { return p.Name == said.Provider })].Prefix
	for _, p := range ps.list {
		if IsUnder(name, own, p.Prefix) {
			whose = "has the prefix of the provider " + p.Name
		}
	}
	if whose == "" {
		return nil
	}
	ps.log.Warn("a provider's user has the name of somebody else, and is refused", "provider", said.Provider, "name", name, "whose", whose, "subject", said.Principal.Proof.Subject)
	q := said.Principal.Proof
	return signed(refuse(Subject, "%q %s", name, whose).hint("give the provider a `prefix`"), q.Method, q.Issuer, map[string]any{"sub": q.Subject})
}

// IsUnder reports whether a name that the provider of the prefix own says is for another to say, by its longer prefix.
func IsUnder(name, own, other string) bool {
	return len(other) > len(own) && strings.EqualFold(other[:len(own)], own) && len(name) >= len(other) && strings.EqualFold(name[:len(other)], other)
}

// AccessToken is Access for who wants the principal alone, within fetchTime.
func (ps *Providers) AccessToken(ctx context.Context, raw string) (access.Principal, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	said, err := ps.Access(ctx, raw)
	return said.Principal, err
}

// IDToken is ID for who wants the principal alone, within fetchTime.
func (ps *Providers) IDToken(ctx context.Context, t access.IDToken) (access.Principal, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	said, err := ps.ID(ctx, t)
	return said.Principal, err
}
