package sqlguard

import (
	"slices"

	"sallyport/internal/access"
	"sallyport/sqlguard/policy"
)

// aggregates finds the masked columns of a relation that may be aggregated raw.
//
// What is answered about a column is about whole cells: the rows that have the same values in some columns, which the policy
// names, once and for all. A cell with too few values is in no answer. So whatever is asked, in however many
// statements and by however many who share what they learn, can be worked out from the sums over cells that are large
// enough: there is no row, and no small set of rows, that is in one answer and not in another. That holds while
//
//   - there is one division into cells: no view, partition or inheriting table has another one of the same rows, and no row
//     security, which may go by what a session sets, shows others to the same principal;
//   - equal values of a dividing column cannot be told apart by comparing them;
//   - whoever asks cannot move rows between cells, or fill cells up with rows of their own.
func (j *judge) aggregates(name access.Name, labels map[string][]access.Label) {
	rel := j.in.Catalog.Relations[name]
	if rel == nil || rel.Kind != access.Table || len(rel.Parents) > 0 || rel.Secured || rel.RowSecurity && j.pins.Role != "" {
		return
	}
	single, mine := false, false // not looked at before a permit asks for it
	for _, c := range rel.Columns {
		id := access.ColumnID{Relation: name, Column: c.Name}
		if !j.isMasked[id] {
			continue
		}
		v := perLabel(j.ask, access.ActAggregate, j.in.Connection, id, labels[c.Name])
		o := v.Obligations
		if !fulfilled(v, j.in.HasReason) || o.MinGroup == 0 || !j.divides(rel, o.GroupBy) {
			continue
		}
		if !single {
			single = true
			mine = len(j.in.Catalog.Below(rel)) > 1 || j.mightChange(rel, labels)
		}
		if mine {
			return
		}
		j.cells = append(j.cells, access.AggregateColumn{Column: id, MinGroup: o.MinGroup, By: o.GroupBy})
		if j.uses(id) {
			j.grant(v)
		}
	}
}

// exactTypes are the types (pg_type.dat) of which equal values are the same, bit by bit, and print alike: bool, bigint,
// smallint, integer, text, varchar, date, timestamp, uuid.
var exactTypes = map[uint32]bool{16: true, 20: true, 21: true, 23: true, 25: true, 1043: true, 1082: true, 1114: true, 2950: true}

// divides says whether rel can be divided into cells by columns: the principal sees them, and their equality is exact.
func (j *judge) divides(rel *access.Relation, by []string) bool {
	return !slices.ContainsFunc(by, func(name string) bool {
		c := rel.Column(name)
		if c == nil || j.isMasked[access.ColumnID{Relation: rel.Name, Column: name}] {
			return true
		}
		t := j.in.Catalog.TypeByOID[c.TypeOID]
		return !exactTypes[c.TypeOID] && (t == nil || t.Kind != 'e')
	})
}

// mightChange says whether the principal might change which rows a relation has, or what is in them.
func (j *judge) mightChange(rel *access.Relation, labels map[string][]access.Label) bool {
	ask := j.in.Policies.Might(j.in.Principal)
	whole := ask.Is(access.ActWrite, policy.Table(j.in.Connection, rel.Name))
	if whole.Allowed || whole.Err != nil || mightDefine(ask, j.in.Connection, j.in.Catalog) {
		return true
	}
	return slices.ContainsFunc(rel.Columns, func(c access.Column) bool {
		return mightWrite(ask, whole, policy.Column(j.in.Connection, rel.Name, c.Name, labels[c.Name]))
	})
}
