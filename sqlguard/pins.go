package sqlguard

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/access"
	"sallyport/sqlguard/policy"
)

// Pinned gives what the policies pin for sessions of p, see access.Pins. An error is a denial: there must be no session.
func Pinned(p access.Principal, connection string, door access.Door, set *policy.Set) (access.Pins, error) {
	pins, d := pinned(p, connection, door, set)
	if d != nil {
		return pins, &access.Error{Kind: access.Denied, Code: d.Code, Message: d.Message, Hint: d.Hint}
	}
	return pins, nil
}

// pinned goes by the permits of a session's beginning, which are the same for all of its statements: that a reason was given
// counts as true.
func pinned(p access.Principal, connection string, door access.Door, set *policy.Set) (access.Pins, *access.Decision) {
	if !set.Pins() {
		return access.Pins{}, nil
	}
	v := directJudge(p, connection, door, set).ask.Is(access.ActConnect, policy.Connection(connection))
	if !v.Allowed {
		return access.Pins{}, nil // and nothing else
	}
	pins, err := policy.Pins(p, v.Obligations)
	if err != nil {
		d := denied(fmt.Sprintf("there is no session on %s: %v", connection, err), "whoever keeps the policies and the configuration mends it")
		d.Policies = v.Policies
		return access.Pins{}, &d
	}
	return pins, nil
}

// moves refuses functions that bring along a setting of what is pinned, as role or value of a setting: their bodies
// would run as somebody else.
func (j *judge) moves(f access.FunctionUse) *access.Decision {
	if j.pins.None() {
		return nil
	}
	for _, fn := range j.in.Catalog.Functions[f.Name] {
		for _, c := range fn.Config {
			name, _, _ := strings.Cut(strings.ToLower(c), "=")
			if _, ok := j.pins.Settings[name]; ok || slices.Contains([]string{"role", "session_authorization"}, name) {
				return j.no(fmt.Sprintf("function %s sets %s, which may not be changed", f.Name, name), "a policy pins it for all of the session")
			}
		}
	}
	return nil
}
