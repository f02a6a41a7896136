package identity

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"sallyport/evals/results"
	"sallyport/internal/testidp"
)

// attack is one way to be taken for somebody.
type attack struct {
	way, name string
	// may are the canaries that the attacker sees by right: bob is not ada, but ada in her own name is.
	may []string
	// run makes it; what came out is looked at for canaries. An error says that the drill is broken, not the attack.
	run func(ctx context.Context) (*seen, error)
}

func (a attack) full() string { return a.way + "/" + a.name }

// outcome is what came of one.
type outcome struct {
	attack
	answer string
	lucky  string // what it saw; "" where it did not succeed
}

// once makes an attack of what cannot fail by itself.
func once(f func(ctx context.Context) *seen) func(ctx context.Context) (*seen, error) {
	return func(ctx context.Context) (*seen, error) { return f(ctx), nil }
}

const (
	wayAgents  = "agents' door"
	wayBearer  = "pgwire OAUTHBEARER"
	waySecret  = "pgwire password"
	wayCert    = "pgwire certificate"
	wayWeb     = "web log-in"
	wayCommand = "api credential"
	wayLogout  = "back-channel logout"
	wayHandles = "handles"
	wayCookie  = "web session"
)

// tokenAttacks puts every faulty token to every door that takes tokens.
func (w *world) tokenAttacks() []attack {
	var out []attack
	add := func(way string, f fault, run func(ctx context.Context) *seen) {
		out = append(out, attack{way: way, name: f.name, run: once(run)})
	}
	for _, f := range slices.Concat(anyFault, w.accessFaults(), climbs) {
		add(wayAgents, f, func(ctx context.Context) *seen { return w.asAgent(ctx, f.make(w.access(w.corp))) })
		add(wayBearer, f, func(ctx context.Context) *seen { return w.byToken(ctx, f.make(w.access(w.corp))) })
	}
	for _, f := range slices.Concat(anyFault, w.idFaults(), climbs) {
		add(wayWeb, f, func(ctx context.Context) *seen {
			return w.byWeb(ctx, "corp", w.corp, func(nonce string) string { return f.make(w.id(w.corp, webClient, nonce)) })
		})
	}
	for _, f := range slices.Concat(anyFault, w.idFaults(), climbs) {
		add(wayCommand, f, func(ctx context.Context) *seen {
			r, err := newRequest(w.g.WebURL, "corp-ada")
			if err != nil {
				panic(err)
			}
			return w.byIDToken(ctx, "corp", f.make(w.id(w.corp, testidp.ClientID, r.nonce)), r.nonce, r)
		})
	}
	return out
}

// controls are the honest forms. Each has to see what is theirs to see.
func (w *world) controls(ctx context.Context) error {
	var bad []error
	want := func(what string, s *seen, canary string) {
		if !slices.Contains(saw(s.all.Bytes()), canary) {
			bad = append(bad, fmt.Errorf("%s: %s", what, s.answer))
		}
	}
	want("access token at the agents' door", w.asAgent(ctx, w.access(w.corp).mint(nil)), canaryAda)
	want("access token of a person by an actor", w.asAgent(ctx, w.byActor()), canarySupport)
	want("access token of an agent of its own", w.asAgent(ctx, w.own()), canaryBot)
	want("access token at the PostgreSQL door", w.byToken(ctx, w.access(w.corp).mint(nil)), canaryAda)
	want("user claim with a verified address", w.asAgent(ctx, w.mail.AccessToken(w.g.MCPURL)), canarySupport)
	want("log-in at the web door", w.byWeb(ctx, "corp", w.corp, func(nonce string) string { return w.id(w.corp, webClient, nonce).mint(nil) }), canaryWeb)
	r, err := newRequest(w.g.WebURL, "corp-ada")
	if err != nil {
		return err
	}
	got, body, err := w.credential(ctx, "corp", w.id(w.corp, testidp.ClientID, r.nonce).mint(nil), r.nonce, r)
	if err != nil {
		bad = append(bad, fmt.Errorf("ID token for a credential: %w", err))
	} else {
		want("secret that was issued", w.byPassword(ctx, got.Principal, got.Secret), canaryAda)
		if got.own == nil {
			bad = append(bad, fmt.Errorf("no certificate in %s", body))
		} else {
			want("certificate that was issued", w.byCertificate(ctx, got.Principal, got.own), canaryAda)
		}
	}
	if err := w.handleControls(ctx); err != nil {
		bad = append(bad, err)
	}
	if len(bad) > 0 {
		return fmt.Errorf("controls that do not work:\n%w", errors.Join(bad...))
	}
	return nil
}

// byActor is an access token of ada by an agent that acts for her.
func (w *world) byActor() string {
	return w.access(w.corp).mint(map[string]any{"act": map[string]any{"sub": actor}, "client_id": actor})
}

// own is an access token that an agent got for itself.
func (w *world) own() string {
	return w.corp.AccessToken(w.g.MCPURL, map[string]any{"sub": ownAgent, "client_id": ownAgent, "preferred_username": nil, "email": nil, "email_verified": nil, "groups": []string{"bots"}})
}

// attack makes all attacks of a name.
func (d *drill) attack(ctx context.Context, wanted *regexp.Regexp, listing bool) ([]results.Figure, error) {
	w, err := d.world(ctx, time.Hour)
	if err != nil {
		return nil, err
	}
	defer w.close()
	// A key that the gateway has seen, and that is gone: fetched anew because of the unknown id of the next one.
	kept := w.corp.Key()
	w.corp.SetKeys(w.old)
	if s := w.asAgent(ctx, w.access(w.corp).mint(nil)); !slices.Contains(saw(s.all.Bytes()), canaryAda) {
		return nil, fmt.Errorf("control: the first access token: %s", s.answer)
	}
	w.corp.SetKeys(kept)
	if err := w.settle(ctx); err != nil {
		return nil, err
	}
	if err := w.controls(ctx); err != nil {
		return nil, err
	}
	all := slices.Concat(w.tokenAttacks(), w.doorAttacks())
	byWay := map[string][]attack{}
	for _, a := range all {
		if wanted.MatchString(a.full()) {
			byWay[a.way] = append(byWay[a.way], a)
		}
	}
	var mu sync.Mutex
	var done []outcome
	var broken []error
	var wg sync.WaitGroup
	gate := make(chan struct{}, 4)
	last := byWay[wayLogout] // alone: they end what others rest on
	delete(byWay, wayLogout)
	one := func(list []attack) {
		for _, a := range list {
			s, err := a.run(ctx)
			if err == nil && strings.Contains(s.answer, errBroken.Error()) {
				err = errors.New(s.answer)
			}
			o := outcome{attack: a}
			if err == nil {
				o.answer = s.answer
				for _, c := range saw(s.all.Bytes()) {
					if !slices.Contains(a.may, c) {
						o.lucky = c
					}
				}
			}
			mu.Lock()
			if err != nil {
				broken = append(broken, fmt.Errorf("%s: %w", a.full(), err))
			} else {
				done = append(done, o)
			}
			if o.lucky != "" {
				fmt.Printf("ACCEPTED %s: saw %s: %s\n", a.full(), o.lucky, o.answer)
			}
			mu.Unlock()
		}
	}
	for _, list := range byWay { // of one way one at a time: its provider gives what the attack wants
		wg.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			one(list)
		})
	}
	wg.Wait()
	one(last)
	if err := errors.Join(broken...); err != nil {
		return nil, fmt.Errorf("attacks that could not be made:\n%w", err)
	}
	if !w.g.Alive() {
		return nil, fmt.Errorf("the gateway has ended: %s", w.g.LogTail())
	}
	w.corp.Handle("/token", nil)
	if err := w.controls(ctx); err != nil {
		return nil, fmt.Errorf("after the attacks: %w", err)
	}
	return figuresOf(done, listing)
}

// settle waits until the gateway takes the provider's new key.
func (w *world) settle(ctx context.Context) error {
	for end := time.Now().Add(90 * time.Second); ; {
		s := w.asAgent(ctx, w.access(w.corp).mint(nil))
		if slices.Contains(saw(s.all.Bytes()), canaryAda) {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("control: a new key is not taken: %s", s.answer)
		}
		time.Sleep(time.Second)
	}
}
