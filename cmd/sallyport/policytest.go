package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"sallyport/internal/access"
	"sallyport/internal/config"
	"sallyport/internal/gateway"
	"sallyport/sqlguard/policy"
)

func newPolicyTest(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "test FILE...",
		Short: "Check expectations about policies",
		Long: `Test reads YAML files with a list of expectations and says which do not hold. Cases with an action and a
resource are judged by the policies alone; cases with sql are judged as a whole, against the database's
catalog, without being run. docs/policy.md lists the keys of a case.`,
		Example: `  # policy_test.yaml
  - name: agents never see card numbers
    principal: support-agent
    action: reveal
    resource: Column::"shop.public.customers.card"
    labels: [pii.card]
    expect: deny
  - name: agents read customers masked
    principal: support-agent
    door: mcp
    reason: triage of ticket SUP-2291
    sql: SELECT name, email FROM customers
    masked: [public.customers.email, public.customers.name]
    expect: allow

  sallyport policy test policy_test.yaml`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.policyTest(cmd.Context(), args) },
	}
}

func (a *app) policyTest(ctx context.Context, files []string) error {
	cfg, err := a.loadOffline()
	if err != nil {
		return err
	}
	set, err := loadPolicies(cfg)
	if err != nil {
		return err
	}
	var cases []policy.Case
	for _, file := range files {
		text, err := readFile(file)
		if err != nil {
			return err
		}
		more, err := parseCases(principalsOf(cfg), onlyConnection(cfg), file, string(text))
		if err != nil {
			return err
		}
		cases = append(cases, more...)
	}
	scratch := onceCore{config: a.config}
	defer scratch.close()
	t := tester{set: set, core: scratch.open}
	failed := 0
	for _, c := range cases {
		differs, err := t.run(ctx, c)
		if err != nil {
			return fmt.Errorf("%s:%d: %s: %w", c.File, c.Line, c.Name, err)
		}
		if len(differs) == 0 {
			fmt.Fprintf(a.out, "ok   %s\n", c.Name)
			continue
		}
		failed++
		fmt.Fprintf(a.out, "FAIL %s (%s:%d)\n", c.Name, c.File, c.Line)
		for _, d := range differs {
			fmt.Fprintf(a.out, "     %s\n", d)
		}
	}
	fmt.Fprintf(a.out, "%d passed, %d failed\n", len(cases)-failed, failed)
	if failed > 0 {
		return errReported
	}
	return nil
}

func principalOf(p access.LocalPrincipal) access.Principal {
	return access.Principal{Name: p.Name, Kind: p.Kind, Groups: p.Groups, Attributes: p.Attributes}
}

// onlyConnection is the connection meant when none is named, or "".
func onlyConnection(cfg *config.Config) string {
	if len(cfg.Connections) == 1 {
		return cfg.Connections[0].Name
	}
	return ""
}

// principalsOf are those that a configuration declares.
func principalsOf(cfg *config.Config) []access.Principal {
	var out []access.Principal
	for _, p := range cfg.Principals {
		out = append(out, principalOf(p))
	}
	return out
}

// parseCases reads a text of cases about principals; connection is that of cases which leave it out.
func parseCases(principals []access.Principal, connection, name, text string) ([]policy.Case, error) {
	known := map[string]access.Principal{}
	for _, p := range principals {
		known[p.Name] = p
	}
	cases, err := policy.ParseCases(policy.File{Name: name, Text: text}, known, connection)
	if err == nil && len(cases) == 0 {
		err = fmt.Errorf("%s: no cases", name)
	}
	return cases, err
}

// tester judges cases. The core with the catalog for those with SQL is asked for when the first of them comes.
type tester struct {
	set  *policy.Set
	core func(ctx context.Context) (*gateway.Gateway, error)
}

// run gives what differs from a case's expectations. The error is for a case that cannot be judged.
func (t *tester) run(ctx context.Context, c policy.Case) (differs []string, err error) {
	if c.SQL == "" {
		return t.set.Run(c), nil
	}
	core, err := t.core(ctx)
	if err != nil {
		return nil, err
	}
	list, err := core.Explain(ctx, c.Who(), c.Connection, access.Door(c.Door), c.SQL, c.Reason)
	if err != nil {
		return nil, err
	}
	return c.Check(together(list)), nil
}

// onceCore is a scratch core of a configuration that is opened when it is first wanted.
type onceCore struct {
	config string
	core   *gateway.Gateway
	done   func()
}

func (o *onceCore) open(ctx context.Context) (*gateway.Gateway, error) {
	if o.core != nil {
		return o.core, nil
	}
	cfg, err := config.Load(o.config) // this time with the DSNs
	if err == nil {
		o.core, o.done, err = scratchCore(ctx, cfg)
	}
	return o.core, err
}

func (o *onceCore) close() {
	if o.done != nil {
		o.done()
	}
}

// together makes one decision of those on the statements of a batch: it is allowed when each is.
func together(list []gateway.Explanation) access.Decision {
	all := access.Decision{Effect: access.Allow}
	for _, e := range list {
		d := e.Decision
		if e.Refusal != nil {
			d.Effect, d.Message = access.Deny, e.Refusal.Message
			if e.Refusal.Kind == access.ReviewPending {
				d.Effect = access.Review
			}
		}
		if d.Effect == access.Deny || all.Effect == access.Allow {
			all.Effect, all.Message = d.Effect, d.Message
		}
		all.Policies = append(all.Policies, d.Policies...)
		all.Masked = append(all.Masked, e.Masked...)
		all.Obligations = policy.Strictest(all.Obligations, d.Obligations)
	}
	slices.Sort(all.Policies)
	all.Policies = slices.Compact(all.Policies)
	return all
}
