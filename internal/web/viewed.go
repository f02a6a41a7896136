package web

import (
	"sallyport/internal/access"
	"sallyport/internal/gateway"
)

// viewed puts on record what an auditor is about to be shown. Others see what was done in their own name, which is on record already.
func (v *visit) viewed(what, of, query string) error {
	if !v.auditor {
		return nil
	}
	return v.s.core.Viewed(v.who, v.r.RemoteAddr, access.Viewing{What: what, Of: of, Query: query})
}

// viewedRequest is viewed for a request that the visitor sees as an auditor only.
func (v *visit) viewedRequest(r *gateway.ReviewRequest) error {
	if gateway.Asked(v.who, r) || gateway.Decided(v.who, r) {
		return nil
	}
	if may, _ := v.s.core.MayDecide(v.who, r); may {
		return nil
	}
	return v.viewed(access.ViewRequest, r.ID, "")
}
