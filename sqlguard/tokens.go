package sqlguard

import (
	"maps"
	"slices"
	"strings"

	"sallyport/internal/access"
	"sallyport/sqlguard/policy"
)

// tokens finds the columns that hold the values of tokens which the statement may assign to masked columns. Whether a
// token has a value tells that somebody has it, so each must be one that the principal may look up, and all of whose
// rows they may read. A value goes only where every label that it is under is the target's too, and where the
// principal will not see it whatever the circumstances. Where they see no tokens, for what they could write, none is
// resolved either.
func (j *judge) tokens() *access.Decision {
	for _, use := range j.in.Facts.Relations {
		if use.Action != access.ActWrite {
			continue
		}
		for _, c := range use.Columns {
			id := access.ColumnID{Relation: use.Name, Column: c.Name}
			if c.Use&access.UseWrite != 0 && j.isMasked[id] && slices.Contains(j.lookup, id) && !slices.Contains(j.writable, id) && !j.mightReveal(id) {
				j.tokensFor(id)
			}
		}
	}
	return nil
}

// mightReveal reports whether the principal could see a column raw through some door or with some reason.
func (j *judge) mightReveal(id access.ColumnID) bool {
	ask, labels := j.in.Policies.Might(j.in.Principal), j.in.Labels(id.Relation)[id.Column]
	for i := range labels {
		if v := ask.Is(access.ActReveal, policy.Column(j.in.Connection, id.Relation, id.Column, labels[i:i+1])); !v.Allowed && v.Err == nil {
			return false
		}
	}
	return true
}

// tokensFor finds the columns whose values may be stored in target.
func (j *judge) tokensFor(target access.ColumnID) {
	labels := j.in.Labels(target.Relation)[target.Column]
	shown := newRevealer(j.in.Principal, j.in.Connection, j.in.Door, j.in.Policies)
	for _, name := range slices.SortedFunc(maps.Keys(j.in.Catalog.Relations), func(a, b access.Name) int { return strings.Compare(a.String(), b.String()) }) {
		rel, of := j.in.Catalog.Relations[name], j.in.Labels(name)
		if len(of) == 0 || rel.Kind != access.Table && rel.Kind != access.Partitioned || isCatalog(name.Schema) || len(rel.Parents) > 0 ||
			j.in.Refused(name) != "" || j.hidden(rel) {
			continue // children are read with their parents
		}
		for _, c := range rel.Columns {
			id, l := access.ColumnID{Relation: name, Column: c.Name}, of[c.Name]
			if len(l) == 0 || slices.ContainsFunc(l, func(l access.Label) bool { return !slices.Contains(labels, l) }) || shown.shows(id, l) {
				continue
			}
			read, lookup := j.reads(name, policy.Column(j.in.Connection, name, c.Name, l)), perLabel(j.ask, access.ActLookup, j.in.Connection, id, l)
			if fulfilled(read, j.in.HasReason) && fulfilled(lookup, j.in.HasReason) {
				j.resolve = append(j.resolve, access.TokenSource{Target: target, Source: id})
				j.grant(read)
				j.grant(lookup)
			}
		}
	}
}

// hidden reports whether the principal sees some rows only of a relation.
func (j *judge) hidden(rel *access.Relation) bool {
	if !j.in.Policies.Filters() {
		return false
	}
	before := j.obligations
	defer func() { j.obligations = before }()
	return len(j.conditions(rel)) > 0
}

// reads is the verdict on reading one column, as judge.columns finds it.
func (j *judge) reads(name access.Name, column policy.Resource) policy.Verdict {
	whole := j.ask.Is(access.ActRead, policy.Table(j.in.Connection, name))
	if !whole.Allowed && len(whole.Policies) > 0 {
		return whole
	}
	if v := j.ask.Is(access.ActRead, column); v.Allowed || len(v.Policies) > 0 {
		return v
	}
	return whole
}
