package gateway

import (
	"sync"
	"time"

	"sallyport/internal/access"
)

// aheadFor is how long it is remembered that a provider's clock was ahead.
const aheadFor = time.Hour

// ahead knows how far the clocks of providers are ahead of this machine's, as far as proofs that came in have shown it. A token that is a moment old by
// this clock may say that it was issued in a moment: a revocation of what was issued before now would leave it.
type ahead struct {
	mu sync.Mutex
	by map[string]lead // by issuer
}

type lead struct {
	by   time.Duration
	seen time.Time
}

// note looks at when a proof of a provider says that it was issued.
func (a *ahead) note(q access.Proof, now time.Time) {
	by := q.Issued.Sub(now)
	if by <= 0 || q.Issuer == "" {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.by == nil {
		a.by = map[string]lead{}
	}
	if o, known := a.by[q.Issuer]; !known || by >= o.by || now.Sub(o.seen) > aheadFor {
		a.by[q.Issuer] = lead{by, now}
	}
}

// of is how far the clock of an issuer is ahead; with "" the one that is farthest.
func (a *ahead) of(issuer string, now time.Time) (most time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for iss, l := range a.by {
		if (issuer == "" || iss == issuer) && now.Sub(l.seen) <= aheadFor {
			most = max(most, l.by)
		}
	}
	return most
}

// byTheirClocks is r, of what was issued before a moment of this machine's clock, by the clocks of those who issued it. Who has a proof of later has it
// by the same clock. Of principals of the configuration this machine's clock is theirs.
func (g *Gateway) byTheirClocks(r access.Revocation) access.Revocation {
	if !r.Before.IsZero() && !g.people.store.Load().Has(r.Principal) {
		r.Before = r.Before.Add(g.ahead.of(r.Issuer, time.Now()))
	}
	return r
}
