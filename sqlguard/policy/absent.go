package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	cedar "github.com/cedar-policy/cedar-go"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"

	"sallyport/internal/access"
)

// partsOf says how many parts the id of a thing inside a connection has.
var partsOf = map[cedar.EntityType]int{typeSchema: 2, typeTable: 3, typeFunction: 3, typeColumn: 4}

// Astray reports policies that name a schema, table, column or function whose id has the wrong number
// of parts, or begins with no known connection. They load, and can never match.
func (s *Set) Astray(connections []string) []Problem {
	return s.named(func(uid cedar.EntityUID, parts []string) (message, hint string) {
		want := partsOf[uid.Type]
		switch {
		case len(parts) != want:
			return fmt.Sprintf("%s can never match: a %s has %d parts", uid, uid.Type, want), strings.Join([]string{"connection", "schema", "name", "column"}[:want], ".")
		case !slices.Contains(connections, parts[0]):
			return fmt.Sprintf("%s can never match: there is no connection %s", uid, parts[0]), suggest(parts[0], connections, "%s")
		}
		return "", ""
	})
}

// Absent reports policies that name a schema, table, column or function of a connection which its
// database does not have: a forbid on a misspelt table forbids nothing. What is in pg_catalog and
// information_schema is taken as given, for the catalog holds not all of it.
func (s *Set) Absent(connection string, cat *access.Catalog) []Problem {
	return s.named(func(uid cedar.EntityUID, parts []string) (message, hint string) {
		if len(parts) != partsOf[uid.Type] || parts[0] != connection || parts[1] == "pg_catalog" || parts[1] == "information_schema" {
			return "", ""
		}
		known := knownBeside(uid.Type, parts, cat)
		last := parts[len(parts)-1]
		if slices.Contains(known, last) {
			return "", ""
		}
		if near := nearest(last, known); near != "" {
			hint = "did you mean " + near + "?"
		}
		return fmt.Sprintf("%s is not in the database", uid), hint
	})
}

// knownBeside lists what stands in the catalog where the last part of an id points.
func knownBeside(t cedar.EntityType, parts []string, cat *access.Catalog) []string {
	var known []string
	switch t {
	case typeSchema:
		known = slices.Collect(maps.Keys(cat.Schemas))
	case typeTable:
		for n := range cat.Relations {
			if n.Schema == parts[1] {
				known = append(known, n.Name)
			}
		}
	case typeFunction:
		for n := range cat.Functions {
			if n.Schema == parts[1] {
				known = append(known, n.Name)
			}
		}
	case typeColumn:
		if rel := cat.Relations[access.Name{Schema: parts[1], Name: parts[2]}]; rel != nil {
			for _, c := range rel.Columns {
				known = append(known, c.Name)
			}
		}
	}
	slices.Sort(known)
	return known
}

// named asks judge about each schema, table, column and function that a policy names, and gives what
// it has to say with the place.
func (s *Set) named(judge func(uid cedar.EntityUID, parts []string) (message, hint string)) []Problem {
	var out []Problem
	for _, r := range s.rules {
		seen := map[cedar.EntityUID]bool{}
		for _, uid := range entitiesOf((*xast.Policy)(r.policy.AST())) {
			if partsOf[uid.Type] == 0 || seen[uid] {
				continue
			}
			seen[uid] = true
			parts, err := split(string(uid.ID))
			if err != nil {
				parts = nil
			}
			if message, hint := judge(uid, parts); message != "" {
				out = append(out, r.src.problem(message, hint, uid.String(), string(uid.ID)))
			}
		}
	}
	return out
}
