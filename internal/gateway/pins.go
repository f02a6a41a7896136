package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sallyport/internal/access"
	"sallyport/internal/gateway/internal/upstream"
	"sallyport/mask"
	"sallyport/sqlguard"
)

// A policy can pin the role that a session's statements run as, and settings. The start-up packet sets them, so that they are
// what RESET goes back to, and the guard refuses whatever would change them by name. What is left is code of the database's
// own users, which can set what it likes, and servers on which DISCARD ALL forgets a role (CVE-2024-10978): after
// those they are set again, before anything else is judged.

// errRepinned ends sessions that began under other pins.
var errRepinned = &access.Error{Kind: access.Unavailable, Code: "57P01", Message: "the policies changed what this session is pinned to",
	Hint: "connect again"}

func samePins(a, b access.Pins) bool { return a.Role == b.Role && maps.Equal(a.Settings, b.Settings) }

// atStart is what pins are in a start-up packet.
func atStart(p access.Pins) map[string]string {
	settings := maps.Clone(p.Settings)
	if p.Role != "" {
		if settings == nil {
			settings = map[string]string{}
		}
		settings["role"] = p.Role
	}
	return settings
}

// pinProblems are those of principals of the configuration who are let in, and would get no session for what is pinned.
func (g *Gateway) pinProblems(ctx context.Context, db *database) (out []mask.Problem) {
	policies := g.policies.Load()
	tried := map[string]bool{}
	for _, p := range g.listed() {
		for _, door := range []access.Door{access.DoorPGWire, access.DoorMCP} {
			if sqlguard.MayConnect(p, db.conf.Name, door, policies).Effect != access.Allow {
				continue
			}
			pins, err := sqlguard.Pinned(p, db.conf.Name, door, policies)
			if err == nil && !pins.None() && !tried[fmt.Sprint(pins)] {
				tried[fmt.Sprint(pins)] = true
				var conn *upstream.Conn
				if conn, err = db.dial(ctx, atStart(pins)); err == nil {
					conn.Close()
				} else {
					err = &access.Error{Message: fmt.Sprintf("the database takes neither role %q nor settings of %s: %v", pins.Role, p.Name, cmp.Or(errors.Unwrap(err), err)),
						Hint: "the role of the connection's DSN has to be a member of the pinned one: GRANT"}
				}
			}
			if err != nil && !tried[err.Error()] {
				tried[err.Error()] = true
				out = append(out, mask.Problem{Message: err.Error(), Hint: access.AsError(err).Hint})
			}
		}
	}
	return out
}

// moves reports whether a plan's run can move what is pinned.
func (p *plan) moves() bool {
	return p.userCode && p.scope != nil && !p.scope.pins.None()
}

// movesWithin refuses a text in which what is pinned may move before its last statement.
func (s *Session) movesWithin(list []judged) error {
	for _, j := range list[:max(len(list)-1, 0)] {
		if s.mayMove || j.plan.moves() {
			return refusal{sql: j.plan.sql, why: &access.Error{Kind: access.Unsupported, Code: "0A000",
				Message: "where a policy pins role or settings, what runs code of the database's users has to come alone or last, and so has what follows in its transaction",
				Hint:    "send each statement on its own"}}
		}
	}
	return nil
}

// repin sets what is pinned once more. Within an implicit transaction, which may yet be rolled back, it is no more than
// that: it will be set again.
func (s *Session) repin(sink Sink) error {
	var all []string
	if s.pins.Role != "" {
		all = append(all, "SET ROLE "+identifier(s.pins.Role))
	}
	for _, name := range slices.Sorted(maps.Keys(s.pins.Settings)) {
		all = append(all, "SELECT pg_catalog.set_config("+literal(name)+", "+literal(s.pins.Settings[name])+", false)")
	}
	for _, sql := range all {
		if err := s.own(sql, sink, func(string) {}); err != nil {
			return err
		}
	}
	s.moved = s.unsync
	return nil
}

func identifier(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// literal is a constant that means the same whatever standard_conforming_strings is.
func literal(v string) string {
	q := "'" + strings.ReplaceAll(strings.ReplaceAll(v, "'", "''"), `\`, `\\`) + "'"
	if strings.Contains(v, `\`) {
		return " E" + q
	}
	return q
}
