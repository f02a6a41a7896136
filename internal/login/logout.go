package login

import (
	"context"
	"errors"
	"net/http"
	"time"

	"sallyport/internal/access"
)

// Logout withdraws at the gateway all that this machine was given there, and deletes it here. It is deleted here even where the gateway cannot be told, which is
// an error: sessions go on there until the credential ends.
func Logout(ctx context.Context, p *Profile, now func() time.Time) (was *Credential, err error) {
	unlock, err := p.Lock(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer unlock()
	c, err := p.Load()
	if err != nil || c == nil {
		return nil, errors.Join(err, p.Forget())
	}
	hc, err := client(c.CAFile)
	if err == nil {
		if c.Refresh != "" {
			if i, found := discover(ctx, hc, Provider{Name: c.Provider, Issuer: c.Issuer, Client: c.Client}, Options{Now: now}); found == nil {
				i.giveBack(ctx, c.Refresh) // it is deleted here, in any case
			}
		}
		g := &Gateway{base: c.Gateway, http: hc, now: now}
		for _, e := range c.earlier(now()) {
			err = errors.Join(err, g.withdraw(ctx, e.Principal, e.Secret))
		}
	}
	if err != nil {
		err = &access.Error{Kind: access.Unavailable, Message: "the gateway was not told: what you were logged in with is deleted here, and ends there at " + c.Expires.UTC().Format(time.RFC3339),
			Hint: "if somebody else may have it, ask the gateway's operator to withdraw it (sallyport revoke)", Err: err}
	}
	return c, errors.Join(err, p.Forget())
}

// Check asks the gateway whether a credential holds. A gateway that does not answer that is an error as well.
func Check(ctx context.Context, c *Credential) error {
	hc, err := client(c.CAFile)
	if err != nil {
		return err
	}
	g := &Gateway{base: c.Gateway, http: hc, now: time.Now}
	err = g.call(ctx, http.MethodGet, "/api/v1/credential", nil, nil, func(r *http.Request) { r.SetBasicAuth(c.Principal, c.Secret) })
	var a *answer
	switch {
	case errors.As(err, &a) && a.status == http.StatusUnauthorized:
		return &access.Error{Kind: access.Denied, Message: "the gateway says that the log-in as " + printable(c.Principal) + " holds no longer", Hint: "it was withdrawn, or your groups have changed: `sallyport login`"}
	}
	return err
}
