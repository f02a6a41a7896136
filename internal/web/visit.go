package web

import (
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
)

// visit is one request of somebody who has logged in.
type visit struct {
	s       *Server
	w       http.ResponseWriter
	r       *http.Request
	session *session
	who     access.Principal
	now     time.Time

	auditor, operator bool
}

type handler func(*visit) error

// problem is an answer that is no page: what went wrong, for who asked.
type problem struct {
	status     int
	text, hint string
}

func (p *problem) Error() string { return p.text }

var (
	errNotFound = &problem{http.StatusNotFound, "there is no such page, or you may not see it", "go back, or ask who gave you the address"}
	errNoReview = &problem{http.StatusNotFound, "there is no such request that you have made or may decide about", "the list of requests has those that you may know of"}
	errForeign  = &problem{http.StatusForbidden, "this was not sent by a page of this site: nothing was changed", "open the page anew and try again"}
	errToken    = &problem{http.StatusForbidden, "this page belongs to another log-in: nothing was changed", "open the page anew and try again"}
	errGone     = &problem{http.StatusUnauthorized, "your log-in has ended: nothing was changed", "log in again"}
	errForm     = &problem{http.StatusBadRequest, "the form cannot be read: nothing was changed", "it may be too long"}
	errSecret   = &problem{http.StatusUnauthorized, "this is what programs log in with: log in by your provider here", ""}
	errBusy     = &problem{http.StatusTooManyRequests, "too many log-ins are being checked: try again in a moment", ""}
)

// asProblem puts an error in words for who asked. What is no error of theirs hides its cause.
func asProblem(err error) *problem {
	var p *problem
	if errors.As(err, &p) {
		return p
	}
	if errors.Is(err, gateway.ErrNoReview) {
		return errNoReview
	}
	e := access.AsError(err)
	status := http.StatusInternalServerError
	switch e.Kind {
	case access.Denied:
		status = http.StatusForbidden
	case access.Invalid, access.Unsupported:
		status = http.StatusUnprocessableEntity
	case access.Unavailable, access.Upstream:
		status = http.StatusServiceUnavailable
	}
	return &problem{status, e.Message, e.Hint}
}

// signedIn serves a page to who has logged in, and leads others there.
func (s *Server) signedIn(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		now := s.now()
		polls := r.Header.Get("HX-Request") != ""
		sess := s.sessions.find(r, !polls, now)
		if sess == nil {
			s.leadIn(w, r, polls)
			return
		}
		v := &visit{s: s, w: w, r: r, session: sess, who: sess.who, now: now, auditor: inAny(sess.who.Groups, s.opt.Auditors), operator: inAny(sess.who.Groups, s.opt.Operators)}
		if err := v.permitted(); err != nil {
			s.failed(w, v, err)
			return
		}
		if err := h(v); err != nil {
			s.failed(w, v, err)
		}
	}
}

// leadIn answers who has not logged in.
func (s *Server) leadIn(w http.ResponseWriter, r *http.Request, polls bool) {
	next := "/"
	if r.Method == http.MethodGet {
		next = r.URL.RequestURI()
	}
	to := "/login?next=" + url.QueryEscape(next)
	switch {
	case polls:
		w.Header().Set("HX-Redirect", "/login")
		w.WriteHeader(http.StatusUnauthorized)
	case r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Site") == "cross-site":
		// A link in a message: the browser keeps the cookie (SameSite=Strict) from a request that another site began. One that this page
		// begins has it.
		s.render(w, http.StatusOK, "onward", page{Title: "One moment", Refresh: local(next)})
	default:
		http.Redirect(w, r, to, http.StatusSeeOther)
	}
}

// permitted refuses changes that the person's own page did not send.
func (v *visit) permitted() error {
	if v.r.Method == http.MethodGet || v.r.Method == http.MethodHead {
		return nil
	}
	if !v.s.site.ours(v.r) {
		return errForeign
	}
	if err := v.r.ParseForm(); err != nil {
		return errForm
	}
	if subtle.ConstantTimeCompare([]byte(v.r.PostForm.Get("csrf")), []byte(v.session.csrf)) != 1 {
		return errToken
	}
	return v.stands()
}

// stands fails where the visitor's log-in has ended since the request was begun, or what proved them holds no longer. Whatever changes
// something asks just before it does: the end of a log-in reaches its session here a moment later than the core.
func (v *visit) stands() error {
	if v.session.ended != nil && v.s.sessions.find(v.r, false, v.s.now()) == nil {
		return errGone
	}
	return v.s.core.Stands(v.who)
}

// gone answers a visitor who does not stand any more, and reports whether it did. What takes a while to be found, or was waited for, is for who still is
// who asked when it is there.
func (v *visit) gone() bool {
	if v.stands() == nil {
		return false
	}
	v.s.sessions.end(v.r) // it may have a moment to live, in which the page of the log-in would lead back here
	v.s.leadIn(v.w, v.r, v.polls())
	return true
}

// polls reports whether it is the page that asks, and not somebody at it.
func (v *visit) polls() bool { return v.r.Header.Get("HX-Request") != "" }

func inAny(have, want []string) bool {
	return slices.ContainsFunc(have, func(g string) bool { return slices.Contains(want, g) })
}

func (v *visit) redirect(to string) error {
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
	return nil
}

// show renders a page with what is around it.
func (v *visit) show(name, title, nav string, data any) error {
	return v.showAs(http.StatusOK, name, title, nav, data)
}

func (v *visit) showAs(status int, name, title, nav string, data any) error {
	if v.gone() {
		return nil
	}
	v.render(status, name, title, nav, data)
	return nil
}

func (v *visit) render(status int, name, title, nav string, data any) {
	v.s.render(v.w, status, name, page{Title: title, Nav: nav, Who: v.who.Name, Groups: v.who.Groups, Auditor: v.auditor, Operator: v.operator,
		Archive: v.s.opt.Archive != nil, CSRF: v.session.csrf, Data: data, Now: v.now})
}

// failed shows an error as a page.
func (s *Server) failed(w http.ResponseWriter, v *visit, err error) {
	p := asProblem(err)
	if p.status >= 500 {
		s.log.Error("page failed", "door", "web", "error", err)
	}
	if v != nil {
		v.render(p.status, "problem", "Not done", "", p.lines())
		return
	}
	s.render(w, p.status, "problem", page{Title: "Not done", Data: p.lines()})
}

// lines are a problem's sentences as a page has them.
func (p *problem) lines() []string {
	out := []string{p.text}
	if p.hint != "" {
		out = append(out, p.hint)
	}
	return out
}

// query gives a parameter of the address, without what surrounds it.
func (v *visit) query(name string) string { return strings.TrimSpace(v.r.URL.Query().Get(name)) }
