package policy

import (
	_ "embed"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	cedar "github.com/cedar-policy/cedar-go"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"

	"sallyport/internal/access"
)

//go:embed schema.cedarschema
var schemaText string

var loadSchema = sync.OnceValue(func() *resolved.Schema {
	var s schema.Schema
	s.SetFilename("schema.cedarschema")
	if err := s.UnmarshalCedar([]byte(schemaText)); err != nil {
		panic("policy: the built-in schema does not parse: " + err.Error())
	}
	r, err := s.Resolve()
	if err != nil {
		panic("policy: the built-in schema does not resolve: " + err.Error())
	}
	return r
})

// quotedName finds a name in the validator's messages, which quote with backticks.
var quotedName = regexp.MustCompile("`([^`]+)`")

// schemaProblems words the validator's findings and finds their place. One mistake that it reports
// for several kinds of resource becomes one problem.
func schemaProblems(src source, err error) []Problem {
	var out []Problem
	seen := map[string]bool{}
	for _, e := range flatten(err) {
		message := e.Error()
		name := ""
		if m := quotedName.FindStringSubmatch(message); m != nil {
			name = m[1]
		}
		var p Problem
		switch {
		case strings.HasPrefix(message, "unrecognized action"):
			id := strings.Trim(strings.TrimPrefix(name, "Action::"), `"`)
			p = src.problem("unknown action "+name, suggest(id, actionNames(), `Action::"%s"`), name, `"`+id+`"`)
		case strings.HasPrefix(message, "unrecognized entity type"):
			p = src.problem("unknown entity type "+name, suggest(name, entityNames(), "%s"), name+"::", name)
		case strings.HasPrefix(message, "attribute"):
			p = src.problem(strings.ReplaceAll(message, "`", ""), attributeHint(name, message), "."+name, name)
			if seen["attribute "+name] {
				continue
			}
			seen["attribute "+name] = true
		case strings.HasPrefix(message, "unable to find an applicable action"):
			if len(out) > 0 {
				continue // follows from an unknown name that is reported already
			}
			p = src.problem("this policy can never match: the action does not apply to that kind of principal and resource", appliesTo(src), "action")
		default:
			p = src.problem(strings.ReplaceAll(message, "`", ""), "")
		}
		out = append(out, p)
	}
	return out
}

func attributeHint(name, message string) string {
	known := attributeNames()
	if slices.Contains(known, name) {
		if strings.Contains(message, "in context") {
			return fmt.Sprintf("context.%s is there for other actions only: name the actions in the policy's head", name)
		}
		return fmt.Sprintf("%s is there for other types only: ask for the type first, as in `resource is Column && resource.%s`", name, name)
	}
	return suggest(name, known, "%s")
}

// appliesTo says what the actions that a policy names apply to.
func appliesTo(src source) string {
	var parts []string
	for _, a := range actions {
		if src.find(`"`+string(a)+`"`) < 0 {
			continue
		}
		if to := loadSchema().Actions[cedar.NewEntityUID(typeAction, cedar.String(a))].AppliesTo; to != nil {
			parts = append(parts, fmt.Sprintf("%s applies to %s", a, joined(to.Resources)))
		}
	}
	return strings.Join(parts, "; ")
}

func joined(types []cedar.EntityType) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = string(t)
	}
	return strings.Join(names, ", ")
}

func suggest(name string, known []string, format string) string {
	if n := nearest(name, known); n != "" {
		return "did you mean " + fmt.Sprintf(format, n) + "?"
	}
	return "known are " + strings.Join(known, ", ")
}

// actions are all actions of the schema.
var actions = access.Actions

// ParseAction reads the name of an action, as policies write it between the quotes.
func ParseAction(name string) (access.Action, error) {
	if !slices.Contains(actions, access.Action(name)) {
		return "", fmt.Errorf("unknown action %q: %s", name, suggest(name, actionNames(), "%s"))
	}
	return access.Action(name), nil
}

func actionNames() []string {
	names := make([]string, len(actions))
	for i, a := range actions {
		names[i] = string(a)
	}
	return names
}

func entityNames() []string {
	var names []string
	for t := range loadSchema().Entities {
		names = append(names, string(t))
	}
	slices.Sort(names)
	return names
}

func attributeNames() []string {
	found := map[string]bool{}
	for _, e := range loadSchema().Entities {
		for k := range e.Shape {
			found[string(k)] = true
		}
	}
	for _, a := range loadSchema().Actions {
		if a.AppliesTo != nil {
			for k := range a.AppliesTo.Context {
				found[string(k)] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// flatten takes joined errors apart.
func flatten(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var out []error
	for _, e := range joined.Unwrap() {
		out = append(out, flatten(e)...)
	}
	return out
}

// entitiesOf lists the entities that a policy names, in its scope and its conditions.
func entitiesOf(p *xast.Policy) []cedar.EntityUID {
	var uids []cedar.EntityUID
	for _, scope := range []xast.IsScopeNode{p.Principal, p.Action, p.Resource} {
		switch s := scope.(type) {
		case xast.ScopeTypeEq:
			uids = append(uids, s.Entity)
		case xast.ScopeTypeIn:
			uids = append(uids, s.Entity)
		case xast.ScopeTypeInSet:
			uids = append(uids, s.Entities...)
		case xast.ScopeTypeIsIn:
			uids = append(uids, s.Entity)
		}
	}
	inspect(p, func(n xast.IsNode) {
		if v, ok := n.(xast.NodeValue); ok {
			if uid, ok := v.Value.(cedar.EntityUID); ok {
				uids = append(uids, uid)
			}
		}
	})
	return uids
}

// readsReason is true when a condition can see the wording of the reason. The context as a whole
// counts: a comparison with it sees everything in it.
func readsReason(p *xast.Policy) bool {
	contexts, harmless := 0, 0
	inspect(p, func(n xast.IsNode) {
		switch n := n.(type) {
		case xast.NodeTypeVariable:
			if n.Name == "context" {
				contexts++
			}
		case xast.NodeTypeAccess:
			if v, ok := n.Arg.(xast.NodeTypeVariable); ok && v.Name == "context" && n.Value != "reason" {
				harmless++
			}
		case xast.NodeTypeHas:
			if v, ok := n.Arg.(xast.NodeTypeVariable); ok && v.Name == "context" {
				harmless++
			}
		}
	})
	return contexts > harmless
}

func inspect(p *xast.Policy, f func(xast.IsNode)) {
	for _, c := range p.Conditions {
		xast.Inspect(xast.NewNode(c.Body), func(n xast.IsNode) bool {
			f(n)
			return true
		})
	}
}
