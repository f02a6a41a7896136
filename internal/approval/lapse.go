package approval

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

// Lapsed is a vote that was given and counts no longer.
type Lapsed struct {
	Vote
	Why   string    `json:"why"`
	Since time.Time `json:"since"`
}

// lapse takes votes out of a request that has not been used up, by their places. What is approved and has not enough of them left ends: it was
// never approved by who may. What is pending goes on waiting for as many as it needs.
func lapse(r Request, why map[int]string, now time.Time) (Request, error) {
	switch {
	case r.State.Ended():
		return r, ErrEnded
	case r.State == Claimed:
		return r, ErrClaimed
	}
	r.Lapsed = slices.Clone(r.Lapsed)
	var kept []Vote
	var words []string
	for i, v := range r.Votes {
		w := why[i]
		if w == "" {
			kept = append(kept, v)
			continue
		}
		r.Lapsed = append(r.Lapsed, Lapsed{v, w, now})
		words = append(words, v.Reviewer+"'s approval counts no longer: "+w)
	}
	if words == nil {
		return r, errNoLapse
	}
	r.Votes = kept
	if r.State == Approved && !satisfied(r.Needs, r.Votes) {
		r.State, r.Outcome, r.Ended = Cancelled, strings.Join(words, "; "), now
	}
	return r, nil
}

// lapses says which votes of r count no longer by what is known now, and why. The caller holds e.mu.
func (e *Engine) lapses(r *Request) map[int]string {
	if !waits(r) {
		return nil
	}
	var out map[int]string
	for i, v := range r.Votes {
		if why := e.lapsed(r, v); why != "" {
			if out == nil {
				out = map[int]string{}
			}
			out[i] = why
		}
	}
	return out
}

// waits reports whether r's votes have something to decide still.
func waits(r *Request) bool { return r.State == Pending || r.State == Approved }

func (e *Engine) lapsed(r *Request, v Vote) string {
	if e.conf.Lapses == nil {
		return ""
	}
	return e.conf.Lapses(v, r.by(v))
}

// by are the groups as whose member v's reviewer decided about r.
func (r *Request) by(v Vote) []string {
	asked := r.Deciders()
	return slices.DeleteFunc(slices.Clone(v.Groups), func(g string) bool { return !slices.Contains(asked, g) })
}

// Lapse takes out of all requests that have not been used up the votes that count no longer by Config.Lapses, and says of how many requests. What
// cannot be recorded stays, and is not claimed.
func (e *Engine) Lapse(ctx context.Context) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lapseAll(ctx)
}

// lapseAll is Lapse. The caller holds e.mu.
func (e *Engine) lapseAll(ctx context.Context) (int, error) {
	var of []string
	for id, r := range e.live {
		if e.lapses(r) != nil {
			of = append(of, id)
		}
	}
	n := 0
	var errs []error
	for _, id := range of {
		if _, err := e.standing(ctx, e.live[id]); err != nil {
			errs = append(errs, err)
		} else {
			n++
		}
	}
	return n, errors.Join(errs...)
}

// Voted reports whether a request that has not been used up has a vote of an account at a provider (Reviewer.Account).
func (e *Engine) Voted(account string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.live {
		if waits(r) && slices.ContainsFunc(r.Votes, func(v Vote) bool { return v.Account == account }) {
			return true
		}
	}
	return false
}

// standing is r with the votes that count still: r itself where all do, else what it has become. The caller holds e.mu.
func (e *Engine) standing(ctx context.Context, r *Request) (*Request, error) {
	why := e.lapses(r)
	if why == nil {
		return r, nil
	}
	return e.step(ctx, r.ID, 0, Step{Lapse: why}, Reviewer{})
}
