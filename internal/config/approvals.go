package config

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Approvals say how statements that wait for a person (@review in a policy) are handled.
type Approvals struct {
	// Pending is how long a request waits for a decision, at most 7 days. Default 1h.
	Pending Duration `yaml:"pending"`
	// Claim is how long an approval for one time can be used, at most a day. Default 15m.
	Claim Duration `yaml:"claim"`
	// Wait is how long a PostgreSQL client waits within its statement; 0s is not at all. Default 10m.
	Wait *Duration `yaml:"wait"`
	// Heartbeat is the time between two notices to a PostgreSQL client that waits, at most 10m. Default 30s.
	Heartbeat Duration `yaml:"heartbeat"`
	// Groups says of groups of reviewers how many have to approve, and who stands in. A group that is not here wants one.
	Groups map[string]ReviewGroup `yaml:"groups"`
	// Guesses are the groups that decide about statements past a budget of guesses (@probes). Without any, these are refused.
	Guesses []string `yaml:"guesses"`
	// BreakGlass are the groups whose members may run at once what waits for approval, with a reason that begins with
	// "break-glass:", at the PostgreSQL door and never at the agents'. It is looked at afterwards.
	BreakGlass []string `yaml:"break_glass"`
	// Preview is how long a statement may run that is rolled back to count for a reviewer what it would change; 0s is not at all.
	// Default 5s.
	Preview *Duration `yaml:"preview"`
	// PurposeRequired says that an approval names one of `purposes`.
	PurposeRequired bool `yaml:"purpose_required"`
}

// ReviewGroup is a group of which members approve.
type ReviewGroup struct {
	// Quorum is how many of them have to. Default 1.
	Quorum int `yaml:"quorum"`
	// Escalate are groups whose members stand in once EscalateAfter has passed without a decision.
	Escalate      []string `yaml:"escalate"`
	EscalateAfter Duration `yaml:"escalate_after"`
}

const (
	mostPending = 7 * 24 * time.Hour
	mostClaim   = 24 * time.Hour
	mostQuorum  = 9
)

func (c *Config) approvals(d *document) {
	a := &c.File.Approvals
	times := func(key string, v Duration, most time.Duration) {
		if t := time.Duration(v); t < 0 || t > most {
			d.add(d.line("approvals", key), fmt.Sprintf("`%s` is no time for `approvals.%s`", t, key), "at most "+most.String())
		}
	}
	times("pending", a.Pending, mostPending)
	times("claim", a.Claim, mostClaim)
	times("heartbeat", a.Heartbeat, 10*time.Minute)
	if a.Wait != nil {
		times("wait", *a.Wait, mostPending)
	}
	if a.Preview != nil {
		times("preview", *a.Preview, time.Minute)
	}
	for _, name := range sortedKeys(a.Groups) {
		g, path := a.Groups[name], []string{"approvals", "groups", name}
		c.decides(d.line(path...), name)
		if g.Quorum < 0 || g.Quorum > mostQuorum {
			d.add(d.line(append(path, "quorum")...), fmt.Sprintf("a quorum of %d is not possible", g.Quorum), fmt.Sprintf("1 to %d", mostQuorum))
		}
		c.enough(d.line(append(path, "quorum")...), name, g)
		if (len(g.Escalate) > 0) != (g.EscalateAfter > 0) {
			d.add(d.line(path...), "`escalate` and `escalate_after` come together", "for example `escalate: [leads], escalate_after: 30m`")
		}
		for _, e := range g.Escalate {
			c.decides(d.line(append(path, "escalate")...), e)
		}
		if pending := cmp.Or(time.Duration(a.Pending), time.Hour); time.Duration(g.EscalateAfter) >= pending {
			c.warn(d.line(append(path, "escalate_after")...), fmt.Sprintf("requests end after %s, before anybody stands in for `%s`", pending, name), "shorten `escalate_after`, or lengthen `approvals.pending`")
		}
		if slices.Contains(g.Escalate, name) {
			d.add(d.line(append(path, "escalate")...), fmt.Sprintf("`%s` cannot stand in for itself", name), "")
		}
	}
	for _, g := range a.Guesses {
		c.decides(d.line("approvals", "guesses"), g)
	}
	for _, g := range a.BreakGlass {
		c.peopled(d.line("approvals", "break_glass"), g, "break the glass by it")
	}
	if a.PurposeRequired && len(c.File.Purposes) == 0 {
		d.add(d.line("approvals", "purpose_required"), "a purpose is required, and `purposes` has none", "name some, or leave `purpose_required` out")
	}
}

// decides warns of a group that no person is in.
func (c *Config) decides(line int, group string) {
	c.peopled(line, group, "decide for it")
}

// peopled warns of a group that no person is in, so that nobody can do what it is for.
func (c *Config) peopled(line int, group, what string) {
	if people, others := c.people(group); len(people) == 0 && !others {
		c.warn(line, fmt.Sprintf("no person is in the group `%s`, so nobody can %s", group, what), "add it to the groups of a principal, or map a provider's group to it (`group_map`)")
	}
}

// people are those of the configuration in a group; others says that people of a provider may be in it too.
func (c *Config) people(group string) (names []string, others bool) {
	for name, p := range c.File.Principals {
		if p.Kind != "agent" && slices.Contains(p.Groups, group) {
			names = append(names, name)
		}
	}
	for _, p := range c.File.Identity.Providers {
		others = others || p.Groups != "" && (p.GroupMap == nil || slices.Contains(slices.Collect(maps.Values(p.GroupMap)), group))
	}
	return names, others
}

// enough warns of a group of which more have to approve than it has people, with all who ever stand in.
func (c *Config) enough(line int, name string, g ReviewGroup) {
	all, others := c.people(name)
	for _, e := range g.Escalate {
		more, also := c.people(e)
		all, others = append(all, more...), others || also
	}
	slices.Sort(all)
	if n := len(slices.Compact(all)); n > 0 && n < g.Quorum && !others {
		c.warn(line, fmt.Sprintf("%d of `%s` have to approve, and %d could: what waits for them is never approved", g.Quorum, name, n), "lower `quorum`, or add people to the group")
	}
}
