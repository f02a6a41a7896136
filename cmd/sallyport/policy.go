package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/internal/access"
	"sallyport/internal/config"
	"sallyport/internal/gateway"
	"sallyport/sqlguard"
	"sallyport/sqlguard/policy"
	"sallyport/sqlguard/postgres"
)

func newPolicy(a *app) *cobra.Command {
	return parent("policy", "Check, test and explain policies", `Policies are Cedar files that the configuration names. docs/policy.md has the words they may use.`,
		newPolicyCheck(a), newPolicyTest(a), newPolicyExplain(a))
}

func newPolicyCheck(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check the policy files alone: syntax, names, annotations",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := a.loadOffline()
			if err != nil {
				return err
			}
			set, err := loadPolicies(cfg)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "%s, version %s\n", plural(set.Len(), "policy", "policies"), set.Version())
			if printStrangers(a.out, strangers(cfg, set)) > 0 {
				return errReported
			}
			return nil
		},
	}
}

type explainOptions struct {
	*app
	principal, connection, door string
	reason                      string
	kind                        string
	groups                      []string
	actors, scopes              []string
	issuer, acr                 string
	action, resource            string
	labels                      []string
}

func newPolicyExplain(a *app) *cobra.Command {
	o := &explainOptions{app: a}
	cmd := &cobra.Command{
		Use:   "explain [SQL]",
		Short: "Say what would happen to a statement, and why, without running it",
		Long: `Explain judges a statement as if a principal had sent it: what it reads and calls, which policies allow or
refuse it, what is masked, and the text that would run. The statement comes from the argument or from
standard input. It connects to the database for its catalog only. Status 1 means that it would be refused.

With --action and --resource it explains one question to the policies instead: which match, and which
nearly do, and why not.`,
		Example: `  sallyport policy explain --principal support-agent "SELECT email FROM customers"
  sallyport policy explain -p ada -C shop < report.sql
  sallyport policy explain -p ada --action reveal --resource 'Column::"shop.public.customers.email"' --label pii.email`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	cmd.Flags().StringVarP(&o.principal, "principal", "p", "", "as whom (required)")
	cmd.Flags().StringVar(&o.kind, "kind", "", "human or agent, for a principal that the configuration does not have")
	cmd.Flags().StringSliceVar(&o.groups, "group", nil, "group of such a principal (repeatable)")
	cmd.Flags().StringSliceVar(&o.actors, "actor", nil, "agent that acts for the principal (repeatable, the nearest first)")
	cmd.Flags().StringSliceVar(&o.scopes, "scope", nil, "action that the token is good for (repeatable); without, it is good for all")
	cmd.Flags().StringVar(&o.issuer, "issuer", "", "URL of the provider by whose word it is the principal")
	cmd.Flags().StringVar(&o.acr, "acr", "", "how that provider says that they proved who they are")
	cmd.Flags().StringVarP(&o.connection, "connection", "C", "", "on which connection (may be left out when there is one)")
	cmd.Flags().StringVar(&o.door, "door", string(access.DoorPGWire), "through which door: pgwire or mcp")
	cmd.Flags().StringVar(&o.reason, "reason", "explaining what a policy does", "the reason that is given; empty for none")
	cmd.Flags().StringVar(&o.action, "action", "", "explain this action instead of a statement")
	cmd.Flags().StringVar(&o.resource, "resource", "", "on this resource, as policies write it")
	cmd.Flags().StringSliceVar(&o.labels, "label", nil, "label of a Column (repeatable)")
	return cmd
}

func (o *explainOptions) run(ctx context.Context, args []string) error {
	if o.principal == "" {
		return usagef("--principal is required: as whom?")
	}
	if d := access.Door(o.door); d != access.DoorPGWire && d != access.DoorMCP {
		return usagef("--door is pgwire or mcp, not %q", o.door)
	}
	if o.action != "" || o.resource != "" {
		if len(args) > 0 {
			return usagef("explain either a statement, or --action and --resource")
		}
		return o.request()
	}
	sql := strings.Join(args, "")
	if sql == "" {
		// One byte more than is judged: what is cut off would be judged as something else.
		b, err := io.ReadAll(io.LimitReader(o.in, postgres.MaxSize+1))
		if err != nil {
			return err
		}
		sql = string(b)
	}
	if strings.TrimSpace(sql) == "" {
		return usagef("no statement: give it as the argument or on standard input")
	}
	cfg, err := o.load()
	if err != nil {
		return err
	}
	if o.connection == "" {
		if o.connection = onlyConnection(cfg); o.connection == "" {
			return usagef("--connection is required: there are %d", len(cfg.Connections))
		}
	}
	who, err := o.who(cfg)
	if err != nil {
		return err
	}
	core, done, err := scratchCore(ctx, cfg)
	if err != nil {
		return err
	}
	defer done()
	list, err := core.Explain(ctx, who, o.connection, access.Door(o.door), sql, o.reason)
	if err != nil {
		return err
	}
	refused := false
	for i, e := range list {
		if i > 0 {
			fmt.Fprintln(o.out)
		}
		printExplanation(o.out, o.principal, e)
		refused = refused || e.Refusal != nil || e.Decision.Effect != access.Allow
	}
	if refused {
		return errReported
	}
	return nil
}

// who is the principal of the flags, with who acts for them and what a token would say.
func (o *explainOptions) who(cfg *config.Config) (access.Principal, error) {
	p, err := o.principalOf(cfg)
	if err != nil {
		return p, err
	}
	c := policy.Case{Actors: o.actors, Issuer: o.issuer, ACR: o.acr, Scopes: o.scopes}
	for _, s := range o.scopes {
		if _, err := policy.ParseAction(s); err != nil {
			return p, usagef("--scope %s: %v", s, err)
		}
	}
	as := c.Who()
	p.Actor, p.Behind, p.Proof = as.Actor, as.Behind, as.Proof
	return p, nil
}

// principalOf is the principal of the flags: of the configuration, or made up.
func (o *explainOptions) principalOf(cfg *config.Config) (access.Principal, error) {
	kind := access.PrincipalKind(o.kind)
	switch {
	case kind == access.Human || kind == access.Agent:
		return access.Principal{Name: o.principal, Kind: kind, Groups: o.groups}, nil
	case o.kind != "":
		return access.Principal{}, usagef("--kind is human or agent, not %q", o.kind)
	case len(o.groups) > 0:
		return access.Principal{}, usagef("--group goes with --kind: the groups of a configured principal are in the configuration")
	}
	i := slices.IndexFunc(cfg.Principals, func(p access.LocalPrincipal) bool { return p.Name == o.principal })
	if i < 0 {
		return access.Principal{}, &access.Error{Kind: access.Invalid, Message: fmt.Sprintf("there is no principal %q in %s", o.principal, cfg.Path),
			Hint: "say what it would be: --kind and --group"}
	}
	return principalOf(cfg.Principals[i]), nil
}

// request explains a verdict of the policies alone.
func (o *explainOptions) request() error {
	cfg, err := o.loadOffline()
	if err != nil {
		return err
	}
	set, err := loadPolicies(cfg)
	if err != nil {
		return err
	}
	who, err := o.who(cfg)
	if err != nil {
		return err
	}
	var labels []access.Label
	for _, l := range o.labels {
		labels = append(labels, access.Label(l))
	}
	if o.connection == "" {
		o.connection = onlyConnection(cfg)
	}
	action, err := policy.ParseAction(o.action)
	if err != nil {
		return errUsage{err}
	}
	resource, err := policy.ParseResource(o.resource, o.connection, labels)
	if err != nil {
		return errUsage{err}
	}
	ex := set.Explain(policy.Request{Principal: who, Action: action, Resource: resource,
		Context: policy.Context{Door: access.Door(o.door), HasReason: sqlguard.SufficientReason(o.reason), Reason: o.reason}})
	fmt.Fprint(o.out, ex)
	if !ex.Verdict.Allowed {
		return errReported
	}
	return nil
}

// printExplanation writes an explanation as aligned lines.
func printExplanation(w io.Writer, principal string, e gateway.Explanation) {
	line := func(name, format string, args ...any) {
		text := strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "\n            ")
		fmt.Fprintf(w, "%-11s %s\n", name, text)
	}
	if e.SQL != "" {
		line("statement", "%s", strings.TrimSpace(e.SQL))
	}
	d := e.Decision
	if e.Refusal != nil {
		line("answer", "refused for %s: %s", principal, e.Refusal.Message)
		if e.Refusal.Hint != "" {
			line("hint", "%s", e.Refusal.Hint)
		}
		line("SQLSTATE", "%s", e.Refusal.Code)
	} else {
		line("answer", "%s for %s", d.Effect, principal)
	}
	if f := e.Facts; f != nil {
		line("class", "%s (%s)", f.Class, f.Tag)
		for _, r := range f.Relations {
			line(string(r.Action), "%s%s", r.Name, columnsUsed(r))
		}
		if calls := outsideFunctions(f); calls != "" {
			line("call", "%s", calls)
		}
		for _, name := range slices.SortedFunc(maps.Keys(e.Definitions), func(a, b access.Name) int { return strings.Compare(a.String(), b.String()) }) {
			line("definition", "%s of %s", e.Definitions[name], name)
		}
	}
	if len(d.Policies) > 0 {
		line("policies", "%s", strings.Join(d.Policies, ", "))
	}
	if o := policy.ObligationWords(d.Obligations); o != "" {
		line("obligations", "%s", o)
	}
	if len(e.Masked) > 0 {
		line("masked", "%s", columnList(e.Masked))
	}
	if len(d.Lookup) > 0 {
		line("lookup", "%s", columnList(d.Lookup))
	}
	if e.Refusal == nil {
		if e.Changed {
			line("runs", "%s", e.Compiled)
		} else {
			line("runs", "unchanged")
		}
	}
}

func columnsUsed(r access.RelationUse) string {
	if r.Whole {
		return " (all columns)"
	}
	names := make([]string, len(r.Columns))
	for i, c := range r.Columns {
		names[i] = c.Name
	}
	if len(names) == 0 {
		return ""
	}
	return " (" + strings.Join(names, ", ") + ")"
}

// outsideFunctions lists functions beyond the pure built-ins, which need no permission.
func outsideFunctions(f *access.Facts) string {
	var names []string
	for _, fn := range f.Functions {
		if !fn.Builtin {
			names = append(names, fn.Name.String())
		}
	}
	return strings.Join(slices.Compact(slices.Sorted(slices.Values(names))), ", ")
}

func columnList(ids []access.ColumnID) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = id.Relation.String() + "." + id.Column
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}

func readFile(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, plain(err))
	}
	return b, nil
}
