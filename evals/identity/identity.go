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

// Full is everything but fuzzing; Quick is what fits into a minute.
var (
	Full  = Options{Attacks: ".", Flood: 10000, Over: time.Minute, Sessions: 1000, Withdraw: true, Login: true}
	Quick = Options{Attacks: ".", Flood: 500, Over: 5 * time.Second, Sessions: 50, Dry: true}
)

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
