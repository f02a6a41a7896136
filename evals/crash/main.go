// Package crash kills `sallyport serve` at random points of its life, while it starts and under the load of several
// clients of both doors, and lets writes, syncs and renames of its record fail. What clients received must be on record,
// what was acknowledged must stay there, and it must start again or say why not.
//
// It trusts what its clients received, and a direct connection to the database. It reads the record with package audit,
// and has both of its checkers look at it. Start with Main; drill.go has the lives, oracle.go what must hold, faults.go
// and inject_linux.go what fails and how.
package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"sallyport/evals/harness"
	"sallyport/evals/results"
	"sallyport/internal/testdb"
)

// Options say how much is tried.
type Options struct {
	Kills, Faults int
	Seed          uint64
	Dir           string
	Dry           bool // nothing is recorded
}

const (
	connection = "shop"
	person     = "ann"
	secret     = "crash-secret"
	agentName  = "bot"
	token      = "crash-token-0123456789abcdef0123456789abcdef"
	orders     = 1000 // rows of the table
)

const policy = `
@id("all")
permit (principal, action in [Action::"connect", Action::"read", Action::"write"], resource);
`

// Main runs the drill and records its figures.
func Main(ctx context.Context, o Options) error {
	if o.Dir == "" {
		var err error
		if o.Dir, err = harness.Out("crash"); err != nil {
			return err
		}
	}
	server, err := testdb.Start(testdb.Options{})
	if err != nil {
		return err
	}
	defer server.Stop()
	if err := server.Exec(ctx, "postgres", "create database "+connection); err != nil {
		return err
	}
	if err := server.Exec(ctx, connection, fmt.Sprintf("create table orders(id int primary key, mark text not null); insert into orders select g, '' from generate_series(1, %d) g", orders)); err != nil {
		return err
	}
	d := &drill{server: server, rng: rand.New(rand.NewPCG(o.Seed, 7)), spec: harness.Spec{
		Dir: o.Dir, Policy: policy, Connections: map[string]string{connection: server.DSN(connection)},
		Principals: []harness.Principal{{Name: person, Groups: []string{"staff"}, Password: secret}, {Name: agentName, Agent: true, Groups: []string{"staff"}, Token: token}},
	}}
	var missed error
	if o.Kills > 0 {
		t, err := d.kill(ctx, o.Kills)
		if err != nil {
			return err
		}
		missed = o.record(t.figures("crash."))
	}
	if o.Faults > 0 {
		t, err := d.faults(ctx, o.Faults)
		if err != nil {
			return errors.Join(missed, err)
		}
		missed = errors.Join(missed, o.record(t.faultFigures()))
	}
	return missed
}

// record writes figures, or prints those of a dry run.
func (o Options) record(figures []results.Figure) error {
	for i := range figures {
		figures[i].Command = fmt.Sprintf("go run ./evals/cmd/crash -kills %d -faults %d", o.Kills, o.Faults)
		figures[i].Seed = int64(o.Seed)
	}
	if o.Dry {
		for _, f := range figures {
			fmt.Println(f)
		}
		return nil
	}
	return results.Check(figures...)
}
