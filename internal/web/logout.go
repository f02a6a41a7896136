package web

import (
	"context"
	"net/http"
	"sync"
	"time"

	"sallyport/internal/access"
)

const (
	mostLogoutToken = 16 << 10
	logoutsAtOnce   = 16               // that are being checked, of all
	logoutsQueued   = 1000             // of one address
	latestRefusal   = 30 * time.Second // before which what is refused is answered, however many are: well below WriteTimeout
)

// logouts are those that providers tell of. Many come at once, from one address, when many people leave, and most providers tell once: they are
// checked side by side. What is refused takes a while, one after the other of an address, and keeps its place meanwhile. Who hangs up gives it back:
// a provider that has the same address, behind a proxy, would find them all taken, and what is lost here is a log-out. The core bounds what it records.
type logouts struct {
	room chan struct{}

	mu sync.Mutex         // guards of, and what it holds
	of map[string]*sender // by address, while one has a place
}

// sender is an address that log-outs come from.
type sender struct {
	at    int       // that have a place
	until time.Time // when the last that was refused is answered
}

func newLogouts() *logouts {
	return &logouts{room: make(chan struct{}, logoutsAtOnce), of: map[string]*sender{}}
}

// approach takes a place of an address; it is nil where all are taken.
func (l *logouts) approach(from string) *sender {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of[from] == nil {
		l.of[from] = &sender{}
	}
	s := l.of[from]
	if s.at >= logoutsQueued {
		return nil
	}
	s.at++
	return s
}

func (l *logouts) leave(from string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of[from].at--; l.of[from].at == 0 {
		delete(l.of, from)
	}
}

// late is how long what s sent, and was refused now, waits for its answer.
func (l *logouts) late(s *sender, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.until.Before(now) {
		s.until = now
	}
	if s.until = s.until.Add(loginDelay); s.until.Sub(now) > latestRefusal {
		s.until = now.Add(latestRefusal)
	}
	return s.until.Sub(now)
}

// take has a token checked, or is busy.
func (l *logouts) take(r *http.Request, do func() error) error {
	from := address(r)
	s := l.approach(from)
	if s == nil {
		return errBusy
	}
	defer l.leave(from)
	select {
	case l.room <- struct{}{}:
	case <-r.Context().Done():
		return errBusy
	}
	err := do()
	<-l.room
	if err != nil && access.AsError(err).Kind != access.Unavailable {
		pause := time.NewTimer(l.late(s, time.Now()))
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-r.Context().Done():
		}
	}
	return err
}

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
	err := s.logouts.take(r, func() error {
		return s.core.BackchannelLogout(r.Context(), r.RemoteAddr, r.PostForm.Get("logout_token"))
	})
	switch {
	case err != nil && asProblem(err) == errBusy:
		refuse(http.StatusTooManyRequests, "temporarily_unavailable", "too many are being checked")
	case err != nil && access.AsError(err).Kind == access.Unavailable:
		s.log.Warn("log-out by a provider not checked", "door", "web", "client", r.RemoteAddr, "error", err)
		w.Header().Set("Retry-After", "60")
		refuse(http.StatusServiceUnavailable, "temporarily_unavailable", "the logout_token cannot be checked at the moment")
	case err != nil:
		s.log.Warn("log-out by a provider refused", "door", "web", "client", r.RemoteAddr, "error", err)
		refuse(http.StatusBadRequest, "invalid_request", "the logout_token is not valid")
	default:
		w.WriteHeader(http.StatusOK)
	}
}
