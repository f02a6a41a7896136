package main

import (
	"context"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/login"
)

// whoAmI says who is logged in at a gateway. The gateway is asked whether that holds.
func (o *loginOptions) whoAmI(ctx context.Context) error {
	p, err := o.profile()
	if err != nil {
		return err
	}
	c, err := p.Load()
	if err != nil {
		return err
	}
	if c == nil {
		return &access.Error{Kind: access.Denied, Message: "nobody is logged in at " + p.Gateway, Hint: "`sallyport login`; people with a password and agents with a token need none"}
	}
	if !c.Expires.After(time.Now().Add(c.Behind)) {
		return &access.Error{Kind: access.Denied, Message: printable(c.Principal) + "'s log-in at " + p.Gateway + " has ended", Hint: "`sallyport login`"}
	}
	err = login.Check(ctx, c)
	if err == nil || access.AsError(err).Kind != access.Denied {
		describeLogin(o.out, p, c)
	}
	return err
}
