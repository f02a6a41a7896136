// Package testidp is an OpenID Connect provider in the test's own process, on loopback. It logs in whom the test says, without asking,
// publishes any keys (SetKeys), counts who fetches them (Fetches), goes down (Down) and lets the test answer in its place (Handle).
// Outside of tests it is the provider of the demo, which has synthetic people only, and nobody else's: so what it signs itself are tokens
// as they should be. Those that no provider would make are package forge's, which no program has.
//
// Start at New. mint.go has the tokens, serve.go what browsers and discovery see, grants.go the token endpoint.
package testidp

import (
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"
)

// TB is the part of testing.TB that is needed.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// ClientID is a client that every provider knows, without a secret. Further ones are given by Client.
const ClientID = "sallyport"

// User is somebody who is logged in at the provider.
type User struct {
	Subject string         // "sub"
	Claims  map[string]any // further claims of their tokens: {"email": ..., "groups": []string{...}}
	ACR     string
	AMR     []string
	// Authenticated is when they last proved who they are; zero is now, at each log-in.
	Authenticated time.Time
}

// Provider answers until the test ends. Its methods may be called at any time.
type Provider struct {
	Issuer string // URL, without a slash at its end
	Server *httptest.Server
	host   string // the only one that it answers to; "" is any

	mu        sync.Mutex // of all below
	keys      []*Key
	published []*Key // nil: keys
	fetches   int
	down      bool
	now       func() time.Time
	user      *User
	people    map[string]User           // by the login_hint that names them
	clients   map[string]string         // secret by id; "" is a public client
	own       map[string]map[string]any // claims of the tokens that a client gets for itself
	handlers  map[string]http.HandlerFunc
	discovery map[string]any
	audience  string
	lifetime  time.Duration
	redirects []string          // nil: any
	codes     map[string]*grant // authorization codes
	devices   map[string]*device
	refresh   map[string]*grant
	requests  []string
}

// New starts a provider on http://127.0.0.1 that has one key (ES256) and the client ClientID.
func New(t TB) *Provider { return start(t, false, nil, "") }

// NewTLS starts one on https. The PEM of the certificate that it is checked by is CA's.
func NewTLS(t TB) *Provider { return start(t, true, nil, "") }

// Serve starts one on ln, whose clients reach it as issuer (an http URL). It answers to that host alone, so that no name that leads
// here makes it another's.
func Serve(t TB, ln net.Listener, issuer string) *Provider { return start(t, false, ln, issuer) }

func start(t TB, secure bool, ln net.Listener, issuer string) *Provider {
	t.Helper()
	key, err := NewKey("ES256")
	if err != nil {
		t.Fatalf("%v", err)
	}
	p := &Provider{
		keys: []*Key{key}, now: time.Now, user: &User{Subject: "ada", Claims: map[string]any{"preferred_username": "ada", "email": "ada@example.com", "email_verified": true}},
		clients: map[string]string{ClientID: ""}, handlers: map[string]http.HandlerFunc{}, discovery: map[string]any{}, lifetime: time.Hour,
		codes: map[string]*grant{}, devices: map[string]*device{}, refresh: map[string]*grant{}, people: map[string]User{}, own: map[string]map[string]any{},
	}
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(p.serve))
	if ln != nil {
		p.Server.Listener.Close()
		p.Server.Listener = ln
	}
	if secure {
		p.Server.StartTLS()
	} else {
		p.Server.Start()
	}
	p.Issuer = p.Server.URL
	if issuer != "" {
		p.Issuer = issuer
		_, p.host, _ = strings.Cut(issuer, "://")
	}
	t.Cleanup(p.Server.Close)
	return p
}

// Login says who authorize and device log-ins are from now on; nil is nobody, and they are refused.
func (p *Provider) Login(u *User) { p.set(func() { p.user = u }) }

// Person has authorize log in u, whoever Login names, where the client gives hint as login_hint.
func (p *Provider) Person(hint string, u User) { p.set(func() { p.people[hint] = u }) }

// ClientClaims are in the tokens that a client gets for itself (client credentials), beside what is in all of them.
func (p *Provider) ClientClaims(id string, claims map[string]any) {
	p.set(func() { p.own[id] = claims })
}

// Client makes a client known; one with a secret has to give it.
func (p *Provider) Client(id, secret string) { p.set(func() { p.clients[id] = secret }) }

// Redirects are where authorize sends browsers back to; those of loopback without a port are good for any (RFC 8252, 7.3). Without it: anywhere.
func (p *Provider) Redirects(uris ...string) { p.set(func() { p.redirects = uris }) }

// Audience is what "aud" of access tokens is where the client names no resource (RFC 8707). Without it: the client's id.
func (p *Provider) Audience(aud string) { p.set(func() { p.audience = aud }) }

// Lifetime is that of tokens. One hour where nothing is said.
func (p *Provider) Lifetime(d time.Duration) { p.set(func() { p.lifetime = d }) }

// Clock replaces time.Now.
func (p *Provider) Clock(now func() time.Time) { p.set(func() { p.now = now }) }

// Down makes every endpoint answer 503, or lets them work again.
func (p *Provider) Down(down bool) { p.set(func() { p.down = down }) }

// Handle has h answer a path ("/jwks", "/token") instead of the provider; nil gives it back.
func (p *Provider) Handle(path string, h http.HandlerFunc) {
	p.set(func() {
		if p.handlers[path] = h; h == nil {
			delete(p.handlers, path)
		}
	})
}

// Discover replaces a field of the discovery document; nil leaves it out.
func (p *Provider) Discover(field string, value any) { p.set(func() { p.discovery[field] = value }) }

// SetKeys replaces the keys. The first signs; all are published, unless Publish says otherwise.
func (p *Provider) SetKeys(keys ...*Key) {
	p.set(func() { p.keys, p.published = slices.Clone(keys), nil })
}

// Publish replaces what /jwks shows and leaves the keys that sign.
func (p *Provider) Publish(keys ...*Key) {
	p.set(func() { p.published = append([]*Key{}, keys...) })
}

// Key is the one that signs.
func (p *Provider) Key() *Key {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys[0]
}

// Fetches is how often the keys were asked for, answered or not.
func (p *Provider) Fetches() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetches
}

// Requests lists what was asked of the provider: "GET /authorize", in order.
func (p *Provider) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

func (p *Provider) set(do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	do()
}

func (p *Provider) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.requests = append(p.requests, r.Method+" "+r.URL.Path)
	if r.URL.Path == "/jwks" {
		p.fetches++
	}
	down, h := p.down, p.handlers[r.URL.Path]
	p.mu.Unlock()
	if p.host != "" && r.Host != p.host {
		http.Error(w, "this is "+p.Issuer, http.StatusMisdirectedRequest)
		return
	}
	if down {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	if h == nil {
		h = map[string]http.HandlerFunc{
			"/.well-known/openid-configuration": p.discover, "/jwks": p.jwks, "/authorize": p.Authorize, "/token": p.token,
			"/device_authorization": p.deviceAuthorization, "/end_session": p.endSession, "/userinfo": p.userinfo,
		}[strings.TrimSuffix(r.URL.Path, "/")]
	}
	if h == nil {
		http.NotFound(w, r)
		return
	}
	h(w, r)
}

// with gives base, changed by each of overrides in turn; a nil value leaves a claim out.
func with(base map[string]any, overrides ...map[string]any) map[string]any {
	out := maps.Clone(base)
	for _, o := range overrides {
		for k, v := range o {
			if out[k] = v; v == nil {
				delete(out, k)
			}
		}
	}
	return out
}
