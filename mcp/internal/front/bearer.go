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
	if !ok || !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > 8192 {
		return "", false
	}
	return access.Bearer(token), true
}

// authenticate finds out who is asking, or answers the request and gives nil.
func (f *Front) authenticate(w http.ResponseWriter, r *http.Request) *Caller {
	token, ok := bearer(r)
	if !ok {
		// No error attribute when no credentials were sent: RFC 6750 section 3.1.
		challenge(w, `Bearer realm="sallyport"`, "a bearer token is required in the Authorization header")
		return nil
	}
	principal, err := f.opt.Verify(r.Context(), token)
	if err == nil && principal.Name == "" {
		err = &access.Error{Kind: access.Denied, Message: "nobody"}
	}
	if err == nil {
		return &Caller{Credentials: token, Principal: principal, Client: r.RemoteAddr}
	}
	switch access.AsError(err).Kind {
	case access.Denied, access.Invalid:
		challenge(w, `Bearer realm="sallyport", error="invalid_token"`, "the bearer token is unknown or has expired")
	default:
		f.opt.Log.Error("token could not be verified", "error", err)
		refuse(w, http.StatusServiceUnavailable, "the token cannot be verified at the moment: try again later")
	}
	return nil
}

func challenge(w http.ResponseWriter, header, message string) {
	w.Header().Set("WWW-Authenticate", header)
	refuse(w, http.StatusUnauthorized, message)
}
