package erasure

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"sallyport/audit"
	"sallyport/evals/agent"
	"sallyport/evals/harness"
	"sallyport/internal/access"
	"sallyport/internal/testdb"
)

// places are where a canary stands in the record, each beside the identifier of the person.
var places = []string{"text", "parameter", "row", "write", "error", "copied", "reason"}

// subject is a person whom data is about.
type subject struct {
	number string            // the identifier: a customer's number
	canary map[string]string // by place
}

// canaries are words that are nowhere but in records about the person, the identifier among them.
func (s *subject) canaries() []string {
	out := []string{s.number}
	for _, p := range places {
		out = append(out, s.canary[p])
	}
	return out
}

// letters spells a number in letters that no word and no detector knows.
func letters(n int) string {
	const alphabet = "bcdfghjklmnpqrstvwxz"
	var b strings.Builder
	for range 8 {
		b.WriteByte(alphabet[n%len(alphabet)])
		n = n/len(alphabet) + 7919*(n%len(alphabet)+1)
	}
	return b.String()
}

// someone makes person number i.
func someone(i int) *subject {
	s := &subject{number: "kdn-" + letters(i*100), canary: map[string]string{}}
	for j, p := range places {
		s.canary[p] = "zq" + letters(i*100+j+1) + p
	}
	return s
}

// begin starts a gateway in front of a database with the people in it.
func begin(ctx context.Context, server *testdb.Server) (*drill, error) {
	d := &drill{}
	var err error
	if d.verifier, err = harness.Verifier(); err != nil {
		return nil, err
	}
	if d.sallyport, err = harness.Binary(); err != nil {
		return nil, err
	}
	if err := server.Exec(ctx, "postgres", "create database "+connection); err != nil {
		return nil, err
	}
	sql := "create table customers(number text primary key, email text, notes text);"
	for i := range 6 {
		s := someone(i)
		d.people = append(d.people, s)
		sql += fmt.Sprintf("insert into customers values ('%s', '%s@mail.example', 'calls back, %s');", s.number, s.number, s.canary["row"])
	}
	if err := server.Exec(ctx, connection, sql); err != nil {
		return nil, err
	}
	d.g, err = harness.Start(ctx, harness.Spec{
		Connections: map[string]string{connection: server.DSN(connection)},
		Principals:  []harness.Principal{{Name: clerk, Groups: []string{"staff"}, Password: secret}, {Name: agentName, Agent: true, Groups: []string{"staff"}, Token: token}},
		Labels:      []harness.Label{{Name: "pii.email", Columns: []string{"public.customers.email"}}},
		Masks:       map[string]harness.Mask{"pii.email": {Transform: "redact"}},
		Policy:      policy,
	})
	if err != nil {
		return nil, err
	}
	d.dir, err = os.MkdirTemp("", "erasure-")
	return d, err
}

// ask has several sessions ask about all of the people, in turn.
func (d *drill) ask(ctx context.Context) error {
	for range 3 {
		if err := d.wire(ctx); err != nil {
			return err
		}
	}
	for range 2 {
		if err := d.agent(ctx); err != nil {
			return err
		}
	}
	return nil
}

// wire is a session at the PostgreSQL door.
func (d *drill) wire(ctx context.Context) error {
	conn, err := pgconn.Connect(ctx, d.g.DSN(clerk, secret, connection))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, s := range d.people {
		c := s.canary
		for _, sql := range []string{
			fmt.Sprintf("SELECT number, '%s' AS remark FROM customers WHERE number = '%s'", c["text"], s.number),
			fmt.Sprintf("SELECT * FROM customers WHERE number = '%s'", s.number),
			fmt.Sprintf("UPDATE customers SET notes = notes || ', %s' WHERE number = '%s'", c["write"], s.number),
			fmt.Sprintf("COPY (SELECT number, notes, '%s' FROM customers WHERE number = '%s') TO STDOUT", c["copied"], s.number),
		} {
			if _, err := conn.Exec(ctx, sql).ReadAll(); err != nil {
				return fmt.Errorf("%s: %w", sql, err)
			}
		}
		if err := conn.ExecParams(ctx, "SELECT notes, $1::text FROM customers WHERE number = $2", [][]byte{[]byte(c["parameter"]), []byte(s.number)}, nil, nil, nil).Read().Err; err != nil {
			return err
		}
		if _, err := conn.Exec(ctx, fmt.Sprintf("SELECT '%s %s'::int", s.number, c["error"])).ReadAll(); err == nil {
			return fmt.Errorf("%q is a number", c["error"])
		}
	}
	return nil
}

// agent is a session at the agents' door.
func (d *drill) agent(ctx context.Context) error {
	a, err := agent.Dial(ctx, d.g.MCPURL, token, connection)
	if err != nil {
		return err
	}
	defer a.Close()
	for _, s := range d.people {
		a.Reason = fmt.Sprintf("customer %s asks, %s", s.number, s.canary["reason"])
		if ans := a.Query(ctx, fmt.Sprintf("SELECT number, notes FROM customers WHERE number = '%s'", s.number)); ans.Failed() {
			return fmt.Errorf("the agent's query: %s %s", ans.Code, ans.Error)
		}
	}
	return nil
}

// sessionsOf are the sessions that somebody has had.
func sessionsOf(dir string) ([]string, error) {
	var out []string
	err := audit.Read(dir, func(rec *access.Record) error {
		if rec.Kind == access.RecordOpen {
			out = append(out, rec.Session)
		}
		return nil
	})
	if err == nil && len(out) < 4 {
		err = fmt.Errorf("only %d sessions", len(out))
	}
	return out, err
}
