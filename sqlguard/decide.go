package sqlguard

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"sallyport/internal/access"
	"sallyport/sqlguard/policy"
)

// MinReason is the shortest reason, in characters, that meets an @reason obligation.
const MinReason = 20

// Input is everything that a decision depends on.
type Input struct {
	Principal  access.Principal
	Door       access.Door
	Connection string
	Facts      *access.Facts
	Catalog    *access.Catalog
	// Labels gives the labels of a relation's columns by column name; nil where it has none.
	Labels func(access.Name) map[string][]access.Label
	// Refused says why a principal with masked columns may not use a relation at all, or "".
	Refused func(access.Name) string
	// Reads lists the relations that a view reads, through other views too. Only row filters ask for it.
	Reads    func(access.Name) []access.Name
	Policies *policy.Set
	// Writable is what Writable gives for this principal, where the caller keeps it; nil: it is found out.
	Writable map[access.Label]access.ColumnID
	// Revealed are columns that somebody has approved to be shown to this principal for some time, with the groups that were asked, of each
	// approval: one of them stands in for @review of a permit to reveal that asks no other groups now, and for nothing else.
	Revealed map[access.ColumnID][][]string
	// HasReason says that a reason of sufficient length was given. Reason is its text; it matters
	// only to policies that look at it, see policy.Set.UsesReason.
	HasReason bool
	Reason    string
}

// Decide says whether the principal may run the statement that Facts describes, and how. It is a
// pure function: no I/O, no clock, no state. Whatever it does not know is denied.
//
// It does not see what only the compiled statement shows (a whole row of a write target, a masked
// value about to be stored): mask.Compile refuses that.
func Decide(in Input) access.Decision {
	if in.Facts == nil || in.Catalog == nil || in.Policies == nil || in.Labels == nil || in.Refused == nil {
		return denied("the statement was not understood", "this is a fault of the gateway; the operator's log has more")
	}
	if in.Policies.UsesReason() && in.HasReason && in.Reason == "" {
		// A forbid that looks at the wording would not see what it forbids.
		return denied("a policy looks at the wording of reasons, which this door does not pass on", "use context.has_reason instead")
	}
	return newJudge(in).decide()
}

func (j *judge) decide() access.Decision {
	on := policy.Connection(j.in.Connection)
	connect := j.ask.Is(access.ActConnect, on)
	if !connect.Allowed {
		return *j.refuse(connect, access.ActConnect, on, "connecting to "+j.in.Connection)
	}
	pins, d := pinned(j.in.Principal, j.in.Connection, j.in.Door, j.in.Policies)
	if d != nil {
		return *d
	}
	j.pins = pins
	j.collectMasked()
	for _, step := range []func() *access.Decision{
		j.statement, j.settings, j.relations, j.filters, j.objects, j.functions, j.channels, j.maskedLimits, j.tokens,
	} {
		if d := step(); d != nil {
			return *d
		}
	}
	// Obligations of the connect permit hold for all that a session does, but a statement that needed
	// no further permission (SET, BEGIN, reading the catalog) needs no reason: giving a reason must be
	// possible without having given one.
	if !j.asked {
		connect.Obligations.Reason = false
	}
	j.grant(connect)
	if d := j.countable(); d != nil {
		return *d
	}
	return j.allow()
}

// countable refuses, under @affected, what cannot be counted.
func (j *judge) countable() *access.Decision {
	f := j.in.Facts
	writes := slices.ContainsFunc(f.Relations, func(r access.RelationUse) bool { return r.Action == access.ActWrite })
	carried := slices.ContainsFunc(f.Relations, func(r access.RelationUse) bool { return r.By != "" })
	if j.obligations.Affected == 0 || !writes || !f.Uncounted && !carried {
		return nil
	}
	d := j.no(fmt.Sprintf("the policy limits how many rows a statement may change, and those of this %s cannot be counted", f.Tag),
		"use a plain INSERT, UPDATE, DELETE or MERGE: no data-modifying WITH, no TRUNCATE, no EXPLAIN ANALYZE, nothing that a foreign key carries on")
	d.Code, d.Policies = "0A000", j.policies
	return d
}

// Unrestricted says whether p may run any statement that parses on a connection, unresolved and
// unmasked. Any effect but Allow means: judge each statement with Decide. An obligation to give a
// reason is for WithReason to enforce, statement by statement.
func Unrestricted(p access.Principal, connection string, door access.Door, set *policy.Set) access.Decision {
	j := directJudge(p, connection, door, set)
	on := policy.Connection(connection)
	for _, a := range []access.Action{access.ActUnrestricted, access.ActConnect} {
		v := j.ask.Is(a, on)
		if !v.Allowed {
			return *j.refuse(v, a, on, "running any statement on "+connection)
		}
		j.grant(v)
	}
	if j.obligations.Affected > 0 {
		return *j.no("a statement that is not analysed cannot be held to @affected", "leave @affected off the permit of \"unrestricted\"")
	}
	if j.obligations.Cost > 0 {
		return *j.no("a statement that is not analysed cannot be held to @cost", "leave @cost off the permit of \"unrestricted\"")
	}
	if pins, d := pinned(p, connection, door, set); d != nil {
		return *d
	} else if !pins.None() {
		return *j.no("a statement that is not analysed cannot be kept from changing what @role and @setting pin", "leave them off the permits of \"connect\" of whoever is \"unrestricted\"")
	}
	return j.allow()
}

// MayConnect says whether p may open a session on a connection through a door. A reason that the
// policy asks for is asked for with the first statement that needs one, not here.
func MayConnect(p access.Principal, connection string, door access.Door, set *policy.Set) access.Decision {
	j := directJudge(p, connection, door, set)
	on := policy.Connection(connection)
	v := j.ask.Is(access.ActConnect, on)
	if !v.Allowed {
		return *j.refuse(v, access.ActConnect, on, "connecting to "+connection)
	}
	j.grant(v)
	return j.allow()
}

// MaySet says whether p may set a run-time parameter (lower-case) when connecting.
func MaySet(p access.Principal, connection string, door access.Door, setting string, set *policy.Set) access.Decision {
	j := directJudge(p, connection, door, set)
	pins, d := pinned(p, connection, door, set)
	if d != nil {
		return *d
	}
	j.pins = pins
	if d := j.setting(setting); d != nil {
		return *d
	}
	return j.allow()
}

// directJudge judges requests that no statement stands behind, and leaves a reason to be asked for
// with the first statement.
func directJudge(p access.Principal, connection string, door access.Door, set *policy.Set) *judge {
	j := newJudge(Input{Principal: p, Connection: connection, Door: door, Policies: set, Facts: &access.Facts{Class: access.ClassMiscSet}})
	j.in.HasReason = true
	return j
}

// WithReason holds an allowed decision to its @reason obligation: without a reason it becomes a
// denial that says how to give one through this door.
func WithReason(d access.Decision, door access.Door, hasReason bool) access.Decision {
	if !d.Obligations.Reason || hasReason || d.Effect == access.Deny {
		return d
	}
	r := denied("a reason of at least 20 characters is required for this", reasonHint(door))
	r.Policies = d.Policies
	return r
}

func reasonHint(door access.Door) string {
	if door == access.DoorMCP {
		return "give the reason argument: what you need this for, in a sentence"
	}
	return "say what you need it for with SET sallyport.reason = '...', then run the statement again"
}

// SufficientReason reports whether a reason is long enough to count as one.
func SufficientReason(reason string) bool { return utf8.RuneCountInString(reason) >= MinReason }

// denied is a denial that no policy took part in.
func denied(message, hint string) access.Decision {
	return access.Decision{Effect: access.Deny, Code: "42501", Message: message, Hint: hint}
}
