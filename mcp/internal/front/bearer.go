package front

import (
	"net/http"
	"strings"

	"sallyport/internal/access"
)

// bearer gives the token of the Authorization header (RFC 6750 section 2.1). Tokens in the query string
// or the body (sections 2.2 and 2.3) are not looked for: they end up in logs and histories.
func bearer(r *http.Request) (access.Bearer, bool) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	token = strings.TrimSpace(token)
	if !ok || !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > maxToken {
		return "", false
	}
	return access.Bearer(token), true
}

// maxToken is the longest token. Those of a provider name all groups of a person.
const maxToken = 16 << 10

// retryAfter is when a token is worth another try that could not be checked, in seconds: within it a provider's keys are asked for again.
const retryAfter = "60"

// authenticate finds out who is asking, or answers the request and gives nil.
func (f *Front) authenticate(w http.ResponseWriter, r *http.Request) *Caller {
	token, ok := bearer(r)
	if !ok {
		// No error attribute when no credentials were sent: RFC 6750 section 3.1.
		f.unauthorized(w, challenge{}, "a bearer token is required, once, in the Authorization header")
		return nil
	}
	principal, err := f.opt.Verify(r.Context(), token, r.RemoteAddr)
	if err == nil && principal.Name == "" {
		err = &access.Error{Kind: access.Denied, Message: "nobody"}
	}
	if err == nil {
		return &Caller{Credentials: token, Principal: principal, Client: r.RemoteAddr}
	}
	switch access.AsError(err).Kind {
	case access.Denied, access.Invalid:
		f.unauthorized(w, invalidToken, "the bearer token is unknown, has expired, was withdrawn, or is for another resource")
	default:
		f.opt.Log.Error("token could not be verified", "error", err)
		w.Header().Set("Retry-After", retryAfter)
		refuse(w, http.StatusServiceUnavailable, "the token cannot be verified at the moment: try again later")
	}
	return nil
}

// invalidToken says the same of every token that is of no use: which check it failed would help who makes some up.
var invalidToken = challenge{code: "invalid_token", description: "the token is unknown, has expired, was withdrawn, or is for another resource"}

// unauthorized answers 401 with where a token is to be had, and which scopes to ask for.
func (f *Front) unauthorized(w http.ResponseWriter, c challenge, message string) {
	resource := f.opt.Resource()
	c.scopes = resource.Basic
	w.Header().Set("WWW-Authenticate", c.header(resource))
	refuse(w, http.StatusUnauthorized, message)
}
