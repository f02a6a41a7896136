package oidc

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	jose "github.com/go-jose/go-jose/v4"

	"sallyport/internal/access"
)

// Options say whose tokens are taken.
type Options struct {
	Providers []access.Provider
	// Audience is what access tokens have in "aud", of providers that name no audiences of their own: the URL of the agents' door.
	Audience string
	// Taken reports whether a name is that of a principal of the configuration, whom no provider speaks for; nil: none is.
	Taken func(name string) bool
	Now   func() time.Time // nil: time.Now
	Log   *slog.Logger     // nil: nothing is logged
	// From are those of before a change of the configuration, open still; nil: there are none. What was fetched from a provider whose name, issuer,
	// certificates, algorithms and Refresh stay as they were stays known, as do the bounds on fetching.
	From *Providers
}

// Providers verifies tokens. It is safe for concurrent use.
type Providers struct {
	list   []*provider
	log    *slog.Logger
	took   func(name string) bool
	closed sync.Once
}

// provider is one of them, with its configuration made ready.
type provider struct {
	access.Provider
	*supply
	audiences  []string
	clients    []string // that ID tokens are for
	algs       []jose.SignatureAlgorithm
	user       access.ClaimPath
	groups     access.ClaimPath // nil: none
	attributes map[string]access.ClaimPath
	now        func() time.Time
	log        *slog.Logger
	verify     *gooidc.Config
	elsewhere  *sources
}

const (
	defaultSkew    = 30 * time.Second
	defaultRefresh = 10 * time.Minute
	maxSkew        = 5 * time.Minute
	minRefresh     = time.Minute
	maxRefresh     = 24 * time.Hour
)

// Algorithms are those that signatures may have. Where the configuration names none, it is the first three.
var Algorithms = []string{"RS256", "ES256", "EdDSA", "RS384", "RS512", "PS256", "PS384", "PS512", "ES384", "ES512"}

// Open makes a Providers. Nothing is fetched before a token asks for it. What cannot be meant is refused, all of it joined.
func Open(o Options) (*Providers, error) {
	ps := &Providers{}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	ps.log, ps.took = o.Log, o.Taken
	var problems []error
	for _, conf := range o.Providers {
		p, err := ps.prepare(conf, o)
		if err != nil {
			problems = append(problems, fmt.Errorf("identity provider %q: %w", conf.Name, err))
			continue
		}
		for _, other := range ps.list {
			switch {
			case other.Name == p.Name:
				err = errors.New("the name is given twice")
			case other.Issuer == p.Issuer:
				err = fmt.Errorf("has the issuer of %q", other.Name)
			case strings.EqualFold(other.Prefix, p.Prefix):
				err = fmt.Errorf("has the prefix of %q, so that both could name the same person", other.Name)
			default:
				continue
			}
			problems = append(problems, fmt.Errorf("identity provider %q: %w", conf.Name, err))
		}
		ps.list = append(ps.list, p)
	}
	if err := errors.Join(problems...); err != nil {
		ps.Close()
		return nil, &access.Error{Kind: access.Invalid, Code: "F0000", Message: err.Error(), Hint: "see identity.providers of the configuration"}
	}
	return ps, nil
}

func (ps *Providers) prepare(conf access.Provider, o Options) (*provider, error) {
	conf.Skew, conf.Refresh = cmp.Or(conf.Skew, defaultSkew), cmp.Or(conf.Refresh, defaultRefresh)
	p := &provider{Provider: conf, audiences: conf.Audiences, now: o.Now, log: o.Log.With("provider", conf.Name), attributes: map[string]access.ClaimPath{}}
	if len(p.audiences) == 0 && o.Audience != "" {
		p.audiences = []string{o.Audience}
	}
	for _, c := range []string{conf.ClientID, conf.LoginClientID} {
		if c != "" && !slices.Contains(p.clients, c) {
			p.clients = append(p.clients, c)
		}
	}
	issuer, err := url.Parse(conf.Issuer)
	switch {
	case conf.Name == "":
		return nil, errors.New("it has no name")
	case err != nil || !Secure(issuer) || issuer.RawQuery != "" || issuer.Fragment != "":
		return nil, fmt.Errorf("the issuer %q is not an https URL", conf.Issuer)
	case len(p.clients) == 0:
		return nil, errors.New("it has no client_id")
	case slices.ContainsFunc(p.audiences, func(a string) bool { return a == "" || slices.Contains(p.clients, a) }):
		return nil, errors.New("an audience of access tokens is empty or a client's id: ID tokens have that audience")
	case conf.Skew < 0 || conf.Skew > maxSkew:
		return nil, fmt.Errorf("a skew of %s is not possible: at most %s", conf.Skew, maxSkew)
	case conf.Refresh < minRefresh || conf.Refresh > maxRefresh:
		return nil, fmt.Errorf("keys cannot be fetched every %s: %s to %s", conf.Refresh, minRefresh, maxRefresh)
	}
	algs := conf.Algorithms
	if len(algs) == 0 {
		algs = Algorithms[:3]
	}
	for _, a := range algs {
		if !slices.Contains(Algorithms, a) {
			return nil, fmt.Errorf("signatures by %q are not taken: one of %s", a, strings.Join(Algorithms, ", "))
		}
		p.algs = append(p.algs, jose.SignatureAlgorithm(a))
	}
	if p.user, err = access.ParseClaimPath(cmp.Or(conf.UserClaim, "sub")); err != nil {
		return nil, fmt.Errorf("user claim %q: %w", conf.UserClaim, err)
	}
	if conf.GroupsClaim != "" {
		if p.groups, err = access.ParseClaimPath(conf.GroupsClaim); err != nil {
			return nil, fmt.Errorf("groups claim %q: %w", conf.GroupsClaim, err)
		}
	}
	for name, path := range conf.Attributes {
		if p.attributes[name], err = access.ParseClaimPath(path); err != nil {
			return nil, fmt.Errorf("attribute %s, claim %q: %w", name, path, err)
		}
	}
	roots, err := readRoots(conf.CAFile)
	if err != nil {
		return nil, err
	}
	of := supplier{conf.Name, conf.Issuer, strings.Join(algs, " "), conf.Refresh, roots}
	if p.supply = o.From.supplyOf(of); p.supply == nil {
		client := newClient(roots)
		dir := &directory{issuer: conf.Issuer, client: client, now: o.Now}
		p.supply = &supply{of: of, client: client, used: 1, answers: newAnswers(),
			keys: &keySet{get: dir.keys, algs: p.algs, refresh: conf.Refresh, now: o.Now, log: p.log, unknown: map[string]time.Time{}}}
	}
	p.verify = &gooidc.Config{SkipClientIDCheck: true, SkipExpiryCheck: true, SupportedSigningAlgs: algs, Now: o.Now}
	p.elsewhere = newSources(p)
	return p, nil
}

// Close waits for what is being fetched for ps alone. Afterwards nothing is fetched any more, but by those that were opened From it.
func (ps *Providers) Close() error {
	ps.closed.Do(func() {
		left := slices.DeleteFunc(slices.Clone(ps.list), func(p *provider) bool { return !p.leave() })
		for _, p := range left {
			p.keys.wait.Wait()
			p.client.CloseIdleConnections()
		}
	})
	return nil
}

func (ps *Providers) issuer(iss string) *provider {
	for _, p := range ps.list {
		if p.Issuer == iss {
			return p
		}
	}
	return nil
}
