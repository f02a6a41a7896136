package approval

import (
	"context"
	"slices"
)

// Claim finds an approval that covers want, and claims it: one of the exact statement before those of a wider mode. It gives nil
// where there is none. The caller runs the statement and says how it ended with Finish. A want with an id is the statement of that request itself,
// and runs under no other, and under that only if nothing has: who asks for its answer again, because it was lost, does not run it again.
func (e *Engine) Claim(ctx context.Context, want Request) (*Request, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.live { // judged again at each use
		if r.Covers(&want, e.boot, e.conf.Now().UTC()) {
			if _, err := e.standing(ctx, r); err != nil {
				return nil, err
			}
		}
	}
	best := e.best(&want)
	if best == nil {
		return nil, nil
	}
	if want.ID != "" && best.Uses > 0 {
		return nil, ErrRan
	}
	return e.step(ctx, best.ID, best.Revision, Step{Claim: true}, Reviewer{})
}

// Covered reports whether there is an approval that covers want now. It claims nothing.
func (e *Engine) Covered(want Request) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.best(&want) != nil
}

// best is the approval that Claim takes, or nil. One of which a vote counts no longer is none. The caller holds e.mu.
func (e *Engine) best(want *Request) (best *Request) {
	now := e.conf.Now().UTC()
	for _, r := range e.live {
		if want.ID != "" && r.ID != want.ID || !r.Covers(want, e.boot, now) || e.lapses(r) != nil {
			continue
		}
		if best == nil || rank(r.Grant.Mode) < rank(best.Grant.Mode) || rank(r.Grant.Mode) == rank(best.Grant.Mode) && r.ID < best.ID {
			best = r
		}
	}
	return best
}

func rank(m Mode) int { return slices.Index([]Mode{Once, Form, Window, Reveal}, m) }
