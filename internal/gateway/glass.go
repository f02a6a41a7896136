package gateway

import (
	"net"
	"sync"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/approval"
	"sallyport/internal/identity/credential"
)

// Log-ins by what the configuration keeps for when nobody else can come in (break_glass of a principal).

// GlassLogin is such a log-in that nobody has looked at.
type GlassLogin = credential.Glass

// glassAgain is how long further log-ins of the same principal from the same place at the same door are one: connections of a pool, calls of a
// program. Each session's open record says what it was proven by all the same.
const glassAgain = 10 * time.Minute

type glassKey struct {
	name string
	door access.Door
	host string
}

// glass knows the log-ins that were told of.
type glass struct {
	mu   sync.Mutex // held while one is recorded, so that those who come with it wait
	last map[glassKey]time.Time
}

// brokeGlass puts a log-in by break glass on record, where people are told of it from. Nobody comes in whose log-in is not on record. Of
// others it takes no notice.
func (g *Gateway) brokeGlass(l Login, p access.Principal) error {
	if !p.Proof.BreakGlass {
		return nil
	}
	host, _, err := net.SplitHostPort(l.Client)
	if err != nil {
		host = l.Client
	}
	key, now := glassKey{p.Name, l.Door, host}, time.Now()
	g.glass.mu.Lock()
	defer g.glass.mu.Unlock()
	if last, known := g.glass.last[key]; known && now.Sub(last) < glassAgain {
		return nil
	}
	g.logger.Warn("log-in by break glass", "principal", p.Name, "method", string(p.Proof.Method), "door", string(l.Door), "connection", shortened(l.Connection, mostTask), "client", l.Client)
	err = g.note(access.RecordLogin, func(rec *access.Record) {
		whoAsks(rec, p)
		rec.Door, rec.Connection, rec.Client = l.Door, shortened(l.Connection, mostTask), l.Client
	})
	if err == nil {
		err = g.issued.KeepGlass(GlassLogin{ID: newID("g"), Time: now.UTC(), Principal: p.Name, Method: p.Proof.Method, Door: l.Door, Connection: shortened(l.Connection, mostTask), Client: l.Client})
	}
	if err != nil {
		return err
	}
	for k, last := range g.glass.last {
		if now.Sub(last) >= glassAgain {
			delete(g.glass.last, k)
		}
	}
	if g.glass.last == nil {
		g.glass.last = map[glassKey]time.Time{}
	}
	g.glass.last[key] = now
	return nil
}

// GlassLogins lists the log-ins by break glass that nobody has looked at, the newest first.
func (g *Gateway) GlassLogins() ([]GlassLogin, error) { return g.issued.Glasses() }

// LookAtGlassLogin says that somebody has looked at a log-in by break glass: another than who logged in. It is recorded; who may do so is
// the door's to say.
func (g *Gateway) LookAtGlassLogin(by access.Principal, client, id string) error {
	list, err := g.issued.Glasses()
	if err != nil {
		return err
	}
	for _, one := range list {
		if one.ID != id {
			continue
		}
		if approval.SamePerson(by.Name, "", one.Principal, "") { // who is in the configuration has no account at a provider
			return &access.Error{Kind: access.Denied, Code: "42501", Message: "this is your own log-in: somebody else has to look at it", Hint: "an auditor or operator can"}
		}
		if err := g.Viewed(by, client, access.Viewing{What: access.ViewGlass, Of: one.Principal}); err != nil {
			return err
		}
		return g.issued.DropGlass(id)
	}
	return ErrNoReview
}

// Viewed records what a person looked at of the record, before they are shown it. Who may look is the door's to say.
func (g *Gateway) Viewed(by access.Principal, client string, v access.Viewing) error {
	return g.note(access.RecordViewed, func(rec *access.Record) {
		whoAsks(rec, by)
		rec.Door, rec.Client = access.DoorWeb, client
		v.Of, v.Query = shortened(v.Of, mostTask), g.forRecord(rec, shortened(v.Query, mostParam))
		rec.Viewed = v.Recorded()
	})
}
