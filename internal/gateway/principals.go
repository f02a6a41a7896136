package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/identity"
	"sallyport/internal/identity/oidc"
)

// people is who may come in, as the configuration says now.
type people struct {
	gw    *Gateway
	store atomic.Pointer[identity.Store]
	known atomic.Pointer[[]access.Principal] // those of the configuration, for reports
	// providers are those whose word counts.
	providers atomic.Pointer[[]access.Provider]
	asked     *oidc.Providers // those of store, guarded by gw.loading; nil: there are none
}

// SCRAM begins an exchange.
func (p *people) SCRAM(user string) *identity.Exchange { return p.store.Load().SCRAM(user) }

// Verify turns credentials into a principal. What a provider says of somebody ends what rests on its older words where these differ, and
// such words are not taken any more.
func (p *people) Verify(ctx context.Context, c access.Credentials) (access.Principal, error) {
	who, err := p.store.Load().Verify(ctx, c)
	if err != nil || who.Proof.Issuer == "" {
		return who, err
	}
	if !p.speaks(who.Proof.Issuer) {
		return access.Principal{}, &access.Error{Kind: access.Denied, Code: "28000", Message: "the provider that spoke for " + who.Name + " is not one of this gateway any more", Hint: "log in again"}
	}
	p.gw.ahead.note(who.Proof, time.Now())
	changed, outdated := p.gw.proofs.note(who)
	if outdated {
		return access.Principal{}, &access.Error{Kind: access.Denied, Code: "28000", Message: "what proves " + who.Name + " does not hold any more: " + causeRegrouped, Hint: hintLogIn}
	}
	if changed {
		if err := p.gw.regrouped(who); err != nil {
			return access.Principal{}, err
		}
	}
	if who.Proof.Method == access.ByIDToken { // what is for another client may say less of the same person
		p.gw.regroupedVotes(who)
	}
	if err := p.gw.issued.Bears(who); err != nil {
		return access.Principal{}, err // a withdrawal of the name would not find who has it
	}
	return who, nil
}

func (p *people) speaks(issuer string) bool {
	for _, o := range *p.providers.Load() {
		if o.Issuer == issuer {
			return true
		}
	}
	return false
}

// openPeople makes who may come in of a configuration, and the providers among them; nil where there are none. The caller has g.loading, or is
// the first.
func (g *Gateway) openPeople(principals []access.LocalPrincipal, providers []access.Provider) (*identity.Store, *oidc.Providers, error) {
	s, err := identity.New(principals)
	if err != nil {
		return nil, nil, err
	}
	var ps *oidc.Providers
	if len(providers) > 0 {
		if ps, err = oidc.Open(oidc.Options{Providers: providers, Audience: g.audience, Taken: s.Has, Log: g.logger, From: g.people.asked}); err != nil {
			return nil, nil, err
		}
		s.By(ps, definitions(providers), foreign(providers))
	}
	// Last, for it forgets when the tokens were first known that are not in the configuration any more: of one that is not put in force, they are.
	if err := s.With(g.issued); err != nil {
		s.Close()
		return nil, nil, err
	}
	return s, ps, nil
}

// LoadPrincipals puts principals and providers in force: all of them, or none on an error. Sessions end of those who are gone, have other
// groups or attributes, or whose password, token or provider is not what it was; it says how many, and logs who and why. Whatever a provider's
// definition was changed to, who logged in by it logs in anew; who logged in by another one stays. What was fetched from providers stays known (oidc.Options.From).
func (g *Gateway) LoadPrincipals(principals []access.LocalPrincipal, providers []access.Provider) (ended int, err error) {
	ended, before, err := g.loadPrincipals(principals, providers)
	if err == nil {
		before.Close()
	}
	return ended, err
}

// loadPrincipals is LoadPrincipals, and leaves the store of before for its caller to close: that waits for what a provider is being asked.
func (g *Gateway) loadPrincipals(principals []access.LocalPrincipal, providers []access.Provider) (ended int, before *identity.Store, err error) {
	g.loading.Lock()
	defer g.loading.Unlock()
	signIn, err := newSignIn(principals, providers)
	if err != nil {
		return 0, nil, err
	}
	now, asked, err := g.openPeople(principals, providers)
	if err != nil {
		return 0, nil, err
	}
	defer func() {
		if err != nil {
			now.Close() // nothing has been asked yet
		}
	}()
	changed, gone, err := g.issued.Configured(definitions(providers), foreign(providers))
	if err != nil {
		return 0, nil, err
	}
	before = g.people.store.Swap(now)
	g.people.asked = asked
	for _, l := range g.signIn.Swap(signIn).flows {
		l.Close()
	}
	g.people.providers.Store(&providers)
	g.people.known.Store(knownOf(principals))
	defer func() {
		g.reconsider() // an error is logged, and nothing is claimed that rests on what lapses
		g.revealing.Add(1)
	}()
	defer g.endRequests(causeConfigured, g.ofNobody(changed))
	out := outs{}
	for _, p := range gone {
		out.add(p, g.whyOut(now, changed, p), "credentials")
	}
	ended = g.proofs.end("", causeConfigured, func(p access.Principal) bool {
		why := g.whyOut(now, changed, p)
		if why != "" {
			out.add(p, why, "sessions")
		}
		return why != ""
	})
	out.log(g.logger)
	return ended, before, nil
}

// whyOut is why a change of the configuration ends what proves p; "" where it does not. changed are the providers that were defined anew.
func (g *Gateway) whyOut(now *identity.Store, changed map[string]bool, p access.Principal) string {
	switch iss := p.Proof.Issuer; {
	case iss != "" && !g.people.speaks(iss):
		return "the provider " + iss + " is not in the configuration any more"
	case changed[iss]:
		return "the provider " + iss + " is defined otherwise"
	}
	return now.WhyNot(p)
}

// outs counts whom a change of the configuration has put out: by why, by name.
type outs map[string]map[string]int

func (o outs) add(p access.Principal, why, what string) {
	key := why + "\x00" + what
	if o[key] == nil {
		o[key] = map[string]int{}
	}
	o[key][p.Name]++
}

// mostOut is how many names a line of the log has.
const mostOut = 20

func (o outs) log(log *slog.Logger) {
	for _, key := range slices.Sorted(maps.Keys(o)) {
		why, what, _ := strings.Cut(key, "\x00")
		names, n := slices.Sorted(maps.Keys(o[key])), 0
		for _, k := range o[key] {
			n += k
		}
		log.Warn("a change of the configuration ends what rested on it before", "why", why, what, n, "of", len(names), "principals", names[:min(len(names), mostOut)])
	}
}

const causeConfigured = "the configuration was changed"

// foreign reports whether a name that a provider has said is for another of providers to say.
func foreign(providers []access.Provider) func(issuer, name string) bool {
	return func(issuer, name string) bool {
		i := slices.IndexFunc(providers, func(p access.Provider) bool { return p.Issuer == issuer })
		return i >= 0 && slices.ContainsFunc(providers, func(o access.Provider) bool { return oidc.IsUnder(name, providers[i].Prefix, o.Prefix) })
	}
}

// definitions digests what providers are, by issuer, as far as it decides who somebody is. The prefixes of the others decide about single names:
// foreign looks at these.
func definitions(providers []access.Provider) map[string]string {
	out := map[string]string{}
	for _, p := range providers {
		p.ClientSecret, p.CAFile, p.Skew, p.Refresh, p.LoginScopes = "", "", 0, 0, nil
		b, _ := json.Marshal(p) // strings, numbers and maps of them
		sum := sha256.Sum256(b)
		out[p.Issuer] = hex.EncodeToString(sum[:])
	}
	return out
}

func knownOf(principals []access.LocalPrincipal) *[]access.Principal {
	list := make([]access.Principal, 0, len(principals))
	for _, p := range principals {
		list = append(list, access.Principal{Name: p.Name, Kind: p.Kind, Groups: p.Groups, Attributes: p.Attributes})
	}
	return &list
}

// listed are the principals of the configuration.
func (g *Gateway) listed() []access.Principal { return *g.people.known.Load() }

// recheck ends a session whose proof stopped holding, or whose principal changed, while it was being opened.
func (g *Gateway) recheck(s *Session) {
	if cause, gone := g.gone(s.principal); gone {
		s.endSoon(&ending{cause, hintLogIn})
	}
}

// gone says whether, and why, the proof of p has stopped holding since it was verified.
func (g *Gateway) gone(p access.Principal) (cause string, yes bool) {
	if cause, yes := g.issued.Withdrawn(p); yes {
		return cause, true
	}
	return causeConfigured, !g.people.store.Load().Holds(p) || p.Proof.Issuer != "" && !g.people.speaks(p.Proof.Issuer)
}

// Stands fails where what proved p does not hold any more. A door asks just before it does something in p's name that cannot be taken back.
func (g *Gateway) Stands(p access.Principal) error {
	cause, gone := g.gone(p)
	switch {
	case gone:
	case !p.Proof.Expires.IsZero() && !p.Proof.Expires.After(time.Now()):
		cause = causeExpired
	case p.Proof.Issuer != "" && g.proofs.outdated(p):
		cause = causeRegrouped
	default:
		return nil
	}
	return &access.Error{Kind: access.Denied, Code: "28000", Message: "what proved " + p.Name + " does not hold any more: " + cause + "; nothing was changed", Hint: hintLogIn}
}
