package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/fairness"
	"sallyport/internal/identity/oidc"
)

// Whoever sends a token that is refused may send the next: at once at the agents' door, and many at once where providers tell of log-outs, which they
// do unasked. So such refusals are recorded up to a number a minute, for each of the two, and the rest is counted in one record: who has no account
// makes the record grow by that much and no more.
const (
	refusalsEvery   = time.Minute
	refusalsOfOne   = 5           // recorded of one address in that time
	refusalsOfAll   = 30          // and of all
	refusalsSources = 1024        // addresses that are told apart in that time
	refusalsTold    = time.Second // how often it is looked whether their time is over
)

// refusals knows what was refused in the minute at hand.
type refusals struct {
	mu       sync.Mutex // guards what follows
	began    time.Time  // zero: nothing was
	recorded int
	from     map[netip.Prefix]*refused
}

type refused struct{ recorded, counted int }

// take says whether a refusal is to be recorded by itself; otherwise it is counted.
func (f *refusals) take(client string, now time.Time) bool {
	at := fairness.Source(client)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.began.IsZero() {
		f.began, f.recorded, f.from = now, 0, map[netip.Prefix]*refused{}
	}
	if f.from[at] == nil {
		if len(f.from) >= refusalsSources {
			at = netip.Prefix{} // those beyond are one
		}
		if f.from[at] == nil {
			f.from[at] = &refused{}
		}
	}
	r := f.from[at]
	if r.recorded >= refusalsOfOne || f.recorded >= refusalsOfAll {
		r.counted++
		return false
	}
	r.recorded++
	f.recorded++
	return true
}

// due ends the minute where it is over, or where all is, and gives what was counted in it; "" is nothing.
func (f *refusals) due(now time.Time, all bool) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.began.IsZero() || now.Sub(f.began) < refusalsEvery && !all {
		return ""
	}
	since := f.began.UTC().Format(time.TimeOnly)
	f.began = time.Time{}
	counted, sources := 0, 0
	var first string
	var most int
	for _, at := range slices.SortedFunc(maps.Keys(f.from), netip.Prefix.Compare) {
		n := f.from[at].counted
		if n == 0 {
			continue
		}
		counted += n
		if sources++; n > most {
			if first, most = at.String(), n; !at.IsValid() {
				first = "addresses that were not told apart"
			}
		}
	}
	switch {
	case counted == 0:
		return ""
	case sources == 1:
		return fmt.Sprintf("%d more tokens were refused since %s, from %s", counted, since, first)
	}
	return fmt.Sprintf("%d more tokens were refused since %s, %d of them from %s, and others from %d networks", counted, since, most, first, sources-1)
}

// tellRefusals records how many refusals were not, at each door by itself.
func (g *Gateway) tellRefusals(now time.Time, all bool) {
	for _, at := range []struct {
		door  access.Door
		f     *refusals
		which string
	}{{access.DoorMCP, &g.refusals, ""}, {access.DoorWeb, &g.logoutRefusals, " (logout tokens)"}} {
		text := at.f.due(now, all)
		if text == "" {
			continue
		}
		err := g.note(access.RecordRefused, func(rec *access.Record) {
			rec.Door, rec.Code, rec.Error = at.door, "28000", text+at.which
		})
		if err != nil {
			g.logger.Error("refused tokens not recorded", "error", err)
		}
	}
}

// Recognise tells who sends a message at a door whose messages bring their proof each, and records whom it refuses: some by themselves, all in number.
func (g *Gateway) Recognise(ctx context.Context, l Login) (access.Principal, error) {
	p, err := g.people.Verify(ctx, l.Credentials)
	if err == nil {
		return p, nil
	}
	if access.AsError(err).Kind == access.Denied && g.refusals.take(l.Client, time.Now()) {
		g.recordLogin(l, access.Principal{}, err)
	}
	return access.Principal{}, err
}

// failedCheck says which check a provider's token failed, for the record: " (audience)"; and, where the provider has signed it, whose it is.
func failedCheck(err error) (string, access.Proof) {
	r, ok := errors.AsType[*oidc.Refusal](err)
	if !ok {
		return "", access.Proof{}
	}
	check := " (" + string(r.Check) + ")"
	if r.Signed == nil {
		return check, access.Proof{}
	}
	return check, *r.Signed
}
