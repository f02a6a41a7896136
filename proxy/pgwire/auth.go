package pgwire

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
	"sallyport/internal/pgframe"
)

const (
	mechanism = "SCRAM-SHA-256"
	// maxSASL is PostgreSQL's PG_MAX_SASL_MESSAGE_LENGTH.
	maxSASL = 1024
	// Authentication request codes (protocol chapter, "Authentication...").
	authOk           = 0
	authSASL         = 10
	authSASLContinue = 11
	authSASLFinal    = 12
)

// login proves who the client is, opens its session, and tells it what it needs to begin.
func (c *conn) login() error {
	out := c.negotiation(nil)
	proof, out, err := c.authenticate(out)
	if err != nil {
		return err
	}
	if !c.srv.enroll(c) {
		c.out.Release(out)
		return tooManyClients()
	}
	if err := c.connect(proof); err != nil {
		c.out.Release(out)
		return err
	}
	if err := c.out.Release(c.greeting(out)); err != nil {
		return errGone
	}
	c.sess.Attend(&c.out)
	c.log.Debug("session opened", "session", c.params.ID, "user", c.startup.user, "connection", c.startup.database)
	return nil
}

// negotiation appends NegotiateProtocolVersion where the client asked for more than there is.
func (c *conn) negotiation(dst []byte) []byte {
	version, negotiate := c.startup.speaks()
	if !negotiate {
		return dst
	}
	dst, at := pgframe.Begin(dst, 'v')
	dst = binary.BigEndian.AppendUint32(dst, version)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(c.startup.unknown)))
	for _, name := range c.startup.unknown {
		dst = pgframe.AppendCString(dst, name)
	}
	return pgframe.End(dst, at)
}

// authenticate has the client prove who it is. out begins with what has to be sent before, and rest is what has to be sent after it.
func (c *conn) authenticate(out []byte) (proof access.Credentials, rest []byte, err error) {
	if proof, err = c.byCertificate(); err != nil || proof != nil {
		return proof, appendAuth(out, authOk, ""), err
	}
	offer, err := c.offer()
	if err != nil {
		return nil, nil, err
	}
	if err := c.out.Release(appendAuth(out, authSASL, offer.list())); err != nil {
		return nil, nil, errGone
	}
	msg, err := c.saslMessage(offer.longest())
	if err != nil {
		return nil, nil, err
	}
	name, first, given, err := initialResponse(msg)
	switch {
	case err != nil:
		return nil, nil, err
	case name == mechanism && offer.scram && !given:
		return nil, nil, protocolError("malformed SASL initial response")
	case name == mechanism && offer.scram && len(first) > maxSASL:
		return nil, nil, protocolError("invalid length of SASL message")
	case name == mechanism && offer.scram:
		return c.bySCRAM(first)
	case name == oauthMechanism && offer.oauth:
		return c.byToken(first, given, offer.provider)
	}
	return nil, nil, &access.Error{
		Kind: access.Invalid, Code: "08P01", Message: "client selected an invalid SASL authentication mechanism",
		Hint: "the gateway offers " + strings.Join(offer.names(), " and ") + " without channel binding",
	}
}

// bySCRAM runs the exchange from the client's first message on.
func (c *conn) bySCRAM(msg []byte) (proof access.Credentials, rest []byte, err error) {
	exchange := c.srv.core.SCRAM(c.startup.user)
	for {
		answer, done, err := exchange.Step(string(msg))
		if err != nil {
			return nil, nil, c.loginFailed(exchange, err)
		}
		if done {
			return exchange, appendAuth(appendAuth(nil, authSASLFinal, answer), authOk, ""), nil
		}
		if err := c.out.Release(appendAuth(nil, authSASLContinue, answer)); err != nil {
			return nil, nil, errGone
		}
		if msg, err = c.saslMessage(maxSASL); err != nil {
			return nil, nil, err
		}
	}
}

// saslMessage reads one SASL message ('p') of at most longest bytes and gives its body, valid until the next read.
func (c *conn) saslMessage(longest uint32) ([]byte, error) {
	for {
		w := c.in.window()
		need := 0
		if len(w) >= 5 {
			if w[0] == 'X' {
				return nil, errGone
			}
			if w[0] != 'p' {
				return nil, protocolError("expected SASL response, got message type %d", w[0])
			}
			n := binary.BigEndian.Uint32(w[1:])
			if n < 4 || n > 4+longest {
				return nil, protocolError("invalid length of SASL message")
			}
			need = 1 + int(n)
			if len(w) >= need {
				c.in.discard(need)
				return w[5:need], nil
			}
		}
		if err := c.in.fill(need); err != nil {
			return nil, c.readError(err)
		}
	}
}

// initialResponse takes a SASLInitialResponse apart: the mechanism, and what it begins with, where that was given.
func initialResponse(body []byte) (name string, first []byte, given bool, err error) {
	chosen, rest, ok := cutCString(body)
	if !ok || len(rest) < 4 {
		return "", nil, false, protocolError("malformed SASL initial response")
	}
	n := int32(binary.BigEndian.Uint32(rest))
	if rest = rest[4:]; n == -1 && len(rest) == 0 {
		return string(chosen), nil, false, nil
	}
	if n < 0 || int(n) != len(rest) {
		return "", nil, false, protocolError("malformed SASL initial response")
	}
	return string(chosen), rest, true, nil
}

// loginFailed has the core hear of the failed proof too, so that it is on record, and slows down whoever tries
// passwords: the answer takes a while, in which the connection counts against the limit.
func (c *conn) loginFailed(proof access.Credentials, err error) error {
	ae := access.AsError(err)
	c.log.Warn("log-in failed", "user", printable(c.startup.user, maxName), "code", stateOf(ae), cause(ae))
	pause := time.NewTimer(c.srv.authDelay)
	defer pause.Stop()
	if ae.Kind == access.Denied {
		if sess, err := c.open(proof); err == nil {
			sess.Close()
			return access.AsError(errors.New("the core opened a session for a failed proof"))
		}
	}
	select {
	case <-pause.C:
	case <-c.ctx.Done():
	}
	return ae
}

// open lets the core verify the proof and open the session.
func (c *conn) open(proof access.Credentials) (session, error) {
	ctx, cancel := context.WithTimeout(c.ctx, c.srv.opt.ConnectTimeout)
	defer cancel()
	client := c.nc.RemoteAddr().String()
	if c.startup.application != "" {
		client += " " + c.startup.application
	}
	return c.srv.core.Connect(ctx, gateway.Login{
		Door:        access.DoorPGWire,
		Connection:  c.startup.database,
		Credentials: proof,
		User:        c.startup.user,
		Client:      client,
		Reason:      c.startup.reason,
		Settings:    c.startup.settings,
	})
}

// connect opens the session of a client that has proved who it is.
func (c *conn) connect(proof access.Credentials) error {
	sess, err := c.open(proof)
	if err != nil {
		ae := access.AsError(err)
		c.log.Info("session refused", "user", printable(c.startup.user, maxName), "code", stateOf(ae), "message", ae.Message, cause(ae))
		return ae
	}
	c.sess, c.params = sess, sess.Params()
	c.secret = binary.BigEndian.AppendUint32(nil, c.params.Key)
	if version, _ := c.startup.speaks(); version >= version32 {
		// Protocol 3.2 has room for a key that cannot be guessed.
		c.secret = append(c.secret, make([]byte, 28)...)
		rand.Read(c.secret[4:])
	}
	c.srv.publish(c)
	return nil
}

// greeting appends what follows a log-in: ParameterStatus, BackendKeyData, ReadyForQuery.
func (c *conn) greeting(dst []byte) []byte {
	at := 0
	for _, name := range slices.Sorted(maps.Keys(c.params.Status)) {
		dst, at = pgframe.Begin(dst, 'S')
		dst = pgframe.AppendCString(pgframe.AppendCString(dst, name), c.params.Status[name])
		dst = pgframe.End(dst, at)
	}
	dst, at = pgframe.Begin(dst, 'K')
	dst = binary.BigEndian.AppendUint32(dst, c.params.PID)
	dst = pgframe.End(append(dst, c.secret...), at)
	dst, at = pgframe.Begin(dst, 'Z')
	return pgframe.End(append(dst, c.params.TxStatus), at)
}

func appendAuth(dst []byte, code uint32, data string) []byte {
	dst, at := pgframe.Begin(dst, 'R')
	dst = binary.BigEndian.AppendUint32(dst, code)
	return pgframe.End(append(dst, data...), at)
}
