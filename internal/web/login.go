package web

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/fairness"
	"sallyport/internal/gateway"
)

const (
	loginDelay   = 300 * time.Millisecond // before a failed log-in is answered, as at the wire door
	loginsAtOnce = 16                     // that are being checked, of all
	loginsQueued = 32                     // of one address for one name, with those that have failed and wait for their answer

	// Of one address, whatever the names: whoever tries many at a time leaves most places to others.
	loginsOfAddress = 4
	queuedOfAddress = 64 // with those that are being checked, or have failed and wait for their answer
)

// logins slow down who tries passwords: of an address and a name, one is checked at a time, and of an address a few.
type logins struct {
	slots  chan struct{}
	queued int  // of one key, at most
	holds  bool // what fails is noted for a while, so failures keep their place: many at once would fill the room for that

	mu    sync.Mutex // guards the field below
	gates map[string]*gate
}

// gate lets a few through at a time. It is there while somebody is at it.
type gate struct {
	places chan struct{}
	at     int       // how many are through, wait, or have failed and wait for their answer; guarded by logins.mu
	until  time.Time // when the last failure that waits is answered; guarded by logins.mu
}

func newLogins(queued int) *logins {
	return &logins{queued: queued, slots: make(chan struct{}, loginsAtOnce), gates: map[string]*gate{}}
}

// approach takes a place in the queue of a gate; it fails where too many are there already.
func (l *logins) approach(key string, places, most int) *gate {
	g := l.gates[key]
	if g == nil {
		g = &gate{places: make(chan struct{}, places)}
		l.gates[key] = g
	}
	if g.at >= most {
		return nil
	}
	g.at++
	return g
}

// leave gives back what approach took.
func (l *logins) leave(key string) {
	if l.gates[key].at--; l.gates[key].at == 0 {
		delete(l.gates, key)
	}
}

// late is when a failure of now is answered: in each loginDelay as many as the gate has places, as if they kept them meanwhile.
func (g *gate) late(now time.Time) time.Time {
	if g.until.Before(now) {
		g.until = now
	}
	g.until = g.until.Add(loginDelay / time.Duration(cap(g.places)))
	return g.until
}

// turn waits for a place of each, in order; done gives them back. It fails where ctx ends before.
func turn(ctx context.Context, through ...chan struct{}) (done func(), ok bool) {
	back := func(n int) {
		for _, c := range through[:n] {
			<-c
		}
	}
	for i, c := range through {
		select {
		case c <- struct{}{}:
		case <-ctx.Done():
			back(i)
			return nil, false
		}
	}
	return func() { back(len(through)) }, true
}

// slowly does what proves somebody, one at a time for a key of an address and a few for an address. Failures of a key are answered one at a time, each
// after a while, and those of an address a few, so that guessing is no faster for many who do it at once, or for who tries many names; but what is right
// does not wait behind them, unless l.holds. Where as many are there as may be, nothing is looked at, and the answer is errBusy.
func (l *logins) slowly(r *http.Request, key string, do func() error) error {
	return l.slowlyOf(r, "from "+address(r), key, do)
}

// slowlyOf is slowly for who has places by something else than their address.
func (l *logins) slowlyOf(r *http.Request, from, key string, do func() error) error {
	key = "key " + from + "\x00" + key
	l.mu.Lock()
	one, all := l.approach(key, 1, l.queued), (*gate)(nil)
	if one != nil {
		if all = l.approach(from, loginsOfAddress, queuedOfAddress); all == nil {
			l.leave(key)
		}
	}
	l.mu.Unlock()
	if all == nil {
		return errBusy
	}
	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.leave(key)
		l.leave(from)
	}
	// What many wait for comes last, so that nobody holds it who still waits for something of their own.
	done, ok := turn(r.Context(), one.places, all.places, l.slots)
	if !ok {
		leave()
		return errBusy
	}
	err := do()
	if err == nil || !l.holds {
		done()
		done = func() {}
	}
	if err == nil {
		leave()
		return nil
	}
	l.mu.Lock()
	now := time.Now()
	wait := max(one.late(now).Sub(now), all.late(now).Sub(now))
	l.mu.Unlock()
	// The place is kept until then also of who hangs up: else they could try again at once.
	over := make(chan struct{})
	time.AfterFunc(wait, func() {
		done()
		leave()
		close(over)
	})
	select {
	case <-over:
	case <-r.Context().Done():
	}
	return err
}

// address is where a request comes from: an IPv4 address, or a network of IPv6, of which anybody has as many addresses as they like.
func address(r *http.Request) string { return fairness.Source(r.RemoteAddr).String() }

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
	c, err := s.sessions.begin(r, p, s.now())
	if err != nil {
		s.failed(w, nil, err)
		return
	}
	s.log.Info("logged in", "door", "web", "principal", p.Name, "client", r.RemoteAddr)
	http.SetCookie(w, c)
	http.Redirect(w, r, form.Next, http.StatusSeeOther)
}
