package oidc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"sallyport/internal/access"
)

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// Logout verifies a logout token (OpenID Connect Back-Channel Logout 1.0, 2.6) and says what it ends. That it did not come
// before is for the caller to know, by Token. Errors are as Access's.
func (ps *Providers) Logout(ctx context.Context, raw string) (access.Logout, error) {
	r, err := ps.logout(ctx, raw)
	if err != nil {
		return access.Logout{}, denied("logout token", err)
	}
	return r, nil
}

func (ps *Providers) logout(ctx context.Context, raw string) (access.Logout, error) {
	none := access.Logout{}
	h, claims, err := decode(raw)
	if err != nil {
		return none, err
	}
	iss, _ := claims["iss"].(string)
	p := ps.issuer(iss)
	if p == nil {
		return none, refuse(Issuer, "%q is not the issuer of a provider of the configuration", shown(iss))
	}
	if h.typ != "" && h.typ != "jwt" && h.typ != "logout+jwt" {
		return none, refuse(Header, "typ %q is not that of a logout token", shown(h.typ))
	}
	if claims, err = p.verified(ctx, h, raw); err != nil {
		return none, err
	}
	t, err := p.times(claims, true)
	if err != nil {
		return none, err
	}
	if p.now().Sub(t.issued) > maxAge+p.Skew {
		return none, refuse(Time, "issued more than %s ago", maxAge)
	}
	if _, err := p.forUs(claims); err != nil {
		return none, err
	}
	events, _ := claims["events"].(map[string]any)
	if _, ok := events[logoutEvent].(map[string]any); !ok {
		return none, refuse(Claims, "the token does not speak of a logout")
	}
	if _, there := claims["nonce"]; there {
		return none, refuse(Nonce, "a logout token has no nonce")
	}
	sub, err := text(claims, "sub")
	if err != nil {
		return none, err
	}
	sid, err := text(claims, "sid")
	if err != nil {
		return none, err
	}
	id, err := text(claims, "jti")
	if err != nil || id == "" || sub == "" && sid == "" {
		return none, refuse(Subject, "the token needs a jti, and a sub or a sid")
	}
	// Who logs in again in the same second has a proof that holds; one issued in that second before does not: ends too much rather than too little.
	r := access.Revocation{Issuer: p.Issuer, Subject: sub, Session: sid, Before: t.issued.Add(1e9), Cause: "logged out at the identity provider"}
	// By jti, not by the token's own hash: of some signatures anybody can make another of the same content.
	sum := sha256.Sum256([]byte(p.Issuer + "\x00" + id))
	return access.Logout{Revocation: r, Token: hex.EncodeToString(sum[:]), Expires: t.expires}, nil
}
