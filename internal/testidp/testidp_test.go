package testidp

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// That another implementation takes what this one gives: discovery, keys of every kind, PKCE, nonce, device log-in.
func TestLogInAsAClientLibrarySeesIt(t *testing.T) {
	for _, alg := range []string{"RS256", "PS256", "ES256", "ES384", "EdDSA"} {
		t.Run(alg, func(t *testing.T) {
			p := New(t)
			key, err := NewKey(alg)
			if err != nil {
				t.Fatal(err)
			}
			p.SetKeys(key)
			p.Discover("id_token_signing_alg_values_supported", []string{alg})
			ctx := context.Background()
			provider, err := oidc.NewProvider(ctx, p.Issuer)
			if err != nil {
				t.Fatal(err)
			}
			c := oauth2.Config{ClientID: ClientID, Endpoint: provider.Endpoint(), RedirectURL: "http://127.0.0.1:1/back", Scopes: []string{"openid", "offline_access"}}
			verifier := oauth2.GenerateVerifier()
			client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			resp, err := client.Get(c.AuthCodeURL("st", oidc.Nonce("n1"), oauth2.S256ChallengeOption(verifier)))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			back, err := url.Parse(resp.Header.Get("Location"))
			if err != nil || back.Query().Get("state") != "st" || back.Query().Get("iss") != p.Issuer {
				t.Fatalf("%v, %v", back, err)
			}
			if _, err := c.Exchange(ctx, back.Query().Get("code"), oauth2.VerifierOption(oauth2.GenerateVerifier())); err == nil {
				t.Error("a code without its verifier was taken")
			}
			if resp, err = client.Get(c.AuthCodeURL("st", oidc.Nonce("n1"), oauth2.S256ChallengeOption(verifier))); err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			back, _ = url.Parse(resp.Header.Get("Location"))
			tok, err := c.Exchange(ctx, back.Query().Get("code"), oauth2.VerifierOption(verifier))
			if err != nil {
				t.Fatal(err)
			}
			raw, _ := tok.Extra("id_token").(string)
			id, err := provider.Verifier(&oidc.Config{ClientID: ClientID}).Verify(ctx, raw)
			if err != nil || id.Nonce != "n1" || id.Subject != "ada" {
				t.Fatalf("%+v, %v", id, err)
			}
			if strings.HasSuffix(alg, "256") {
				if err := id.VerifyAccessToken(tok.AccessToken); err != nil {
					t.Error(err)
				}
			}
			if again, err := c.TokenSource(ctx, &oauth2.Token{RefreshToken: tok.RefreshToken}).Token(); err != nil || again.AccessToken == tok.AccessToken {
				t.Errorf("refresh: %v", err)
			}
			if p.Fetches() != 1 {
				t.Errorf("%d fetches of the keys", p.Fetches())
			}
			dev, err := c.DeviceAuth(ctx)
			if err != nil {
				t.Fatal(err)
			}
			dev.Interval = 1
			if tok, err := c.DeviceAccessToken(ctx, dev); err != nil || tok.Extra("id_token") == nil {
				t.Errorf("device: %+v, %v", tok, err)
			}
		})
	}
}

func TestTokenOfAClientAndExchange(t *testing.T) {
	p := New(t)
	p.Client("bot", "s3cret")
	ask := func(form url.Values) map[string]any {
		resp, err := http.PostForm(p.Issuer+"/token", form)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var m map[string]any
		if err := json.NewDecoder(resp.Body).Decode(&m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	if m := ask(url.Values{"grant_type": {"client_credentials"}, "client_id": {"bot"}, "client_secret": {"wrong"}}); m["error"] != "invalid_client" {
		t.Errorf("%v", m)
	}
	own := ask(url.Values{"grant_type": {"client_credentials"}, "client_id": {"bot"}, "client_secret": {"s3cret"}, "resource": {"https://door/mcp"}})
	if c, _ := Claims(own["access_token"].(string)); c["sub"] != "bot" || c["aud"] != "https://door/mcp" {
		t.Errorf("%v", c)
	}
	got := ask(url.Values{"grant_type": {exchangeGrant}, "client_id": {"bot"}, "client_secret": {"s3cret"}, "resource": {"https://door/mcp"},
		"subject_token": {p.AccessToken("x", map[string]any{"act": map[string]any{"sub": "first"}})}})
	c, _ := Claims(got["access_token"].(string))
	act, _ := c["act"].(map[string]any)
	if behind, _ := act["act"].(map[string]any); c["sub"] != "ada" || act["sub"] != "bot" || behind["sub"] != "first" {
		t.Errorf("%v", c)
	}
}
