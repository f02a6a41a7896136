package gateway

import (
	"fmt"
	"slices"

	"sallyport/internal/access"
	"sallyport/sqlguard/postgres"
	"sallyport/sqlguard/registry"
)

// undone are the classes of functions that leave nothing behind once the transaction that they ran in is rolled back and its session has ended.
// What moves or sets a sequence is not among them, nor what takes locks, signals, or runs SQL that is not known.
var undone = []string{registry.Pure, registry.Catalog, registry.Volatile, registry.Setting, registry.Notify}

// planned are the classes of functions that may stand in a statement that is only planned. The planner runs those that say they are stable.
var planned = append([]string{registry.Writes, registry.Sizes, registry.Bounds, registry.Discloses}, undone...)

// calls finds a function of a statement that is of none of some classes; "" where there is none.
func calls(f *access.Facts, classes []string) string {
	for _, fn := range f.Functions {
		if !slices.Contains(classes, fn.Class) {
			return fn.Name.Name
		}
	}
	return ""
}

// lasting says what running a statement would leave behind though it is rolled back; "" is nothing.
func (p *plan) lasting() string {
	if f := calls(p.facts, undone); f != "" {
		return f + " may do what a rollback does not take back"
	}
	for _, use := range p.facts.Relations {
		rel := p.scope.snap.cat.Relations[use.Name]
		if rel == nil || use.Action == access.ActRead {
			continue
		}
		for _, r := range p.scope.snap.cat.Below(rel) {
			for i := range r.Columns {
				if why := p.numbers(r, &r.Columns[i], use); why != "" {
					return why
				}
			}
		}
	}
	return ""
}

// numbers says what a column's default leaves behind where a write may come to use it.
func (p *plan) numbers(r *access.Relation, c *access.Column, use access.RelationUse) string {
	switch use.Verb {
	case "delete", "truncate", "lock":
		return ""
	case "update":
		if !slices.ContainsFunc(use.Columns, func(u access.ColumnUse) bool { return u.Name == c.Name && u.Use&access.UseWrite != 0 }) {
			return ""
		}
	}
	name := r.Name.String() + "." + c.Name
	switch {
	case c.Identity:
		return "the numbers that " + name + " would take from its sequence stay taken"
	case c.Default == "" || c.Generated:
		return ""
	}
	list, err := postgres.Parse("SELECT " + c.Default)
	if err != nil || len(list) != 1 {
		return "the default of " + name + " cannot be looked into"
	}
	f, err := postgres.Analyze(list[0], postgres.Env{Catalog: p.scope.snap.cat, Path: postgres.EffectivePath(nil), Registry: p.scope.snap.registry, Bodies: p.scope.snap.bodies})
	if err != nil {
		return "the default of " + name + " cannot be looked into"
	}
	if fn := calls(f, undone); fn != "" {
		return fmt.Sprintf("the default of %s calls %s, which may do what a rollback does not take back", name, fn)
	}
	return ""
}
