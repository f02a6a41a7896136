package web

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
)

const (
	exchangesQueued = queuedOfAddress // of one provider: many people may be behind an address
	mostCode        = 4096
	mostSaid        = 200 // characters of a provider's words
)

// asked are the places for log-ins by a provider. Each has its own: one that does not answer holds up nobody else's people. Names that are no
// provider's, which anybody can send, share one. Familiar browsers have places of their own.
func (s *Server) asked(provider string, familiar bool) *logins {
	if !slices.ContainsFunc(s.core.Providers(), func(p access.Provider) bool { return p.Name == provider }) {
		provider = ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := asking{provider, familiar}
	l := s.asking[at]
	if l == nil {
		l = newLogins(exchangesQueued)
		l.holds = true
		s.asking[at] = l
	}
	return l
}

// asking is who is asked, in whose name.
type asking struct {
	provider string
	familiar bool
}

// offers are the ways to log in by a provider and go on to next.
func (s *Server) offers(next string) []offer {
	var out []offer
	for _, p := range s.core.Providers() {
		// The whole address: what is begun under another name of this machine could not be ended under the one that the provider knows.
		out = append(out, offer{p.Name, s.base + "/auth/start?" + url.Values{"provider": {p.Name}, "next": {next}}.Encode()})
	}
	return out
}

// startLogin sends a browser to a provider.
func (s *Server) startLogin(w http.ResponseWriter, r *http.Request) {
	next := local(r.URL.Query().Get("next"))
	if len(next) > mostNext {
		next = "/"
	}
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" { // another site does not decide that somebody logs in
		http.Redirect(w, r, "/login?next="+url.QueryEscape(next), http.StatusSeeOther)
		return
	}
	f := flow{Provider: r.URL.Query().Get("provider"), Next: next}
	if key, ok := s.sessions.key(r); ok {
		f.Session = key[:]
	}
	to, err := s.begin(w, r, f)
	if err != nil {
		s.failed(w, nil, err)
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// begin gives the browser what it needs to come back, and the address to go to.
func (s *Server) begin(w http.ResponseWriter, r *http.Request, f flow) (string, error) {
	if s.base == "" { // the first provider came with a reload
		return "", errNoBase
	}
	f.State, f.Nonce, f.Verifier, f.Redirect, f.Started = secret(), secret(), secret(), s.redirectURI(f.Provider), s.now()
	to, err := s.core.LoginURL(r.Context(), access.LoginRequest{Provider: f.Provider, Redirect: f.Redirect, State: f.State, Nonce: f.Nonce, Verifier: f.Verifier, StepUp: f.Review != ""})
	if err != nil {
		s.log.Warn("provider not reached", "door", "web", "provider", f.Provider, "error", err)
		return "", err
	}
	c, err := s.flows.seal(f)
	if err != nil {
		return "", err
	}
	http.SetCookie(w, c)
	return to, nil
}

var errNoBase = &problem{http.StatusServiceUnavailable, "this gateway does not know how it is reached, so that no provider could send you back", "its operator sets listen.web.public_url, and starts it anew"}

const callbackPath = "/auth/callback"

// redirectURI is where a provider sends browsers back to: one of its own, but for the first. A provider that sends a browser on to another has that
// one's code come back as an answer of its own, and it shows by the address (RFC 9700, 4.4.2.2) where the other does not say who it is (RFC 9207).
func (s *Server) redirectURI(provider string) string {
	if list := s.core.Providers(); len(list) > 0 && list[0].Name == provider {
		return s.base + callbackPath
	}
	return s.base + callbackPath + "/" + url.PathEscape(provider)
}

// onward answers with a page that leads on by itself. A redirect would not do: what another site began gets no cookie that is Strict, at its end
// neither, and a form may not lead elsewhere (form-action).
func (s *Server) onward(w http.ResponseWriter, to string) {
	s.render(w, http.StatusOK, "onward", page{Title: "One moment", Refresh: to})
}

// callback takes a browser that comes back from a provider.
func (s *Server) callback(w http.ResponseWriter, r *http.Request) {
	f, err := s.flows.open(r, r.URL.Query().Get("state"), s.now())
	if err == nil && s.base+r.URL.EscapedPath() != f.Redirect {
		err = errFlow
	}
	if err != nil {
		s.log.Warn("log-in failed", "door", "web", "client", r.RemoteAddr, "error", err)
		s.failed(w, nil, err)
		return
	}
	var p access.Principal
	var c, acquainted *http.Cookie
	code, err := answered(r, f)
	if err == nil {
		err = s.turnOf(r, f.Provider, func() (err error) {
			if err := s.flows.use(f, s.now()); err != nil {
				return err
			}
			if f.Review != "" {
				p, c, err = s.stepped(r, f, code)
			} else {
				p, c, err = s.entered(r, f, code)
			}
			return err
		})
	}
	if errors.Is(err, errBusy) { // nothing was used: the browser keeps its way, and comes again
		s.log.Warn("log-in put off", "door", "web", "client", r.RemoteAddr, "provider", f.Provider)
		w.Header().Set("Retry-After", strconv.Itoa(comeAgain))
		s.render(w, http.StatusTooManyRequests, "onward", page{Title: "One moment", Refresh: r.URL.RequestURI(), After: comeAgain,
			Data: "Many log-ins are being checked. This page tries again by itself."})
		return
	}
	http.SetCookie(w, s.flows.cookie("", -1))
	if err == nil {
		acquainted, err = s.familiar.cookie(p, s.now())
	}
	if err != nil {
		s.log.Warn("log-in failed", "door", "web", "client", r.RemoteAddr, "provider", f.Provider, "error", err)
		s.failed(w, nil, err)
		return
	}
	http.SetCookie(w, c)
	http.SetCookie(w, acquainted)
	s.onward(w, local(f.Next))
}

// comeAgain is after how many seconds a browser comes back for which there was no place.
const comeAgain = 2

// turnOf does what takes a place at a provider: of the person's whose browser it is known to be, or of its address.
func (s *Server) turnOf(r *http.Request, provider string, do func() error) error {
	if person := s.familiar.person(r, s.now()); person != "" {
		return s.asked(provider, true).slowlyOf(r, "person "+person, "", do)
	}
	return s.asked(provider, false).slowly(r, "", do)
}

// answered is the code that a browser came back with. Nobody has to be asked about an answer without one.
func answered(r *http.Request, f *flow) (code string, err error) {
	q := r.URL.Query()
	if said := q.Get("error"); said != "" {
		return "", &problem{http.StatusUnauthorized, f.Provider + " did not log you in: " + short(said), cmp.Or(short(q.Get("error_description")), "log in again")}
	}
	if code = q.Get("code"); code == "" || len(code) > mostCode {
		return "", &problem{http.StatusBadRequest, f.Provider + " answered without a usable code", "log in again"}
	}
	return code, nil
}

// entered makes the session of who has logged in. What the browser had before ends.
func (s *Server) entered(r *http.Request, f *flow, code string) (p access.Principal, c *http.Cookie, err error) {
	p, token, err := s.exchange(r, f, code)
	if err != nil {
		return p, nil, err
	}
	if len(f.Session) == len(sessionKey{}) {
		s.sessions.endAt(sessionKey(f.Session))
	}
	now := s.now()
	c, err = s.sessions.add(&session{who: p, authenticated: s.provedAt(p, now), provider: f.Provider, idToken: token}, now)
	if err == nil {
		s.log.Info("logged in", "door", "web", "principal", p.Name, "provider", f.Provider, "client", r.RemoteAddr)
	}
	return p, c, err
}

// exchange has the core turn a provider's answer into a principal.
func (s *Server) exchange(r *http.Request, f *flow, code string) (p access.Principal, token string, err error) {
	// What was begun is made whole: a code is good once.
	ctx, stop := context.WithTimeout(context.WithoutCancel(r.Context()), 30*time.Second)
	defer stop()
	id, err := s.core.LoginToken(ctx, r.RemoteAddr, access.LoginResponse{Provider: f.Provider, Redirect: f.Redirect, Verifier: f.Verifier, Code: code, Issuer: r.URL.Query().Get("iss")})
	if err != nil {
		return p, "", err
	}
	id.Nonce = f.Nonce
	if f.Review != "" {
		id.MaxAge = s.now().Sub(f.Started) + time.Second // it is told in whole seconds
	}
	p, err = s.core.Admit(ctx, gateway.Login{Door: access.DoorWeb, Credentials: id, Client: r.RemoteAddr})
	return p, id.Token, err
}

// short is as much of what a provider says as a page has room for.
func short(s string) string {
	if r := []rune(s); len(r) > mostSaid {
		return string(r[:mostSaid]) + "…"
	}
	return s
}

// provedAt is when somebody last proved who they are, well enough to approve; zero where nobody says so.
func (s *Server) provedAt(p access.Principal, now time.Time) time.Time {
	switch {
	case p.Proof.Issuer == "":
		return now // by the password of the request
	case !s.strong(p), p.Proof.Authenticated.After(now.Add(time.Minute)):
		return time.Time{}
	}
	return p.Proof.Authenticated
}

// strong reports whether somebody proved who they are as their provider's configuration wants it for approving.
func (s *Server) strong(p access.Principal) bool {
	known := false
	for _, o := range s.core.Providers() {
		if o.Issuer == p.Proof.Issuer {
			if known = true; len(o.ACR) > 0 && !slices.Contains(o.ACR, p.Proof.ACR) {
				return false
			}
		}
	}
	return known
}
