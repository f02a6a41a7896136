package sqlguard

import (
	"fmt"
	"time"

	"sallyport/internal/access"
	"sallyport/sqlguard/policy"
)

// Probed holds an allowed decision to its budgets of guesses: n is how many the statement has answered, used how many
// the principal had in a window of time up to now. Past a budget the statement waits for a review.
func Probed(d access.Decision, n int64, used func(window time.Duration) int64) access.Decision {
	if d.Effect != access.Allow || n <= 0 {
		return d
	}
	for _, b := range d.Obligations.Probes {
		had := used(b.Window)
		if n <= b.Most-had {
			continue
		}
		d.Effect = access.Review
		guesses := "1 guess"
		if n > 1 {
			guesses = fmt.Sprintf("%d guesses", n)
		}
		d.Message = fmt.Sprintf("this statement needs approval: it makes %s at masked values, and of the %d that are allowed within %s %d have been made",
			guesses, b.Most, policy.Span(b.Window), had)
		d.Hint = "approvals are not available yet: wait until earlier guesses are older than that, or ask for a policy with a larger @probes"
		return d
	}
	return d
}

// Unprobed refuses, under a budget of guesses, a statement whose guesses cannot be counted.
func Unprobed(d access.Decision) access.Decision {
	if d.Effect != access.Allow || len(d.Obligations.Probes) == 0 {
		return d
	}
	r := denied("the policy limits guesses at masked values, and those of this statement cannot be counted",
		"write the values as constants or parameters of the statement: VALUES instead of COPY, MERGE or a query, arguments of EXECUTE as plain constants, and UPDATE and DELETE of one row by its key")
	r.Code, r.Policies, r.Obligations = "0A000", d.Policies, d.Obligations
	return r
}
