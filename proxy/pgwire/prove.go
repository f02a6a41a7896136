package pgwire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"

	"sallyport/internal/access"
)

// offer is the SASL mechanisms that a client may choose from.
type offer struct {
	scram, oauth bool
	provider     access.Provider // of which a client may ask for a token, with oauth
}

func (o offer) names() (names []string) {
	if o.scram {
		names = append(names, mechanism)
	}
	if o.oauth {
		names = append(names, oauthMechanism)
	}
	return names
}

// list is the body of AuthenticationSASL.
func (o offer) list() string { return strings.Join(o.names(), "\x00") + "\x00\x00" }

func (o offer) longest() uint32 {
	if o.oauth {
		return maxToken
	}
	return maxSASL
}

// offer says what the client may prove itself with. libpq takes the first mechanism that it knows, and gives up where that is
// OAUTHBEARER and it was not told of a provider, so SCRAM comes first; a client that wants the other names the provider in its
// start-up options, and is offered nothing else.
func (c *conn) offer() (offer, error) {
	providers, name := c.srv.providers, c.startup.provider
	if name == "" {
		o := offer{scram: true, oauth: len(providers) > 0 && c.private()}
		if o.oauth {
			o.provider = providers[0]
		}
		return o, nil
	}
	var known []string
	for _, p := range providers {
		if p.Name != name {
			known = append(known, p.Name)
			continue
		}
		if !c.private() {
			return offer{}, needTLS(c.srv.opt.TLS != nil)
		}
		return offer{oauth: true, provider: p}, nil
	}
	e := &access.Error{Kind: access.Invalid, Code: "22023", Message: fmt.Sprintf("there is no identity provider %q", printable(name, maxName)),
		Hint: "this gateway has none: leave out sallyport.provider, and log in with a password"}
	if len(known) > 0 {
		e.Hint = "sallyport.provider is one of " + strings.Join(known, ", ")
	}
	return offer{}, e
}

// private reports whether nobody on the way can read a token: the connection has TLS, or stays on this machine.
func (c *conn) private() bool {
	if _, secure := c.io.(*tls.Conn); secure {
		return true
	}
	a, ok := c.nc.RemoteAddr().(*net.TCPAddr)
	return ok && a.IP.IsLoopback()
}

// byCertificate takes the certificate of the TLS handshake as proof, where the core does. libpq shows the one in ~/.postgresql to every
// server that asks, so whoever has another's is asked for a password. One that this gateway issued and that holds no longer is an
// error: its holder is to hear of it.
func (c *conn) byCertificate() (access.Credentials, error) {
	if len(c.chain) == 0 {
		return nil, nil
	}
	proof := access.Certificate{User: c.startup.user, Chain: c.chain}
	_, err := c.verify(proof)
	switch {
	case err == nil:
		return proof, nil
	case errors.Is(err, access.ErrProofEnded):
		return nil, c.loginFailed(proof, err)
	}
	c.log.Info("client certificate not taken", "user", printable(c.startup.user, maxName), "cause", err)
	return nil, nil
}

// byToken takes an access token (OAUTHBEARER, RFC 7628). The user of the start-up message has to be the principal that the token speaks
// for, to the letter, as with PostgreSQL where no map of users is given; it knows no empty user.
func (c *conn) byToken(first []byte, given bool, p access.Provider) (proof access.Credentials, rest []byte, err error) {
	if !given { // the response comes by itself, after an empty challenge
		if err := c.out.Release(appendAuth(nil, authSASLContinue, "")); err != nil {
			return nil, nil, errGone
		}
		if first, err = c.saslMessage(maxToken); err != nil {
			return nil, nil, err
		}
	}
	token, form, err := parseBearer(first)
	if err != nil {
		return nil, nil, err
	}
	bearer := access.Bearer(token)
	if form == nil && token != "" {
		principal, err := c.verify(bearer)
		if err == nil && principal.Name == c.startup.user {
			return bearer, appendAuth(nil, authOk, ""), nil
		}
		if err == nil {
			err = &access.Error{Kind: access.Denied, Code: "28000", Message: "the access token is not that of the user", Hint: "connect as the principal that it speaks for"}
		}
		if access.AsError(err).Kind != access.Denied {
			return nil, nil, err // no other token would do better
		}
		form = err
	}
	if err := c.out.Release(appendAuth(nil, authSASLContinue, discovery(p))); err != nil {
		return nil, nil, errGone
	}
	answer, err := c.saslMessage(maxSASL)
	if err != nil {
		return nil, nil, err
	}
	if string(answer) != kvsep {
		return nil, nil, protocolError("malformed OAUTHBEARER message: a failed exchange ends with one %q", kvsep)
	}
	if form == nil {
		// It asked where to get a token: nobody tried anything.
		return nil, nil, &access.Error{Kind: access.Denied, Code: "28000", Message: "no access token was given", Hint: "get one from " + p.Issuer}
	}
	return nil, nil, c.loginFailed(bearer, form)
}

// verify asks the core whether a proof holds.
func (c *conn) verify(proof access.Credentials) (access.Principal, error) {
	ctx, cancel := context.WithTimeout(c.ctx, c.srv.opt.ConnectTimeout)
	defer cancel()
	return c.srv.core.Verify(ctx, proof)
}
