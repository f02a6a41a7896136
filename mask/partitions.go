package mask

import (
	"fmt"
	"slices"

	"sallyport/internal/access"
)

// partitions refuses partitioned tables whose rows are divided by a labelled column, with all their
// partitions: which partition has a row, and in which order partitions are read, tells of the value.
func (r *resolver) partitions() {
	for _, name := range r.names {
		rel := r.cat.Relations[name]
		labelled := r.labels.Columns(name)
		if rel.Kind != access.Partitioned || len(labelled) == 0 {
			continue
		}
		key := slices.IndexFunc(rel.PartitionKey, func(c string) bool { return len(labelled[c]) > 0 })
		switch {
		case key >= 0:
			r.refuseTree(name, fmt.Sprintf("the rows of %s are divided into partitions by the labelled column %s", name, rel.PartitionKey[key]))
		case rel.PartitionExpr:
			r.refuseTree(name, fmt.Sprintf("the rows of %s are divided into partitions by an expression, which may look at labelled columns", name))
		}
	}
}

// refuseTree refuses a relation and everything below it.
func (r *resolver) refuseTree(name access.Name, why string) {
	if l := r.labels.relation(name); l.refused == "" {
		l.refused = why
		r.problem(name.String(), why, "principals with masked columns cannot use it; divide it by another column, or grant them reveal")
	}
	for _, child := range r.names {
		if slices.Contains(r.cat.Relations[child].Parents, name) {
			r.refuseTree(child, why)
		}
	}
}
