// Package bundle measures how long it takes to make the evidence of a session of a thousand steps and to verify it: both
// by the finished programs, as processes of their own, the verifier in a folder that holds nothing but the bundle and
// the public key. Start with Main.
package bundle

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"sallyport/audit"
	"sallyport/evals/harness"
	"sallyport/evals/results"
	"sallyport/internal/access"
	"sallyport/internal/testdb"
)

const (
	made     = "go run ./evals/cmd/bundle"
	steps    = 1000
	rounds   = 7
	database = "shop"
	person   = "ann"
	secret   = "bundle-secret"
)

const policy = `
@id("staff")
permit (principal, action in [Action::"connect", Action::"read", Action::"write"], resource);
`

// statements are what a session asks in turn, about one customer each.
var statements = []string{
	"SELECT id, name, email, city FROM customers WHERE id = %d",
	"SELECT c.name, o.id, o.total FROM customers c JOIN orders o ON o.customer = c.id WHERE c.id = %d ORDER BY o.id",
	"UPDATE orders SET total = total + 1 WHERE customer = %d",
	"SELECT count(*), sum(total) FROM orders WHERE customer <= %d",
	"SELECT no_such_column FROM customers WHERE id = %d",
}

const schema = `create table customers(id int primary key, name text, email text, city text);
create table orders(id int primary key, customer int, total numeric);
insert into customers select g, 'customer ' || g, 'c' || g || '@mail.example', 'Utrecht' from generate_series(1, 1000) g;
insert into orders select g, 1 + g % 1000, g from generate_series(1, 3000) g;`

// Main makes the session, measures, and records the figures, unless dry is set.
func Main(ctx context.Context, dry bool) error {
	verifier, err := harness.Verifier()
	if err != nil {
		return err
	}
	sallyport, err := harness.Binary()
	if err != nil {
		return err
	}
	server, err := testdb.Start(testdb.Options{})
	if err != nil {
		return err
	}
	defer server.Stop()
	if err := server.Exec(ctx, "postgres", "create database "+database); err != nil {
		return err
	}
	if err := server.Exec(ctx, database, schema); err != nil {
		return err
	}
	g, err := harness.Start(ctx, harness.Spec{
		Connections: map[string]string{database: server.DSN(database)},
		Principals:  []harness.Principal{{Name: person, Groups: []string{"staff"}, Password: secret}},
		Labels:      []harness.Label{{Name: "pii.email", Columns: []string{"public.customers.email"}}},
		Masks:       map[string]harness.Mask{"pii.email": {Transform: "partial", Style: "email"}},
		Policy:      policy,
	})
	if err != nil {
		return err
	}
	defer g.Stop()
	if err := ask(ctx, g.DSN(person, secret, database)); err != nil {
		return err
	}
	g.End() // so that all of the record is signed
	session, records, err := longest(filepath.Join(g.Data(), "log"))
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bundle-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	zip, key := filepath.Join(dir, "evidence.zip"), filepath.Join(dir, "checkpoint.pub")
	public, err := os.ReadFile(filepath.Join(g.Data(), "log", "signing", "checkpoint.pub"))
	if err == nil {
		err = os.WriteFile(key, public, 0o600)
	}
	if err != nil {
		return err
	}
	var making, verifying []float64
	for range rounds {
		os.Remove(zip)
		took, out, err := run(ctx, dir, sallyport, "evidence", "-c", g.Config(), "--session", session, "--leaves", "--replay", "--out", zip)
		if err != nil {
			return err
		}
		if !strings.Contains(out, fmt.Sprintf("%d of %d records proven", records, records)) {
			return fmt.Errorf("the bundle is not of %d records: %s", records, out)
		}
		making = append(making, took)
		if took, out, err = run(ctx, dir, verifier, "-key", "checkpoint.pub", "evidence.zip"); err != nil {
			return err
		}
		if !strings.Contains(out, fmt.Sprintf("%d records are in the log", records)) || !strings.Contains(out, "The evidence is good.") {
			return fmt.Errorf("the verifier says: %s", out)
		}
		verifying = append(verifying, took)
	}
	info, err := os.Stat(zip)
	if err != nil {
		return err
	}
	figures := []results.Figure{
		results.Median("bundle.1000_steps.made", "s", making),
		results.Median("bundle.1000_steps.verified", "s", verifying),
		{Name: "bundle.1000_steps.bytes", Value: float64(info.Size()), Unit: "bytes", N: records},
	}
	figures[0].Note = fmt.Sprintf("`sallyport evidence --leaves --replay` of a session with %d statements, %d records", steps, records)
	figures[1].Note = "`sallyport-verify -key` of that bundle"
	for i := range figures {
		figures[i].Command = made
	}
	if dry {
		for _, f := range figures {
			fmt.Println(f)
		}
		return nil
	}
	return results.Check(figures...)
}

// ask runs the statements in one session.
func ask(ctx context.Context, dsn string) error {
	conn, err := pgconn.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	failed := 0
	for i := range steps {
		if _, err := conn.Exec(ctx, fmt.Sprintf(statements[i%len(statements)], 1+i*7%1000)).ReadAll(); err != nil {
			failed++
		}
	}
	if want := steps / len(statements); failed != want {
		return fmt.Errorf("%d statements failed, and %d should", failed, want)
	}
	return nil
}

// longest is the session with the most records, and how many.
func longest(dir string) (session string, records int, err error) {
	of := map[string]int{}
	err = audit.Read(dir, func(rec *access.Record) error { of[rec.Session]++; return nil })
	for id, n := range of {
		if n > records {
			session, records = id, n
		}
	}
	if err == nil && records < steps {
		err = fmt.Errorf("the longest session has %d records", records)
	}
	return session, records, err
}

// run gives the seconds that a program took, and what it said.
func run(ctx context.Context, dir, name string, args ...string) (float64, string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	start := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(start).Seconds()
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", filepath.Base(name), args[0], err, out)
	}
	return took, string(out), err
}
