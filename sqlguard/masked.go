package sqlguard

import (
	"fmt"
	"slices"
	"sort"

	"sallyport/internal/access"
	"sallyport/sqlguard/policy"
)

// MaskedColumns lists every labelled column of the catalog that p may not see raw, in the order of
// their names. A principal with at least one is a masked principal: all their statements run
// compiled. Columns that p could see after giving a reason count as masked here, because a session
// may give and withdraw reasons.
func MaskedColumns(p access.Principal, connection string, door access.Door, cat *access.Catalog,
	labels func(access.Name) map[string][]access.Label, set *policy.Set) []access.ColumnID {
	var out []access.ColumnID
	if cat == nil || labels == nil {
		return nil
	}
	forEachLabelled(cat, labels, func(id access.ColumnID, l []access.Label) bool {
		out = append(out, id)
		return true
	}, newRevealer(p, connection, door, set))
	sort.Slice(out, func(a, b int) bool {
		x, y := out[a], out[b]
		if x.Relation != y.Relation {
			return x.Relation.String() < y.Relation.String()
		}
		return x.Column < y.Column
	})
	return out
}

// revealer judges whether a column is shown raw whatever reason is given or not.
type revealer struct {
	connection string
	with       [2]*policy.Asker // without and with a reason
}

func newRevealer(p access.Principal, connection string, door access.Door, set *policy.Set) *revealer {
	r := &revealer{connection: connection}
	for i := range r.with {
		r.with[i] = set.For(p, policy.Context{Door: door, HasReason: i == 1})
	}
	return r
}

func (r *revealer) shows(id access.ColumnID, labels []access.Label) bool {
	for i, ask := range r.with {
		if v := perLabel(ask, access.ActReveal, r.connection, id, labels); !fulfilled(v, i == 1) {
			return false
		}
	}
	return true
}

// forEachLabelled calls f for each labelled column that r does not show, until f returns false.
func forEachLabelled(cat *access.Catalog, labels func(access.Name) map[string][]access.Label,
	f func(access.ColumnID, []access.Label) bool, r *revealer) {
	for name := range cat.Relations {
		for column, l := range labels(name) {
			id := access.ColumnID{Relation: name, Column: column}
			if len(l) > 0 && !r.shows(id, l) && !f(id, l) {
				return
			}
		}
	}
}

// perLabel asks for an action on a column for all of its labels: once with all of them, so that every
// forbid counts, and once with each alone, so that a permit for one label does not open a column that
// has another one too.
func perLabel(ask *policy.Asker, a access.Action, connection string, id access.ColumnID, labels []access.Label) policy.Verdict {
	v := ask.Is(a, policy.Column(connection, id.Relation, id.Column, labels))
	if len(labels) < 2 || !v.Allowed {
		return v
	}
	for i := range labels {
		one := ask.Is(a, policy.Column(connection, id.Relation, id.Column, labels[i:i+1]))
		if !one.Allowed {
			return one
		}
		v.Obligations = policy.Strictest(v.Obligations, one.Obligations)
		for _, p := range one.Policies {
			if !slices.Contains(v.Policies, p) {
				v.Policies = append(v.Policies, p)
			}
		}
	}
	return v
}

// fulfilled reports whether a reveal or lookup is to be had now. What waits for a review or a reason
// stays masked: the statement runs, and shows less.
func fulfilled(v policy.Verdict, hasReason bool) bool {
	return v.Allowed && len(v.Obligations.Review) == 0 && (hasReason || !v.Obligations.Reason)
}

// approved reports whether by one of the approvals, each the groups that were asked, all of groups were.
func approved(approvals [][]string, groups []string) bool {
	return slices.ContainsFunc(approvals, func(asked []string) bool {
		return !slices.ContainsFunc(groups, func(g string) bool { return !slices.Contains(asked, g) })
	})
}

// collectMasked finds the masked columns of every relation that the statement touches.
func (j *judge) collectMasked() {
	seen := map[access.Name]bool{}
	for _, use := range j.in.Facts.Relations {
		if seen[use.Name] {
			continue
		}
		seen[use.Name] = true
		labels := j.in.Labels(use.Name)
		columns := make([]string, 0, len(labels))
		for c := range labels {
			columns = append(columns, c)
		}
		sort.Strings(columns)
		for _, c := range columns {
			id := access.ColumnID{Relation: use.Name, Column: c}
			if len(labels[c]) == 0 {
				continue
			}
			v := perLabel(j.ask, access.ActReveal, j.in.Connection, id, labels[c])
			if approved(j.in.Revealed[id], v.Obligations.Review) {
				v.Obligations.Review = nil
			}
			if fulfilled(v, j.in.HasReason) {
				if j.uses(id) {
					j.grant(v)
				}
				continue
			}
			j.masked = append(j.masked, id)
			j.isMasked[id] = true
			if j.mayWrite(labels[c]) {
				j.writable = append(j.writable, id)
			}
			if v := perLabel(j.ask, access.ActPredicate, j.in.Connection, id, labels[c]); fulfilled(v, j.in.HasReason) && len(v.Obligations.Probes) > 0 {
				j.predicate = append(j.predicate, id)
				if j.uses(id) {
					j.grant(v)
				}
			}
			j.use(access.ActOrder, id, labels[c], &j.order)
			j.use(access.ActGroup, id, labels[c], &j.group)
			if v := perLabel(j.ask, access.ActLookup, j.in.Connection, id, labels[c]); fulfilled(v, j.in.HasReason) {
				j.lookup = append(j.lookup, id)
				if j.uses(id) {
					j.grant(v)
				}
			}
		}
		j.aggregates(use.Name, labels)
	}
}

// use notes a column that one kind of use may see raw.
func (j *judge) use(a access.Action, id access.ColumnID, labels []access.Label, list *[]access.ColumnID) {
	if v := perLabel(j.ask, a, j.in.Connection, id, labels); fulfilled(v, j.in.HasReason) {
		*list = append(*list, id)
		if j.uses(id) {
			j.grant(v)
		}
	}
}

// uses reports whether the statement uses a column.
func (j *judge) uses(id access.ColumnID) bool {
	for _, r := range j.in.Facts.Relations {
		if r.Name != id.Relation {
			continue
		}
		if r.Whole || slices.ContainsFunc(r.Columns, func(c access.ColumnUse) bool { return c.Name == id.Column }) {
			return true
		}
	}
	return false
}

// maskedPrincipal reports whether any column of the connection is masked for this principal, or some rows hidden.
func (j *judge) maskedPrincipal() bool {
	if j.anywhere == nil {
		found := len(j.masked) > 0 || len(j.rows) > 0 ||
			Filtered(j.in.Principal, j.in.Connection, j.in.Catalog, j.in.Labels, j.in.Policies)
		if !found {
			r := newRevealer(j.in.Principal, j.in.Connection, j.in.Door, j.in.Policies)
			forEachLabelled(j.in.Catalog, j.in.Labels, func(access.ColumnID, []access.Label) bool {
				found = true
				return false
			}, r)
		}
		j.anywhere = &found
	}
	return *j.anywhere
}

// maskedDDL are the only definitions that a masked principal may change: on relations without masked
// columns, and nothing that makes code, views or copies.
var maskedDDL = []string{"CREATE TABLE", "ALTER TABLE", "DROP TABLE", "CREATE INDEX", "DROP INDEX", "TRUNCATE", "TRUNCATE TABLE"}

// maskedLimits refuses what a masked principal could use to see behind a mask although each single
// permission is there.
func (j *judge) maskedLimits() *access.Decision {
	f := j.in.Facts
	changes := f.Class == access.ClassDDL || slices.ContainsFunc(f.Relations, func(r access.RelationUse) bool { return r.Action == access.ActDDL })
	if changes && j.maskedPrincipal() {
		if f.Stores || !slices.Contains(maskedDDL, f.Tag) {
			return j.no(fmt.Sprintf("%s is not available to principals with masked columns", f.Tag),
				"they may create, alter, drop, index and truncate tables without masked columns; ask somebody who sees the columns raw")
		}
		if len(j.masked) > 0 {
			id := j.masked[0]
			return j.no(fmt.Sprintf("%s may not involve %s: its column %s is masked for %s", f.Tag, id.Relation, id.Column, j.in.Principal.Name),
				"an index, a constraint or a changed type would tell about the values; ask somebody who sees the column raw")
		}
	}
	for _, id := range f.RowSecurity {
		if j.hides(id, access.ActReveal) {
			return j.no(fmt.Sprintf("which rows are there depends on the masked column %s of %s, by row security", id.Column, id.Relation),
				fmt.Sprintf("ask for %q on %s", access.ActReveal, policy.Column(j.in.Connection, id.Relation, id.Column, nil)))
		}
	}
	for _, use := range f.Relations {
		for _, c := range use.Columns {
			id := access.ColumnID{Relation: use.Name, Column: c.Name}
			if c.Use&access.UseStore != 0 && j.isMasked[id] {
				return j.no(fmt.Sprintf("this would store the masked value of %s.%s", id.Relation, id.Column),
					"what is stored must be real data: leave the column out, or ask for \"reveal\" on it")
			}
		}
		if use.Action == access.ActWrite {
			for _, step := range []func(access.RelationUse) *access.Decision{j.constraints, j.foreignKeys} {
				if d := step(use); d != nil {
					return carriedBy(use, d)
				}
			}
		}
	}
	return nil
}

// guesses notes that a constraint compares what is written with a column that may be looked up, and takes on what the
// permission to do so asks for.
func (j *judge) guesses(rel *access.Relation, id access.ColumnID, assigned []string, use access.RelationUse) {
	for _, con := range rel.Constraints {
		looks := func(column string) bool { return len(con.Columns) == 0 || slices.Contains(con.Columns, column) }
		if (con.Type != 'c' || use.Verb != "insert") && looks(id.Column) && (use.Whole || slices.ContainsFunc(assigned, looks)) {
			j.compares = true
			j.grant(perLabel(j.ask, access.ActLookup, j.in.Connection, id, j.in.Labels(id.Relation)[id.Column]))
		}
	}
}

// constraints refuses writes whose success or failure tells whether a masked value equals, or
// relates to, a value of the writer's choice. Whoever may look the column up may know.
func (j *judge) constraints(use access.RelationUse) *access.Decision {
	var assigned []string
	for _, c := range use.Columns {
		if c.Use&access.UseWrite != 0 {
			assigned = append(assigned, c.Name)
		}
	}
	if len(assigned) == 0 && !use.Whole {
		return nil // DELETE, TRUNCATE: no new value is compared with a masked one
	}
	rel := j.in.Catalog.Relations[use.Name]
	if rel == nil {
		return nil // relations has refused it
	}
	var hidden []string // masked, and not open to look-ups
	for _, c := range rel.Columns {
		id := access.ColumnID{Relation: use.Name, Column: c.Name}
		if !j.isMasked[id] {
			continue
		}
		if slices.Contains(j.lookup, id) {
			j.guesses(rel, id, assigned, use)
			continue
		}
		hidden = append(hidden, c.Name)
	}
	if len(hidden) == 0 {
		return nil
	}
	if use.Verb != "insert" { // an inserted row's expressions look at what the writer gave
		for _, r := range j.in.Catalog.Below(rel) {
			i := slices.IndexFunc(r.Columns, func(c access.Column) bool { return c.Generated })
			if i < 0 {
				continue
			}
			// Which columns the expression looks at is not known, so all: it is computed anew from the
			// whole row, and its errors print what it was computed from.
			return j.no(fmt.Sprintf("writing %s could tell about the masked column %s through the generated column %s", use.Name, hidden[0], r.Columns[i].Name),
				fmt.Sprintf("ask for %q on %s", access.ActLookup, policy.Column(j.in.Connection, use.Name, hidden[0], nil)))
		}
	}
	for _, con := range rel.Constraints {
		if con.Type == 'c' && use.Verb == "insert" && len(con.Columns) > 0 {
			continue // looks at the new row only, which the writer knows
		}
		looks := func(column string) bool { return len(con.Columns) == 0 || slices.Contains(con.Columns, column) }
		i := slices.IndexFunc(hidden, looks)
		if i < 0 || !use.Whole && !slices.ContainsFunc(assigned, looks) {
			continue
		}
		return j.no(fmt.Sprintf("writing %s could tell about the masked column %s through constraint %s", use.Name, hidden[i], con.Name),
			fmt.Sprintf("ask for %q on %s", access.ActLookup, policy.Column(j.in.Connection, use.Name, hidden[i], nil)))
	}
	return nil
}
