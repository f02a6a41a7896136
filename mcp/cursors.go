package mcp

import (
	"crypto/rand"
	"sync"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
)

// rest is a result of which some rows have not been handed out yet. Its record is durable: the core
// released all of it.
type rest struct {
	columns   []gateway.ResultColumn
	rows      [][]*string // not handed out yet
	command   string
	notices   []string
	said      []string // by reviewers, with the first page
	detected  int
	truncated bool     // there is more than was fetched
	notes     []string // ours, for every page
	given     int      // rows handed out
	record    uint64
	policies  string // version by which it was allowed
	size      int    // rows of a page
}

// weight is about how many bytes of memory r holds.
func (r *rest) weight() int {
	n := 256
	for _, row := range r.rows {
		n += 24 + 8*len(row)
		for _, v := range row {
			if v != nil {
				n += 16 + len(*v)
			}
		}
	}
	return n
}

// cursors keeps rests under handles that cannot be guessed, are used once, expire, and are of no use to
// another caller (see front.Caller.Grant) or for another task. A handle is for what its reason was given for.
type cursors struct {
	life      time.Duration
	perOwner  int // bytes
	perServer int // bytes

	mu   sync.Mutex
	byID map[string]*kept // guarded by mu
}

type kept struct {
	owner, task string
	rest        rest
	weight      int
	expires     time.Time
}

func newCursors(life time.Duration, perOwner, perServer int) *cursors {
	return &cursors{life: life, perOwner: perOwner, perServer: perServer, byID: map[string]*kept{}}
}

// put keeps r and gives its handle; "" when r alone is too large. Older ones make room.
func (c *cursors) put(owner, task string, r rest, now time.Time) string {
	k := &kept{owner: owner, task: task, rest: r, weight: r.weight(), expires: now.Add(c.life)}
	if k.weight > c.perOwner || k.weight > c.perServer {
		return ""
	}
	id := rand.Text()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropExpired(now)
	c.makeRoom(c.perOwner-k.weight, func(o *kept) bool { return o.owner == owner })
	c.makeRoom(c.perServer-k.weight, func(*kept) bool { return true })
	c.byID[id] = k
	return id
}

// makeRoom drops the oldest of those that match until they weigh at most most bytes.
func (c *cursors) makeRoom(most int, match func(*kept) bool) {
	for {
		total, oldest := 0, ""
		for id, k := range c.byID {
			if !match(k) {
				continue
			}
			total += k.weight
			if oldest == "" || k.expires.Before(c.byID[oldest].expires) {
				oldest = id
			}
		}
		if total <= most {
			return
		}
		delete(c.byID, oldest)
	}
}

// take gives the rest behind id and forgets it. Somebody else's handle is answered as an unknown one
// and stays usable for its owner. What policies that are no longer in force allowed is not handed out.
func (c *cursors) take(id, owner, task, policies string, now time.Time) (rest, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.byID[id]
	if k == nil || k.owner != owner || k.task != task || now.After(k.expires) {
		return rest{}, &access.Error{
			Kind: access.Invalid, Code: "34000", Message: "no such cursor",
			Hint: "a cursor works once, for 5 minutes, in the task that it was given in: run the query again",
		}
	}
	delete(c.byID, id)
	if k.rest.policies != policies {
		return rest{}, &access.Error{
			Kind: access.Denied, Code: "42501", Message: "the policies have changed since the query ran",
			Hint: "run the query again: it is judged anew",
		}
	}
	return k.rest, nil
}

// sweep frees what has expired.
func (c *cursors) sweep(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropExpired(now)
}

func (c *cursors) dropExpired(now time.Time) {
	for id, k := range c.byID {
		if now.After(k.expires) {
			delete(c.byID, id)
		}
	}
}
