package identity

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/xdg-go/scram"

	"sallyport/internal/access"
	"sallyport/internal/identity/credential"
)

// maxSecret bounds a password presented in the clear, so that hashing it costs a known amount.
const maxSecret = 1024

// Store knows the local principals. It is immutable once made and safe for concurrent use; a changed
// configuration makes a new Store, and exchanges of the old one stop counting.
type Store struct {
	users  map[string]*user
	names  map[string]struct{} // of users, folded
	tokens map[[sha256.Size]byte]token

	// mockKey makes the salts and keys of users that do not exist. It depends on all verifiers, so
	// salts stay the same over a restart, as those of real users do, and nobody who lacks one of the
	// passwords can compute it. Without any verifier it is random.
	mockKey []byte
	// factors are the salt sizes and iteration counts in use, for mocks that do not stand out.
	factors []scram.KeyFactors

	issued     *credential.Store    // what the gateway gave out, and withdrew; nil: nothing
	firstKnown map[string]time.Time // tokens, by their hex SHA-256
	providers  Providers            // nil: there are none
	defined    map[string]string    // digests of the definitions of providers, by issuer
	foreign    func(issuer, name string) bool

	now func() time.Time // injected by tests
}

type user struct {
	principal access.Principal
	keys      *scram.StoredCredentials // nil: has no password
	expires   time.Time                // of its password and tokens; zero is never
	glass     bool                     // it is kept for when nobody else can come in
}

// over reports whether what proves u has ended.
func (u *user) over(now time.Time) bool { return !u.expires.IsZero() && !now.Before(u.expires) }

type token struct {
	sum     [sha256.Size]byte
	user    *user
	expires time.Time // zero never expires
	scopes  []string  // the actions that it is good for; nil: no limit
}

// New makes a Store of the principals that the configuration declares. It refuses what cannot be
// meant: an empty or repeated name, an unknown kind, a malformed verifier, hash or expiry, and a
// token that two principals share. All problems are reported, joined.
func New(principals []access.LocalPrincipal) (*Store, error) {
	s := &Store{
		users:  make(map[string]*user, len(principals)),
		names:  make(map[string]struct{}, len(principals)),
		tokens: make(map[[sha256.Size]byte]token),
		now:    time.Now,
	}
	var problems []error
	for _, p := range principals {
		if err := s.add(p); err != nil {
			problems = append(problems, fmt.Errorf("principal %q: %w", p.Name, err))
		}
	}
	if len(problems) > 0 {
		return nil, &access.Error{
			Kind: access.Invalid, Code: "F0000", // config_file_error
			Message: errors.Join(problems...).Error(),
			Hint:    "sallyport principal makes verifiers, sallyport token makes tokens",
		}
	}
	s.mockKey, s.factors = mockMaterial(s.users)
	return s, nil
}

func (s *Store) add(p access.LocalPrincipal) error {
	switch {
	case p.Name == "":
		return errors.New("the name is empty")
	case strings.ContainsFunc(p.Name, unicode.IsControl):
		return errors.New("the name has control characters")
	case s.users[p.Name] != nil:
		return errors.New("declared twice")
	case p.Kind != access.Human && p.Kind != access.Agent:
		return fmt.Errorf("kind %q is neither %q nor %q", p.Kind, access.Human, access.Agent)
	}
	groups := slices.Clone(p.Groups)
	slices.Sort(groups)
	u := &user{principal: access.Principal{Name: p.Name, Kind: p.Kind, Groups: slices.Compact(groups), Attributes: maps.Clone(p.Attributes)}}
	if p.Secret != "" {
		keys, err := parseVerifier(p.Secret)
		if err != nil {
			return fmt.Errorf("secret: %w", err)
		}
		u.keys = &keys
	}
	u.glass = p.BreakGlass
	if p.Expires != "" {
		var err error
		if u.expires, err = time.Parse(time.RFC3339, p.Expires); err != nil {
			return fmt.Errorf("expires %q is not an RFC 3339 time such as 2027-01-31T00:00:00Z", p.Expires)
		}
	}
	s.users[p.Name] = u
	s.names[folded(p.Name)] = struct{}{}
	for i, t := range p.Tokens {
		if err := s.addToken(t, u); err != nil {
			return fmt.Errorf("token %d: %w", i+1, err)
		}
	}
	return nil
}

func (s *Store) addToken(t access.LocalToken, u *user) error {
	raw, err := hex.DecodeString(t.SHA256)
	if err != nil || len(raw) != sha256.Size {
		return errors.New("sha256 is not 64 hexadecimal digits")
	}
	sum := [sha256.Size]byte(raw)
	if _, ok := s.tokens[sum]; ok {
		return errors.New("the same token is declared twice")
	}
	entry := token{sum: sum, user: u, scopes: slices.Clone(t.Scopes)}
	if t.Expires != "" {
		if entry.expires, err = time.Parse(time.RFC3339, t.Expires); err != nil {
			return fmt.Errorf("expires %q is not an RFC 3339 time such as 2027-01-31T00:00:00Z", t.Expires)
		}
	}
	if !u.expires.IsZero() && (entry.expires.IsZero() || u.expires.Before(entry.expires)) {
		entry.expires = u.expires
	}
	s.tokens[sum] = entry
	return nil
}

// Verify turns credentials into a principal: a Bearer token, a Password, a Certificate of the gateway's, or an Exchange of this Store
// that ended well and was not verified before. Every failure is an *access.Error of Kind Denied that
// does not tell which part was wrong, or Unavailable where a provider has to be asked and does not answer. What was withdrawn is refused,
// whatever it is. ctx bounds what is asked of providers.
func (s *Store) Verify(ctx context.Context, c access.Credentials) (access.Principal, error) {
	p, err := s.verify(ctx, c)
	if err != nil {
		return access.Principal{}, err
	}
	if p.Proof.Issuer != "" {
		// Also of what was issued before the configuration declared a principal of that name.
		if s.Has(p.Name) {
			return access.Principal{}, errTaken(p.Name)
		}
		if s.foreign != nil && s.foreign(p.Proof.Issuer, p.Name) { // what was issued before another provider had the prefix
			return access.Principal{}, &access.Error{Kind: access.Denied, Code: "28000", Message: fmt.Sprintf("%q is a name that another provider gives by now", p.Name), Hint: "log in anew, by that provider"}
		}
		p.Proof.Against = s.defined[p.Proof.Issuer]
	}
	if err := s.holds(p); err != nil {
		return access.Principal{}, err
	}
	return p, nil
}

func (s *Store) verify(ctx context.Context, c access.Credentials) (access.Principal, error) {
	switch c := c.(type) {
	case access.Bearer:
		return s.verifyToken(ctx, string(c))
	case access.Password:
		return s.verifyPassword(c)
	case *Exchange:
		return s.verifyExchange(c)
	case access.Certificate:
		return s.verifyCertificate(c)
	case access.IDToken:
		return s.verifyIDToken(ctx, c)
	default:
		return access.Principal{}, &access.Error{
			Kind: access.Denied, Code: "28000", Message: "no usable credentials were given",
			Hint: "log in with a bearer token or a password",
		}
	}
}

// verifyToken looks the token up by its hash: what the look-up's time could tell is about the hash,
// which nobody can steer without knowing a token. The final comparison is constant-time all the same.
func (s *Store) verifyToken(ctx context.Context, presented string) (access.Principal, error) {
	sum := sha256.Sum256([]byte(presented))
	t, ok := s.tokens[sum]
	if !ok && s.providers != nil && strings.Count(presented, ".") == 2 { // the gateway's own have no dots
		return s.providers.AccessToken(ctx, presented)
	}
	if !ok || subtle.ConstantTimeCompare(t.sum[:], sum[:]) != 1 {
		return access.Principal{}, &access.Error{
			Kind: access.Denied, Code: "28000", Message: "the access token is not valid",
			Hint: "ask the operator for a token (sallyport token), and send it whole",
		}
	}
	if !t.expires.IsZero() && !s.now().Before(t.expires) {
		return access.Principal{}, &access.Error{
			Kind: access.Denied, Code: "28000", Message: "the access token has expired",
			Hint: "ask the operator for a new one (sallyport token)",
		}
	}
	p := clonePrincipal(t.user.principal)
	hexSum := hex.EncodeToString(sum[:])
	p.Proof = access.Proof{Method: access.ByToken, Token: hexSum, Issued: s.firstKnown[hexSum], Expires: t.expires,
		Scopes: t.scopes, Scoped: t.scopes != nil, BreakGlass: t.user.glass}
	return p, nil
}

// verifyPassword does the same work for users that do not exist, or have no password, as for others.
func (s *Store) verifyPassword(c access.Password) (access.Principal, error) {
	if len(c.Secret) > maxSecret {
		return access.Principal{}, errPassword(c.User, nil)
	}
	all := s.candidates(c.User)
	got := derive(c.Secret, all[0].keys.KeyFactors)
	var proved *candidate
	var why error
	for i := range all {
		if subtle.ConstantTimeCompare(got.StoredKey, all[i].keys.StoredKey) != 1 {
			continue
		}
		if all[i].counts() {
			proved = &all[i]
		} else if all[i].over {
			why = errOver
		}
	}
	if proved == nil {
		return access.Principal{}, errPassword(c.User, why)
	}
	return s.who(proved)
}

// verifyExchange says of a failed proof what Step said, so that a door may have it put on record.
func (s *Store) verifyExchange(x *Exchange) (access.Principal, error) {
	if x != nil && x.store == s {
		proved, wrong := x.take()
		if proved != nil {
			return s.who(proved)
		}
		if wrong {
			return access.Principal{}, errPassword(x.name, nil)
		}
	}
	return access.Principal{}, &access.Error{
		Kind: access.Denied, Code: "28000", Message: "the log-in was not completed", Hint: "connect again",
	}
}

// mock makes up keys for a name: the same each time, with factors as real users have them. Nobody
// holds a password for them, and a match would not count anyway.
func (s *Store) mock(name string) scram.StoredCredentials {
	pick := s.prf("factors", name)
	factors := s.factors[int(pick[0])%len(s.factors)]
	salt := s.prf("salt", name)
	for len(salt) < len(factors.Salt) {
		salt = append(salt, s.prf("salt", string(salt))...)
	}
	return scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: string(salt[:len(factors.Salt)]), Iters: factors.Iters},
		StoredKey:  s.prf("stored key", name),
		ServerKey:  s.prf("server key", name),
	}
}

func (s *Store) prf(purpose, name string) []byte {
	mac := hmac.New(sha256.New, s.mockKey)
	mac.Write([]byte(purpose))
	mac.Write([]byte{0})
	mac.Write([]byte(name))
	return mac.Sum(nil)
}

func mockMaterial(users map[string]*user) (key []byte, factors []scram.KeyFactors) {
	h := sha256.New()
	names := make([]string, 0, len(users))
	for name, u := range users {
		if u.keys != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		keys := users[name].keys
		h.Write(keys.StoredKey)
		h.Write(keys.ServerKey)
		factors = append(factors, keys.KeyFactors)
	}
	if len(names) == 0 {
		key = make([]byte, sha256.Size)
		rand.Read(key)
		return key, []scram.KeyFactors{{Salt: strings.Repeat("0", saltSize), Iters: iterations}}
	}
	return h.Sum(nil), factors
}

// errPassword is the one answer to a wrong password and to an unknown user; the text is PostgreSQL's.
func errPassword(name string, cause error) error {
	return &access.Error{
		Kind: access.Denied, Code: "28P01",
		Message: fmt.Sprintf("password authentication failed for user %q", name),
		Hint:    "user and password are those of a principal of the gateway, not of the database behind it",
		Err:     cause,
	}
}

// errTaken refuses who came by a provider and has the name of a principal of the configuration: policies know people by their names.
func errTaken(name string) error {
	return &access.Error{Kind: access.Denied, Code: "28000", Message: fmt.Sprintf("%q is a principal of the configuration by now, and no provider speaks for it", name),
		Hint: "log in with a password, or ask the operator for a `prefix` for the provider"}
}

// clonePrincipal keeps a caller that writes to Groups or Attributes from changing who others are.
func clonePrincipal(p access.Principal) access.Principal {
	p.Groups = slices.Clone(p.Groups)
	p.Attributes = maps.Clone(p.Attributes)
	return p
}
