package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"sallyport/internal/access"
	"sallyport/internal/config"
	"sallyport/internal/gateway"
	"sallyport/sqlguard/policy"
)

// policyCase is one expectation of a test file. It asks either about an action on a resource, which
// needs no database, or about a statement, which is judged against the live catalog.
type policyCase struct {
	Name      string `yaml:"name"`
	Principal string `yaml:"principal"`
	Door      string `yaml:"door"`   // default pgwire
	Reason    string `yaml:"reason"` // as given by the client

	Action   string   `yaml:"action"`
	Resource string   `yaml:"resource"` // as in a policy: Table::"shop.public.orders"
	Labels   []string `yaml:"labels"`   // of a Column

	SQL        string   `yaml:"sql"`
	Connection string   `yaml:"connection"` // default: the only one
	Masked     []string `yaml:"masked"`     // exactly these columns are masked, where given

	Expect string `yaml:"expect"` // allow, deny or review
}

func newPolicyTest(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "test FILE...",
		Short: "Check expectations about policies",
		Long: `Test reads YAML files with a list of expectations and says which do not hold. Cases with an action and a
resource are judged by the policies alone; cases with sql are judged as a whole, against the database's
catalog, without being run.`,
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
    sql: SELECT name, email FROM customers
    masked: [public.customers.email, public.customers.name]
    expect: allow

  sallyport policy test policy_test.yaml`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.policyTest(cmd.Context(), args) },
	}
}

func (a *app) policyTest(ctx context.Context, files []string) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	set, err := loadPolicies(cfg)
	if err != nil {
		return err
	}
	t := tester{cfg: cfg, set: set}
	defer t.close()
	passed, failed := 0, 0
	for _, file := range files {
		text, err := readFile(file)
		if err != nil {
			return err
		}
		cases, err := readCases(file, text)
		if err != nil {
			return err
		}
		for _, c := range cases {
			if problem := t.run(ctx, c); problem != "" {
				failed++
				fmt.Fprintf(a.out, "FAIL %s\n     %s\n", c.Name, problem)
			} else {
				passed++
				fmt.Fprintf(a.out, "ok   %s\n", c.Name)
			}
		}
	}
	fmt.Fprintf(a.out, "%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		return errReported
	}
	return nil
}

// readCases reads a file strictly: a misspelt key would make a case that tests nothing.
func readCases(file string, text []byte) ([]policyCase, error) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	var cases []policyCase
	if err := dec.Decode(&cases); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %s", file, yamlReason(err))
	}
	for i, c := range cases {
		var bad string
		switch {
		case c.Name == "":
			bad = "has no name"
		case c.Principal == "":
			bad = "has no principal"
		case (c.SQL == "") == (c.Action == "" && c.Resource == ""):
			bad = "needs either sql, or action and resource"
		case c.SQL == "" && (c.Action == "" || c.Resource == ""):
			bad = "needs both action and resource"
		case c.Expect != "allow" && c.Expect != "deny" && c.Expect != "review":
			bad = fmt.Sprintf("expects %q: allow, deny or review", c.Expect)
		}
		if bad != "" {
			return nil, fmt.Errorf("%s: case %d (%s) %s", file, i+1, c.Name, bad)
		}
	}
	if len(cases) == 0 {
		return nil, fmt.Errorf("%s: no cases", file)
	}
	return cases, nil
}

// yamlReason is the first thing that the library found wrong, in our words.
func yamlReason(err error) string {
	var te *yaml.TypeError
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if errors.As(err, &te) && len(te.Errors) > 0 {
		text = te.Errors[0]
	}
	if before, ok := strings.CutSuffix(text, " not found in type main.policyCase"); ok {
		text = strings.Replace(before, "field ", "unknown key ", 1)
	}
	return text
}

// tester judges cases; it opens a core when the first case with SQL comes.
type tester struct {
	cfg  *config.Config
	set  *policy.Set
	core *gateway.Gateway
	done func()
}

func (t *tester) close() {
	if t.done != nil {
		t.done()
	}
}

// run gives what is wrong, or "".
func (t *tester) run(ctx context.Context, c policyCase) string {
	if c.Door == "" {
		c.Door = string(access.DoorPGWire)
	}
	i := slices.IndexFunc(t.cfg.Principals, func(p access.LocalPrincipal) bool { return p.Name == c.Principal })
	if i < 0 {
		return fmt.Sprintf("there is no principal %q in %s", c.Principal, t.cfg.Path)
	}
	if c.SQL != "" {
		return t.statement(ctx, c)
	}
	p := t.cfg.Principals[i]
	resource, err := parseResource(c.Resource, c.Connection, c.Labels)
	if err != nil {
		return err.Error()
	}
	v := t.set.Is(policy.Request{
		Principal: access.Principal{Name: p.Name, Kind: p.Kind, Groups: p.Groups},
		Action:    access.Action(c.Action),
		Resource:  resource,
		Context:   policy.Context{Door: access.Door(c.Door), HasReason: c.Reason != "", Reason: c.Reason},
	})
	got := "deny"
	switch {
	case v.Allowed && len(v.Obligations.Review) > 0:
		got = "review"
	case v.Allowed:
		got = "allow"
	}
	if got == c.Expect {
		return ""
	}
	why := "nothing permits it"
	if len(v.Policies) > 0 {
		why = "because of " + strings.Join(v.Policies, ", ")
	}
	if v.Err != nil {
		why = v.Err.Error()
	}
	return fmt.Sprintf("expected %s, got %s: %s", c.Expect, got, why)
}

func (t *tester) statement(ctx context.Context, c policyCase) string {
	if c.Connection == "" {
		if len(t.cfg.Connections) > 1 {
			return "which connection? there is more than one"
		}
		c.Connection = t.cfg.Connections[0].Name
	}
	if t.core == nil {
		var err error
		if t.core, t.done, err = scratchCore(ctx, t.cfg); err != nil {
			return describe(err)
		}
	}
	list, err := t.core.Explain(ctx, c.Principal, c.Connection, access.Door(c.Door), c.SQL, c.Reason != "")
	if err != nil {
		return describe(err)
	}
	got, why := "allow", ""
	var masked []access.ColumnID
	for _, e := range list {
		masked = append(masked, e.Decision.Masked...)
		switch {
		case e.Refusal != nil && e.Refusal.Kind == access.ReviewPending, e.Refusal == nil && e.Decision.Effect == access.Review:
			got = "review"
		case e.Refusal != nil:
			got, why = "deny", ": "+e.Refusal.Message
		case e.Decision.Effect != access.Allow:
			got, why = "deny", ": "+e.Decision.Message
		}
	}
	if got != c.Expect {
		return fmt.Sprintf("expected %s, got %s%s", c.Expect, got, why)
	}
	if c.Masked != nil {
		slices.Sort(c.Masked)
		if want, have := strings.Join(c.Masked, ", "), columnList(masked); want != have {
			return fmt.Sprintf("expected these columns masked: %s; got: %s", or(want, "none"), or(have, "none"))
		}
	}
	return ""
}

func or(s, instead string) string {
	if s == "" {
		return instead
	}
	return s
}

// parseResource reads a resource as policies write it, e.g. Column::"shop.public.customers.email".
func parseResource(s, connection string, labels []string) (policy.Resource, error) {
	kind, id, ok := strings.Cut(s, "::")
	if !ok || len(id) < 2 || id[0] != '"' || id[len(id)-1] != '"' {
		return policy.Resource{}, fmt.Errorf("resource %s is not of the form Table::\"shop.public.orders\"", s)
	}
	parts := strings.Split(id[1:len(id)-1], ".")
	var list []access.Label
	for _, l := range labels {
		list = append(list, access.Label(l))
	}
	switch {
	case kind == "Connection" && len(parts) == 1:
		return policy.Connection(parts[0]), nil
	case kind == "Schema" && len(parts) == 2:
		return policy.Schema(parts[0], parts[1]), nil
	case kind == "Table" && len(parts) == 3:
		return policy.Table(parts[0], access.Name{Schema: parts[1], Name: parts[2]}), nil
	case kind == "Column" && len(parts) == 4:
		return policy.Column(parts[0], access.Name{Schema: parts[1], Name: parts[2]}, parts[3], list), nil
	case kind == "Function" && len(parts) == 3:
		return policy.Function(parts[0], access.Name{Schema: parts[1], Name: parts[2]}), nil
	case kind == "Setting" && connection != "":
		return policy.Setting(connection, id[1:len(id)-1]), nil
	}
	return policy.Resource{}, fmt.Errorf("resource %s: use Connection::\"c\", Schema::\"c.s\", Table::\"c.s.t\", Column::\"c.s.t.col\" Function::\"c.s.f\", or Setting::\"name\" with a connection", s)
}
