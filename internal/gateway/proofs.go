package gateway

import (
	"container/heap"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"sallyport/internal/access"
)

// glance is the longest time between two looks at the clock while something ends by it: the wall clock may be set, or have gone on while
// the machine slept.
const glance = 500 * time.Millisecond

// proofs knows what rests on the proof of somebody: sessions, and log-ins at doors that have none. One timer serves them all.
type proofs struct {
	mu     sync.Mutex // guards what follows
	by     map[string]map[*proven]struct{}
	due    dueList
	timer  *time.Timer
	latest map[seenKey]seen
	tidyAt int  // length of latest at which what has expired is forgotten
	ended  bool // by stop: nothing is ended any more

	wg sync.WaitGroup // of what stop waits for
}

// proven is one thing that rests on a proof. end has to return at once; it is called once at most, and not after drop.
type proven struct {
	who access.Principal
	end func(cause string)
	at  int // place in due, or -1
}

// causeExpired is why what has come to its time ends.
const causeExpired = "expired"

func newProofs() *proofs {
	p := &proofs{by: map[string]map[*proven]struct{}{}, latest: map[seenKey]seen{}}
	p.timer = time.AfterFunc(time.Hour, p.ring)
	p.timer.Stop()
	return p
}

// add has end called when the proof of who ends.
func (p *proofs) add(who access.Principal, end func(cause string)) *proven {
	x := &proven{who: who, end: end, at: -1}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.by[who.Name] == nil {
		p.by[who.Name] = map[*proven]struct{}{}
	}
	p.by[who.Name][x] = struct{}{}
	if !who.Proof.Expires.IsZero() {
		heap.Push(&p.due, x)
		if x.at == 0 {
			p.arm()
		}
	}
	return x
}

// drop forgets x; it may have been ended.
func (p *proofs) drop(x *proven) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(x)
}

// forget reports whether x was there. The caller has the lock.
func (p *proofs) forget(x *proven) bool {
	list := p.by[x.who.Name]
	if _, ok := list[x]; !ok {
		return false
	}
	if delete(list, x); len(list) == 0 {
		delete(p.by, x.who.Name)
	}
	if x.at >= 0 {
		heap.Remove(&p.due, x.at)
	}
	return true
}

// end ends what matches, of everybody or of one name in whatever case, and says how many there were.
func (p *proofs) end(name, cause string, match func(access.Principal) bool) int {
	p.mu.Lock()
	var list []*proven
	pick := func(of map[*proven]struct{}) {
		for x := range of {
			if match(x.who) {
				list = append(list, x)
			}
		}
	}
	for of, list := range p.by {
		if name == "" || strings.EqualFold(of, name) {
			pick(list)
		}
	}
	for _, x := range list {
		p.forget(x)
	}
	over := p.ended
	p.mu.Unlock()
	if over {
		return 0
	}
	for _, x := range list {
		x.end(cause)
	}
	return len(list)
}

// any reports whether something rests on a proof that matches.
func (p *proofs) any(match func(access.Principal) bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, list := range p.by {
		for x := range list {
			if match(x.who) {
				return true
			}
		}
	}
	return false
}

// one ends x, unless it was ended or dropped.
func (p *proofs) one(x *proven, cause string) {
	p.mu.Lock()
	there := p.forget(x) && !p.ended
	p.mu.Unlock()
	if there {
		x.end(cause)
	}
}

// ring ends what has come to its time.
func (p *proofs) ring() {
	now := time.Now()
	var list []*proven
	p.mu.Lock()
	for len(p.due) > 0 && !p.due[0].who.Proof.Expires.After(now) && !p.ended {
		x := p.due[0]
		p.forget(x)
		list = append(list, x)
	}
	p.arm()
	p.mu.Unlock()
	for _, x := range list {
		x.end(causeExpired)
	}
}

// arm sets the timer for the next that is due. The caller has the lock.
func (p *proofs) arm() {
	if len(p.due) > 0 && !p.ended {
		p.timer.Reset(min(max(0, time.Until(p.due[0].who.Proof.Expires)), glance))
	}
}

// spawn runs f, which stop waits for.
func (p *proofs) spawn(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		p.wg.Go(f)
	}
}

// stop ends nothing any more, and waits for what is being ended.
func (p *proofs) stop() {
	p.mu.Lock()
	p.ended = true
	p.timer.Stop()
	p.mu.Unlock()
	p.wg.Wait()
}

// dueList is a heap by time (container/heap).
type dueList []*proven

func (d dueList) Len() int           { return len(d) }
func (d dueList) Less(i, j int) bool { return d[i].who.Proof.Expires.Before(d[j].who.Proof.Expires) }
func (d dueList) Swap(i, j int)      { d[i], d[j] = d[j], d[i]; d[i].at, d[j].at = i, j }
func (d *dueList) Push(x any) {
	e := x.(*proven)
	e.at = len(*d)
	*d = append(*d, e)
}
func (d *dueList) Pop() any {
	old := *d
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*d = old[:len(old)-1]
	e.at = -1
	return e
}

// seenKey tells apart proofs whose groups may differ without anybody having changed: what a provider puts into a token depends on
// the client that it is for, and what of that counts on the provider's definition (Proof.Against). Log-ins of people are one, whichever of the
// gateway's clients they used.
type seenKey struct{ name, issuer, against, client, actor string }

// seen is what the newest proof said.
type seen struct {
	proof      access.Proof // as proofOf has it
	kind       access.PrincipalKind
	groups     []string
	attributes map[string]string
}

// proofOf is what of a proof is kept to know whether it still holds: its times, and what a revocation may name.
func proofOf(q access.Proof) access.Proof {
	return access.Proof{Issuer: q.Issuer, Subject: q.Subject, Session: q.Session, Token: q.Token, Twin: q.Twin, Credential: q.Credential, Issued: q.Issued, Expires: q.Expires, Against: q.Against}
}

// mostSeen is how long latest gets before what has expired is forgotten. What has not stays, however much that is: without it, older words would
// be taken. Each is of another person or client whom a provider has spoken for.
const mostSeen = 10000

func seenKeyOf(p access.Principal) seenKey {
	k := seenKey{name: p.Name, issuer: p.Proof.Issuer, against: p.Proof.Against, actor: p.Actor}
	if p.Proof.Method == access.ByAccessToken {
		k.client = p.Proof.Client
	}
	return k
}

// same reports whether p is what o says.
func (o *seen) same(p access.Principal) bool {
	return o.kind == p.Kind && slices.Equal(o.groups, p.Groups) && maps.Equal(o.attributes, p.Attributes)
}

// outdated reports whether a proof of a provider says something else than a newer one that has come in.
func (p *proofs) outdated(who access.Principal) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	o, known := p.latest[seenKeyOf(who)]
	return known && who.Proof.Issued.Before(o.proof.Issued) && !o.same(who)
}

// note remembers what a proof of a provider says. changed reports that it is newer than the one before and says something else; outdated, that it
// is older and does: what it says was so once.
func (p *proofs) note(who access.Principal) (changed, outdated bool) {
	key, q := seenKeyOf(who), who.Proof
	p.mu.Lock()
	defer p.mu.Unlock()
	o, known := p.latest[key]
	switch {
	case known && q.Issued.Before(o.proof.Issued):
		return false, !o.same(who)
	case known && q.Issued.Equal(o.proof.Issued):
		return false, false
	case known && o.same(who):
		o.proof = proofOf(q)
		p.latest[key] = o
		return false, false
	}
	if len(p.latest) >= max(mostSeen, p.tidyAt) {
		now := time.Now()
		maps.DeleteFunc(p.latest, func(_ seenKey, o seen) bool { return now.After(o.proof.Expires) })
		p.tidyAt = 2 * len(p.latest)
	}
	p.latest[key] = seen{proofOf(q), who.Kind, slices.Clone(who.Groups), maps.Clone(who.Attributes)}
	return known, false
}
