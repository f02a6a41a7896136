package sqlguard

import (
	"maps"
	"slices"
	"strings"

	"sallyport/internal/access"
	"sallyport/sqlguard/policy"
)

// Writable gives the labels under which p might store a value of their own choice, each with a column that
// shows it. Whoever can, and then sees tokens under that label, could try out guesses: write one, and see
// whose token is the same.
//
// It goes by labels because a value can arrive in one column by way of another of the same label: a view,
// a partition, an inherited table. Whoever might define tables (which can give a column a name that a
// label rule matches, or a default) might do so under every label. What triggers and programs beside the
// gateway carry from one column to another is not seen.
func Writable(p access.Principal, connection string, cat *access.Catalog, labels func(access.Name) map[string][]access.Label,
	set *policy.Set) map[access.Label]access.ColumnID {
	out := map[access.Label]access.ColumnID{}
	if cat == nil || labels == nil {
		return out
	}
	ask := set.Might(p)
	all := mightDefine(ask, connection, cat)
	for _, name := range slices.SortedFunc(maps.Keys(cat.Relations), func(a, b access.Name) int { return strings.Compare(a.String(), b.String()) }) {
		columns := labels(name)
		if len(columns) == 0 || isCatalog(name.Schema) {
			continue
		}
		whole := ask.Is(access.ActWrite, policy.Table(connection, name))
		for _, c := range cat.Relations[name].Columns {
			l := columns[c.Name]
			if len(l) == 0 || !slices.ContainsFunc(l, func(l access.Label) bool { return out[l] == access.ColumnID{} }) {
				continue
			}
			if all || mightWrite(ask, whole, policy.Column(connection, name, c.Name, l)) {
				for _, l := range l {
					out[l] = access.ColumnID{Relation: name, Column: c.Name}
				}
			}
		}
	}
	return out
}

// LooksUpTokens says whether p may look up every column that could be shown to them as tokens. Then comparing
// tokens with those of guesses tells them nothing that they may not ask, and what Writable is for is not needed.
// One column without is enough to need it: equal values have equal tokens whatever their labels.
func LooksUpTokens(p access.Principal, connection string, door access.Door, hasReason bool, cat *access.Catalog,
	labels func(access.Name) map[string][]access.Label, tokens func(access.Label) bool, set *policy.Set) bool {
	if cat == nil || labels == nil || tokens == nil {
		return false
	}
	ask := set.For(p, policy.Context{Door: door, HasReason: hasReason})
	all := true
	forEachLabelled(cat, labels, func(id access.ColumnID, l []access.Label) bool {
		all = !slices.ContainsFunc(l, tokens) || fulfilled(perLabel(ask, access.ActLookup, connection, id, l), hasReason)
		return all
	}, newRevealer(p, connection, door, set))
	return all
}

// mightWrite judges a column as judge.columns does, and an error as a yes.
func mightWrite(ask *policy.Asker, whole policy.Verdict, column policy.Resource) bool {
	if whole.Err == nil && !whole.Allowed && len(whole.Policies) > 0 {
		return false
	}
	v := ask.Is(access.ActWrite, column)
	return v.Allowed || v.Err != nil || len(v.Policies) == 0 && (whole.Allowed || whole.Err != nil)
}

func mightDefine(ask *policy.Asker, connection string, cat *access.Catalog) bool {
	might := func(r policy.Resource) bool {
		v := ask.Is(access.ActDDL, r)
		return v.Allowed || v.Err != nil
	}
	if might(policy.Connection(connection)) {
		return true
	}
	for schema := range cat.Schemas {
		if !isCatalog(schema) && might(policy.Schema(connection, schema)) {
			return true
		}
	}
	for name := range cat.Relations {
		if !isCatalog(name.Schema) && might(policy.Table(connection, name)) {
			return true
		}
	}
	return false
}

// mayWrite reports whether the principal might write under one of the labels.
func (j *judge) mayWrite(labels []access.Label) bool {
	if j.in.Writable == nil {
		j.in.Writable = Writable(j.in.Principal, j.in.Connection, j.in.Catalog, j.in.Labels, j.in.Policies)
	}
	return slices.ContainsFunc(labels, func(l access.Label) bool { _, ok := j.in.Writable[l]; return ok })
}
