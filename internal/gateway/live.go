package gateway

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"sallyport/internal/access"
	"sallyport/mask"
	"sallyport/sqlguard"
	"sallyport/sqlguard/policy"
)

// What people who watch are shown of the core as it is now.

// LiveSession is a session that has not ended.
type LiveSession struct {
	ID               string
	Principal, Actor string
	Behind           []string // who acted before Actor
	Groups           []string
	Proof            access.Proof
	Door             access.Door
	Connection       string
	Client           string
	Since            time.Time
	Idle             time.Duration // since something was last sent to the database
	Running, Waiting bool          // a statement runs; waits for approval
}

// LiveSessions lists the sessions that have not ended, the newest first.
func (g *Gateway) LiveSessions() []LiveSession {
	g.mu.Lock()
	list := slices.Collect(maps.Values(g.sessions))
	g.mu.Unlock()
	out := make([]LiveSession, 0, len(list))
	for _, s := range list {
		out = append(out, LiveSession{ID: s.id, Principal: s.principal.Name, Actor: s.principal.Actor, Behind: s.principal.Behind, Groups: s.principal.Groups, Proof: s.principal.Proof, Door: s.door, Connection: s.db.conf.Name,
			Client: s.client, Since: s.since, Idle: time.Since(start) - time.Duration(s.active.Load()), Running: s.busy.Load(), Waiting: s.waits.Load() != nil})
	}
	slices.SortFunc(out, func(a, b LiveSession) int {
		if c := b.Since.Compare(a.Since); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out
}

// SessionPick says which sessions are meant: those that have each of its fields that is not empty. One without any means none.
type SessionPick struct {
	ID        string
	Principal string // in whatever case
	Token     string // SHA-256, hex, of what was presented
}

func (p SessionPick) of(s *Session) bool {
	is := func(want, got string) bool { return want == "" || want == got }
	return p != SessionPick{} && is(p.ID, s.id) && (p.Principal == "" || strings.EqualFold(p.Principal, s.principal.Name)) && (p.Token == "" || s.principal.Proof.IsToken(p.Token))
}

// EndSession ends a session in the name of a person; see EndSessions. It reports whether there was such a session.
func (g *Gateway) EndSession(ctx context.Context, by access.Principal, id string) bool {
	return g.EndSessions(ctx, by, SessionPick{ID: id}, "") > 0
}

// EndSessions ends sessions in the name of a person; who may do so is the door's to say. What runs is cancelled, an open transaction is
// rolled back, and a session's close record says who ended it and why. It returns when they have ended, or ctx, and says how many
// there were. Who has a proof that holds can come back: Revoke withdraws that.
func (g *Gateway) EndSessions(ctx context.Context, by access.Principal, pick SessionPick, because string) int {
	if by.Name == "" || by.Kind != access.Human {
		return 0
	}
	var list []*Session
	g.mu.Lock()
	for _, s := range g.sessions {
		if pick.of(s) {
			list = append(list, s)
		}
	}
	g.mu.Unlock()
	cause := "ended by " + by.Name
	if because != "" {
		cause += ": " + shortened(because, mostParam)
	}
	for _, s := range list {
		g.logger.Warn("session ended by a person", "session", s.id, "principal", s.principal.Name, "by", by.Name)
		s.endSoon(&ending{cause, hintKilled})
	}
	for _, s := range list {
		select {
		case <-s.gone:
		case <-ctx.Done():
		}
	}
	return len(list)
}

// People lists the principals of the configuration, by name.
func (g *Gateway) People() []access.Principal {
	out := slices.Clone(g.listed())
	slices.SortFunc(out, func(a, b access.Principal) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Permission is what a principal may do on a connection through a door, in short. Explain says more about a statement.
type Permission struct {
	Connection string
	Door       access.Door
	Decision   access.Decision // about connecting
	// Unrestricted is set where policy lets them run anything unmasked.
	Unrestricted bool
	Pins         access.Pins
	Masked       []access.ColumnID // labelled columns that they see masked; nil where the database was never reached
	Reached      bool
}

// Permissions tells what p may do on each connection through a door.
func (g *Gateway) Permissions(p access.Principal, door access.Door) []Permission {
	policies := g.policies.Load()
	var out []Permission
	for _, name := range slices.Sorted(maps.Keys(g.dbs)) {
		perm := Permission{Connection: name, Door: door, Decision: sqlguard.MayConnect(p, name, door, policies)}
		if perm.Decision.Effect == access.Allow {
			perm.Unrestricted = sqlguard.Unrestricted(p, name, door, policies).Effect == access.Allow
			perm.Pins, _ = sqlguard.Pinned(p, name, door, policies) // a contradiction shows when they connect
			if snap := g.dbs[name].snap.Load(); snap != nil {
				perm.Reached = true
				if !perm.Unrestricted {
					perm.Masked = sqlguard.MaskedColumns(p, name, door, snap.cat, snap.labels.Columns, policies)
				}
			}
		}
		out = append(out, perm)
	}
	return out
}

// Holdings is what is known of a connection's database: what its columns hold, and what is wrong.
type Holdings struct {
	Connection string
	Reached    bool // false: never, and nothing below is known
	Server     string
	Catalog    string // version
	Relations  int
	Labels     []LabelResult
	Problems   []mask.Problem
}

// Holdings lists the connections, by name, by what was last read of their catalogs.
func (g *Gateway) Holdings() []Holdings {
	var out []Holdings
	for _, name := range slices.Sorted(maps.Keys(g.dbs)) {
		h := Holdings{Connection: name}
		if snap := g.dbs[name].snap.Load(); snap != nil {
			h.Reached, h.Server, h.Catalog, h.Problems = true, snap.server(), snap.cat.Version, snap.problems
			h.Relations, h.Labels = snap.labelled()
		}
		out = append(out, h)
	}
	return out
}

// Policies gives the texts of the policies in force, and their version.
func (g *Gateway) Policies() ([]PolicyFile, string) {
	t := g.policyText.Load()
	return t.files, t.version
}

// policyText is what a policy.Set was made of.
type policyText struct {
	files   []PolicyFile
	version string
}

func textOf(files []PolicyFile, set *policy.Set) *policyText {
	return &policyText{slices.Clone(files), set.Version()}
}
