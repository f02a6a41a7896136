package sqlguard

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/access"
	"sallyport/sqlguard/policy"
)

// judge gathers one decision. A step that returns a decision has refused; nil goes on.
type judge struct {
	in  Input
	ask *policy.Asker

	asked       bool // some permission beyond connect was needed
	policies    []string
	obligations access.Obligations

	masked       []access.ColumnID
	writable     []access.ColumnID
	lookup       []access.ColumnID
	rows         []access.RowFilter
	inlined      []access.Name
	predicate    []access.ColumnID
	order, group []access.ColumnID
	cells        []access.AggregateColumn
	compares     bool // see access.Decision.Compares
	resolve      []access.TokenSource
	isMasked     map[access.ColumnID]bool
	bodies       map[*access.Facts]string // what body found of those that were judged
	pins         access.Pins
	anywhere     *bool // some column of the connection is masked; see maskedPrincipal
}

func newJudge(in Input) *judge {
	return &judge{
		in:       in,
		isMasked: map[access.ColumnID]bool{},
		bodies:   map[*access.Facts]string{},
		ask: in.Policies.For(in.Principal, policy.Context{Door: in.Door, Class: in.Facts.Class, Tag: in.Facts.Tag,
			HasReason: in.HasReason, Reason: in.Reason}),
	}
}

// need asks for one permission; what is the attempt in words ("reading public.orders").
func (j *judge) need(a access.Action, r policy.Resource, what string) *access.Decision {
	v := j.ask.Is(a, r)
	j.asked = true
	if !v.Allowed {
		return j.refuse(v, a, r, what)
	}
	j.grant(v)
	return nil
}

// grant keeps what a permit asks for in return.
func (j *judge) grant(v policy.Verdict) {
	for _, p := range v.Policies {
		if !slices.Contains(j.policies, p) {
			j.policies = append(j.policies, p)
		}
	}
	j.obligations = policy.Strictest(j.obligations, v.Obligations)
}

// allow ends a decision that nothing has refused.
func (j *judge) allow() access.Decision {
	slices.Sort(j.policies)
	d := access.Decision{Effect: access.Allow, Policies: j.policies, Obligations: j.obligations, Masked: j.masked, Writable: j.writable,
		Lookup: j.lookup, Predicate: j.predicate, Order: j.order, Group: j.group, Aggregate: j.cells, Compares: j.compares, Filters: j.rows, Inlined: j.inlined, Resolve: j.resolve}
	if len(d.Obligations.Review) > 0 {
		d.Effect = access.Review
	}
	return WithReason(d, j.in.Door, j.in.HasReason)
}

// refuse words the denial of a request.
func (j *judge) refuse(v policy.Verdict, a access.Action, r policy.Resource, what string) *access.Decision {
	who := j.in.Principal.Name
	if who == "" {
		who = "an unknown principal"
	}
	d := denied(fmt.Sprintf("%s is not permitted for %s", what, who), "")
	d.Policies = v.Policies
	switch {
	case v.Limited:
		return j.limited(v, a, what)
	case v.Err != nil:
		// Which policy, not why: the cause may quote what the policy compares with.
		d.Hint = "policy " + strings.Join(v.Policies, ", ") + " could not be evaluated, and then everything is denied; tell whoever keeps the policies"
	case len(v.Policies) > 0:
		d.Hint = fmt.Sprintf("policy %s forbids it; only a change of that policy allows %q on %s", strings.Join(v.Policies, ", "), a, r)
	case len(v.Outdated) > 0:
		d.Message += ": its definition changed since the policy was written"
		d.Hint = fmt.Sprintf("policy %s is for another; whoever keeps the policies reads the function and, if it is fine, writes @definition(%q)",
			strings.Join(v.Outdated, ", "), r.Definition())
	case r.Definition() != "":
		d.Hint = fmt.Sprintf("ask for %q on %s; its definition is %s", a, r, r.Definition())
	default:
		d.Hint = fmt.Sprintf("ask for %q on %s", a, r)
	}
	return &d
}

// limited refuses what policies permit and the token is not good for.
func (j *judge) limited(v policy.Verdict, a access.Action, what string) *access.Decision {
	proof := j.in.Principal.Proof
	d := denied(fmt.Sprintf("the token's scopes do not cover %s (%q)", what, a), "policies permit it, and no scope of this gateway covers it: only another credential would do")
	d.Policies = v.Policies
	if s := proof.Wants(a); s != "" {
		d.Scopes = append(proof.Known(), s)
		d.Hint = fmt.Sprintf("policies permit it: it takes a token that has the scope %q too", s)
	}
	return &d
}

// no refuses something that no policy can grant short of "unrestricted".
func (j *judge) no(message, hint string) *access.Decision {
	d := denied(message, hint)
	return &d
}

// unsupported refuses something that nobody can do but the unrestricted.
func (j *judge) unsupported(what string) *access.Decision {
	return j.no(what+" is not available through the gateway",
		fmt.Sprintf("only a principal who is permitted %q on %s can do this", access.ActUnrestricted, policy.Connection(j.in.Connection)))
}
