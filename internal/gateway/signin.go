package gateway

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"slices"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/identity/oidc"
)

// Log-in with a browser. A door sends browsers where LoginURL says, and gives what LoginToken answers to Admit: what a code is exchanged
// for proves nobody until then.

// signIn is what log-ins with a browser need. It is not changed once made.
type signIn struct {
	flows     map[string]*oidc.Login // by the provider's name
	passwords bool                   // somebody of the configuration can log in with one
	commands  map[string]string      // client id of `sallyport login`, by provider
}

func newSignIn(principals []access.LocalPrincipal, providers []access.Provider) (*signIn, error) {
	s := &signIn{flows: map[string]*oidc.Login{}, commands: map[string]string{}}
	s.passwords = slices.ContainsFunc(principals, func(p access.LocalPrincipal) bool { return p.Kind == access.Human && p.Secret != "" })
	for _, p := range providers {
		l, err := oidc.NewLogin(p, time.Now)
		if err != nil {
			return nil, err
		}
		s.flows[p.Name] = l
		if p.LoginClientID != "" {
			s.commands[p.Name] = p.LoginClientID
		} else if p.ClientSecret == "" { // a secret in the hands of everybody is none
			s.commands[p.Name] = p.ClientID
		}
	}
	return s, nil
}

// renewClientSecrets reads the secrets of the gateway's own clients at providers again. One that cannot be read leaves the old one.
func (g *Gateway) renewClientSecrets(ctx context.Context) {
	// Commands take their time, in which others log in and the configuration may be read again.
	known := g.people.providers.Load()
	providers, changed := slices.Clone(*known), []string(nil)
	for i := range providers {
		p := &providers[i]
		if p.ReadSecret == nil {
			continue
		}
		secret, err := p.ReadSecret(ctx)
		if err != nil {
			g.logger.Warn("the client secret was not read again: the old one stays", "provider", p.Name, "error", err)
		} else if secret != p.ClientSecret {
			p.ClientSecret, changed = secret, append(changed, p.Name)
		}
	}
	if changed == nil {
		return
	}
	now, err := newSignIn(nil, providers)
	if err != nil {
		g.logger.Warn("the client secrets were not taken: the old ones stay", "error", err)
		return
	}
	g.loading.Lock()
	defer g.loading.Unlock()
	if g.people.providers.Load() != known { // other providers are in force by now, whose secrets were read for them
		return
	}
	before := g.signIn.Load()
	now.passwords = before.passwords
	g.signIn.Store(now)
	for _, l := range before.flows {
		l.Close()
	}
	g.people.providers.Store(&providers)
	for _, name := range changed {
		g.logger.Info("log-ins use another client secret", "provider", name)
	}
}

// Passwords reports whether people of the configuration log in with passwords.
func (g *Gateway) Passwords() bool { return g.signIn.Load().passwords }

// CommandClient is the client id, one without a secret, that `sallyport login` uses at a provider; "" where it has none.
func (g *Gateway) CommandClient(provider string) string { return g.signIn.Load().commands[provider] }

func (g *Gateway) flow(provider string) (*oidc.Login, error) {
	if l := g.signIn.Load().flows[provider]; l != nil {
		return l, nil
	}
	return nil, &access.Error{Kind: access.Invalid, Code: "22023", Message: "there is no such identity provider", Hint: "the log-in page lists those that there are"}
}

// LoginURL is where a browser goes to log in. An error of Kind Unavailable says that the provider does not answer.
func (g *Gateway) LoginURL(ctx context.Context, r access.LoginRequest) (string, error) {
	l, err := g.flow(r.Provider)
	if err != nil {
		return "", err
	}
	return l.URL(ctx, r)
}

// LoginToken exchanges the code that a browser came back with for what the provider says of its person, which nobody has verified: the door adds what
// it has to be bound to. client is the browser's address; a refusal is recorded.
func (g *Gateway) LoginToken(ctx context.Context, client string, r access.LoginResponse) (access.IDToken, error) {
	l, err := g.flow(r.Provider)
	if err != nil {
		return access.IDToken{}, err
	}
	token, err := l.Exchange(ctx, r)
	if err != nil && access.AsError(err).Kind == access.Denied {
		g.recordLogin(Login{Door: access.DoorWeb, Client: client}, access.Principal{}, err)
	}
	return token, err
}

// SealKey is a key of this gateway's for what a door gives browsers to keep, the same over restarts. Each purpose has its own.
func (g *Gateway) SealKey(purpose string) []byte {
	mac := hmac.New(sha256.New, g.issued.MockKey())
	mac.Write([]byte("seal\x00" + purpose))
	return mac.Sum(nil)
}

// LogoutURL is where a browser goes to log out of a provider too, and comes back from to back; "" where the provider has no such place.
func (g *Gateway) LogoutURL(ctx context.Context, provider, idToken, back string) (string, error) {
	l, err := g.flow(provider)
	if err != nil {
		return "", err
	}
	return l.LogoutURL(ctx, idToken, back)
}
