package web

import (
	"time"

	"sallyport/internal/gateway"
)

// Look is what a reviewer may want to look at twice, and requests like this one with how they ended.
type Look struct {
	Notes   []gateway.ReviewNote `json:"notes,omitempty"`
	Similar []Like               `json:"similar,omitempty"`
	Preview *Preview             `json:"preview,omitempty"` // where one was made by itself
}

// Like is a request that is like another.
type Like struct {
	ID      string              `json:"id"`
	State   gateway.ReviewState `json:"state"`
	Asked   time.Time           `json:"asked"`
	Reason  string              `json:"reason,omitempty"` // claimed
	Outcome string              `json:"outcome,omitempty"`
}

// Preview is what a request would do. Rows is how many it would change; absent where that was not counted.
type Preview struct {
	Plan string    `json:"plan,omitempty"`
	Rows *int64    `json:"rows,omitempty"`
	Why  string    `json:"why,omitempty"` // there is no plan, or no count
	At   time.Time `json:"at"`
}

// look is for those whose word counts, and for auditors: it tells of what others have asked.
func (v *visit) look(r *gateway.ReviewRequest) (*Look, error) {
	if may, _ := v.s.core.MayDecide(v.who, r); !may && !v.auditor {
		return nil, nil
	}
	notes, similar, err := v.s.core.ReviewNotes(r)
	if err != nil {
		return nil, err
	}
	out := &Look{Notes: notes}
	if p := v.s.core.PreviewMade(v.who, r); p != nil {
		out.Preview = previewOf(p)
	}
	for _, o := range similar {
		out.Similar = append(out.Similar, Like{ID: o.ID, State: o.State, Asked: o.Created, Reason: o.Subject.Reason, Outcome: o.Outcome})
	}
	return out, nil
}

func (v *visit) apiPreview() (any, error) {
	r, err := v.ask()
	if err != nil {
		return nil, err
	}
	p, err := v.s.core.PreviewReview(v.r.Context(), v.who, r.ID)
	if err != nil {
		return nil, err
	}
	return previewOf(p), nil
}

func previewOf(p *gateway.Preview) *Preview {
	out := &Preview{Plan: p.Plan, Why: p.Why, At: p.At}
	if p.Counted {
		out.Rows = &p.Affected
	}
	return out
}
