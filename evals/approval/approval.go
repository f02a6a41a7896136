// Package approval measures statements that wait for a person, and attacks the waiting: is there a way to have something run
// that nobody approved, or something else than what was approved, or the same twice?
//
// It drives `sallyport serve` by its doors alone, and decides over the web door as people do. Of an attack it believes what
// changed in the database, seen past the gateway, and the bytes that came out; nothing that the gateway says. Start with
// Main; world.go has the gateway and its people, try.go how an attack is judged, attack_*.go the attacks by family.
package approval

import (
	"context"
	"errors"
	"fmt"

	"sallyport/evals/harness"
	"sallyport/evals/results"
	"sallyport/internal/testdb"
)

// Options say how much is done.
type Options struct {
	Rounds, Inbox int
	Attacks       string
	Model         bool
	Dry           bool // nothing is recorded
}

const made = "go run ./evals/cmd/approval"

// drill is what all parts share.
type drill struct {
	server *testdb.Server
	dir    string // on a disk, for the record to be durable in
	made   int    // databases
}

// Main runs the parts that are wanted and records their figures.
func Main(ctx context.Context, o Options) error {
	server, err := testdb.Start(testdb.Options{})
	if err != nil {
		return err
	}
	defer server.Stop()
	d := &drill{server: server}
	if d.dir, err = harness.Out("approval"); err != nil {
		return err
	}
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
	if err := part(o.Model, func() ([]results.Figure, error) { return model(ctx) }); err != nil {
		return err
	}
	if err := part(o.Rounds > 0, func() ([]results.Figure, error) { return d.released(ctx, o.Rounds) }); err != nil {
		return err
	}
	if err := part(o.Inbox > 0, func() ([]results.Figure, error) { return d.inbox(ctx, o.Inbox) }); err != nil {
		return err
	}
	if err := part(o.Attacks != "", func() ([]results.Figure, error) { return d.attack(ctx, o.Attacks, !o.Dry) }); err != nil {
		return err
	}
	return missed
}

// record writes figures, or prints those of a dry run.
func (o Options) record(figures []results.Figure) error {
	for i := range figures {
		figures[i].Command = made
	}
	if o.Dry {
		for _, f := range figures {
			fmt.Println(f)
		}
		return nil
	}
	return results.Check(figures...)
}
