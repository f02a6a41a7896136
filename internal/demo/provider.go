package demo

import (
	"fmt"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"sallyport/internal/testidp"
)

// providerName is what the configuration calls the provider. It stands on the button of the log-in page, in what `sallyport login` prints
// and in every record, and is to say by itself that nobody may mistake it for a real one.
const providerName = "demo-approves-everybody"

// Client is an agent that the provider knows.
type Client struct{ ID, Secret, Is string }

const (
	nightly = "nightly-report" // comes in by itself
	triage  = "triage-bot"     // acts for people
)

func clients() []Client {
	return []Client{
		{ID: nightly, Secret: password(), Is: "comes in by itself, by client credentials"},
		{ID: triage, Secret: password(), Is: "acts for people, by token exchange"},
	}
}

// provider is an OpenID Connect provider that asks nobody who they are: browsers choose, everybody else is grace until the page says
// otherwise.
type provider struct {
	*testidp.Provider
	people []Login // who can log in there
	web    string  // URL that browsers may be led back to after a log-out
	page   *template.Template
}

// stand is what testidp takes the place of a test for.
type stand struct{ tidy *[]func() }

func (stand) Helper()                           {}
func (stand) Fatalf(format string, args ...any) { panic(fmt.Errorf(format, args...)) }
func (s stand) Cleanup(f func())                { *s.tidy = append(*s.tidy, f) }

// openProvider serves the provider at an address, or at a free port where that is taken. Access tokens are for the agents' door.
func (d *Demo) openProvider(address string, doors Doors) (p *provider, err error) {
	defer func() {
		if r, ok := recover().(error); ok {
			err = fmt.Errorf("the demo's provider: %w", r)
		}
	}()
	ln, err := net.Listen("tcp", freeAddress(address))
	if err != nil {
		return nil, fmt.Errorf("the demo's provider: %w", err)
	}
	issuer := Doors{Provider: "http://" + ln.Addr().String()}.local().Provider
	p = &provider{Provider: testidp.Serve(stand{&d.tidy}, ln, issuer), web: doors.Web, page: template.Must(template.New("").Parse(pageText))}
	for _, l := range d.Logins {
		if l.Provided {
			p.people = append(p.people, l)
			p.Person(l.Name, l.user())
		}
	}
	p.Login(ptr(p.people[0].user()))
	p.Audience(doors.MCP)
	for _, c := range d.Clients {
		p.Client(c.ID, c.Secret)
	}
	p.ClientClaims(nightly, map[string]any{"groups": []string{"agents"}})
	same := http.NewCrossOriginProtection()
	p.Handle("/authorize", p.authorize)
	p.Handle("/activate", p.activate)
	p.Handle("/choose", same.Handler(http.HandlerFunc(p.choose)).ServeHTTP)
	p.Handle("/end_session", p.endSession)
	p.Handle("/", p.home)
	return p, nil
}

func ptr[T any](v T) *T { return &v }

func (l Login) user() testidp.User {
	return testidp.User{Subject: l.Name, Claims: map[string]any{"preferred_username": l.Name, "groups": []string{l.Group}}}
}

// authorize has a browser choose who it is; what shows no pages is approved at once.
func (p *provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	chosen := slices.ContainsFunc(p.people, func(l Login) bool { return l.Name == q.Get("login_hint") })
	if chosen || q.Get("redirect_uri") == "" || !strings.Contains(r.Header.Get("Accept"), "text/html") {
		p.Authorize(w, r)
		return
	}
	var choices []choice
	for _, l := range p.people {
		q.Set("login_hint", l.Name)
		choices = append(choices, choice{l, "/authorize?" + q.Encode()})
	}
	p.show(w, page{Title: "Who are you today?", Choices: choices})
}

func (p *provider) activate(w http.ResponseWriter, r *http.Request) {
	p.show(w, page{Title: "Nothing to type in", Text: "It has approved the log-in already. Go back to your terminal.", Others: p.people})
}

func (p *provider) home(w http.ResponseWriter, r *http.Request) {
	p.show(w, page{Title: "The demo's identity provider", Text: "Log-ins that show no browser are approved at once.", Others: p.people})
}

// choose says who logs in where there is no browser to be asked.
func (p *provider) choose(w http.ResponseWriter, r *http.Request) {
	i := slices.IndexFunc(p.people, func(l Login) bool { return l.Name == r.PostFormValue("name") })
	if i < 0 || r.Method != http.MethodPost {
		http.Error(w, "nobody of that name", http.StatusBadRequest)
		return
	}
	p.Login(ptr(p.people[i].user()))
	p.show(w, page{Title: "From now on: " + p.people[i].Name, Text: "Log-ins that show no browser are " + p.people[i].Name + "'s. `sallyport login --fresh` takes you there.", Others: p.people})
}

// endSession forgets nobody: there was nothing to remember.
func (p *provider) endSession(w http.ResponseWriter, r *http.Request) {
	if to := r.FormValue("post_logout_redirect_uri"); strings.HasPrefix(to, p.web+"/") {
		u, err := url.Parse(to)
		if err == nil {
			q := u.Query()
			if s := r.FormValue("state"); s != "" {
				q.Set("state", s)
			}
			u.RawQuery = q.Encode()
			http.Redirect(w, r, u.String(), http.StatusFound)
			return
		}
	}
	p.show(w, page{Title: "You are logged out"})
}

type page struct {
	Title, Text string
	Choices     []choice
	Others      []Login
}

type choice struct {
	Login
	Href string
}

func (p *provider) show(w http.ResponseWriter, data page) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	_ = p.page.Execute(w, data) // who has gone away sees nothing
}

const pageText = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<title>{{.Title}}</title><style>body{font:1.1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:12vh auto;padding:0 1rem}.note{border-left:.3rem solid #c60;padding-left:1rem}button{font:inherit}</style>
<h1>{{.Title}}</h1>
<p class="note"><strong>This is a demo's identity provider. It approves everybody and asks for no password.</strong> It ends with <code>sallyport demo</code>; nothing real may ever trust it.</p>
{{with .Text}}<p>{{.}}</p>{{end}}
{{with .Choices}}<ul>{{range .}}<li><a href="{{.Href}}">{{.Name}}</a>, {{.Is}}</li>{{end}}</ul>{{end}}
{{with .Others}}<form method="post" action="/choose"><p>Without a browser, log in as:</p>{{range .}}<p><button name="name" value="{{.Name}}">{{.Name}}</button> {{.Is}}</p>{{end}}</form>{{end}}
</html>
`
