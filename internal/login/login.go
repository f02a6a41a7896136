package login

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"sallyport/internal/access"
)

// Options say how to log in.
type Options struct {
	Gateway  string // URL of the web door
	Provider string // by name; "" is the only one
	Device   bool   // by a code, even where there is a browser
	Fresh    bool   // even where something valid is there
	Stay     bool   // ask for a refresh token, and keep it
	CAFile   string // PEM file of authorities to trust beside the system's; "" takes that of the last log-in

	Out io.Writer // for what a person has to do
	// Browse opens the browser; nil is this machine's.
	Browse   func(address string) error
	Headless *bool         // nil finds out
	Patience time.Duration // for the browser to come back; 0 is 5 min
	Now      func() time.Time
}

func (o *Options) defaults() {
	if o.Browse == nil {
		o.Browse = open
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Patience == 0 {
		o.Patience = 5 * time.Minute
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	if o.Headless == nil {
		h := headless(os.Getenv, runtime.GOOS)
		o.Headless = &h
	}
}

// headless says whether a browser that is opened would be seen by nobody.
func headless(env func(string) string, system string) bool {
	if env("SSH_CONNECTION") != "" || env("SSH_TTY") != "" {
		return true
	}
	return system != "darwin" && system != "windows" && env("DISPLAY") == "" && env("WAYLAND_DISPLAY") == ""
}

// Ensure gives a credential that holds: the one that is kept, else one for the refresh token that is kept, else one that a person logs in
// for. Of several at once, one logs in and the others use what it got.
func Ensure(ctx context.Context, p *Profile, o Options) (*Credential, error) {
	o.defaults()
	old, err := p.Load()
	if err != nil {
		return nil, err
	}
	refused := "" // the credential that the gateway takes no longer
	if !o.Fresh && old != nil && old.Holds(o.Now()) {
		if stands(ctx, old, o) {
			return old, nil
		}
		refused = old.ID
	}
	began := o.Now()
	unlock, err := p.Lock(ctx, func(pid int) {
		who := "another log-in at this gateway is under way"
		if pid > 0 {
			who += fmt.Sprintf(" (process %d)", pid)
		}
		fmt.Fprintln(o.Out, who+": waiting for it; it ends by itself, and Ctrl-C here ends the waiting alone")
	})
	if err != nil {
		return nil, err
	}
	defer unlock()
	if old, err = p.Load(); err != nil {
		return nil, err
	}
	if old != nil && old.Holds(o.Now()) && old.ID != refused && (!o.Fresh || old.Issued.After(began)) {
		return old, nil
	}
	if o.CAFile == "" && old != nil {
		o.CAFile = old.CAFile
	}
	hc, err := client(o.CAFile)
	if err != nil {
		return nil, err
	}
	g := &Gateway{base: p.Gateway, http: hc, now: o.Now}
	if old != nil && old.Refresh != "" && !o.Fresh && (o.Provider == "" || o.Provider == old.Provider) {
		c, err := p.again(ctx, g, old, o)
		if err == nil {
			return c, nil
		}
		if ctx.Err() != nil || old.ID != refused && old.Expires.Sub(o.Now().Add(old.Behind)) > time.Minute {
			return old, ctx.Err() // it holds for a while yet: the next one tries again
		}
		fmt.Fprintf(o.Out, "the log-in could not be renewed (%v): log in again\n", err)
	}
	c, err := p.login(ctx, g, old, o)
	if err == nil && old != nil && o.Fresh {
		err = p.replace(ctx, g, old, c, o)
	}
	return c, err
}

// stands asks the gateway whether a credential holds there. One that does not answer leaves that to the door: it is no reason to log in anew.
func stands(ctx context.Context, c *Credential, o Options) bool {
	ctx, cancel := context.WithTimeout(ctx, standTime)
	defer cancel()
	err := Check(ctx, c)
	if e := access.AsError(err); err != nil && e.Kind == access.Denied {
		fmt.Fprintf(o.Out, "the log-in as %s holds no longer at the gateway: log in again\n", printable(c.Principal))
		return false
	}
	return true
}

// replace withdraws what this machine had before c. What cannot be withdrawn now is kept in c for Logout, and told of.
func (p *Profile) replace(ctx context.Context, g *Gateway, old, c *Credential, o Options) error {
	if old.Refresh != "" && old.Refresh != c.Refresh {
		if i, err := discover(ctx, g.http, Provider{Name: old.Provider, Issuer: old.Issuer, Client: old.Client}, o); err == nil {
			i.giveBack(ctx, old.Refresh)
		}
	}
	var left []Earlier
	var failed error
	for _, e := range c.Earlier {
		if err := g.withdraw(ctx, e.Principal, e.Secret); err != nil {
			left, failed = append(left, e), err
		}
	}
	c.Earlier = left
	if failed != nil {
		fmt.Fprintf(o.Out, "warning: the log-in before this one is not withdrawn (%v); `sallyport logout` tries again\n", failed)
	}
	return p.put(c)
}

// login has a person log in. What old is may hold yet.
func (p *Profile) login(ctx context.Context, g *Gateway, old *Credential, o Options) (*Credential, error) {
	var offer Offer
	if err := g.call(ctx, http.MethodGet, "/api/v1/login", nil, &offer, nil); err != nil {
		var a *answer
		if errors.As(err, &a) && a.status == http.StatusNotFound {
			return nil, g.strange(&http.Response{StatusCode: a.status, Status: "404 Not Found"}, nil)
		}
		return nil, err
	}
	which, err := choose(offer, o.Provider)
	if err != nil {
		return nil, err
	}
	i, err := discover(ctx, g.http, which, o)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	nonce, request, err := bind(key, p.Gateway)
	if err != nil {
		return nil, err
	}
	var tok *oauth2.Token
	if o.Device || *o.Headless && i.conf.Endpoint.DeviceAuthURL != "" {
		nonce = ""
		tok, err = i.byDevice(ctx, o)
	} else {
		tok, err = i.byBrowser(ctx, nonce, o)
	}
	if err != nil {
		return nil, err
	}
	raw, err := i.check(ctx, tok, nonce)
	if err != nil {
		return nil, g.hinted(err)
	}
	c := &Credential{Gateway: p.Gateway, Provider: which.Name, Issuer: which.Issuer, Client: which.Client, MCP: offer.MCP.URL, CAFile: o.CAFile, Nonce: nonce, Earlier: old.earlier(o.Now())}
	if o.Stay {
		if c.Refresh = tok.RefreshToken; c.Refresh == "" {
			fmt.Fprintf(o.Out, "the provider %s gave nothing to stay logged in with: log in again when this ends\n", which.Name)
		}
	}
	return p.trade(ctx, g, c, key, request, raw, nonce, o)
}

// again renews a credential without a person. The key stays: the refresh token stems from a log-in that was bound to it.
func (p *Profile) again(ctx context.Context, g *Gateway, old *Credential, o Options) (*Credential, error) {
	text, err := p.read(keyFile)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("the key is broken")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok {
		return nil, errors.New("the key is broken")
	}
	_, request, err := bind(key, p.Gateway)
	if err != nil {
		return nil, err
	}
	i, err := discover(ctx, g.http, Provider{Name: old.Provider, Issuer: old.Issuer, Client: old.Client}, o)
	if err != nil {
		return nil, err
	}
	tok, raw, nonce, err := i.renew(ctx, old.Refresh, old.Nonce)
	if tok != nil && tok.RefreshToken != "" && tok.RefreshToken != old.Refresh {
		// The old one is spent, whatever the gateway will say.
		next := *old
		next.Refresh = tok.RefreshToken
		if err := p.put(&next); err != nil {
			return nil, err
		}
		old = &next
	}
	if err != nil {
		return nil, err
	}
	c := *old
	c.Earlier = old.earlier(o.Now()) // sessions rest on it: it is not withdrawn
	return p.trade(ctx, g, &c, key, request, raw, nonce, o)
}

// trade gives the ID token to the gateway and keeps what comes back.
func (p *Profile) trade(ctx context.Context, g *Gateway, c *Credential, key *ecdsa.PrivateKey, request []byte, raw, nonce string, o Options) (*Credential, error) {
	var got grant
	if err := g.call(ctx, http.MethodPost, "/api/v1/credential", wish{c.Provider, raw, nonce, string(request)}, &got, nil); err != nil {
		return nil, g.hinted(err)
	}
	c.Principal, c.Groups, c.ID, c.Secret, c.Connections, c.PGWire = got.Principal, got.Groups, got.Credential, got.Secret, got.Connections, got.PGWire
	c.Issued, c.Expires, c.Certified, c.Authority = o.Now(), got.Expires, got.Certificate != "", got.Authority != ""
	c.Behind = 0
	if g.clock.Abs() > time.Minute {
		c.Behind = g.clock
		fmt.Fprintf(o.Out, "warning: %s; set it\n", g.off())
	}
	if err := fits(got, key); err != nil {
		return nil, &access.Error{Kind: access.Unavailable, Message: "what the gateway gave cannot be used", Hint: "its operator has to look", Err: err}
	}
	if !c.Expires.After(o.Now().Add(c.Behind)) {
		return nil, g.hinted(&access.Error{Kind: access.Unavailable, Message: "what the gateway gave has expired at " + c.Expires.UTC().Format(time.RFC3339) + " already", Hint: "is this machine's clock right?"})
	}
	return c, p.save(c, pemKey(key), []byte(got.Certificate), []byte(got.Authority))
}

// fits refuses a grant that this machine could do nothing with.
func fits(got grant, key *ecdsa.PrivateKey) error {
	if got.Principal == "" || strings.ContainsRune(got.Principal, 0) || got.Secret == "" && got.Certificate == "" {
		return errors.New("it names nobody, or holds no secret")
	}
	if got.Certificate == "" {
		return nil
	}
	block, _ := pem.Decode([]byte(got.Certificate))
	if block == nil || block.Type != "CERTIFICATE" {
		return errors.New("the certificate is not PEM")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err
	}
	if pub, ok := cert.PublicKey.(*ecdsa.PublicKey); !ok || !pub.Equal(&key.PublicKey) {
		return errors.New("the certificate is for another key")
	}
	return nil
}

// hinted adds to an error of a log-in that this machine's clock is off, where that may be why.
func (g *Gateway) hinted(err error) error {
	var e *access.Error
	if g.clock.Abs() > time.Minute && errors.As(err, &e) {
		c := *e
		c.Hint = g.off() + ": set it, then log in again"
		return &c
	}
	return err
}

func (g *Gateway) off() string {
	way := "behind"
	if g.clock < 0 {
		way = "ahead of"
	}
	return fmt.Sprintf("this machine's clock is %s %s the gateway's", g.clock.Abs().Round(time.Minute), way)
}

// choose finds the provider to log in at.
func choose(offer Offer, name string) (Provider, error) {
	var names []string
	var usable []Provider
	for _, p := range offer.Providers {
		if name == p.Name && p.Secret {
			return p, &access.Error{Kind: access.Unsupported, Message: "the provider " + printable(name) + " is for the gateway's web pages only", Hint: "its operator names a public client as login_client_id to let the command use it"}
		}
		if name == p.Name {
			return p, nil
		}
		if !p.Secret {
			names, usable = append(names, printable(p.Name)), append(usable, p)
		}
	}
	switch {
	case len(offer.Providers) == 0:
		return Provider{}, &access.Error{Kind: access.Unsupported, Message: "this gateway has no identity provider to log in with",
			Hint: "its people have passwords of their own: psql -h HOST -p PORT -U NAME CONNECTION asks for yours (docs/clients.md); agents use their token"}
	case len(usable) == 0:
		return Provider{}, &access.Error{Kind: access.Unsupported, Message: "no provider of this gateway lets a command log in", Hint: "its operator names a public client as login_client_id"}
	case name != "":
		return Provider{}, &access.Error{Kind: access.Invalid, Message: "this gateway has no provider " + printable(name), Hint: "it has: " + strings.Join(names, ", ")}
	case len(usable) > 1:
		return Provider{}, &access.Error{Kind: access.Invalid, Message: "this gateway has several providers: " + strings.Join(names, ", "), Hint: "choose one with --provider"}
	}
	return usable[0], nil
}

// bind gives the certificate request for a key, and the nonce by which an ID token is good for that key only: base64url of the SHA-256
// of its SubjectPublicKeyInfo. The request says which gateway it is for, so that this one cannot hand both on to another and be given
// the secret there.
func bind(key *ecdsa.PrivateKey, gateway string) (nonce string, request []byte, err error) {
	u, err := url.Parse(gateway)
	if err != nil {
		return "", nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return "", nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{URIs: []*url.URL{u}}, key)
	sum := sha256.Sum256(spki)
	return base64.RawURLEncoding.EncodeToString(sum[:]), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), err
}

func pemKey(key *ecdsa.PrivateKey) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil { // of a key that we made: cannot happen
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}
