package postgres

import (
	"slices"

	"sallyport/internal/access"
)

// computing are the definitions that compute a relation's rows, checks or index entries anew.
var computing = []string{"alter", "attach", "inherit", "index", "reindex", "cluster", "vacuum", "analyze", "refresh"}

// effects adds what the server does by itself when the statement's relations are written: foreign keys
// carry writes to other relations, and defaults, constraints and indexes call functions. Triggers are the
// judge's, who finds them at the relation.
func (a *analyzer) effects() {
	for i := 0; i < len(a.facts.Relations); i++ { // grows while walked: a carried write is carried on
		use := a.facts.Relations[i]
		rel := a.env.Catalog.Relations[use.Name]
		if rel == nil || use.Action == access.ActRead || use.Action == access.ActDDL && !slices.Contains(computing, use.Verb) {
			continue
		}
		removes := use.Verb == "delete" || use.Verb == "truncate" || use.Verb == "lock" || use.Verb == "merge"
		for _, r := range a.env.Catalog.Below(rel) {
			if use.Action == access.ActWrite {
				a.carried(r, use)
			}
			for _, c := range append(a.bounds(r), r.Calls...) {
				if !removes || c.By == access.ByTrigger {
					a.use(access.FunctionUse{Name: c.Function, By: c.String() + " of " + r.Name.String()})
				}
			}
		}
	}
}

// bounds are the calls by which the server finds out whether a row belongs into r, a partition of others.
func (a *analyzer) bounds(r *access.Relation) []access.Call {
	var out []access.Call
	for _, p := range r.Parents {
		if parent := a.env.Catalog.Relations[p]; parent != nil {
			out = append(out, a.bounds(parent)...)
			for _, c := range parent.Calls {
				if c.By == access.ByPartitionKey {
					out = append(out, c)
				}
			}
		}
	}
	return out
}

// carried adds the writes that the foreign keys referring to r carry on from use.
func (a *analyzer) carried(r *access.Relation, use access.RelationUse) {
	for _, ref := range r.Referenced {
		next := access.RelationUse{Name: ref.By, Action: access.ActWrite, Verb: "update", By: ref.Name}
		rule := ref.OnUpdate
		switch {
		case use.Verb == "delete":
			if rule = ref.OnDelete; rule == 'c' {
				next.Verb = "delete"
			}
		case use.Verb != "update" || !use.Assigns(r, ref.Keys):
			continue
		}
		if rule != 'c' && rule != 'n' && rule != 'd' || a.env.Catalog.Relations[ref.By] == nil {
			continue
		}
		if next.Verb == "update" {
			for _, c := range ref.Columns {
				next.Columns = append(next.Columns, access.ColumnUse{Name: c, Use: access.UseWrite})
			}
		}
		if !slices.ContainsFunc(a.facts.Relations, func(have access.RelationUse) bool { return same(have, next) }) {
			a.facts.Relations = append(a.facts.Relations, next)
		}
	}
}

// same reports whether two carried writes are one.
func same(x, y access.RelationUse) bool {
	return x.Name == y.Name && x.By == y.By && x.Verb == y.Verb && slices.Equal(x.Columns, y.Columns)
}
