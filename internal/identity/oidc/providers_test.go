package oidc

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/testop"
)

// TestProvidersOfOthers holds what this package believes about tokens against providers that know nothing of it.
func TestProvidersOfOthers(t *testing.T) {
	const audience = "https://gateway.example/mcp"
	for _, one := range testop.All {
		t.Run(one.Name, func(t *testing.T) {
			p, err := one.Start(t, testop.Wish{Audience: audience, Callback: "http://127.0.0.1:1/callback"})
			if errors.Is(err, testop.ErrNotInstalled) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			conf := access.Provider{Name: p.Name, Issuer: p.Issuer, ClientID: testop.Web, LoginClientID: testop.Command, Audiences: []string{p.Audience}, UserClaim: p.UserClaim, GroupsClaim: p.GroupsClaim,
				Agents: []string{testop.Bot}, Clients: []string{AnyClient}, Actors: []string{"somebody-else"}, AnyTokenType: !p.Has(testop.Typ), Refresh: time.Hour}
			ps, err := Open(Options{Providers: []access.Provider{conf}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { ps.Close() })
			ctx := context.Background()
			resource := ""
			if p.Has(testop.Resource) {
				resource = audience
			}
			tokens, err := p.TokensOf(ctx, testop.Ada, resource)
			if err != nil {
				t.Fatal(err)
			}
			ada := func(what string, said Said, err error) {
				t.Helper()
				if err != nil {
					t.Errorf("%s: %v", what, err)
				} else if q := said.Principal; q.Name != p.Names[testop.Ada] || q.Kind != access.Human || q.Actor != "" || !slices.Equal(q.Groups, p.GroupsOf[testop.Ada]) || q.Proof.Issuer != p.Issuer {
					t.Errorf("%s: %+v", what, q)
				}
			}
			in, err := p.LogIn(ctx, testop.Ada)
			if err != nil {
				t.Fatal(err)
			}
			said, err := ps.ID(ctx, access.IDToken{Provider: p.Name, Token: in.ID, Nonce: "n", AccessToken: in.Access})
			ada("ID token", said, err)
			if _, err := ps.ID(ctx, access.IDToken{Provider: p.Name, Token: in.ID, Nonce: "m"}); err == nil {
				t.Error("an ID token of another log-in is taken")
			}
			if p.Has(testop.Access) {
				said, err = ps.Access(ctx, tokens.Access)
				ada("access token", said, err)
			} else if _, err := ps.Access(ctx, tokens.Access); err == nil {
				t.Errorf("lacks %s, and one is taken", testop.Access)
			}
			for what, token := range map[string]string{"an ID token": tokens.ID, "an ID token of the command": in.ID, "a refresh token": tokens.Refresh} {
				if said, err := ps.Access(ctx, token); err == nil {
					t.Errorf("%s is taken as an access token: %+v", what, said)
				}
			}
			if _, err := ps.ID(ctx, access.IDToken{Provider: p.Name, Token: tokens.ID, Nonce: "n"}); err == nil {
				t.Error("an ID token for another client is taken")
			}
			if _, err := ps.ID(ctx, access.IDToken{Provider: p.Name, Token: tokens.Access, Nonce: "n"}); err == nil {
				t.Error("an access token is taken as an ID token")
			}
			if p.Has(testop.Resource) {
				elsewhere, err := p.TokensOf(ctx, testop.Ada, testop.Elsewhere)
				if err != nil {
					t.Fatal(err)
				}
				if said, err := ps.Access(ctx, elsewhere.Access); err == nil {
					t.Errorf("an access token for another resource is taken: %+v", said)
				}
			}
			if p.Has(testop.Own) {
				form := url.Values{"grant_type": {"client_credentials"}}
				if resource != "" {
					form.Set("resource", resource)
				}
				own, err := p.Token(ctx, testop.Bot, testop.BotSecret, form)
				if err != nil {
					t.Fatal(err)
				}
				if said, err := ps.Access(ctx, own.Access); err != nil || said.Principal.Kind != access.Agent || said.Principal.Name != testop.Bot {
					t.Errorf("client credentials: %+v, %v", said, err)
				}
			}
			if p.Has(testop.Exchange) {
				got, err := p.Exchange(ctx, tokens.Access)
				if err != nil {
					t.Fatal(err)
				}
				if said, err := ps.Access(ctx, got.Access); err == nil {
					t.Errorf("an actor that is none of actors acts: %+v", said)
				}
				conf.Actors = []string{testop.App}
				trusting, err := Open(Options{Providers: []access.Provider{conf}})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { trusting.Close() })
				if said, err := trusting.Access(ctx, got.Access); err != nil || said.Principal.Name != p.Names[testop.Ada] || said.Principal.Actor != testop.App {
					t.Errorf("token exchange: %+v, %v", said, err)
				}
			}
			if !p.Has(testop.Rotation) || !p.Has(testop.Access) {
				return
			}
			if err := p.Rotate(false); err != nil {
				t.Fatal(err)
			}
			later, err := p.TokensOf(ctx, testop.Ada, resource)
			if err != nil {
				t.Fatal(err)
			}
			said, err = ps.Access(ctx, later.Access)
			ada("after the rotation", said, err)
			if said, err := ps.Access(ctx, tokens.Access); err == nil {
				t.Errorf("a withdrawn key verifies: %+v", said)
			}
		})
	}
}
