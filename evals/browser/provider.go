package browser

import (
	"fmt"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"sallyport/evals/harness"
	"sallyport/internal/testidp"
)

const (
	providerName = "corp"
	prefix       = providerName + "-" // of the names of its people
	acr          = "phr"              // what approving wants of it
)

// provided are the people of the provider, with their groups there.
var provided = map[string]string{"ada": "vault-keepers", "bob": "vault-keepers", "eva": "front-desk"}

// provider is an OpenID Connect provider of another site than the gateway (localhost, where that is 127.0.0.1), as providers are: browsers come from it
// without cookies that are Strict. It asks each browser once who it is, and again where it is to prove it.
type provider struct {
	*testidp.Provider
	host string

	mu  sync.Mutex // guards out
	out []string   // whom log-outs were for, by their subject
}

// ends collects what testidp has to have closed; its failures are panics that openProvider turns into errors.
type ends struct{ w *world }

func (ends) Helper()                           {}
func (e ends) Cleanup(f func())                { e.w.close = append(e.w.close, f) }
func (ends) Fatalf(format string, args ...any) { panic(fmt.Errorf(format, args...)) }

func (w *world) openProvider() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("start a provider: %v", p)
		}
	}()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		return err
	}
	p := &provider{host: "localhost:" + port}
	p.Provider = testidp.Serve(ends{w}, ln, "http://"+p.host)
	for name, group := range provided {
		// They proved who they are an hour ago, unless they are asked to do it anew.
		p.Person(name, testidp.User{Subject: "u-" + name, Claims: map[string]any{"preferred_username": name, "groups": []string{group}}, Authenticated: time.Now().Add(-time.Hour)})
	}
	p.Handle("/authorize", p.authorize)
	p.Handle("/end_session", p.endSession)
	w.idp = p
	return nil
}

// identity is the section of the gateway's configuration.
func (p *provider) identity(*harness.Gateway) map[string]any {
	return map[string]any{"providers": []any{map[string]any{"name": providerName, "issuer": p.Issuer, "client_id": testidp.ClientID, "user": "preferred_username", "groups": "groups",
		"prefix": prefix, "group_map": map[string]string{"vault-keepers": "keepers", "front-desk": "askers"}, "acr": []string{acr}}}}
}

const remembered = "who"

var choosing = template.Must(template.New("").Parse(`<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Who are you?</title><link rel="icon" href="data:,"><h1>Who are you?</h1>
<ul>{{range $name, $to := .People}}<li><a id="{{$name}}" href="{{$to}}">{{$name}}</a>{{end}}</ul><p><a id="nobody" href="{{.Nobody}}">None of them</a></html>`))

// authorize has the browser choose, unless it has, and remembers.
func (p *provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	name := q.Get("login_hint")
	if c, err := r.Cookie(remembered); err == nil && name == "" && !strings.Contains(q.Get("prompt"), "login") {
		name = c.Value
		q.Set("login_hint", name)
		r.URL.RawQuery = q.Encode()
	}
	if _, known := provided[name]; known {
		http.SetCookie(w, &http.Cookie{Name: remembered, Value: name, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
		p.Authorize(w, r)
		return
	}
	page := struct {
		People map[string]string
		Nobody string
	}{map[string]string{}, ""}
	for name := range provided {
		q.Set("login_hint", name)
		page.People[name] = "/authorize?" + q.Encode()
	}
	page.Nobody = q.Get("redirect_uri") + "?" + url.Values{"error": {"access_denied"}, "error_description": {"nobody was chosen"}, "state": {q.Get("state")}, "iss": {p.Issuer}}.Encode()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = choosing.Execute(w, page) // who has gone away sees nothing
}

// endSession forgets who the browser is.
func (p *provider) endSession(w http.ResponseWriter, r *http.Request) {
	claims, _ := testidp.Claims(r.FormValue("id_token_hint"))
	subject, _ := claims["sub"].(string)
	p.mu.Lock()
	p.out = append(p.out, subject)
	p.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: remembered, Path: "/", MaxAge: -1})
	http.Redirect(w, r, r.FormValue("post_logout_redirect_uri"), http.StatusFound)
}

// loggedOut are the subjects whose log-outs came here.
func (p *provider) loggedOut() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.out...)
}

// tellsLogout tells the gateway that somebody has logged out here (OpenID Connect Back-Channel Logout 1.0).
func (p *provider) tellsLogout(gateway, name string) error {
	res, err := http.PostForm(gateway+"/auth/backchannel-logout", url.Values{"logout_token": {p.LogoutToken(map[string]any{"sub": "u-" + name, "sid": "s-u-" + name})}})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the gateway does not take a logout token: %s", res.Status)
	}
	return nil
}
