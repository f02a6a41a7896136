package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/approval"
)

// Approvals says how statements that wait for a person are handled. The zero value names nobody beyond the groups of the
// policies' @review, and lets nobody break the glass.
type Approvals struct {
	Pending time.Duration // how long a request waits for a decision; 0 is an hour
	Claim   time.Duration // how long an approval for one time can be used; 0 is 15 minutes
	// Wait is how long a PostgreSQL client waits in its statement; 0 is 10 minutes, less than 0 not at all.
	Wait time.Duration
	// Heartbeat is the time between two notices to a client that waits; 0 is 30 s.
	Heartbeat time.Duration
	// Groups says of groups of reviewers how many have to approve, and who stands in when nobody does. What is not in it wants one.
	Groups map[string]approval.Need
	// Guesses are the groups that decide about statements past a budget of guesses (@probes).
	Guesses []string
	// BreakGlass are the groups whose members may run what waits for approval at once, at the doors of database clients, to be looked at
	// afterwards.
	BreakGlass []string
	// Purposes are those that a reviewer may name, with their lawful bases; NeedPurpose says that one has to be named.
	Purposes    map[string]string
	NeedPurpose bool
	// Preview is how long a statement may run that is rolled back to count what it would change; 0 is 5 s, less than 0 not at all.
	Preview time.Duration
	// URL is where reviewers look at requests, without a slash at its end; "" where there is no such place.
	URL string
}

// What doors for people and the core say to each other about requests.
type (
	ReviewRequest = approval.Request
	ReviewNeed    = approval.Need
	ReviewVote    = approval.Vote
	ReviewVerdict = approval.Verdict
	ReviewNote    = approval.Note
	ReviewGrant   = approval.Grant
	ReviewMode    = approval.Mode
	ReviewRange   = approval.Range
	ReviewValue   = approval.Value
	ReviewParam   = approval.Param
	ReviewState   = approval.State
	BadReviewVote = approval.BadVote
)

// openApprovals opens the file of requests. What was claimed when the gateway last ended becomes unknown.
func (g *Gateway) openApprovals(ctx context.Context, dir string, c Approvals) (err error) {
	if c.Wait == 0 {
		c.Wait = 10 * time.Minute
	}
	if c.Heartbeat <= 0 {
		c.Heartbeat = 30 * time.Second
	}
	g.reviewing = c
	g.previewing = make(chan struct{}, 1)
	g.previews.wake, g.previews.made = make(chan struct{}, 1), map[string]*Preview{}
	g.approvals, err = approval.Open(ctx, approval.Config{Path: filepath.Join(dir, "approvals.db"), Record: g.recordReview, Made: g.moved, Lapses: g.lapses, Pending: c.Pending,
		Terms: approval.Terms{Claim: c.Claim, Purposes: c.Purposes, NeedPurpose: c.NeedPurpose}})
	if err != nil {
		return err
	}
	if slices.ContainsFunc(g.approvals.Live(), func(r *approval.Request) bool { return r.Subject.Kind == approval.SubjectReveal }) {
		g.revealing.Add(1)
	}
	g.wg.Add(2)
	go g.sweep()
	go g.makePreviews()
	return nil
}

// Sweeps that fail come more and more rarely: a step that is recorded and then cannot be made is recorded again at each.
const (
	reviewsSwept       = time.Second
	reviewsSweptRarely = time.Minute
)

// sweep makes the steps of requests whose time has come: their end, and that others stand in. That it may be late lets nothing through: what is
// over is not claimed, and nobody stands in before.
func (g *Gateway) sweep() {
	defer g.wg.Done()
	wait := reviewsSwept
	next := time.NewTimer(wait)
	defer next.Stop()
	for {
		select {
		case <-g.stop:
			return
		case <-next.C:
			known := g.regroupings.all()
			if err := g.approvals.Sweep(context.Background()); err != nil {
				wait = min(2*wait, reviewsSweptRarely)
				g.logger.Error("requests for approval can neither be ended nor escalated: who would stand in may not decide", "again in", wait, "error", err)
			} else {
				wait = reviewsSwept
				g.regroupings.done(known)
			}
			next.Reset(wait)
		}
	}
}

// moved notes that what approvals reveal has changed, logs that others stand in, and ends the preview of what does not wait any more.
func (g *Gateway) moved(e approval.Event) {
	if in := e.Escalated; in != nil {
		g.logger.Warn("a request for approval has escalated", "request", e.Request.ID, "group", in.Group, "after", in.After, "to", in.To)
	}
	if e.Request.State != approval.Pending {
		g.previews.drop(e.Request.ID)
	}
	if e.Request.Subject.Kind == approval.SubjectReveal && (e.From == approval.Approved || e.Request.State == approval.Approved) {
		g.revealing.Add(1)
	}
}

// recordReview makes a step of a request durable before it is made.
func (g *Gateway) recordReview(_ context.Context, e approval.Event) error {
	r := e.Request
	return g.note(access.RecordReview, func(rec *access.Record) {
		rec.Door, rec.Connection, rec.Task, rec.Ticket = r.Binding.Door, r.Binding.Connection, r.Subject.Task, g.forRecord(rec, r.Subject.Ticket)
		rec.Principal, rec.Approval = r.Binding.Principal, r.ID
		if len(r.Binding.Actors) > 0 {
			rec.Actor = r.Binding.Actors[0]
		}
		outcome := r.Outcome
		if outcome != withdrawnBy(r.Binding.Principal) { // the gateway's own words, with a name that the record has beside them
			outcome = g.forRecord(rec, outcome)
		}
		step := access.ReviewStep{Session: r.Binding.Session, From: string(e.From), To: string(r.State), Digest: r.Digest, Expires: r.Expires, Use: e.Use,
			Missing: r.Missing(), Outcome: outcome, Relations: r.Subject.Relations, Labels: r.Subject.Labels, Columns: r.Subject.Columns}
		step.Asked = r.Deciders()
		if e.From == "" || e.Escalated != nil { // channels tell those who stand in what was asked: they were not told before
			rec.SQL, rec.Reason = g.sqlForRecord(rec, r.Binding.SQL), g.forRecord(rec, r.Subject.Reason)
		}
		for _, l := range e.Lapsed {
			step.Lapsed = append(step.Lapsed, access.LapsedVote{Reviewer: l.Reviewer, Why: g.forRecord(rec, l.Why)})
		}
		if in := e.Escalated; in != nil {
			step.Escalated = &access.Escalated{Group: in.Group, Quorum: in.Quorum, Approved: in.Approved, AfterMS: in.After.Milliseconds(), To: in.To}
		}
		if e.From == "" {
			for i, p := range approval.Texts(r.Binding.Params) {
				rec.Params = append(rec.Params, g.forRecord(rec, shortened(p, mostParam)))
				if r.Binding.Params[i].Null {
					rec.Nulls = append(rec.Nulls, i+1)
				}
			}
			step.Policies = r.Subject.Policies
		}
		if v := e.Vote; v != nil {
			step.Reviewer, step.Groups, step.Instead, step.Verdict, step.Channel = v.Reviewer, v.Groups, v.Instead, string(v.Verdict), v.Channel
			step.Justification, step.Purpose, step.LawfulBasis, step.Afterwards = g.forRecord(rec, v.Justification), v.Purpose, v.LawfulBasis, v.Review
			step.Authenticated, step.ACR, step.Proven = v.Authenticated, v.ACR, v.Proven
		}
		if r.Glass != nil {
			step.Glass = g.forRecord(rec, r.Glass.Reason)
		}
		if r.Grant != nil {
			step.Grant, _ = json.Marshal(r.Grant) // strings and numbers only
		}
		rec.Review, _ = json.Marshal(step)
	})
}

// needs puts the groups of a decision in the words of requests.
func (g *Gateway) needs(groups []string) []approval.Need {
	var out []approval.Need
	for _, name := range groups {
		n := g.reviewing.Groups[name]
		n.Group = name
		out = append(out, n)
	}
	return out
}

// mayBreakGlass reports whether p may run what waits for approval at once.
func (g *Gateway) mayBreakGlass(p access.Principal) bool {
	return p.Kind == access.Human && p.Actor == "" && slices.ContainsFunc(g.reviewing.BreakGlass, func(n string) bool { return slices.Contains(p.Groups, n) })
}

// Review gives a request.
func (g *Gateway) Review(id string) (*ReviewRequest, error) { return g.approvals.Get(id) }

// Reviews gives requests, the newest first, of which keep answers true: at most most of them, made before that of the id before
// where one is given.
func (g *Gateway) Reviews(before string, most int, keep func(*ReviewRequest) bool) ([]*ReviewRequest, error) {
	return g.approvals.List(before, most, keep)
}

// LiveReviews gives the requests that have not ended, the newest first.
func (g *Gateway) LiveReviews() []*ReviewRequest { return g.approvals.Live() }

// WatchReviews gives a channel that is closed at the next step of a request; with id "" of any.
func (g *Gateway) WatchReviews(id string) <-chan struct{} { return g.approvals.Watch(id) }

// MayDecide reports whether p's word counts for a request, and if not, why.
func (g *Gateway) MayDecide(p access.Principal, r *ReviewRequest) (bool, string) {
	return r.MayDecide(reviewerOf(p))
}

func reviewerOf(p access.Principal) approval.Reviewer {
	return approval.Reviewer{Name: p.Name, Groups: p.Groups, Human: p.Kind == access.Human && p.Actor == "", Account: accountOf(p), Issuer: p.Proof.Issuer, Against: againstOf(p),
		Issued: p.Proof.Issued}
}

// accountOf stands for the account at a provider that p was proven by, without telling what the provider calls it.
func accountOf(p access.Principal) string {
	return account(p.Proof.Issuer, p.Proof.Subject)
}

func account(issuer, subject string) string {
	if issuer == "" || subject == "" {
		return ""
	}
	var b parts
	b.add(issuer, subject)
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:16])
}

// Decide is a reviewer's word about a request that they were shown at a revision. Only doors for people have it; p is who proved
// to be there, at v.Authenticated, by what has to hold still.
func (g *Gateway) Decide(ctx context.Context, p access.Principal, id string, revision uint64, v ReviewVote) (*ReviewRequest, error) {
	g.deciding.RLock()
	defer g.deciding.RUnlock()
	if err := g.Stands(p); err != nil {
		return nil, err
	}
	return g.approvals.Decide(ctx, id, revision, reviewerOf(p), v)
}

// withdrawnBy is the outcome of a request that was withdrawn by who asked, or whose asker has gone.
func withdrawnBy(name string) string { return "withdrawn by " + name }

// CancelReview withdraws a request in the name of who made it.
func (g *Gateway) CancelReview(ctx context.Context, p access.Principal, id string) (*ReviewRequest, error) {
	r, err := g.approvals.Get(id)
	if err != nil {
		return nil, err
	}
	if !ownRequest(p, r) {
		return nil, approval.ErrUnknown
	}
	return g.approvals.Cancel(ctx, id, withdrawnBy(p.Name))
}

// Approval gives a request to who made it.
func (g *Gateway) Approval(ctx context.Context, c access.Credentials, id string) (ApprovalStatus, error) {
	p, err := g.people.Verify(ctx, c)
	if err != nil {
		return ApprovalStatus{}, err
	}
	r, err := g.approvals.Get(id)
	if err != nil || !ownRequest(p, r) {
		return ApprovalStatus{}, notYours()
	}
	return g.statusOf(r), nil
}

// Withdraw ends a request of the principal behind c that has not begun to run.
func (g *Gateway) Withdraw(ctx context.Context, c access.Credentials, id string) (ApprovalStatus, error) {
	p, err := g.people.Verify(ctx, c)
	if err != nil {
		return ApprovalStatus{}, err
	}
	r, err := g.CancelReview(ctx, p, id)
	switch {
	case errors.Is(err, approval.ErrUnknown):
		return ApprovalStatus{}, notYours()
	case errors.Is(err, approval.ErrEnded), errors.Is(err, approval.ErrClaimed):
		return ApprovalStatus{}, &access.Error{Kind: access.Invalid, Code: "55000", Message: fmt.Sprintf("request %s cannot be withdrawn any more: it is %s", id, r.State), Hint: "ask what has become of it"}
	case err != nil:
		g.logger.Error("a request could not be withdrawn", "request", id, "error", err)
		return ApprovalStatus{}, access.AsError(err)
	}
	return g.statusOf(r), nil
}

// endRequests withdraws the requests, pending or approved, of which of answers true. What is about to run, or runs, is its session's to end.
func (g *Gateway) endRequests(why string, of func(*ReviewRequest) bool) error {
	var errs []error
	for _, r := range g.approvals.Live() {
		if !of(r) {
			continue
		}
		if _, err := g.approvals.Cancel(context.Background(), r.ID, why); err != nil && !errors.Is(err, approval.ErrEnded) && !errors.Is(err, approval.ErrClaimed) {
			g.logger.Warn("a request could not be withdrawn", "request", r.ID, "error", err)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// ofNobody reports whether a request is of somebody who is not in the configuration any more, or whom a provider spoke for by what it was
// before: whoever has the name next is not shown what was approved for them. changed are the issuers of providers that were defined anew.
func (g *Gateway) ofNobody(changed map[string]bool) func(*ReviewRequest) bool {
	store := g.people.store.Load()
	return func(r *ReviewRequest) bool {
		if iss := r.Binding.Issuer; iss != "" {
			return changed[iss] || !g.people.speaks(iss) || store.Has(r.Binding.Principal) || foreign(*g.people.providers.Load())(iss, r.Binding.Principal)
		}
		return !slices.ContainsFunc(g.listed(), func(p access.Principal) bool { return p.Name == r.Binding.Principal })
	}
}

// askedBy reports whether a request was made by those whose proofs a revocation withdraws. One about a single proof covers none:
// who asked may have others. That of an account is, until somebody logs in anew there.
func askedBy(w access.Revocation) func(*ReviewRequest) bool {
	one := w.Token != "" || w.Credential != "" || w.Session != "" || w.Subject != "" && !w.Before.IsZero()
	return func(r *ReviewRequest) bool {
		p := access.Principal{Name: r.Binding.Principal, Proof: access.Proof{Issuer: r.Binding.Issuer, Subject: r.Subject.Asker.Proof.Subject, Issued: r.Created}}
		if len(r.Binding.Actors) > 0 {
			p.Actor, p.Behind = r.Binding.Actors[0], r.Binding.Actors[1:]
		}
		return !one && w.Covers(p)
	}
}

func notYours() *access.Error {
	return &access.Error{Kind: access.Invalid, Code: "22023", Message: "there is no such request of yours", Hint: "use the handle that the answer with pending_approval gave, in the task that it was given in"}
}

// statusOf is a request as who made it may see it.
func (g *Gateway) statusOf(r *ReviewRequest) ApprovalStatus {
	s := ApprovalStatus{ID: r.ID, State: r.State, Connection: r.Binding.Connection, SQL: r.Binding.SQL, Params: approval.Texts(r.Binding.Params), Columns: r.Subject.Columns, Task: r.Subject.Task,
		Digest: r.Digest, Missing: r.Missing(), WaitsFor: r.WaitsFor(), Uses: r.Uses, Created: r.Created, Expires: r.Expires, Outcome: r.Outcome, URL: g.reviewURL(r)}
	if r.Grant != nil {
		s.Expires, s.Columns = r.Grant.Until, r.Grant.Columns
	}
	for _, n := range r.Escalated() {
		s.Escalated = append(s.Escalated, ApprovalEscalated{Group: n.Group, To: n.Escalate, Since: n.Escalated})
	}
	for _, v := range r.Votes {
		if v.Verdict == approval.Approve {
			s.Approved++
			s.Said = append(s.Said, approvedBy(r, &v))
		} else {
			s.Reviewer = v.Reviewer
		}
	}
	return s
}
