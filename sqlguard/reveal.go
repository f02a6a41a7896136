package sqlguard

import (
	"fmt"

	"sallyport/internal/access"
	"sallyport/sqlguard/policy"
)

// Revealable says whether a column may be shown to the principal of in once somebody has approved that, and which groups have
// to: a policy permits "reveal" on it under @review. A column that is shown without, or that no policy would ever show, is not. One that
// an approval of in.Revealed shows already is allowed.
func Revealable(in Input, id access.ColumnID) access.Decision {
	labels := in.Labels(id.Relation)[id.Column]
	if len(labels) == 0 {
		return denied(fmt.Sprintf("%s.%s has no label, so nothing of it is masked", id.Relation, id.Column), "")
	}
	j := newJudge(in)
	v := perLabel(j.ask, access.ActReveal, in.Connection, id, labels)
	switch {
	case !v.Allowed:
		return *j.refuse(v, access.ActReveal, policy.Column(in.Connection, id.Relation, id.Column, labels), fmt.Sprintf("showing %s.%s unmasked", id.Relation, id.Column))
	case len(v.Obligations.Review) == 0:
		return denied(fmt.Sprintf("%s.%s needs no approval to be seen", id.Relation, id.Column), "")
	case v.Obligations.Reason && !in.HasReason:
		return WithReason(access.Decision{Effect: access.Review, Obligations: v.Obligations, Policies: v.Policies}, in.Door, false)
	case approved(in.Revealed[id], v.Obligations.Review):
		return access.Decision{Effect: access.Allow, Obligations: v.Obligations, Policies: v.Policies}
	}
	return access.Decision{Effect: access.Review, Obligations: v.Obligations, Policies: v.Policies}
}
