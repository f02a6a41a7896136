package policy

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"sallyport/internal/access"
)

// Case is one test of a policy: somebody does something, and what must come of it. A file of cases
// is a YAML list:
//
//   - name: support agents read orders
//     principal: support-bot          # from the configuration, or give kind and groups here
//     kind: agent                     # human or agent
//     groups: [agents]
//     actor: triage-bot               # who acts for the principal; or all who do, the nearest first:
//     actors: [triage-bot, planner]
//     issuer: https://idp.example     # of the token; with acr, and scopes where they limit what may be done
//     acr: phr
//     scopes: [read]
//     connection: shop                # may be left out where there is only one
//     door: mcp                       # pgwire when left out
//     reason: looking into ticket 4711
//     action: read                    # either an action on a resource ...
//     resource: Column::"shop.public.customers.email"
//     labels: [pii.email]             # of the column
//     definition: sha256:...          # of a function
//     sql: SELECT * FROM orders       # ... or a statement
//     expect: allow                   # allow, deny or review; and where given, exactly:
//     rows: 1000
//     affected: 100                   # most rows changed
//     timeout: 10s
//     limits: {bytes: 10MiB, probes: 100/1h, where: tenant_id = principal.tenant}  # the others, as their annotations write them;
//     # several of a kind with "; " between them, "" for none
//     policies: [agents-read]
//     masked: [public.customers.email]  # statements only
//
// A case with sql needs a database's catalog and is run by whoever has one; Set.Run runs the others.
type Case struct {
	Name       string            `yaml:"name"`
	Principal  string            `yaml:"principal"`
	Kind       string            `yaml:"kind"`
	Groups     []string          `yaml:"groups"`
	Actor      string            `yaml:"actor"`
	Actors     []string          `yaml:"actors"`
	ACR        string            `yaml:"acr"`
	Issuer     string            `yaml:"issuer"`
	Scopes     []string          `yaml:"scopes"` // actions that the token lets be done; none: all
	Connection string            `yaml:"connection"`
	Door       string            `yaml:"door"`
	Reason     string            `yaml:"reason"`
	Action     string            `yaml:"action"`
	Resource   string            `yaml:"resource"`
	Labels     []access.Label    `yaml:"labels"`
	Definition string            `yaml:"definition"` // of a function, as policies write it
	SQL        string            `yaml:"sql"`
	Expect     string            `yaml:"expect"`
	Rows       *int64            `yaml:"rows"`
	Affected   *int64            `yaml:"affected"`
	Timeout    *string           `yaml:"timeout"`
	Limits     map[string]string `yaml:"limits"`
	Policies   []string          `yaml:"policies"`
	Masked     []string          `yaml:"masked"`

	File string `yaml:"-"`
	Line int    `yaml:"-"`

	resource   Resource
	limits     map[string]string // as words has them
	attributes map[string]string // of a principal of the configuration
}

// ParseCases reads a file of cases. Principals that a case gives no kind for are looked up in known,
// and connection is for those that name none. Errors are a *LoadError.
func ParseCases(f File, known map[string]access.Principal, connection string) ([]Case, error) {
	var nodes []yaml.Node
	if err := yaml.Unmarshal([]byte(f.Text), &nodes); err != nil {
		return nil, &LoadError{[]Problem{{File: f.Name, Message: strings.TrimPrefix(err.Error(), "yaml: "), Hint: "a file of cases is a YAML list; every case begins with \"- name:\""}}}
	}
	var cases []Case
	var problems []Problem
	for _, n := range nodes {
		c := Case{File: f.Name, Line: n.Line, Connection: connection}
		err := strict(&n, &c)
		if err == nil {
			err = c.complete(known)
		}
		if err != nil {
			p := Problem{File: f.Name, Line: n.Line, Column: n.Column, Message: strings.TrimPrefix(err.Error(), "yaml: ")}
			if c.Name != "" {
				p.Message = fmt.Sprintf("case %q: %s", c.Name, p.Message)
			}
			problems = append(problems, p)
			continue
		}
		cases = append(cases, c)
	}
	if len(problems) > 0 {
		return nil, &LoadError{problems}
	}
	return cases, nil
}

// strict decodes a node and refuses unknown keys, which yaml.Node.Decode does not.
func strict(n *yaml.Node, into *Case) error {
	text, err := yaml.Marshal(n)
	if err != nil {
		return err
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		var typed *yaml.TypeError
		if errors.As(err, &typed) && len(typed.Errors) > 0 {
			_, message, _ := strings.Cut(typed.Errors[0], ": ")
			return errors.New(strings.TrimSuffix(message, " in type policy.Case"))
		}
		return err
	}
	return nil
}

// complete checks a case and fills in what it leaves out.
func (c *Case) complete(known map[string]access.Principal) error {
	switch {
	case c.Name == "":
		return errors.New("a case needs a name")
	case c.Principal == "":
		return errors.New("principal is missing")
	case !slices.Contains([]string{"allow", "deny", "review"}, c.Expect):
		return fmt.Errorf("expect is %q: allow, deny or review", c.Expect)
	case (c.SQL == "") == (c.Action == ""):
		return errors.New("give either sql, or action and resource")
	case c.Actor != "" && len(c.Actors) > 0:
		return errors.New("give either actor, or actors")
	case slices.Contains(c.Actors, ""):
		return errors.New("an actor without a name")
	case c.SQL == "" && len(c.Masked) > 0:
		return errors.New("masked needs a case with sql")
	}
	if c.Kind == "" {
		p, ok := known[c.Principal]
		if !ok {
			return fmt.Errorf("principal %q is not in the configuration: give its kind and groups", c.Principal)
		}
		c.Kind, c.Groups, c.attributes = string(p.Kind), p.Groups, p.Attributes
	}
	if c.Kind != string(access.Human) && c.Kind != string(access.Agent) {
		return fmt.Errorf("kind is %q: human or agent", c.Kind)
	}
	for _, s := range c.Scopes {
		if _, err := ParseAction(s); err != nil {
			return err
		}
	}
	if c.Door == "" {
		c.Door = string(access.DoorPGWire)
	}
	if c.Timeout != nil {
		if _, err := time.ParseDuration(*c.Timeout); err != nil {
			return fmt.Errorf("timeout is %q: a duration such as 10s", *c.Timeout)
		}
	}
	c.limits = map[string]string{}
	for name, v := range c.Limits {
		var err error
		if c.limits[name], err = expected(name, v); err != nil {
			return err
		}
	}
	if c.Action == "" {
		if c.Connection == "" {
			return errors.New("connection is missing")
		}
		return nil
	}
	if _, err := ParseAction(c.Action); err != nil {
		return err
	}
	var err error
	c.resource, err = ParseResource(c.Resource, c.Connection, c.Labels)
	c.resource.definition = c.Definition
	return err
}

// Who is the principal of the case.
func (c *Case) Who() access.Principal {
	groups := slices.Clone(c.Groups)
	slices.Sort(groups)
	p := access.Principal{Name: c.Principal, Kind: access.PrincipalKind(c.Kind), Groups: slices.Compact(groups), Attributes: c.attributes, Actor: c.Actor,
		Proof: access.Proof{ACR: c.ACR, Issuer: c.Issuer, Scopes: c.Scopes, Scoped: len(c.Scopes) > 0}}
	if len(c.Scopes) > 0 {
		p.Proof.Grants = map[string][]access.Action{} // whatever the provider calls them, a case names actions
		for _, s := range c.Scopes {
			p.Proof.Grants[s] = []access.Action{access.Action(s)}
		}
	}
	if len(c.Actors) > 0 {
		p.Actor, p.Behind = c.Actors[0], c.Actors[1:]
	}
	return p
}

// HasReason reports whether the case's reason is long enough to count.
func (c *Case) HasReason() bool { return utf8.RuneCountInString(strings.TrimSpace(c.Reason)) >= 20 }

// Run judges a case without sql. It gives what differs from what the case expects, nothing if it
// holds.
func (s *Set) Run(c Case) []string {
	v := s.Is(Request{Principal: c.Who(), Action: access.Action(c.Action), Resource: c.resource,
		Context: Context{Door: access.Door(c.Door), HasReason: c.HasReason(), Reason: c.Reason}})
	d := access.Decision{Policies: v.Policies, Obligations: v.Obligations}
	switch {
	case !v.Allowed, v.Obligations.Reason && !c.HasReason():
	case len(v.Obligations.Review) > 0:
		d.Effect = access.Review
	default:
		d.Effect = access.Allow
	}
	differs := c.Check(d)
	if v.Err != nil {
		differs = append(differs, v.Err.Error())
	}
	return differs
}

// Check compares a decision with what the case expects.
func (c *Case) Check(d access.Decision) []string {
	var out []string
	differ := func(what string, want, got any) {
		out = append(out, fmt.Sprintf("%s: expected %v, got %v", what, want, got))
	}
	if d.Effect.String() != c.Expect {
		got := d.Effect.String()
		if d.Message != "" {
			got += " (" + d.Message + ")"
		}
		differ("effect", c.Expect, got)
	}
	if c.Rows != nil && *c.Rows != d.Obligations.Rows {
		differ("rows", *c.Rows, d.Obligations.Rows)
	}
	if c.Affected != nil && *c.Affected != d.Obligations.Affected {
		differ("affected", *c.Affected, d.Obligations.Affected)
	}
	if c.Timeout != nil {
		if want, _ := time.ParseDuration(*c.Timeout); want != d.Obligations.Timeout {
			differ("timeout", Span(want), cmp.Or(Span(d.Obligations.Timeout), "none"))
		}
	}
	got := map[string][]string{}
	for _, w := range words(d.Obligations) {
		got[w.name] = append(got[w.name], w.value)
	}
	for _, name := range slices.Sorted(maps.Keys(c.limits)) {
		if want, got := c.limits[name], strings.Join(got[name], "; "); want != got {
			differ(name, cmp.Or(want, "none"), cmp.Or(got, "none"))
		}
	}
	if c.Policies != nil && !same(c.Policies, d.Policies) {
		differ("policies", c.Policies, d.Policies)
	}
	if c.Masked != nil {
		got := make([]string, len(d.Masked))
		for i, id := range d.Masked {
			got[i] = id.Relation.String() + "." + id.Column
		}
		if !same(c.Masked, got) {
			differ("masked", c.Masked, got)
		}
	}
	return out
}

// same compares two lists as sets.
func same(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}
