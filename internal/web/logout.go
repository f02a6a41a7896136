package web

import (
	"context"
	"net/http"
	"time"
)

const mostLogoutToken = 16 << 10

// logout ends a session here, and leads on to the log-out of the provider where it has one.
func (v *visit) logout() error {
	v.s.sessions.end(v.r)
	http.SetCookie(v.w, v.s.sessions.cookie("", -1))
	if v.session.idToken != "" {
		ctx, stop := context.WithTimeout(v.recorded(), 5*time.Second)
		defer stop()
		to, err := v.s.core.LogoutURL(ctx, v.session.provider, v.session.idToken, v.s.base+"/login")
		if err != nil {
			v.s.log.Warn("log-out not passed on", "door", "web", "provider", v.session.provider, "error", err)
		}
		if to != "" {
			v.s.onward(v.w, to)
			return nil
		}
	}
	return v.redirect("/login")
}

// backchannelLogout takes a provider's word that somebody has logged out there (OpenID Connect Back-Channel Logout 1.0, 2.5 to 2.8). The
// core verifies it and ends what rests on it, the sessions here too.
func (s *Server) backchannelLogout(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, code, why string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		w.Write([]byte(`{"error":"` + code + `","error_description":"` + why + `"}` + "\n"))
	}
	if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
		refuse(http.StatusBadRequest, "invalid_request", "this is for providers, not for browsers")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, mostLogoutToken+1024)
	if err := r.ParseForm(); err != nil || len(r.PostForm["logout_token"]) != 1 || len(r.PostForm.Get("logout_token")) > mostLogoutToken {
		refuse(http.StatusBadRequest, "invalid_request", "one logout_token in a form, of at most 16 KiB")
		return
	}
	err := s.logouts.slowly(r, "", func() error { return s.core.BackchannelLogout(r.Context(), r.PostForm.Get("logout_token")) })
	switch {
	case err != nil && asProblem(err) == errBusy:
		refuse(http.StatusTooManyRequests, "temporarily_unavailable", "too many are being checked")
	case err != nil:
		s.log.Warn("log-out by a provider refused", "door", "web", "client", r.RemoteAddr, "error", err)
		refuse(http.StatusBadRequest, "invalid_request", "the logout_token is not valid")
	default:
		w.WriteHeader(http.StatusOK)
	}
}
