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
	for _, use := range j.in.Facts.Relations {
		rel := j.in.Catalog.Relations[use.Name]
		if isCatalog(use.Name.Schema) || rel == nil {
			continue
		}
		hidden, d := j.hide(rel)
		if d == nil && (rel.Kind == access.View || rel.Kind == access.MatView) {
			var below bool
			below, d = j.hideBelow(rel)
			hidden = hidden || below
		}
		if d == nil && hidden && use.Action != access.ActRead {
			d = j.no(fmt.Sprintf("changing %s, of which %s sees some rows only, is not available", use.Name, j.in.Principal.Name),
				"a policy with @where is for reading; where such a table has to be written, use row security of the database")
		}
		if d != nil {
			return d
		}
	}
	return nil
}

// hide notes the conditions on the rows of one relation, and tells whether there are any.
func (j *judge) hide(rel *access.Relation) (bool, *access.Decision) {
	where := j.conditions(rel)
	known := slices.ContainsFunc(j.rows, func(f access.RowFilter) bool { return f.Relation == rel.Name })
	for _, w := range where {
		f, err := j.filter(rel, w)
		if err != nil {
			return true, j.no(fmt.Sprintf("the row filter %q cannot be applied to %s: %v", w, rel.Name, err), "tell whoever keeps the policies")
		}
		if !known {
			j.rows = append(j.rows, f)
		}
	}
	return len(where) > 0, nil
}

// hideBelow notes the conditions on the rows that a view is made from, and the views that have to be read by their
// body for that. It tells whether there are any.
func (j *judge) hideBelow(view *access.Relation) (bool, *access.Decision) {
	if j.in.Reads == nil {
		return true, j.no(fmt.Sprintf("what %s reads is not known", view.Name), "query the tables that it is made from")
	}
	var from access.Name // one of those with hidden rows
	below := j.in.Reads(view.Name)
	for _, name := range below {
		rel := j.in.Catalog.Relations[name]
		if rel == nil {
			continue
		}
		hidden, d := j.hide(rel)
		if d != nil {
			return true, d
		}
		if hidden {
			from = name
		}
	}
	if from == (access.Name{}) {
		return false, nil
	}
	shows := fmt.Sprintf("%s shows rows of %s, of which %s sees some only", view.Name, from, j.in.Principal.Name)
	for _, name := range append([]access.Name{view.Name}, below...) {
		rel := j.in.Catalog.Relations[name]
		switch {
		case rel == nil:
			return true, j.no(fmt.Sprintf("%s, and reads %s, which is not known", shows, name), fmt.Sprintf("query %s itself", from))
		case rel.Kind == access.MatView:
			return true, j.no(fmt.Sprintf("%s, and what %s holds was computed from all of them", shows, name), fmt.Sprintf("query %s itself", from))
		case rel.RowSecurity:
			// In a view it is that of the view's owner; in the body it would be that of the gateway's role.
			return true, j.no(fmt.Sprintf("%s, and %s has row security of the database", shows, name), fmt.Sprintf("query %s itself", from))
		case rel.Kind == access.View && !slices.Contains(j.inlined, name):
			j.inlined = append(j.inlined, name)
		}
	}
	return true, nil
}

// conditions are the texts of the row filters of a relation.
func (j *judge) conditions(rel *access.Relation) []string {
	var o access.Obligations
	take := func(a access.Action, r policy.Resource) {
		if v := j.ask.Is(a, r); v.Allowed || v.Limited { // a token that is good for less must not show more rows
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
