package identity

import (
	"context"
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/identity/oidc"
	"sallyport/internal/testidp"
)

// A token of a provider is taken where an access token is, and nowhere else; and it makes nobody of who the configuration declares.
func TestTokensOfProviders(t *testing.T) {
	const door = "https://sallyport.example.com/mcp"
	idp := testidp.New(t)
	user := func(name string) *testidp.User {
		return &testidp.User{Subject: "u-1", Claims: map[string]any{"preferred_username": name}}
	}
	own, hash := NewToken()
	s := newStore(t, access.LocalPrincipal{Name: "agent", Kind: access.Agent, Tokens: []access.LocalToken{{SHA256: hash}}})
	ps, err := oidc.Open(oidc.Options{Audience: door, Taken: s.Has, Providers: []access.Provider{{Name: "corp", Issuer: idp.Issuer, ClientID: testidp.ClientID, UserClaim: "preferred_username"}}})
	if err != nil {
		t.Fatal(err)
	}
	s.By(ps, nil, nil)
	defer s.Close()

	idp.Login(user("grace"))
	raw := idp.AccessToken(door)
	if p, err := s.Verify(context.Background(), access.Bearer(raw)); err != nil || p.Name != "grace" || p.Proof.Method != access.ByAccessToken {
		t.Errorf("%+v, %v", p, err)
	}
	id := idp.IDToken("n")
	if p, err := s.Verify(context.Background(), access.IDToken{Provider: "corp", Token: id, Nonce: "n"}); err != nil || p.Proof.Method != access.ByIDToken {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := s.Verify(context.Background(), access.Bearer(own)); err != nil || p.Name != "agent" {
		t.Errorf("%+v, %v", p, err)
	}
	for name, c := range map[string]access.Credentials{
		"id_token_as_bearer":       access.Bearer(id),
		"id_token_as_password":     access.Password{User: "grace", Secret: id},
		"access_token_as_password": access.Password{User: "grace", Secret: raw},
		"access_token_as_id_token": access.IDToken{Provider: "corp", Token: raw, Nonce: "n"},
		"for_another":              access.Bearer(idp.AccessToken("https://other")),
	} {
		if p, err := s.Verify(context.Background(), c); err == nil {
			t.Errorf("%s: %+v", name, p)
		}
	}
	for _, name := range []string{"ada", "ADA", "Agent"} { // principals of the configuration, as a person would read it
		idp.Login(user(name))
		for _, c := range []access.Credentials{access.Bearer(idp.AccessToken(door)), access.IDToken{Provider: "corp", Token: idp.IDToken("n"), Nonce: "n"}} {
			if p, err := s.Verify(context.Background(), c); err == nil || !strings.Contains(err.Error(), "is a principal of the configuration") {
				t.Errorf("%s: %+v, %v", name, p, err)
			}
		}
	}
}
