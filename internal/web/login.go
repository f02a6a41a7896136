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
	slots  chan struct{}
	queued int // of one key, at most

	mu   sync.Mutex // guards busy
	busy map[string]chan struct{}
	wait map[string]int
}

func newLogins(queued int) *logins {
	return &logins{queued: queued, slots: make(chan struct{}, loginsAtOnce), busy: map[string]chan struct{}{}, wait: map[string]int{}}
}

// enter waits for a turn; done ends it. It fails where too many wait already, or ctx ends.
func (l *logins) enter(ctx context.Context, key string) (done func(), ok bool) {
	l.mu.Lock()
	if l.wait[key] >= l.queued {
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

// slowly does what proves somebody, one at a time for a key of an address. A failure takes a while, in which its place is not another's.
func (l *logins) slowly(r *http.Request, key string, do func() error) error {
	done, ok := l.enter(r.Context(), address(r)+"\x00"+key)
	if !ok {
		return errBusy
	}
	defer done()
	err := do()
	if err == nil {
		return nil
	}
	pause := time.NewTimer(loginDelay)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-r.Context().Done():
	}
	return err
}

// address is where a request comes from, without the port.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// check has the core verify a password.
func (s *Server) check(r *http.Request, user, password string) (p access.Principal, err error) {
	err = s.logins.slowly(r, user, func() (err error) {
		p, err = s.core.Admit(r.Context(), gateway.Login{Door: access.DoorWeb, Credentials: access.Password{User: user, Secret: password}, Client: r.RemoteAddr})
		if err != nil {
			s.log.Warn("log-in failed", "door", "web", "client", r.RemoteAddr, "error", err)
		}
		return err
	})
	return p, err
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
type loginForm struct {
	User, Next, Error string
	Providers         []offer
	Passwords         bool // the form for those of the configuration is shown
}

// offer is a way to log in by a provider.
type offer struct{ Name, Href string }

func (s *Server) loginForm(next string) loginForm {
	f := loginForm{Next: local(next), Providers: s.offers(local(next))}
	f.Passwords = len(f.Providers) == 0 || s.core.Passwords()
	return f
}

func (s *Server) loginPage(w http.ResponseWriter, r *http.Request) {
	if s.sessions.find(r, true, s.now()) != nil {
		http.Redirect(w, r, local(r.URL.Query().Get("next")), http.StatusSeeOther)
		return
	}
	s.render(w, http.StatusOK, "login", page{Title: "Log in", Data: s.loginForm(r.URL.Query().Get("next"))})
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
	form := s.loginForm(r.PostForm.Get("next"))
	form.User = r.PostForm.Get("user")
	p, err := s.check(r, form.User, r.PostForm.Get("password"))
	if err == nil && p.Proof.Method == access.BySecret {
		// It lies in files of programs, and who logged in by a provider can do so here.
		err = errSecret
	}
	if err != nil {
		form.Error = "this name and password do not open this door"
		status := http.StatusUnauthorized
		if pr := asProblem(err); pr == errSecret || pr.status == http.StatusTooManyRequests || pr.status == http.StatusServiceUnavailable {
			form.Error, status = pr.text, pr.status
		}
		s.render(w, status, "login", page{Title: "Log in", Data: form})
		return
	}
	s.log.Info("logged in", "door", "web", "principal", p.Name, "client", r.RemoteAddr)
	http.SetCookie(w, s.sessions.begin(r, p, s.now()))
	http.Redirect(w, r, form.Next, http.StatusSeeOther)
}
