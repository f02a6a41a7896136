package leak

import (
	"context"
	_ "embed"
	"fmt"
	"regexp"
	"strings"

	"sallyport/evals/harness"
	"sallyport/internal/testdb"
)

var (
	//go:embed schema/shop.sql
	shopSQL string
	//go:embed schema/hr.sql
	hrSQL string
	//go:embed schema/clinic.sql
	clinicSQL string
	//go:embed schema/bank.sql
	bankSQL string
	//go:embed schema/objects.sql
	objectsSQL string
	//go:embed schema/rivals.sql
	rivalsSQL string
)

const (
	database = "leak"
	human    = "masked"
	robot    = "masked-agent"
	secret   = "evals-secret"
	token    = "evals-secret-token-0123456789"
)

// searchPath lets statements go without schema names.
const searchPath = "shop, hr, clinic, bank, public"

// permissive lets the masked principal do all but see labelled values, and call what users defined, the
// triggers excepted: what these raise and send must not get out.
const permissive = `
@id("bench")
permit (
  principal,
  action in [Action::"connect", Action::"read", Action::"write", Action::"ddl", Action::"notify"],
  resource
);
@id("triggers")
permit (principal, action == Action::"call", resource == Function::"leak.shop.note_order");
@id("guards")
permit (principal, action == Action::"call", resource == Function::"leak.bank.guard_transfer");
`

// readers see tokens: whoever may write under a label does not.
const readers = `
@id("bench")
permit (principal, action in [Action::"connect", Action::"read", Action::"notify"], resource);
`

// Side is one twin: a server, and gateways before it.
type Side struct {
	Server  *testdb.Server
	Redact  *harness.Gateway // redacts every labelled column; the principal may write
	Mixed   *harness.Gateway // tokens, partial and generalised values; the principal may read. Nil where it is not asked for
	folders *strings.Replacer
	port    *regexp.Regexp
}

// World is a pair of twins that differ in their canaries only.
type World struct{ A, B *Side }

// Open makes the twins; with gateways, those too, and one with mixed masks if it is asked for.
func Open(ctx context.Context, gateways, mixed bool) (*World, error) {
	w := &World{}
	for i, side := range []**Side{&w.A, &w.B} {
		s, err := open(ctx, i == 1, gateways, mixed)
		*side = s
		if err != nil {
			w.Close()
			return nil, err
		}
	}
	return w, nil
}

// Close stops everything.
func (w *World) Close() {
	for _, s := range []*Side{w.A, w.B} {
		if s == nil {
			continue
		}
		for _, g := range []*harness.Gateway{s.Redact, s.Mixed} {
			if g != nil {
				g.Stop()
			}
		}
		if s.Server != nil {
			s.Server.Stop()
		}
	}
}

func open(ctx context.Context, second, gateways, mixed bool) (*Side, error) {
	s := &Side{}
	var err error
	// Background work would let the twins' statistics and transaction numbers drift apart.
	if s.Server, err = testdb.Start(testdb.Options{Conf: []string{"autovacuum=off", "shared_buffers=64MB", "max_prepared_transactions=5"}}); err != nil {
		return s, err
	}
	if err := s.Server.Exec(ctx, "postgres", "create database "+database); err != nil {
		return s, err
	}
	if err := s.Server.Exec(ctx, "postgres", "alter database "+database+" set search_path = "+searchPath); err != nil {
		return s, err
	}
	for _, script := range []string{shopSQL, hrSQL, clinicSQL, bankSQL, rowsSQL(second), objectsSQL, rivalsSQL, rivalGrants()} {
		if err := s.Server.Exec(ctx, database, script); err != nil {
			return s, fmt.Errorf("load the twin: %w", err)
		}
	}
	s.folders = strings.NewReplacer(s.Server.Dir, "DIR")
	s.port = regexp.MustCompile(fmt.Sprintf(`\b%d\b`, s.Server.Port))
	if !gateways {
		return s, nil
	}
	if s.Redact, err = harness.Start(ctx, s.spec(false)); err != nil || second || !mixed {
		return s, err
	}
	s.Mixed, err = harness.Start(ctx, s.spec(true))
	return s, err
}

func (s *Side) spec(mixed bool) harness.Spec {
	spec := harness.Spec{
		Connections: map[string]string{database: s.Server.DSN(database)},
		Principals: []harness.Principal{
			{Name: human, Groups: []string{"masked"}, Password: secret},
			{Name: robot, Agent: true, Groups: []string{"masked"}, Token: token},
		},
		Masks:  map[string]harness.Mask{},
		Policy: permissive,
	}
	if mixed {
		spec.Policy = readers
	}
	byLabel := map[string][]string{}
	for _, c := range columns {
		l := c.label()
		byLabel[l] = append(byLabel[l], c.pattern())
		spec.Masks[l] = redact
		if mixed {
			spec.Masks[l] = c.mask
		}
	}
	for l, patterns := range byLabel {
		spec.Labels = append(spec.Labels, harness.Label{Name: l, Columns: patterns})
	}
	return spec
}
