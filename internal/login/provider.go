package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"sallyport/internal/access"
)

// issuer is a provider as it describes itself.
type issuer struct {
	name, url string
	conf      oauth2.Config
	verifier  *oidc.IDTokenVerifier
	http      *http.Client
	// issParameter: the provider says who it is when it sends the browser back (RFC 9207).
	issParameter bool
	revocation   string // where refresh tokens are given back (RFC 7009); "" nowhere
}

// discover reads what a provider says of itself (OpenID Connect Discovery 1.0).
func discover(ctx context.Context, hc *http.Client, p Provider, o Options) (*issuer, error) {
	if err := safe(p.Issuer); err != nil {
		return nil, err
	}
	ctx = oidc.ClientContext(ctx, hc)
	op, err := oidc.NewProvider(ctx, p.Issuer)
	if err != nil {
		var mismatch *oidc.IssuerMismatchError
		if errors.As(err, &mismatch) {
			return nil, &access.Error{Kind: access.Denied, Message: fmt.Sprintf("the provider at %s says that it is %s", p.Issuer, printable(mismatch.Provided)), Hint: "the gateway's operator has to write the issuer as the provider does"}
		}
		return nil, unreachable("the identity provider "+p.Name+" ("+p.Issuer+")", "does it run, and can this machine reach it? nothing was changed", err)
	}
	var meta struct {
		JWKS         string `json:"jwks_uri"`
		IssParameter bool   `json:"authorization_response_iss_parameter_supported"`
		Revocation   string `json:"revocation_endpoint"`
	}
	if err := op.Claims(&meta); err != nil {
		return nil, err
	}
	end := op.Endpoint()
	for _, u := range []string{end.AuthURL, end.TokenURL, end.DeviceAuthURL, meta.JWKS, meta.Revocation} {
		if u == "" {
			continue
		}
		if err := safe(u); err != nil {
			return nil, err
		}
	}
	end.AuthStyle = oauth2.AuthStyleInParams // a public client has nothing to put into a header
	scopes := []string{oidc.ScopeOpenID}
	for _, s := range p.Scopes {
		if s != oidc.ScopeOpenID && s != oidc.ScopeOfflineAccess {
			scopes = append(scopes, s)
		}
	}
	if o.Stay {
		scopes = append(scopes, oidc.ScopeOfflineAccess)
	}
	return &issuer{
		name: p.Name, url: p.Issuer, http: hc, issParameter: meta.IssParameter, revocation: meta.Revocation,
		conf:     oauth2.Config{ClientID: p.Client, Endpoint: end, Scopes: scopes},
		verifier: op.VerifierContext(ctx, &oidc.Config{ClientID: p.Client, Now: o.Now}),
	}, nil
}

// safe refuses addresses of a provider to which codes and tokens would go in the clear.
func safe(address string) error {
	u, err := url.Parse(address)
	if err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname())) {
		return nil
	}
	return &access.Error{Kind: access.Denied, Message: fmt.Sprintf("the provider's address %q is not https", printable(address)), Hint: "the gateway's operator has to name a provider that speaks TLS"}
}

func (i *issuer) context(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, i.http)
}

// check takes the ID token out of an answer and verifies it. nonce is what the log-in was begun with, "" where it knows none.
func (i *issuer) check(ctx context.Context, tok *oauth2.Token, nonce string) (raw string, err error) {
	raw, _ = tok.Extra("id_token").(string)
	if raw == "" {
		return "", &access.Error{Kind: access.Denied, Message: "the provider " + i.name + " gave no ID token", Hint: "its client for this command has to be one of OpenID Connect (scope openid)"}
	}
	id, err := i.verifier.Verify(ctx, raw)
	if err == nil && id.Nonce != nonce {
		err = errors.New("it belongs to another log-in (nonce)")
	}
	if err == nil && id.AccessTokenHash != "" {
		err = id.VerifyAccessToken(tok.AccessToken)
	}
	if err != nil {
		e := &access.Error{Kind: access.Denied, Message: "the ID token of the provider " + i.name + " is not sound", Hint: "log in again; if that does not help, its operator has to look", Err: err}
		var expired *oidc.TokenExpiredError
		if errors.As(err, &expired) || strings.Contains(err.Error(), "before the nbf") {
			e.Hint = "is this machine's clock right?"
		}
		return "", e
	}
	return raw, nil
}

// refused puts a provider's error into words. What it says is shown, so that a person can act on it.
func (i *issuer) refused(err error) error {
	var re *oauth2.RetrieveError
	if !errors.As(err, &re) {
		return unreachable("the identity provider "+i.name, "try again", err)
	}
	if re.ErrorCode == "" {
		status := ""
		if re.Response != nil {
			status = re.Response.Status
		}
		return &access.Error{Kind: access.Unavailable, Message: fmt.Sprintf("the identity provider %s answers %s", i.name, printable(status)), Hint: "try again later"}
	}
	return i.said(re.ErrorCode, re.ErrorDescription)
}

// said is refused for an error code of RFC 6749, RFC 8628 or OpenID Connect.
func (i *issuer) said(code, description string) error {
	e := &access.Error{Kind: access.Denied}
	switch code {
	case "access_denied":
		e.Message, e.Hint = "the log-in was denied at "+i.name, "nothing was changed; log in again and agree, or ask who runs the provider to let you use Sallyport"
	case "expired_token":
		e.Message, e.Hint = "the code has expired before somebody typed it in", "log in again for a new one"
	case "invalid_client", "unauthorized_client":
		e.Message, e.Hint = fmt.Sprintf("the provider %s does not take the client %s for this (%s)", i.name, printable(i.conf.ClientID), code), "it has to be a public client that may use this grant: the gateway's operator sees to that"
	case "invalid_grant":
		e.Message, e.Hint = "the provider "+i.name+" no longer knows this log-in", "log in again"
	case "invalid_scope":
		e.Message, e.Hint = fmt.Sprintf("the provider %s does not give the scopes %s", i.name, printable(strings.Join(i.conf.Scopes, " "))), "log in without --stay, or ask the gateway's operator to change login_scopes"
	case "temporarily_unavailable", "server_error":
		e.Kind, e.Message, e.Hint = access.Unavailable, fmt.Sprintf("the provider %s cannot log you in now (%s)", i.name, code), "try again later"
	default:
		e.Message, e.Hint = fmt.Sprintf("the provider %s refuses: %s", i.name, printable(code)), "its operator can tell why"
	}
	if description != "" {
		e.Message += ": " + printable(description)
	}
	return e
}

// renew gets a new ID token for a refresh token. The token may have the nonce of the log-in that it stems from, or none
// (OpenID Connect Core 1.0, section 12.2); nonce tells which.
func (i *issuer) renew(ctx context.Context, refresh, first string) (tok *oauth2.Token, raw, nonce string, err error) {
	tok, err = i.conf.TokenSource(i.context(ctx), &oauth2.Token{RefreshToken: refresh}).Token()
	if err != nil {
		return nil, "", "", i.refused(err)
	}
	if first != "" {
		if raw, err = i.check(ctx, tok, first); err == nil {
			return tok, raw, first, nil
		}
	}
	raw, err = i.check(ctx, tok, "")
	return tok, raw, "", err
}

// giveBack revokes a refresh token where the provider takes that.
func (i *issuer) giveBack(ctx context.Context, refresh string) error {
	if i.revocation == "" {
		return nil
	}
	form := url.Values{"token": {refresh}, "token_type_hint": {"refresh_token"}, "client_id": {i.conf.ClientID}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, i.revocation, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := i.http.Do(req)
	if err != nil {
		return i.refused(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the provider %s answers %s", i.name, resp.Status)
	}
	return nil
}
