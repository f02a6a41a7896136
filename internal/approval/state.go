package approval

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Step is what happens to a request. Exactly one field of its kinds is set.
type Step struct {
	Vote   *Vote  // a reviewer's word
	Cancel string // who asked has withdrawn, or has gone: why
	Expire bool   // the time is up
	Claim  bool   // it is about to run
	// Escalate names the group of a need that others stand in for from now on.
	Escalate string
	// Lapse says why votes count no longer, by their places among the request's.
	Lapse map[int]string
	// Finish says how a claimed request ended: Executed, Failed or Unknown, with Outcome.
	Finish  State
	Outcome string
}

// Terms are how long approvals last.
type Terms struct {
	// Claim is how long an approval for one time can be used.
	Claim time.Duration
	// Purposes are those that a vote may name, with the lawful basis of each; empty where there is no catalogue.
	Purposes map[string]string
	// NeedPurpose says that an approval has to name one.
	NeedPurpose bool
}

// LeastJustification is how many characters a reviewer's justification has at least.
const LeastJustification = 10

// Next is the request after a step at a time, or an error where the step cannot be made. It changes nothing itself.
func Next(r Request, s Step, v Reviewer, t Terms, now time.Time) (Request, error) {
	r.Revision++
	r.Votes = slices.Clone(r.Votes)
	switch {
	case s.Vote != nil:
		return vote(r, *s.Vote, v, t, now)
	case s.Expire:
		return expire(r, now)
	case s.Cancel != "":
		if r.State.Ended() {
			return r, ErrEnded
		}
		if r.State == Claimed {
			return r, ErrClaimed
		}
		r.State, r.Outcome, r.Ended = Cancelled, s.Cancel, now
		return r, nil
	case s.Claim:
		return claim(r, now)
	case s.Escalate != "":
		return escalate(r, s.Escalate, now)
	case len(s.Lapse) > 0:
		return lapse(r, s.Lapse, now)
	case s.Finish != "":
		return finish(r, s, now)
	}
	return r, Refused{"no step"}
}

func vote(r Request, v Vote, by Reviewer, t Terms, now time.Time) (Request, error) {
	if ok, why := r.MayDecide(by); !ok {
		return r, Refused{why}
	}
	if v.Verdict != Approve && v.Verdict != Refuse {
		return r, badVote("there is no verdict %q: approve or deny", v.Verdict)
	}
	if len([]rune(strings.TrimSpace(v.Justification))) < LeastJustification {
		return r, badVote("a decision is justified in at least %d characters; who asked reads them, and they are recorded", LeastJustification)
	}
	v.Reviewer, v.Account, v.Groups, v.At = by.Name, by.Account, slices.Clone(by.Groups), now
	v.Issuer, v.Against, v.Issued = by.Issuer, by.Against, by.Issued.UTC()
	v.Instead = r.instead(by.Groups)
	if v.Purpose != "" || t.NeedPurpose && v.Verdict == Approve {
		basis, ok := t.Purposes[v.Purpose]
		if !ok {
			return r, badVote("there is no purpose %q in the catalogue", v.Purpose)
		}
		v.LawfulBasis = basis
	} else {
		v.LawfulBasis = ""
	}
	if r.Glass != nil {
		return lookedAt(r, v)
	}
	if r.State == Approved && v.Verdict == Refuse {
		// Whoever could have denied it can take it back, whatever they said before.
		v.Review, v.Grant = false, Grant{}
		r.Votes = append(r.Votes, v)
		r.State, r.Outcome, r.Ended = Cancelled, "taken back by "+by.Name+": "+v.Justification, now
		return r, nil
	}
	// Who has approved what still waits for others may deny it all the same.
	takesBack := r.State == Pending && v.Verdict == Refuse
	if !takesBack && r.Voted(by) {
		return r, fmt.Errorf("%w; %s", ErrVoted, r.stands())
	}
	switch {
	case r.State.Ended():
		return r, ErrEnded
	case r.State != Pending:
		return r, Refused{"the request is " + string(r.State) + " already"}
	case !now.Before(r.Expires):
		return r, ErrTooLate
	}
	v.Review = false
	if v.Verdict == Refuse {
		v.Grant = Grant{}
		r.Votes = append(r.Votes, v)
		r.State, r.Outcome, r.Ended = Denied, v.Justification, now
		return r, nil
	}
	if v.Grant.Mode == "" && r.Subject.Kind == SubjectStatement {
		v.Grant = Grant{Mode: Once}
	}
	if err := r.narrower(v.Grant, now); err != nil {
		return r, BadVote(err.Error())
	}
	// All reviewers approve the same: who comes later takes what the first has granted, or denies.
	if first := slices.IndexFunc(r.Votes, func(o Vote) bool { return o.Verdict == Approve }); first >= 0 {
		if !sameGrant(r.Votes[first].Grant, v.Grant) {
			return r, Refused{"another reviewer has approved this to another extent: approve the same, or deny"}
		}
	}
	r.Votes = append(r.Votes, v)
	if satisfied(r.Needs, r.Votes) {
		g := v.Grant
		if g.Mode == Once {
			g.Until = now.Add(t.Claim)
		}
		r.State, r.Grant = Approved, &g
	}
	return r, nil
}

func badVote(format string, args ...any) BadVote { return BadVote(fmt.Sprintf(format, args...)) }

// stands says in words where the request is.
func (r *Request) stands() string {
	text := "it is " + string(r.State)
	if who := r.WaitsFor(); r.State == Pending && who != "" {
		text += " and waits for " + who
	}
	return text
}

// lookedAt is the word of a reviewer on a broken glass, afterwards. It changes nothing about what ran.
func lookedAt(r Request, v Vote) (Request, error) {
	if r.Glass.Reviewed {
		return r, ErrLooked
	}
	v.Review, v.Grant = true, Grant{}
	glass := *r.Glass
	glass.Reviewed = true
	r.Glass, r.Votes = &glass, append(r.Votes, v)
	return r, nil
}

func sameGrant(a, b Grant) bool {
	return a.Mode == b.Mode && a.Uses == b.Uses && a.Until.Equal(b.Until) && slices.Equal(a.Classes, b.Classes) &&
		slices.Equal(a.Relations, b.Relations) && slices.Equal(a.Columns, b.Columns) &&
		slices.EqualFunc(a.Ranges, b.Ranges, func(x, y Range) bool {
			return x.Any == y.Any && x.Null == y.Null && slices.Equal(x.In, y.In) && x.Least == y.Least && x.Most == y.Most
		})
}

func expire(r Request, now time.Time) (Request, error) {
	switch {
	case r.State == Pending && !now.Before(r.Expires):
		r.Outcome = "nobody decided in time"
	case r.State == Approved && !now.Before(r.Grant.Until):
		r.Outcome = "the approval was not used in time"
		if r.Uses > 0 {
			r.Outcome = "its time is over"
		}
	case r.State.Ended():
		return r, ErrEnded
	default:
		return r, Refused{"its time is not over"}
	}
	r.State, r.Ended = Expired, now
	return r, nil
}

func claim(r Request, now time.Time) (Request, error) {
	switch {
	case r.State == Claimed:
		return r, ErrClaimed
	case r.State.Ended():
		return r, ErrEnded
	case r.State != Approved || r.Grant == nil:
		return r, ErrNotReady
	case !now.Before(r.Grant.Until):
		return r, ErrTooLate
	}
	switch r.Grant.Mode {
	case Once:
		if r.Uses > 0 {
			return r, ErrEnded
		}
		r.State = Claimed
	case Form:
		if r.Uses >= r.Grant.Uses {
			return r, ErrEnded
		}
	case Window:
	default:
		return r, ErrNotReady
	}
	r.Uses++
	return r, nil
}

func finish(r Request, s Step, now time.Time) (Request, error) {
	if s.Finish != Executed && s.Finish != Failed && s.Finish != Unknown {
		return r, Refused{fmt.Sprintf("a claimed request does not become %q", s.Finish)}
	}
	if r.State != Claimed {
		// What allows more than one use stays as it is: each use is in the record.
		return r, ErrNotReady
	}
	r.State, r.Outcome, r.Ended = s.Finish, s.Outcome, now
	return r, nil
}
