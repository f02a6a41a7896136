package testop

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net/http/httptest"
	"slices"
	"sync"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// Zitadel starts zitadel/oidc's example provider in this process. Its protocol is theirs; what is behind it (clients, people, keys,
// groups, the audience of access tokens) is set up here as an operator would.
func Zitadel(t TB, w Wish) (*Provider, error) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	issuer := "http://" + server.Listener.Addr().String()
	s := &zitadel{audience: w.Audience, clients: map[string]zitadelClient{}}
	plain := map[string]*storage.Client{
		Web:     storage.WebClient(Web, WebSecret, w.Callback),
		App:     storage.WebClient(App, AppSecret, appCallback),
		Command: storage.NativeClient(Command, commandCallback(issuer)),
	}
	for id, c := range plain {
		s.clients[id] = zitadelClient{Client: c, grants: append(c.GrantTypes(), oidc.GrantTypeDeviceCode)}
	}
	s.Storage = storage.NewStorageWithClients(zitadelUsers{}, plain)
	if err := s.newKey(false); err != nil {
		return nil, err
	}
	server.Config.Handler = exampleop.SetupServer(issuer, s, nil, false)
	server.Start()
	t.Cleanup(server.Close)
	return &Provider{Name: "zitadel", Issuer: issuer, UserClaim: "sub", GroupsClaim: "groups", Audience: w.Audience,
		Names: map[string]string{Ada: Ada, Bob: Bob}, GroupsOf: groups, Scope: "profile email offline_access", rotate: s.newKey,
		Lacks: map[Part]string{
			Resource:    "the library does not read `resource`; the audience is the client's",
			BackChannel: "the library sends no logout tokens",
			Typ:         "access tokens have no typ",
		}}, nil
}

// zitadel is the example's storage with what an operator would have set up.
type zitadel struct {
	*storage.Storage
	audience string
	clients  map[string]zitadelClient

	mu   sync.Mutex // of keys
	keys []zitadelKey
}

// zitadelClient gets access tokens as JWTs, and claims of people in its ID tokens.
type zitadelClient struct {
	*storage.Client
	id     string // "" is the client's own
	grants []oidc.GrantType
}

func (c zitadelClient) GetID() string {
	if c.id != "" {
		return c.id
	}
	return c.Client.GetID()
}
func (c zitadelClient) GrantTypes() []oidc.GrantType         { return c.grants }
func (c zitadelClient) AccessTokenType() op.AccessTokenType  { return op.AccessTokenTypeJWT }
func (c zitadelClient) IDTokenUserinfoClaimsAssertion() bool { return true }
func (c zitadelClient) IsScopeAllowed(scope string) bool     { return true }
func (c zitadelClient) RedirectURIGlobs() []string           { return nil }
func (c zitadelClient) PostLogoutRedirectURIGlobs() []string { return nil }

type zitadelUsers struct{}

func (zitadelUsers) ExampleClientID() string { return storage.ServiceUserID }
func (u zitadelUsers) GetUserByID(id string) *storage.User {
	if groups[id] == nil {
		return nil
	}
	return &storage.User{ID: id, Username: id, Password: Password, FirstName: id, Email: id + "@example.com", EmailVerified: true, IsAdmin: true}
}
func (u zitadelUsers) GetUserByUsername(name string) *storage.User { return u.GetUserByID(name) }

// zitadelKey is a private key, and as op.Key its public one.
type zitadelKey struct {
	id  string
	key *rsa.PrivateKey
}

func (k zitadelKey) ID() string                                  { return k.id }
func (k zitadelKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k zitadelKey) Key() any                                    { return k.key }

type zitadelPublic struct{ zitadelKey }

func (k zitadelPublic) Algorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k zitadelPublic) Use() string                        { return "sig" }
func (k zitadelPublic) Key() any                           { return &k.key.PublicKey }

func (s *zitadel) newKey(keep bool) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !keep {
		s.keys = nil
	}
	s.keys = append([]zitadelKey{{"z-" + rand.Text(), key}}, s.keys...)
	return nil
}

func (s *zitadel) SigningKey(context.Context) (op.SigningKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[0], nil
}

func (s *zitadel) KeySet(context.Context) ([]op.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []op.Key
	for _, k := range s.keys {
		all = append(all, zitadelPublic{k})
	}
	return all, nil
}

func (s *zitadel) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	if c, ok := s.clients[id]; ok {
		return c, nil
	}
	return nil, errors.New("client not found")
}

func (s *zitadel) SetUserinfoFromRequest(ctx context.Context, info *oidc.UserInfo, r op.IDTokenRequest, scopes []string) error {
	info.AppendClaims("groups", groups[r.GetSubject()])
	return s.Storage.SetUserinfoFromRequest(ctx, info, r, scopes)
}

func (s *zitadel) GetPrivateClaimsFromScopes(ctx context.Context, user, client string, scopes []string) (map[string]any, error) {
	claims := map[string]any{"scope": scopes, "azp": client}
	if g := groups[user]; g != nil {
		claims["groups"] = g
	}
	return claims, nil
}

func (s *zitadel) GetPrivateClaimsFromTokenExchangeRequest(ctx context.Context, r op.TokenExchangeRequest) (map[string]any, error) {
	claims, err := s.GetPrivateClaimsFromScopes(ctx, r.GetSubject(), r.GetClientID(), r.GetScopes())
	if err == nil {
		claims["act"] = map[string]any{"sub": r.GetClientID()}
	}
	return claims, err
}

// forGateway are requests whose access tokens are for the gateway, as an audience mapper does it.
type forGateway struct {
	*storage.AuthRequest
	audience string
}

func (r forGateway) GetAudience() []string { return []string{r.audience} }

type refreshForGateway struct {
	op.RefreshTokenRequest
	audience string
}

func (r refreshForGateway) GetAudience() []string { return []string{r.audience} }

func (s *zitadel) AuthRequestByCode(ctx context.Context, code string) (op.AuthRequest, error) {
	r, err := s.Storage.AuthRequestByCode(ctx, code)
	if a, ok := r.(*storage.AuthRequest); ok && err == nil && a.GetClientID() == App {
		return forGateway{a, s.audience}, nil
	}
	return r, err
}

func (s *zitadel) CreateAccessToken(ctx context.Context, r op.TokenRequest) (string, time.Time, error) {
	return s.Storage.CreateAccessToken(ctx, plainRequest(r))
}

func (s *zitadel) CreateAccessAndRefreshTokens(ctx context.Context, r op.TokenRequest, current string) (string, string, time.Time, error) {
	return s.Storage.CreateAccessAndRefreshTokens(ctx, plainRequest(r), current)
}

func plainRequest(r op.TokenRequest) op.TokenRequest {
	switch m := r.(type) {
	case forGateway:
		return m.AuthRequest
	case refreshForGateway:
		return m.RefreshTokenRequest
	}
	return r
}

func (s *zitadel) TokenRequestByRefreshToken(ctx context.Context, token string) (op.RefreshTokenRequest, error) {
	r, err := s.Storage.TokenRequestByRefreshToken(ctx, token)
	if err == nil && r.GetClientID() == App {
		return refreshForGateway{r, s.audience}, nil
	}
	return r, err
}

func (s *zitadel) ClientCredentials(ctx context.Context, id, secret string) (op.Client, error) {
	if id != Bot || secret != BotSecret {
		return nil, errors.New("wrong client or secret")
	}
	return zitadelClient{Client: storage.WebClient(id, secret), id: id, grants: []oidc.GrantType{oidc.GrantTypeClientCredentials}}, nil
}

func (s *zitadel) ClientCredentialsTokenRequest(ctx context.Context, id string, scopes []string) (op.TokenRequest, error) {
	audience := s.audience
	if slices.Contains(scopes, "elsewhere") {
		audience = Elsewhere
	}
	return &oidc.JWTTokenRequest{Subject: id, Audience: []string{audience}, Scopes: scopes}, nil
}
