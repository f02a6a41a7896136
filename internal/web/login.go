package web

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
)

const (
	loginDelay   = 300 * time.Millisecond // before a failed log-in is answered, as at the wire door
	loginsAtOnce = 16                     // that are being checked, of all
	loginsQueued = 4                      // of one address for one name
)

// logins slow down who tries passwords: of an address and a name, one is checked at a time.
type logins struct {
	slots chan struct{}

	mu   sync.Mutex // guards busy
	busy map[string]chan struct{}
	wait map[string]int
}

func newLogins() *logins {
	return &logins{slots: make(chan struct{}, loginsAtOnce), busy: map[string]chan struct{}{}, wait: map[string]int{}}
}

// enter waits for a turn; done ends it. It fails where too many wait already, or ctx ends.
func (l *logins) enter(ctx context.Context, key string) (done func(), ok bool) {
	l.mu.Lock()
	if l.wait[key] >= loginsQueued {
		l.mu.Unlock()
		return nil, false
	}
	l.wait[key]++
	turn := l.busy[key]
	if turn == nil {
		turn = make(chan struct{}, 1)
		l.busy[key] = turn
	}
	l.mu.Unlock()
	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.wait[key]--; l.wait[key] == 0 {
			delete(l.wait, key)
			delete(l.busy, key)
		}
	}
	for i, c := range []chan struct{}{turn, l.slots} {
		select {
		case c <- struct{}{}:
		case <-ctx.Done():
			if i > 0 {
				<-turn
			}
			leave()
			return nil, false
		}
	}
	return func() {
		<-l.slots
		<-turn
		leave()
	}, true
}

// check has the core verify a password. A failure takes a while, in which its place is not another's.
func (s *Server) check(r *http.Request, user, password string) (access.Principal, error) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	done, ok := s.logins.enter(r.Context(), host+"\x00"+user)
	if !ok {
		return access.Principal{}, errBusy
	}
	defer done()
	p, err := s.core.Admit(r.Context(), gateway.Login{Door: access.DoorWeb, Credentials: access.Password{User: user, Secret: password}, Client: r.RemoteAddr})
	if err == nil {
		return p, nil
	}
	s.log.Warn("log-in failed", "door", "web", "client", r.RemoteAddr, "error", err)
	pause := time.NewTimer(loginDelay)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-r.Context().Done():
	}
	return access.Principal{}, err
}

// local is a path of this site to go on to, "/" where next is none.
func local(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.Contains(next, `\`) || strings.HasPrefix(u.Path, "/login") {
		return "/"
	}
	return u.RequestURI()
}

// loginForm is what the page is filled with.
type loginForm struct{ User, Next, Error string }

func (s *Server) loginPage(w http.ResponseWriter, r *http.Request) {
	if s.sessions.find(r, true, s.now()) != nil {
		http.Redirect(w, r, local(r.URL.Query().Get("next")), http.StatusSeeOther)
		return
	}
	s.render(w, http.StatusOK, "login", page{Title: "Log in", Data: loginForm{Next: local(r.URL.Query().Get("next"))}})
}

func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	if !s.site.ours(r) {
		s.failed(w, nil, errForeign)
		return
	}
	if err := r.ParseForm(); err != nil {
		s.failed(w, nil, errForm)
		return
	}
	form := loginForm{User: r.PostForm.Get("user"), Next: local(r.PostForm.Get("next"))}
	p, err := s.check(r, form.User, r.PostForm.Get("password"))
	if err != nil {
		form.Error = "this name and password do not open this door"
		status := http.StatusUnauthorized
		if pr := asProblem(err); pr.status == http.StatusTooManyRequests || pr.status == http.StatusServiceUnavailable {
			form.Error, status = pr.text, pr.status
		}
		s.render(w, status, "login", page{Title: "Log in", Data: form})
		return
	}
	s.log.Info("logged in", "door", "web", "principal", p.Name, "client", r.RemoteAddr)
	http.SetCookie(w, s.sessions.begin(r, p, s.now()))
	http.Redirect(w, r, form.Next, http.StatusSeeOther)
}

func (v *visit) logout() error {
	v.s.sessions.end(v.r)
	http.SetCookie(v.w, v.s.sessions.cookie("", -1))
	return v.redirect("/login")
}
