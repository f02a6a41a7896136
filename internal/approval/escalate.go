package approval

import (
	"slices"
	"strings"
	"time"
)

// due reports whether the moment has come at which others stand in for need i: its time has passed, the request still waits, be it for somebody
// to look at a broken glass, and one more vote for it would bring the request nearer to its end.
func (r *Request) due(i int, now time.Time) bool {
	n := r.Needs[i]
	if n.After <= 0 || len(n.Escalate) == 0 || !n.Escalated.IsZero() || now.Sub(r.Created) < n.After {
		return false
	}
	if r.Glass != nil {
		return !r.Glass.Reviewed
	}
	return r.State == Pending && now.Before(r.Expires) && r.filled(i) < max(n.Quorum, 1)
}

// filled is how many have approved for need i where every vote that could count for another is left to that: who is in two groups does not
// keep others from standing in for the one that is missing.
func (r *Request) filled(i int) int {
	n := r.Needs[i]
	needs := append(slices.Delete(slices.Clone(r.Needs), i, i+1), n)
	return seated(needs, r.Votes)[len(needs)-1]
}

// escalate has others stand in for the group from now on. The state stays: what changes is who may decide.
func escalate(r Request, group string, now time.Time) (Request, error) {
	i := slices.IndexFunc(r.Needs, func(n Need) bool { return n.Group == group })
	switch {
	case r.Glass == nil && r.State.Ended():
		return r, ErrEnded
	case r.Glass == nil && !now.Before(r.Expires):
		return r, ErrTooLate
	case i < 0 || !r.due(i, now):
		return r, errNotDue
	}
	r.Needs = slices.Clone(r.Needs) // shared with the request as it was
	r.Needs[i].Escalated = now
	return r, nil
}

// unescalated are needs as a request begins with them.
func unescalated(needs []Need) []Need {
	out := slices.Clone(needs)
	for i := range out {
		out[i].Escalated = time.Time{}
	}
	return out
}

// StandIn is that groups stand in for one that was asked, because it had not decided in time.
type StandIn struct {
	Group    string        // that was asked
	Quorum   int           // how many of it have to approve
	Approved int           // how many of them had
	After    time.Duration // that it had had
	To       []string      // who stand in for it
	Since    time.Time
}

// standIn is the escalation of a need as it is made.
func (r *Request) standIn(group string) *StandIn {
	i := slices.IndexFunc(r.Needs, func(n Need) bool { return n.Group == group })
	n := r.Needs[i]
	return &StandIn{Group: n.Group, Quorum: max(n.Quorum, 1), Approved: r.filled(i), After: n.After, To: n.Escalate, Since: n.Escalated}
}

// Escalated are the needs of r for which others stand in, in the order in which they came to.
func (r *Request) Escalated() []Need {
	out := slices.DeleteFunc(slices.Clone(r.Needs), func(n Need) bool { return n.Escalated.IsZero() })
	slices.SortStableFunc(out, func(a, b Need) int { return a.Escalated.Compare(b.Escalated) })
	return out
}

// Deciders are the groups whose members may decide: those that were asked, and who stand in for them.
func (r *Request) Deciders() []string {
	var out []string
	for _, n := range r.Needs {
		if out = append(out, n.Group); !n.Escalated.IsZero() {
			out = append(out, n.Escalate...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// WaitsFor names who has to approve still, with who stand in for them, in words; "" where nobody has to.
func (r *Request) WaitsFor() string {
	var out []string
	for _, group := range r.Missing() {
		if i := slices.IndexFunc(r.Needs, func(n Need) bool { return n.Group == group && !n.Escalated.IsZero() }); i >= 0 {
			group += " (or " + strings.Join(r.Needs[i].Escalate, " or ") + " in their place)"
		}
		out = append(out, group)
	}
	return strings.Join(out, " and ")
}
