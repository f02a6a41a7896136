// Package identity attacks the proof of who is asking, at every door, and measures how that proof ends.
//
// It drives `sallyport serve` by its doors alone. Providers are internal/testidp's, which mint whatever an attack wants. Of an attack it
// believes what came out: a row that only the attacked person may see, a page that only they may see, a session of theirs that ended;
// nothing that the gateway says. Before the attacks, between them and after them the honest forms have to work, else nothing is said.
//
// Start with Main. world.go has the gateway, its people and providers, ways.go the doors, tokens*.go what is wrong with tokens, attack*.go
// the attacks, the other files one figure each.
package identity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"sallyport/evals/harness"
	"sallyport/evals/results"
	"sallyport/internal/testdb"
)

// Options say how much is done.
type Options struct {
	Attacks  string        // regular expression of names (way/attack); "" leaves them out
	Flood    int           // tokens with unknown key ids; 0 leaves that out
	Over     time.Duration // in which they come, at least
	Sessions int           // that are live when their proofs are withdrawn; 0 leaves that out
	Withdraw bool          // have a provider withdraw a key
	Login    bool          // time from nothing to the first row
	Fuzz     time.Duration // for each decoder; 0 leaves that out, and anything else leaves the rest out; less than is asked for is not recorded
	Dry      bool          // record nothing
}

// Full is everything but fuzzing; Quick is what fits into a minute or two: of each kind of attack one or two, and a little of the rest.
var (
	Full  = Options{Attacks: ".", Flood: 10000, Over: time.Minute, Sessions: 1000, Withdraw: true, Login: true}
	Quick = Options{Attacks: "/(" + classics + ")$", Flood: 500, Over: 5 * time.Second, Sessions: 50, Dry: true}
)

// classics are what attackers try first.
const classics = `audience of somebody else|expired an hour ago|not valid for an hour|alg none|HS256 by the public key in PEM|unknown key id|key that was withdrawn|` +
	`own key in the header \(jwk\)|claims changed after signing|duplicate sub, the wrong one last|groups as an object by number|name in look-alike letters|` +
	`ID token of the web door|given to a client that is not listed|actor that nobody knows|same subject at another provider|no nonce|nonce of another log-in|` +
	`.* in the hands of (another person|an agent of its own)|token in the address|.*DNS rebinding.*|ID token as password|secret of another person|secret after the log-out|` +
	`good token for another user|certificate of another person|certificate after the log-out|signed by itself|signed by a person's certificate|` +
	`stolen token with a request for another key|token that was used|invented state|no state|session after the log-out|invented session|ID token as bearer|` +
	`name in the headers of a proxy|another person's|ID token|issuer is another provider`

const made = "go run ./evals/cmd/identity"

// Main runs the parts that are wanted and records their figures.
func Main(ctx context.Context, o Options) error {
	if o.Fuzz > 0 {
		figures, err := fuzz(ctx, o.Fuzz)
		if err != nil {
			return err
		}
		if least := results.Required["identity.fuzz.minutes"].Value; o.Fuzz.Minutes() < least {
			fmt.Printf("not recorded: that takes %g minutes for each decoder\n", least)
			o.Dry = true
		}
		return o.record(figures)
	}
	server, err := testdb.Start(testdb.Options{Conf: []string{"max_connections=1200", "shared_buffers=32MB"}}) // a live session has a connection of its own
	if err != nil {
		return err
	}
	defer server.Stop()
	dir, err := harness.Out("identity")
	if err != nil {
		return err
	}
	d := &drill{server: server, dir: dir}
	var missed error
	part := func(wanted bool, run func() ([]results.Figure, error)) error {
		if !wanted {
			return nil
		}
		figures, err := run()
		if err != nil {
			return err
		}
		missed = errors.Join(missed, o.record(figures))
		return nil
	}
	if err := part(o.Attacks != "", func() ([]results.Figure, error) {
		wanted, err := regexp.Compile(o.Attacks)
		if err != nil {
			return nil, err
		}
		return d.attack(ctx, wanted, !o.Dry)
	}); err != nil {
		return err
	}
	if err := part(o.Flood > 0, func() ([]results.Figure, error) { return d.flood(ctx, o.Flood, o.Over) }); err != nil {
		return err
	}
	if err := part(o.Withdraw, func() ([]results.Figure, error) { return d.withdrawn(ctx) }); err != nil {
		return err
	}
	if err := part(o.Sessions > 0, func() ([]results.Figure, error) { return d.revoked(ctx, o.Sessions) }); err != nil {
		return err
	}
	if err := part(o.Login, func() ([]results.Figure, error) { return d.firstRow(ctx) }); err != nil {
		return err
	}
	return missed
}

// record writes figures, or prints those of a dry run.
func (o Options) record(figures []results.Figure) error {
	for i := range figures {
		figures[i].Command = cmp.Or(figures[i].Command, made)
	}
	if o.Dry {
		for _, f := range figures {
			fmt.Println(f)
			if b, ok := results.Required[f.Name]; ok && b.Value == 0 && !b.Holds(f.Value) {
				return fmt.Errorf("missed: %s", f)
			}
		}
		return nil
	}
	return results.Check(figures...)
}
