package web

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"sallyport/internal/access"
)

// Who logged in by a provider has no password here. To approve they prove at the provider that it is still them: it is asked for a
// log-in of now, and the browser comes back to the page of the request with the form as it was. Nothing is approved by coming back.

const (
	mostDraft   = 64 << 10 // bytes of a form that is kept
	provedUntil = 5 * time.Minute
)

// draft is a form that waits for its reviewer to come back.
type draft struct {
	review string
	form   decision
	at     time.Time
}

var errLogInFresh = &problem{http.StatusForbidden, "you logged in too long ago to approve, or not as your provider's configuration wants it for that: nothing was approved",
	"run sallyport login --fresh, or approve on the request's page"}

var errStepEnded = &problem{http.StatusUnauthorized, "the log-in that this was for has ended: nothing was approved", "log in again"}

// fresh reports whether the visitor proved a short time ago who they are. Where that is never short enough, a proof for this request is
// good once.
func (v *visit) fresh(review string) bool {
	if v.session.authenticated.IsZero() {
		return false
	}
	return v.session.fresh(v.now, v.s.opt.StepUp) || v.session.proved == review && review != "" && v.session.fresh(v.now, provedUntil)
}

// stepUp sends a reviewer to their provider, and keeps the form.
func (v *visit) stepUp() error {
	r, err := v.ask()
	if err != nil {
		return err
	}
	key, ok := v.s.sessions.key(v.r)
	if v.session.provider == "" || !ok {
		return errNotFound
	}
	to, err := v.s.begin(v.w, v.r, flow{Provider: v.session.provider, Next: "/reviews/" + r.ID, Session: key[:], Review: r.ID})
	if err != nil {
		return err
	}
	d := &draft{review: r.ID, form: v.formOf(r), at: v.now}
	if n := v.r.ContentLength; n < 0 || n > mostDraft {
		d = nil
	}
	v.s.sessions.change(v.r, func(o *session) { o.draft = d })
	v.s.onward(v.w, to)
	return nil
}

// stepped takes a reviewer who comes back: the same person, to the same session, which goes on under a new cookie.
func (s *Server) stepped(r *http.Request, f *flow, code string) (p access.Principal, c *http.Cookie, err error) {
	if len(f.Session) != len(sessionKey{}) {
		return p, nil, errFlow
	}
	key := sessionKey(f.Session)
	// Looked at before: where the provider says of them something else than it did, the core ends what rests on its older words.
	old := s.sessions.at(key, true, s.now())
	if old == nil {
		return p, nil, errStepEnded
	}
	p, token, err := s.exchange(r, f, code)
	if err != nil {
		return p, nil, err
	}
	now := s.now()
	at := s.provedAt(p, now)
	switch {
	case p.Name != old.who.Name || p.Proof.Issuer != old.who.Proof.Issuer || p.Proof.Subject != old.who.Proof.Subject || f.Provider != old.provider:
		s.log.Warn("step-up by somebody else", "door", "web", "session", old.who.Name, "principal", p.Name, "client", r.RemoteAddr)
		return p, nil, &problem{http.StatusForbidden, "you are logged in as " + old.who.Name + " here, and came back from " + f.Provider + " as " + p.Name + ": nothing was approved",
			"log out, or log in there as " + old.who.Name}
	case !s.strong(p):
		return p, nil, &problem{http.StatusForbidden, f.Provider + " does not say that you proved who you are as approving wants it (acr): nothing was approved", "it is one of " + strings.Join(s.wanted(f.Provider), ", ")}
	case at.IsZero() || at.Before(f.Started.Add(-time.Minute)):
		return p, nil, &problem{http.StatusForbidden, f.Provider + " does not say that you have just proved who you are (auth_time): nothing was approved", "its operator can have it do so"}
	}
	if !s.sessions.endAt(key) { // who logged out while the provider was asked does not come back by it
		return p, nil, errStepEnded
	}
	s.log.Info("step-up", "door", "web", "principal", p.Name, "provider", f.Provider, "client", r.RemoteAddr)
	c, err = s.sessions.add(&session{who: p, csrf: old.csrf, created: old.created, authenticated: at, provider: f.Provider, idToken: token, draft: old.draft, proved: f.Review}, now)
	return p, c, err
}

// wanted are the acr values that a provider's configuration wants for approving.
func (s *Server) wanted(provider string) []string {
	list := s.core.Providers()
	if i := slices.IndexFunc(list, func(p access.Provider) bool { return p.Name == provider }); i >= 0 {
		return list[i].ACR
	}
	return nil
}
