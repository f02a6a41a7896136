package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"sallyport/internal/access"
)

const (
	loginRefresh = time.Hour       // age at which a provider's addresses are asked for again
	loginRetry   = 5 * time.Second // between two tries to ask
)

// Login is the authorization code flow with one provider: it sends browsers there and exchanges what they come back with for an ID
// token. It does not look into tokens. It is safe for concurrent use.
type Login struct {
	provider access.Provider
	client   *http.Client
	now      func() time.Time

	mu    sync.Mutex // guards what follows
	meta  *metadata
	asked time.Time // when it was last asked for
}

// metadata is what the flow needs of a provider's discovery document (OpenID Connect Discovery 1.0, section 3).
type metadata struct {
	endpoint   oauth2.Endpoint
	EndSession string `json:"end_session_endpoint"`
	Issues     bool   `json:"authorization_response_iss_parameter_supported"` // RFC 9207
	Claims     bool   `json:"claims_parameter_supported"`
}

// NewLogin makes the flow of a provider; nothing is asked of it yet. It fails where the file of certificates cannot be read.
func NewLogin(p access.Provider, now func() time.Time) (*Login, error) {
	roots, err := readRoots(p.CAFile)
	if err != nil {
		return nil, fmt.Errorf("provider %s: %w", p.Name, err)
	}
	return &Login{provider: p, now: now, client: newClient(roots)}, nil
}

// Close lets go of connections that are kept.
func (l *Login) Close() { l.client.CloseIdleConnections() }

// discover gives the provider's addresses, which are asked for when they are needed and old. Old ones do while it does not answer.
func (l *Login) discover(ctx context.Context) (*metadata, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if l.meta != nil && now.Sub(l.asked) < loginRefresh {
		return l.meta, nil
	}
	if !l.asked.IsZero() && now.Sub(l.asked) < loginRetry {
		if l.meta != nil {
			return l.meta, nil
		}
		return nil, l.unavailable(errors.New("it did not answer a moment ago"))
	}
	l.asked = now
	// The answer is for everybody who waits: it is asked for to the end also where this browser goes away.
	ctx, stop := context.WithTimeout(oidc.ClientContext(context.WithoutCancel(ctx), l.client), fetchTime)
	defer stop()
	p, err := oidc.NewProvider(ctx, l.provider.Issuer)
	m := &metadata{}
	if err == nil {
		m.endpoint = p.Endpoint()
		err = p.Claims(m)
	}
	if err == nil {
		err = l.check(m)
	}
	if err != nil {
		if l.meta != nil {
			l.asked = now.Add(loginRetry - loginRefresh) // again soon
			return l.meta, nil
		}
		return nil, l.unavailable(err)
	}
	l.meta = m
	return m, nil
}

// check refuses addresses that a browser or a code may not be sent to: a provider with TLS has none without, one of this machine none elsewhere
// without.
func (l *Login) check(m *metadata) error {
	encrypted := strings.HasPrefix(l.provider.Issuer, "https://")
	for what, at := range map[string]string{"authorization_endpoint": m.endpoint.AuthURL, "token_endpoint": m.endpoint.TokenURL, "end_session_endpoint": m.EndSession} {
		if at == "" && what == "end_session_endpoint" {
			continue
		}
		u, err := url.Parse(at)
		if err != nil || !Secure(u) || u.Fragment != "" || encrypted && u.Scheme != "https" {
			return fmt.Errorf("its %s is not usable", what)
		}
	}
	return nil
}

func (l *Login) unavailable(err error) error {
	return &access.Error{Kind: access.Unavailable, Code: "28000", Message: "the identity provider " + l.provider.Name + " does not answer as it should",
		Hint: "try again in a moment; the operator's log has the cause", Err: err}
}

func (l *Login) config(m *metadata, redirect string) *oauth2.Config {
	return &oauth2.Config{ClientID: l.provider.ClientID, ClientSecret: l.provider.ClientSecret, Endpoint: m.endpoint, RedirectURL: redirect,
		Scopes: append([]string{oidc.ScopeOpenID}, l.provider.LoginScopes...)}
}

// URL is where a browser goes to log in.
func (l *Login) URL(ctx context.Context, r access.LoginRequest) (string, error) {
	m, err := l.discover(ctx)
	if err != nil {
		return "", err
	}
	opts := []oauth2.AuthCodeOption{oidc.Nonce(r.Nonce), oauth2.S256ChallengeOption(r.Verifier)}
	if r.StepUp {
		opts = append(opts, oauth2.SetAuthURLParam("max_age", "0"), oauth2.SetAuthURLParam("prompt", "login"))
		if acr := l.provider.ACR; len(acr) > 0 {
			opts = append(opts, oauth2.SetAuthURLParam("acr_values", strings.Join(acr, " ")))
			if m.Claims { // acr_values are a wish; this is not (OpenID Connect Core 5.5.1.1)
				text, err := json.Marshal(map[string]any{"id_token": map[string]any{"acr": map[string]any{"essential": true, "values": acr}}})
				if err != nil {
					return "", err
				}
				opts = append(opts, oauth2.SetAuthURLParam("claims", string(text)))
			}
		}
	}
	return l.config(m, r.Redirect).AuthCodeURL(r.State, opts...), nil
}

// Exchange gives the ID token for a code, with the access token that came with it. Neither has been verified.
func (l *Login) Exchange(ctx context.Context, r access.LoginResponse) (access.IDToken, error) {
	none := access.IDToken{}
	m, err := l.discover(ctx)
	if err != nil {
		return none, err
	}
	if r.Issuer != l.provider.Issuer && (r.Issuer != "" || m.Issues) {
		return none, &access.Error{Kind: access.Denied, Code: "28000", Message: "the answer is not that of the identity provider " + l.provider.Name, Hint: "log in again"}
	}
	ctx, stop := context.WithTimeout(context.WithValue(ctx, oauth2.HTTPClient, l.client), fetchTime)
	defer stop()
	token, err := l.config(m, r.Redirect).Exchange(ctx, r.Code, oauth2.VerifierOption(r.Verifier))
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused) && refused.Response != nil && refused.Response.StatusCode < 500:
		return none, &access.Error{Kind: access.Denied, Code: "28000", Message: "the identity provider " + l.provider.Name + " does not take the code of this log-in", Hint: "log in again",
			Err: fmt.Errorf("token endpoint: %s %q", refused.Response.Status, refused.ErrorCode)}
	case errors.Is(err, context.Canceled), errors.Is(err, io.ErrUnexpectedEOF):
		return none, l.unavailable(err)
	case err != nil:
		return none, l.unavailable(errors.New("the exchange of a code failed")) // what it says may have parts of a token
	}
	id, _ := token.Extra("id_token").(string)
	if id == "" {
		return none, l.unavailable(errors.New("it gave no ID token"))
	}
	return access.IDToken{Provider: l.provider.Name, Token: id, AccessToken: token.AccessToken}, nil
}

// LogoutURL is where a browser goes to log out of the provider too (OpenID Connect RP-Initiated Logout 1.0), "" where there is no such
// place. back is where the provider sends it then, if it knows that address.
func (l *Login) LogoutURL(ctx context.Context, idToken, back string) (string, error) {
	m, err := l.discover(ctx)
	if err != nil || m.EndSession == "" {
		return "", err
	}
	u, err := url.Parse(m.EndSession)
	if err != nil {
		return "", err
	}
	q := u.Query()
	q.Set("id_token_hint", idToken)
	q.Set("client_id", l.provider.ClientID)
	q.Set("post_logout_redirect_uri", back)
	u.RawQuery = q.Encode()
	return u.String(), nil
}
