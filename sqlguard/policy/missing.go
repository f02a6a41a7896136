package policy

import (
	"fmt"
	"slices"
	"strings"

	cedar "github.com/cedar-policy/cedar-go"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"

	"sallyport/internal/access"
)

// Missing is something that a policy names and the database does not have, so that the policy is about nothing.
type Missing struct {
	Entity  string // as policies write it: Table::"shop.public.orders"
	Nearest string // what is there and reads most like it, or ""
	// Safe says that only scopes of permits name it: they permit nothing. A forbid, or a condition, that is about
	// nothing lets more through than was meant.
	Safe bool
}

// Missing lists the schemas, relations, columns and functions that policies name on a connection and its catalog does
// not have. What is the server's own is not looked for.
func (s *Set) Missing(connection string, cat *access.Catalog) []Missing {
	known := map[string][]string{}
	add := func(entity, id string) { known[entity] = append(known[entity], id) }
	for schema := range cat.Schemas {
		add(string(typeSchema), id(connection, schema))
	}
	for name, rel := range cat.Relations {
		add(string(typeTable), id(connection, name.Schema, name.Name))
		for _, c := range rel.Columns {
			add(string(typeColumn), id(connection, name.Schema, name.Name, c.Name))
		}
	}
	for name := range cat.Functions {
		add(string(typeFunction), id(connection, name.Schema, name.Name))
	}
	grave := s.limiting()
	var out []Missing
	for _, entity := range []string{string(typeSchema), string(typeTable), string(typeColumn), string(typeFunction)} {
		slices.Sort(known[entity])
		for _, named := range s.Mentioned(entity) {
			rest, here := strings.CutPrefix(named, id(connection)+".")
			_, there := slices.BinarySearch(known[entity], named)
			if !here || there || rest == "pg_temp" || strings.HasPrefix(rest, "pg_temp.") || system(rest) {
				continue
			}
			uid := cedar.NewEntityUID(cedar.EntityType(entity), cedar.String(named))
			out = append(out, Missing{Entity: fmt.Sprintf("%s::%q", entity, named), Nearest: nearest(named, known[entity]), Safe: !slices.Contains(grave, uid)})
		}
	}
	return out
}

// limiting are the entities that forbids name, and conditions of permits.
func (s *Set) limiting() []cedar.EntityUID {
	var out []cedar.EntityUID
	for _, r := range s.rules {
		p := *(*xast.Policy)(r.policy.AST())
		if r.policy.Effect() == cedar.Permit {
			p.Resource = xast.ScopeTypeAll{}
		}
		out = append(out, entitiesOf(&p)...)
	}
	return out
}

// system tells whether a name, without its connection, is in a schema of the server's own.
func system(name string) bool {
	schema, _, _ := strings.Cut(name, ".")
	return schema == "pg_catalog" || schema == "information_schema" || schema == "pg_toast"
}
