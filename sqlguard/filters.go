package sqlguard

import (
	"errors"
	"fmt"
	"slices"

	"sallyport/internal/access"
	"sallyport/sqlguard/policy"
	"sallyport/sqlguard/rowfilter"
)

// Filtered says whether p sees, in some circumstances, some rows only of a relation of the catalog. Whoever does is
// held to the limits of principals with masked columns: both see a part of what is there.
func Filtered(p access.Principal, connection string, cat *access.Catalog, labels func(access.Name) map[string][]access.Label, set *policy.Set) bool {
	if !set.Filters() || cat == nil || labels == nil {
		return false
	}
	ask := set.Might(p)
	filters := func(r policy.Resource) bool {
		for _, a := range []access.Action{access.ActRead, access.ActWrite} {
			if v := ask.Is(a, r); v.Allowed && len(v.Obligations.Where) > 0 {
				return true
			}
		}
		return false
	}
	for name, rel := range cat.Relations {
		if isCatalog(name.Schema) {
			continue
		}
		if filters(policy.Table(connection, name)) {
			return true
		}
		l := labels(name)
		for _, c := range rel.Columns {
			if filters(policy.Column(connection, name, c.Name, l[c.Name])) {
				return true
			}
		}
	}
	return false
}

// filters finds the conditions on the rows of each relation that the statement touches. They are those of every
// permit that lets the relation, or a column that is used, be read or written, and of the relations that share its
// rows by inheritance or partitioning; all have to hold.
func (j *judge) filters() *access.Decision {
	if !j.in.Policies.Filters() {
		return nil
	}
	seen := map[access.Name]bool{}
	for _, use := range j.in.Facts.Relations {
		rel := j.in.Catalog.Relations[use.Name]
		if isCatalog(use.Name.Schema) || rel == nil {
			continue
		}
		if d := j.filteredBelow(rel); d != nil {
			return d
		}
		where := j.conditions(rel)
		if len(where) == 0 {
			continue
		}
		if use.Action != access.ActRead {
			return j.no(fmt.Sprintf("changing %s, of which %s sees some rows only, is not available", use.Name, j.in.Principal.Name),
				"a policy with @where is for reading; where such a table has to be written, use row security of the database")
		}
		for _, w := range where {
			f, err := j.filter(rel, w)
			if err != nil {
				return j.no(fmt.Sprintf("the row filter %q cannot be applied to %s: %v", w, use.Name, err), "tell whoever keeps the policies")
			}
			if !seen[use.Name] {
				j.rows = append(j.rows, f)
			}
		}
		seen[use.Name] = true
	}
	return nil
}

// conditions are the texts of the row filters of a relation.
func (j *judge) conditions(rel *access.Relation) []string {
	var o access.Obligations
	take := func(a access.Action, r policy.Resource) {
		if v := j.ask.Is(a, r); v.Allowed {
			o = policy.Strictest(o, access.Obligations{Where: v.Obligations.Where})
		}
	}
	for _, r := range family(j.in.Catalog, rel) {
		take(access.ActRead, policy.Table(j.in.Connection, r.Name))
		take(access.ActWrite, policy.Table(j.in.Connection, r.Name))
		labels := j.in.Labels(r.Name)
		for _, c := range r.Columns {
			// All of them: which rows there are must not depend on which columns a statement names.
			take(access.ActRead, policy.Column(j.in.Connection, r.Name, c.Name, labels[c.Name]))
			take(access.ActWrite, policy.Column(j.in.Connection, r.Name, c.Name, labels[c.Name]))
		}
	}
	j.obligations = policy.Strictest(j.obligations, o)
	return o.Where
}

// filteredBelow refuses a view over a relation that has a row filter. A filter of the view's own would not do: what it
// counts, ranks or joins, it does with hidden rows too.
func (j *judge) filteredBelow(rel *access.Relation) *access.Decision {
	if rel.Kind != access.View && rel.Kind != access.MatView {
		return nil
	}
	if j.in.Reads == nil {
		return j.no(fmt.Sprintf("what %s reads is not known", rel.Name), "query the tables that it is made from")
	}
	for _, name := range j.in.Reads(rel.Name) {
		below := j.in.Catalog.Relations[name]
		if below != nil && len(j.conditions(below)) > 0 {
			return j.no(fmt.Sprintf("%s shows rows of %s, of which %s sees some only", rel.Name, name, j.in.Principal.Name),
				fmt.Sprintf("query %s itself", name))
		}
	}
	return nil
}

// filter makes a condition ready to be compiled.
func (j *judge) filter(rel *access.Relation, text string) (access.RowFilter, error) {
	f, err := rowfilter.Parse(text)
	if err != nil {
		return access.RowFilter{}, err
	}
	for _, c := range f.Columns() {
		if rel.Column(c) == nil {
			return access.RowFilter{}, fmt.Errorf("it has no column %s", c)
		}
	}
	for _, c := range f.Comparisons(j.in.Principal.Attribute) {
		if why := steady(j.in.Catalog, rel, c); why != "" {
			return access.RowFilter{}, errors.New(why)
		}
	}
	sql, err := f.SQL(j.in.Principal.Attribute)
	return access.RowFilter{Relation: rel.Name, Condition: sql}, err
}

// family is a relation with all that its rows are shared with: what inherits from it or is a partition of it, and
// what these and it inherit from or are partitions of.
func family(cat *access.Catalog, rel *access.Relation) []*access.Relation {
	out := cat.Below(rel)
	for i := 0; i < len(out); i++ {
		for _, name := range out[i].Parents {
			if p := cat.Relations[name]; p != nil && !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}
