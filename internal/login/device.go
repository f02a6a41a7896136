package login

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/oauth2"

	"sallyport/internal/access"
)

// failures is how often in a row a provider may not answer while a code waits: networks blink.
const failures = 5

// byDevice logs in by a code that a person types in where they have a browser (RFC 8628). No nonce goes with it.
func (i *issuer) byDevice(ctx context.Context, o Options) (*oauth2.Token, error) {
	if i.conf.Endpoint.DeviceAuthURL == "" {
		return nil, &access.Error{Kind: access.Unsupported, Message: "the provider " + i.name + " knows no log-in with a code",
			Hint: "log in where there is a browser; from elsewhere, forward the port that the browser comes back to: ssh -L PORT:127.0.0.1:PORT"}
	}
	ctx = i.context(ctx)
	da, err := i.conf.DeviceAuth(ctx)
	if err != nil {
		return nil, i.refused(err)
	}
	if da.VerificationURI == "" || da.UserCode == "" || da.DeviceCode == "" {
		return nil, &access.Error{Kind: access.Unavailable, Message: "the provider " + i.name + " gave no code", Hint: "its operator has to look"}
	}
	if most := o.Now().Add(o.Patience); da.Expiry.IsZero() || o.Patience > 0 && da.Expiry.After(most.Add(10*time.Minute)) {
		da.Expiry = most.Add(10 * time.Minute)
	}
	fmt.Fprintf(o.Out, "To log in, open %s in a browser and type in the code:\n\n  %s\n\n", printable(da.VerificationURI), printable(da.UserCode))
	if da.VerificationURIComplete != "" {
		fmt.Fprintf(o.Out, "or open this, and compare the code there with the one above:\n\n  %s\n\n", printable(da.VerificationURIComplete))
	}
	for failed := 0; ; failed++ {
		tok, err := i.conf.DeviceAccessToken(ctx, da)
		var re *oauth2.RetrieveError
		switch {
		case err == nil:
			return tok, nil
		case errors.As(err, &re) && re.Response != nil && re.Response.StatusCode < 500:
			return nil, i.refused(err)
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, context.DeadlineExceeded) && !o.Now().Before(da.Expiry):
			return nil, i.said("expired_token", "")
		case failed >= failures:
			return nil, i.refused(err)
		}
		da.Interval += 5 // as after slow_down, which the library has forgotten by now
	}
}
