package oidc

import (
	"errors"
	"fmt"
	"strings"

	"sallyport/internal/access"
)

// Check is what a token failed.
type Check string

const (
	Form      Check = "form"      // size, segments, base64, JSON, claims that stand twice
	Header    Check = "header"    // alg, typ, crit, kid
	Issuer    Check = "issuer"    // iss
	Keys      Check = "keys"      // the provider's keys cannot be had
	Signature Check = "signature" // also: no such key
	Audience  Check = "audience"  // aud, azp, and a kind of token where another is wanted
	Time      Check = "time"      // exp, nbf, iat, auth_time
	Nonce     Check = "nonce"     // nonce, at_hash
	Subject   Check = "subject"   // sub, and the claim that names the user
	Claims    Check = "claims"    // groups, attributes, scopes, and where they come from
	Actor     Check = "actor"     // act, and clients that act
)

// Refusal says which check a token failed, and how. It is for the operator: nothing in it is secret, but clients are not told.
type Refusal struct {
	Check  Check
	Detail string
	Hint   string // for the operator; "" where there is nothing to do
	Later  bool   // nothing is said of the token: what it is checked by cannot be had at the moment
	// Signed is whose token it is, where its signature is its provider's: method, issuer and subject alone. Nil: nobody knows.
	Signed *access.Proof
	Err    error
}

func (r *Refusal) Error() string {
	s := string(r.Check) + ": " + r.Detail
	if r.Err != nil {
		s += ": " + r.Err.Error()
	}
	return s
}

func (r *Refusal) Unwrap() error { return r.Err }

func refuse(c Check, format string, args ...any) *Refusal {
	return &Refusal{Check: c, Detail: fmt.Sprintf(format, args...)}
}

func (r *Refusal) hint(s string) *Refusal { r.Hint = s; return r }

// signed says in a refusal whose token it is of which the signature was found good.
func signed(err error, m access.Method, issuer string, claims map[string]any) error {
	r, ok := errors.AsType[*Refusal](err)
	if !ok {
		return err
	}
	out := *r // which may be kept, as an answer about this token
	said, _ := claims["sub"].(string)
	out.Signed = &access.Proof{Method: m, Issuer: issuer, Subject: strings.ToValidUTF8(shown(said), "?")}
	return &out
}

// denied is what a client is told of a refusal. Where nothing was found wrong with the token, no other would do better, and who has it is not
// to throw it away.
func denied(kind string, err error) error {
	if r, ok := errors.AsType[*Refusal](err); ok && r.Later {
		return &access.Error{Kind: access.Unavailable, Code: "57P03", Message: "the " + kind + " cannot be checked at the moment", Hint: "try again in a minute; the operator's log has the cause", Err: err} // cannot_connect_now
	}
	return &access.Error{Kind: access.Denied, Code: "28000", Message: "the " + kind + " is not valid", Hint: "log in again with the identity provider; the operator sees which check failed (sallyport whoami --token)", Err: err}
}
