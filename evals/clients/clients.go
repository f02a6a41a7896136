// Package clients tries the programs that people use, through the PostgreSQL door, for a masked
// principal, beside a direct run: psql's \d family and tab completion, pg_dump, pgbench, pgx, node's
// pg. Each check says what it wants to see; a refusal is a failure and is listed with its message.
//
// Where to start: Main; the checks are in checks.go.
package clients

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"sallyport/evals/harness"
	"sallyport/evals/results"
	"sallyport/internal/testdb"
)

const (
	person = "ada"
	secret = "clients-secret"
	shop   = "shop"    // with labelled columns
	free   = "scratch" // without
)

const policy = `
@id("staff")
permit (principal, action in [Action::"connect", Action::"read", Action::"write", Action::"write_all_rows", Action::"ddl", Action::"notify", Action::"session"], resource);
`

const schema = `
create type level as enum ('low', 'high');
create domain zip as text check (value ~ '^[0-9]+$');
create table customers (id serial primary key, name text not null, email text unique, phone text, city text default 'here', zip zip, lvl level, created timestamptz default now());
comment on table customers is 'who buys';
comment on column customers.email is 'where to write';
create table orders (id int primary key, customer_id int references customers, amount numeric(10,2) check (amount >= 0), at date) ;
create index on orders (customer_id);
create view open_orders as select o.id, c.name, o.amount from orders o join customers c on c.id = o.customer_id;
create materialized view totals as select customer_id, sum(amount) from orders group by 1;
create table parts (id int, region text) partition by list (region);
create table parts_a partition of parts for values in ('a');
create function twice(i int) returns int language sql immutable as 'select i * 2';
create schema extra;
create table extra.t (x int);
insert into customers (name, email, phone, zip, lvl) select 'n' || g, 'user' || g || '@mail.example', '+1 202 555 01' || lpad(g::text, 2, '0'), '12345', 'low' from generate_series(1, 50) g;
insert into orders select g, 1 + g % 50, g, '2024-01-01' from generate_series(1, 200) g;
analyze;`

// env is what a check works with.
type env struct {
	server  *testdb.Server
	gateway *harness.Gateway
	dir     string
}

// check is one thing that a client does. It gives what went wrong, or "".
type check struct {
	name string
	run  func(ctx context.Context, e *env) string
}

// Main runs all checks and records the figures.
func Main(ctx context.Context) error {
	dir, err := harness.Out("clients")
	if err != nil {
		return err
	}
	server, err := testdb.Start(testdb.Options{})
	if err != nil {
		return err
	}
	defer server.Stop()
	for _, db := range []string{shop, free} {
		if err := server.Exec(ctx, "postgres", "create database "+db); err != nil {
			return err
		}
	}
	if err := server.Exec(ctx, shop, schema); err != nil {
		return err
	}
	g, err := harness.Start(ctx, harness.Spec{
		Connections: map[string]string{shop: server.DSN(shop), free: server.DSN(free)},
		Principals:  []harness.Principal{{Name: person, Groups: []string{"staff"}, Password: secret}},
		Labels: []harness.Label{{Name: "pii.email", Columns: []string{"public.customers.email"}},
			{Name: "pii.phone", Columns: []string{"public.customers.phone"}}},
		Masks:  map[string]harness.Mask{"pii.email": {Transform: "partial", Style: "email"}, "pii.phone": {Transform: "redact"}},
		Policy: policy,
	})
	if err != nil {
		return err
	}
	defer g.Stop()
	e := &env{server, g, dir}
	var list strings.Builder
	list.WriteString("### Client checks that failed\n\n")
	groups := []struct {
		name, note string
		checks     []check
	}{
		{"psql", "psql's \\d family: no error, and the same output as directly", describeChecks()},
		{"programs", "psql, pg_dump, pgbench, pgx, node pg doing what they are for", programChecks()},
	}
	var figures []results.Figure
	for _, group := range groups {
		passed := 0
		for _, c := range group.checks {
			why := c.run(ctx, e)
			if why == "" {
				passed++
				continue
			}
			fmt.Printf("failed: %s: %s\n", c.name, why)
			fmt.Fprintf(&list, "- `%s`: %s\n", c.name, why)
		}
		f := results.Share("clients."+group.name+".passed", passed, len(group.checks))
		f.Note, f.Command = group.note, "go run ./evals/cmd/clients"
		figures = append(figures, f)
	}
	root, err := harness.Root()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(root, "evals", "listings"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, "evals", "listings", "clients.md"), []byte(list.String()), 0o644); err != nil {
		return err
	}
	return results.Check(figures...)
}

// door and direct are environments in which libpq programs reach a database.
func (e *env) door(db string) []string {
	host, port, _ := strings.Cut(e.gateway.PGAddr, ":")
	return []string{"PGHOST=" + host, "PGPORT=" + port, "PGUSER=" + person, "PGPASSWORD=" + secret, "PGDATABASE=" + db, "PGSSLMODE=disable"}
}

func (e *env) direct(db string) []string {
	return []string{"PGHOST=127.0.0.1", fmt.Sprintf("PGPORT=%d", e.server.Port), "PGUSER=postgres", "PGPASSWORD=", "PGDATABASE=" + db, "PGSSLMODE=disable"}
}

// program runs a program with an environment and gives its output; err holds the end of it.
func program(ctx context.Context, environ []string, stdin, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	if path, err := testdb.LookPath(name); err == nil {
		name = path
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), environ...)
	cmd.Env = append(cmd.Env, "LC_ALL=C.UTF-8", "PAGER=cat", "PSQL_HISTORY=/dev/null")
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%w: %s", err, last(string(out)))
	}
	return string(out), nil
}

func last(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 300 {
		s = "…" + s[len(s)-300:]
	}
	return s
}
