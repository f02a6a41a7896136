package postgres

import (
	"slices"

	"sallyport/internal/access"
)

// computing are the definitions that compute a relation's rows, checks or index entries anew.
var computing = []string{"alter", "attach", "inherit", "index", "reindex", "cluster", "vacuum", "analyze", "refresh"}

// effects adds what the server does by itself when the statement's relations are written: defaults,
// constraints and indexes call functions. Triggers are the
// judge's, who finds them at the relation.
func (a *analyzer) effects() {
	for _, use := range a.facts.Relations {
		rel := a.env.Catalog.Relations[use.Name]
		if rel == nil || use.Action == access.ActRead || use.Action == access.ActDDL && !slices.Contains(computing, use.Verb) {
			continue
		}
		removes := use.Verb == "delete" || use.Verb == "truncate" || use.Verb == "lock" || use.Verb == "merge"
		for _, r := range a.env.Catalog.Below(rel) {
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
