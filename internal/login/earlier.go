package login

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// standTime is how long a gateway is waited for that is asked whether a credential holds.
const standTime = 5 * time.Second

// Earlier is what it takes to withdraw a credential that another one has followed.
type Earlier struct {
	Principal string    `json:"principal"`
	Secret    string    `json:"secret"`
	Expires   time.Time `json:"expires"` // by the gateway's clock
}

// earlier is what this machine was given up to c and may hold yet; c may be nil.
func (c *Credential) earlier(now time.Time) (list []Earlier) {
	if c == nil {
		return nil
	}
	for _, e := range append(c.Earlier[:len(c.Earlier):len(c.Earlier)], Earlier{c.Principal, c.Secret, c.Expires}) {
		if e.Expires.After(now.Add(c.Behind)) {
			list = append(list, e)
		}
	}
	return list
}

// withdraw has the gateway withdraw a secret, and what was issued with it. One that holds no longer is no error.
func (g *Gateway) withdraw(ctx context.Context, principal, secret string) error {
	err := g.call(ctx, http.MethodDelete, "/api/v1/credential", nil, nil, func(r *http.Request) { r.SetBasicAuth(principal, secret) })
	var a *answer
	if errors.As(err, &a) && a.status == http.StatusUnauthorized {
		return nil
	}
	return err
}
