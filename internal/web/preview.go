package web

import "sallyport/internal/gateway"

// preview is what a request would do, as the page has it.
type preview struct {
	*gateway.Preview
	Rows int // that it would change, where that was counted
}

// preview has the core look what a request would do, and shows its page with that.
func (v *visit) preview() error {
	r, err := v.ask()
	if err != nil {
		return err
	}
	p, failed := v.s.core.PreviewReview(v.r.Context(), v.who, r.ID)
	d, err := v.reviewData(r)
	if err != nil {
		return err
	}
	status := 200
	if failed != nil {
		pr := asProblem(failed)
		if pr.status == 500 {
			v.s.log.Error("preview failed", "door", "web", "request", r.ID, "error", failed)
		}
		status, d.Preview, d.NoPreview = pr.status, nil, pr.text
	} else {
		d.Preview = &preview{p, int(p.Affected)}
	}
	return v.showAs(status, "review", "Request "+r.ID, "reviews", d)
}
