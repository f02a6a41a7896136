package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/testdb"
)

const testSchema = `create table customers(id int primary key, name text, email text, region text);
insert into customers select g, 'n'||g, 'u'||g||'@example.com', 'r' from generate_series(1,50) g;`

const testPolicy = `
@id("read") permit (principal in Group::"askers", action in [Action::"connect", Action::"read"], resource in Connection::"shop");
@id("held") @review("keepers") permit (principal in Group::"askers", action in [Action::"write", Action::"write_all_rows"], resource in Connection::"shop");
`

// world is a door in front of a core with a database of its own, served as a browser finds it.
type world struct {
	t    *testing.T
	gw   *gateway.Gateway
	srv  *Server
	http *httptest.Server
}

// newWorld opens a world whose log-ins are asker, keeper, keeper2, auditor, operator, stranger, hero, and asker1 and on; robot is an agent.
func newWorld(t *testing.T, change func(*gateway.Config, *Options)) *world {
	t.Helper()
	people := map[string][]string{"asker": {"askers"}, "keeper": {"keepers"}, "keeper2": {"keepers"}, "both": {"askers", "keepers"}, "auditor": {"auditors"},
		"operator": {"operators"}, "stranger": nil, "hero": {"askers", "oncall"}, "robot": {"askers", "keepers"}}
	for i := range 10 {
		people[fmt.Sprintf("asker%d", i)] = []string{"askers"}
	}
	c := gateway.Config{DataDir: t.TempDir(), Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})), Policies: []gateway.PolicyFile{{Name: "test.cedar", Text: testPolicy}},
		Connections: []access.Connection{{Name: "shop", Driver: "postgres", DSN: testdb.Shared(t).NewDatabase(t, testSchema)}},
		Labels:      []access.LabelRule{{Label: "pii.email", Columns: []string{"*.*.email"}}}, Masks: []access.Mask{{Label: "pii.email", Transform: "token"}},
		Approvals: gateway.Approvals{BreakGlass: []string{"oncall"}}}
	for name, groups := range people {
		p := access.LocalPrincipal{Name: name, Kind: access.Human, Groups: groups, Secret: identity.HashPassword("pw-" + name)}
		if name == "robot" {
			token := "sp_robot"
			p.Kind, p.Tokens = access.Agent, []access.LocalToken{{SHA256: sha256Hex(token)}}
		}
		c.Principals = append(c.Principals, p)
	}
	o := Options{Auditors: []string{"auditors"}, Operators: []string{"operators"}}
	w := &world{t: t}
	// The address is known once somebody listens.
	w.http = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.srv.Handler().ServeHTTP(rw, r) }))
	o.Address = w.http.Listener.Addr().String()
	if change != nil {
		change(&c, &o)
	}
	var err error
	if w.gw, err = gateway.Open(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	if w.srv, err = New(w.gw, o); err != nil {
		t.Fatal(err)
	}
	w.http.Start()
	t.Cleanup(func() { w.srv.Shutdown(); w.http.Close(); w.srv.Close(); w.gw.Close() })
	return w
}

// browser is somebody's, who follows no redirects and sends what browsers send.
type browser struct {
	w    *world
	c    *http.Client
	name string
	csrf string
}

func (w *world) browser() *browser {
	jar, _ := cookiejar.New(nil)
	return &browser{w: w, c: &http.Client{Jar: jar, Timeout: 60 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// login opens a browser of somebody who has logged in.
func (w *world) login(name string) *browser {
	w.t.Helper()
	b := w.browser()
	b.name = name
	if res, body := b.post("/login", url.Values{"user": {name}, "password": {"pw-" + name}}); res.StatusCode != http.StatusSeeOther {
		w.t.Fatalf("%s cannot log in: %s %s", name, res.Status, body)
	}
	_, body := b.get("/reviews")
	b.csrf = csrfForm.FindStringSubmatch(body)[1]
	return b
}

var csrfForm = regexp.MustCompile(`name="csrf" value="([^"]+)"`)
var liveForm = regexp.MustCompile(`hx-get="(/reviews/live[^"]*)"`)

func (b *browser) do(req *http.Request) (*http.Response, string) {
	b.w.t.Helper()
	res, err := b.c.Do(req)
	if err != nil {
		b.w.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.w.t.Fatal(err)
	}
	return res, string(body)
}

func (b *browser) get(path string) (*http.Response, string) {
	b.w.t.Helper()
	req, _ := http.NewRequest("GET", b.w.http.URL+path, nil)
	req.Header.Set("Sec-Fetch-Site", "none")
	return b.do(req)
}

// post sends a form of our own page.
func (b *browser) post(path string, form url.Values) (*http.Response, string) {
	b.w.t.Helper()
	if b.csrf != "" && form.Get("csrf") == "" {
		form.Set("csrf", b.csrf)
	}
	req := b.request(path, form)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	req.Header.Set("Origin", "null")
	return b.do(req)
}

func (b *browser) request(path string, form url.Values) *http.Request {
	req, _ := http.NewRequest("POST", b.w.http.URL+path, strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req
}

// wish has somebody ask for a statement through the agents' door, and gives the request that waits.
func (w *world) wish(name, sql string, change func(*gateway.Query)) *gateway.ReviewRequest {
	w.t.Helper()
	_, err := w.run(name, sql, change)
	var e *access.Error
	if !errors.As(err, &e) || e.Review == "" {
		w.t.Fatalf("%s: %v, want a request (%v)", sql, err, errors.Unwrap(e))
	}
	r, err := w.gw.Review(e.Review)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) run(name, sql string, change func(*gateway.Query)) (*gateway.Result, error) {
	w.t.Helper()
	return w.runAt(access.DoorMCP, name, sql, change)
}

func (w *world) runAt(door access.Door, name, sql string, change func(*gateway.Query)) (*gateway.Result, error) {
	w.t.Helper()
	s, err := w.gw.Connect(context.Background(), gateway.Login{Door: door, Connection: "shop", Credentials: access.Password{User: name, Secret: "pw-" + name}, Client: "127.0.0.1:1 <client>"})
	if err != nil {
		w.t.Fatal(err)
	}
	defer s.Close()
	q := gateway.Query{SQL: sql, Reason: "ticket 4711 wants another region"}
	if change != nil {
		change(&q)
	}
	return s.Query(context.Background(), q)
}

// decisionOn fills in the form of a request.
func decisionOn(r *gateway.ReviewRequest, more ...string) url.Values {
	f := url.Values{"revision": {fmt.Sprint(r.Revision)}, "justification": {"looked at ticket 4711"}, "mode": {"once"}}
	for i := 0; i+1 < len(more); i += 2 {
		f.Add(more[i], more[i+1])
	}
	return f
}

func (w *world) wantState(id, want string) {
	w.t.Helper()
	if r, err := w.gw.Review(id); err != nil || string(r.State) != want {
		w.t.Fatalf("request is %v, want %s (%v)", r, want, err)
	}
}
