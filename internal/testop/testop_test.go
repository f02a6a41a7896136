package testop

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// That the providers do what their Lacks do not name, seen without the gateway.
func TestProviders(t *testing.T) {
	const audience = "https://gateway.example/mcp"
	for _, one := range All {
		t.Run(one.Name, func(t *testing.T) {
			p, err := one.Start(t, Wish{Audience: audience, Callback: "http://127.0.0.1:1/callback"})
			if errors.Is(err, ErrNotInstalled) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			ctx := t.Context()
			resource := ""
			if p.Has(Resource) {
				resource = audience
			}
			tokens, err := p.TokensOf(ctx, Ada, resource)
			if err != nil {
				t.Fatal(err)
			}
			access, id := claims(t, tokens.Access), claims(t, tokens.ID)
			if access["iss"] != p.Issuer || !has(access["aud"], p.Audience) || !has(id["aud"], App) || id["nonce"] != "n" {
				t.Errorf("access token %v, ID token %v", access, id)
			}
			for what, c := range map[string]map[string]any{"access token": access, "ID token": id} {
				if c[p.UserClaim] != p.Names[Ada] {
					t.Errorf("%s: %s is %v", what, p.UserClaim, c[p.UserClaim])
				}
				for _, g := range p.GroupsOf[Ada] {
					if !has(c[p.GroupsClaim], g) {
						t.Errorf("%s: groups are %v", what, c[p.GroupsClaim])
					}
				}
			}
			if typ := header(t, tokens.Access)["typ"]; (typ == "at+jwt") != p.Has(Typ) {
				t.Errorf("typ is %v", typ)
			}
			if again, err := p.Token(ctx, App, AppSecret, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens.Refresh}}); err != nil || !has(claims(t, again.Access)["aud"], p.Audience) {
				t.Errorf("refresh: %v, %v", again, err)
			}
			if p.Has(Own) {
				form := url.Values{"grant_type": {"client_credentials"}}
				if p.Has(Resource) {
					form.Set("resource", audience)
				}
				own, err := p.Token(ctx, Bot, BotSecret, form)
				if err != nil || !has(claims(t, own.Access)["aud"], p.Audience) {
					t.Errorf("client credentials: %v, %v", own, err)
				}
			}
			if p.Has(Exchange) {
				got, err := p.Exchange(ctx, tokens.Access)
				if err != nil {
					t.Fatal(err)
				}
				act, _ := claims(t, got.Access)["act"].(map[string]any)
				if act["sub"] != App || claims(t, got.Access)["sub"] != Ada {
					t.Errorf("exchanged: %v", claims(t, got.Access))
				}
			}
			if p.Has(Rotation) {
				if err := p.Rotate(false); err != nil {
					t.Fatal(err)
				}
				later, err := p.TokensOf(ctx, Ada, resource)
				if err != nil || header(t, later.Access)["kid"] == header(t, tokens.Access)["kid"] {
					t.Errorf("%v, %v", later, err)
				}
			}
		})
	}
}

func has(v any, want string) bool {
	if list, ok := v.([]any); ok {
		return slices.Contains(list, any(want))
	}
	return v == want
}

func header(t *testing.T, token string) map[string]any { return part(t, token, 0) }
func claims(t *testing.T, token string) map[string]any { return part(t, token, 1) }

func part(t *testing.T, token string, n int) map[string]any {
	t.Helper()
	var m map[string]any
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("no JWT: %q", token)
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[n])
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// That device log-ins are approved by the person in the browser.
func TestDevice(t *testing.T) {
	for _, one := range All {
		t.Run(one.Name, func(t *testing.T) {
			p, err := one.Start(t, Wish{Audience: "https://gateway.example/mcp", Callback: "http://127.0.0.1:1/callback"})
			if errors.Is(err, ErrNotInstalled) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			ctx := context.Background()
			asked, err := p.AskDevice(ctx)
			if err != nil {
				t.Fatal(err)
			}
			poll := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {asked.Code}}
			if _, _, err := NewBrowser(Ada).Visit(ctx, asked.Address, nil); err != nil {
				t.Fatal(err)
			}
			got, err := p.Token(ctx, Command, "", poll)
			if err != nil {
				t.Fatal(err)
			}
			if c := claims(t, got.ID); c[p.UserClaim] != p.Names[Ada] || !has(c["aud"], Command) {
				t.Errorf("%v", c)
			}
		})
	}
}
