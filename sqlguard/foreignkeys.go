package sqlguard

import (
	"fmt"

	"sallyport/internal/access"
	"sallyport/sqlguard/policy"
)

// foreignKeys refuses writes that a foreign key checks against a masked column or hidden rows, on either side:
// whether the write succeeds tells whether a value is there. Whoever may look a masked column up may know.
func (j *judge) foreignKeys(use access.RelationUse) *access.Decision {
	rel := j.in.Catalog.Relations[use.Name]
	if rel == nil {
		return nil // relations has refused it
	}
	for _, r := range j.in.Catalog.Below(rel) {
		for _, con := range r.Constraints {
			if con.Type == 'f' && use.Assigns(r, con.Columns) {
				if d := j.tells(use, con.Name, con.References, con.Keys); d != nil {
					return d
				}
			}
		}
		for _, ref := range r.Referenced {
			if use.Verb == "delete" || use.Verb == "update" && use.Assigns(r, ref.Keys) {
				if d := j.tells(use, ref.Name, ref.By, ref.Columns); d != nil {
					return d
				}
			}
		}
	}
	return nil
}

func (j *judge) tells(use access.RelationUse, constraint string, other access.Name, columns []string) *access.Decision {
	if rel := j.in.Catalog.Relations[other]; rel != nil && j.in.Policies.Filters() && len(j.conditions(rel)) > 0 {
		return j.no(fmt.Sprintf("writing %s could tell about rows of %s that %s does not see through foreign key %s", use.Name, other, j.in.Principal.Name, constraint),
			"leave the columns of the key out, or use row security of the database instead of @where")
	}
	for _, c := range columns {
		if j.hides(access.ColumnID{Relation: other, Column: c}, access.ActReveal, access.ActLookup) {
			return j.no(fmt.Sprintf("writing %s could tell about the masked column %s of %s through foreign key %s", use.Name, c, other, constraint),
				fmt.Sprintf("ask for %q on %s", access.ActLookup, policy.Column(j.in.Connection, other, c, nil)))
		}
	}
	return nil
}

// hides reports whether a column, of whatever relation, is labelled and none of some permissions opens it.
func (j *judge) hides(id access.ColumnID, by ...access.Action) bool {
	labels := j.in.Labels(id.Relation)[id.Column]
	if len(labels) == 0 {
		return false
	}
	for _, a := range by {
		if v := perLabel(j.ask, a, j.in.Connection, id, labels); fulfilled(v, j.in.HasReason) {
			j.grant(v)
			j.compares = j.compares || a == access.ActLookup
			return false
		}
	}
	return true
}
