package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	cedar "github.com/cedar-policy/cedar-go"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"

	"sallyport/internal/access"
	"sallyport/sqlguard/rowfilter"
)

// Missing is something that a policy names and the database does not have, so that the policy is about nothing.
type Missing struct {
	Entity  string // as policies write it: Table::"shop.public.orders"
	Nearest string // what is there and reads most like it, or ""
	// Safe says that only scopes of permits name it: they permit nothing. A forbid, or a condition, that is about
	// nothing lets more through than was meant.
	Safe bool
}

// Missing lists the schemas, relations, columns and functions that policies name on a connection, in annotations too, and its
// catalog does not have. What is the server's own is not looked for.
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
	return append(out, s.unfit(connection, cat)...)
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

// unfit lists the columns that @where and @group_by name and that no relation has which their policies are about. Such a @where
// refuses, such a @group_by keeps sums back.
func (s *Set) unfit(connection string, cat *access.Catalog) []Missing {
	var out []Missing
	for _, r := range s.rules {
		named := map[string][]string{"group_by": r.obligations.GroupBy}
		for _, w := range r.obligations.Where {
			if f, err := rowfilter.Parse(w); err == nil { // it has been parsed before
				named["where"] = append(named["where"], f.Columns()...)
			}
		}
		if len(named["where"])+len(named["group_by"]) == 0 {
			continue
		}
		scope := resourceOf(r)
		columns, about := map[string]bool{}, false
		for name, rel := range cat.Relations {
			table := id(connection, name.Schema, name.Name)
			if system(name.String()) || !within(table, scope) {
				continue
			}
			about = true
			for _, c := range rel.Columns {
				columns[c.Name] = true
			}
		}
		if !about {
			continue // of another connection, or told of already
		}
		known := slices.Sorted(maps.Keys(columns))
		for _, annotation := range []string{"where", "group_by"} {
			for _, c := range named[annotation] {
				if columns[c] {
					continue
				}
				of := "any table"
				if !scope.IsZero() && scope.Type != typeLabel {
					of = scope.String()
				}
				out = append(out, Missing{Entity: fmt.Sprintf("column %q of %s in @%s of %s", c, of, annotation, r.id), Nearest: nearest(c, known),
					Safe: scope.Type != typeTable && scope.Type != typeColumn})
			}
		}
	}
	return out
}

// resourceOf is the entity that a rule's scope says its resources are, or are in; zero where it says nothing.
func resourceOf(r *rule) cedar.EntityUID {
	switch scope := (*xast.Policy)(r.policy.AST()).Resource.(type) {
	case xast.ScopeTypeEq:
		return scope.Entity
	case xast.ScopeTypeIn:
		return scope.Entity
	case xast.ScopeTypeIsIn:
		return scope.Entity
	}
	return cedar.EntityUID{}
}

// within reports whether a table is what a scope names, holds it, or is in it. Which tables have a label is not looked at.
func within(table string, scope cedar.EntityUID) bool {
	named := string(scope.ID)
	switch scope.Type {
	case typeConnection, typeSchema, typeTable:
		return table == named || strings.HasPrefix(table, named+".")
	case typeColumn:
		return strings.HasPrefix(named, table+".")
	}
	return true
}
