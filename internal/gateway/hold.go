package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"sallyport/internal/access"
	"sallyport/internal/approval"
	"sallyport/sqlguard"
)

// A statement that policy allows once somebody has approved it is held here, before it takes a place, counts a guess or is
// sent. Whether it waits within the call or comes back with a handle, what runs in the end is judged anew, and runs under
// an approval that covers what it is then.

// waits reports whether running this needs an approval. PREPARE runs nothing, and what FETCH reads was opened under one.
func (j *judged) waits() bool {
	return j.guessed != "" || j.plan.decision.Effect == access.Review && j.plan.facts.Prepares == "" && !j.opened
}

// errUnapproved is what addRun says where a way to it has forgotten to ask.
var errUnapproved = &access.Error{Kind: access.Internal, Code: "XX000", Message: "a statement that needs approval came to be run without one: nothing was sent"}

// wanted is one thing to be run, in the words of a request, with the way to judge it anew.
type wanted struct {
	list   []judged
	sql    string
	params []string
	raw    []byte // Bind: formats and values, for the digest
	stmt   *prepared
	portal *portal  // that is executed, or nil
	types  []uint32 // of parameters, as declared; 0 is left open
	// inferred are the types as the database takes them; askTypes sets it.
	inferred []uint32
	again    func() ([]judged, error)
}

// approved gives what is wanted with the approval under which it runs, or a refusal. It may wait for a person, in a door whose
// clients can.
func (s *Session) approved(w wanted, sink Sink) ([]judged, error) {
	if !slices.ContainsFunc(w.list, func(j judged) bool { return j.waits() }) {
		if slices.ContainsFunc(w.list, func(j judged) bool { return j.plan.facts.Prepares != "" && j.plan.heldLater() }) {
			if err := s.sample(sink); err != nil { // EXECUTE will want to know
				return nil, err
			}
			if s.skip {
				return nil, errFailedTransaction // refuse says nothing before Sync
			}
		}
		return w.list, nil
	}
	if s.preview != "" {
		list := slices.Clone(w.list)
		for i := range list {
			list[i].approval = "preview of " + s.preview
		}
		return list, nil
	}
	for i := range w.list {
		if w.list[i].plan.facts.CurrentRow {
			return nil, refusal{plan: w.list[i].plan, sql: w.sql, why: errCurrentRow}
		}
	}
	s.heavy()
	ctx := context.Background() // a step is recorded and made whole, whoever has gone
	if s.unsettled() {
		// What stands in front may change what this is bound to, so it is sent, and this judged anew. Nothing waits after it.
		if err := s.settle(sink); err != nil {
			return nil, err
		}
		if s.skip || s.copyIn {
			return nil, errFailedTransaction // refuse says nothing before Sync
		}
		list, err := w.again()
		if err != nil || !slices.ContainsFunc(list, func(j judged) bool { return j.waits() }) {
			return list, err
		}
		w.list = list
	}
	pl := firstHeld(w.list)
	if err := s.redefined(sink); err != nil {
		return nil, asRefusal(err, pl, w.sql)
	}
	if s.tx == 'E' {
		return nil, refusal{plan: pl, sql: w.sql, why: s.askInFailed(ctx, w, pl)}
	}
	if err := s.askWhat(&w, sink); err != nil {
		return nil, asRefusal(err, pl, w.sql)
	}
	req := s.request(w)
	req.ID = s.claiming
	r, err := s.gw.approvals.Claim(ctx, req)
	if err == nil && r == nil && s.breaks() {
		r, err = s.breakGlass(ctx, req)
	}
	if err != nil {
		return nil, refusal{plan: pl, sql: w.sql, why: notHeld(err)}
	}
	if r != nil {
		if r.Glass == nil && r.Grant != nil && r.Grant.Mode == approval.Once { // of one for many uses it is said once, to who waited
			s.tellWhy(r)
		}
		return s.under(w.list, r), nil
	}
	if len(req.Needs) == 0 {
		return nil, refusal{plan: pl, sql: w.sql, why: &access.Error{Kind: access.Denied, Code: "42501", Message: "this statement needs approval, and nobody is named who could give it",
			Hint: "name groups in @review of the policy, or in `approvals` of the configuration"}}
	}
	wait := &waiter{cancelled: make(chan struct{})}
	waits := s.door == access.DoorPGWire && s.gw.reviewing.Wait >= 0 && !s.begun && s.tx == 'I'
	if waits { // before anybody sees the request: who ends this session then ends the wait too
		s.waits.Store(wait)
		defer s.waits.Store(nil)
	}
	if r, err = s.askFor(ctx, req, w); err != nil {
		return nil, refusal{plan: pl, sql: w.sql, why: notHeld(err)}
	}
	if !waits {
		s.handle = r.ID
		if s.tx == 'T' {
			s.failedWith = s.settings // the refusal fails the transaction, and nothing can change them before its end
		}
		return nil, refusal{plan: pl, sql: w.sql, why: s.pending(r)}
	}
	if err := s.waitFor(ctx, wait, r, pl, w.sql, sink); err != nil {
		return nil, err
	}
	// What was approved may be judged otherwise by now.
	list, err := w.again()
	if err != nil {
		return nil, err
	}
	w.list = list
	if err = s.askWhat(&w, sink); err != nil && err != errMadeBefore {
		return nil, asRefusal(err, pl, w.sql)
	}
	id := r.ID
	if r = nil; err == nil {
		r, err = s.gw.approvals.Claim(ctx, s.request(w))
	}
	if err != nil && err != errMadeBefore {
		return nil, refusal{plan: pl, sql: w.sql, why: notHeld(err)}
	}
	if r != nil {
		return s.under(list, r), nil
	}
	if !slices.ContainsFunc(list, func(j judged) bool { return j.waits() }) {
		return list, nil // it needs no approval any more
	}
	return nil, refusal{plan: pl, sql: w.sql, why: &access.Error{Kind: access.Denied, Code: "42501", Review: id,
		Message: "what was approved is not what would run now: the policies, the schema or the search_path have changed meanwhile",
		Hint:    "run it again to ask for another approval; nothing ran"}}
}

// errFailedTransaction answers what is not asked for within a transaction that has failed.
var errFailedTransaction = &access.Error{Kind: access.Invalid, Code: "25P02", Message: "the transaction has failed, and nothing runs before its end", Hint: "ROLLBACK, and run it again"}

// askInFailed asks for what waits within a transaction that has failed, so that all of a transaction can be asked for before it is run again.
// Nothing runs there, so no approval is used.
func (s *Session) askInFailed(ctx context.Context, w wanted, pl *plan) *access.Error {
	if s.failedWith == nil || slices.ContainsFunc(w.list, func(j judged) bool {
		names, every := j.settingsRead()
		return every || len(names) > 0 || endsTransaction(j.plan.facts)
	}) {
		return errFailedTransaction // what it would mean is not known
	}
	if len(w.params) > 0 && (len(w.raw) == 0 || !typesKnown(w.types, len(w.params))) {
		return errFailedTransaction // nor of what types its parameters are
	}
	s.meaning, w.inferred = s.failedWith, w.types
	req := s.request(w)
	if len(req.Needs) == 0 || s.gw.approvals.Covered(req) {
		return errFailedTransaction
	}
	r, err := s.askFor(ctx, req, w)
	if err != nil {
		return notHeld(err)
	}
	return s.pending(r)
}

// approvedPortal is approved for a portal that is executed. Once it was executed it may be read on.
func (s *Session) approvedPortal(p *portal, pl *plan, sink Sink) (judged, error) {
	if p.opened {
		return judged{plan: pl, opened: true}, nil
	}
	judge := func(pl *plan) []judged {
		j := p.judged(pl)
		j.opened = s.cursorOpened(p.plan)
		if n, known := p.portalGuesses(pl); known && n > 0 && len(pl.decision.Obligations.Probes) > 0 {
			j.guessed = s.tooMany(pl, n)
		}
		return []judged{j}
	}
	list := judge(pl)
	if !list[0].waits() && pl.facts.Prepares == "" {
		return list[0], nil
	}
	w := wanted{list: list, sql: p.sql(), params: p.params, raw: p.values, portal: p, again: func() ([]judged, error) {
		if err := s.current(p.stmt, sink); err != nil {
			return nil, err
		}
		p.plan = p.stmt.plan
		pl, err := s.effective(p.plan, sink)
		if err != nil {
			return nil, err
		}
		return judge(pl), nil
	}}
	if w.stmt = p.stmt; p.stmt != nil {
		w.types = p.stmt.declared
	}
	list, err := s.approved(w, sink)
	if err != nil {
		return judged{}, err
	}
	return list[0], nil
}

// cursorOpened reports whether a FETCH reads what was opened before, under an approval where that needed one.
func (s *Session) cursorOpened(p *plan) bool {
	c := s.cursorOf(p)
	return c != nil && c.opened
}

func firstHeld(list []judged) *plan {
	for i := range list {
		if list[i].waits() {
			return list[i].plan
		}
	}
	return nil
}

// notHeld words an error of the engine's for who asked. What is not in words for them is hidden from them.
func notHeld(err error) *access.Error {
	if no := (approval.Refused{}); errors.As(err, &no) {
		return &access.Error{Kind: access.Unavailable, Code: "53400", Message: "this cannot be held for approval: " + err.Error(), Hint: "nothing ran"}
	}
	return access.AsError(err)
}

// glassWord begins a reason that breaks the glass.
const glassWord = "break-glass:"

// breaks reports whether who asks wants to run this at once, and may. A reason is a person's own word only where nobody but a person writes it:
// at the agents' door a program does, in the name of whoever's token it has, and what it has read may have told it to.
func (s *Session) breaks() bool {
	why, meant := glassReason(s.reason)
	return meant && s.door == access.DoorPGWire && sqlguard.SufficientReason(why) && s.gw.mayBreakGlass(s.principal)
}

// glassReason is why somebody wants to break the glass; meant is false where they do not. In an incident nobody looks at the case of letters.
func glassReason(reason string) (why string, meant bool) {
	if len(reason) < len(glassWord) || !strings.EqualFold(reason[:len(glassWord)], glassWord) {
		return "", false
	}
	return strings.TrimSpace(reason[len(glassWord):]), true
}

// glassWhole tells who meant to break the glass, and has not, how it is broken: else they wait, in the hour in which that costs most.
func (s *Session) glassWhole() (message, hint string) {
	switch _, meant := glassReason(s.reason); {
	case !meant:
		return "", ""
	case s.door != access.DoorPGWire:
		return "the glass is not broken: that is for people at the PostgreSQL door alone", "this waits for approval like everything"
	case !s.gw.mayBreakGlass(s.principal):
		return "the glass is not broken: you are not of those who may break it", "`approvals.break_glass` of the configuration names them; this waits for approval"
	}
	return fmt.Sprintf("the glass is not broken: after `%s` the reason has to be %d characters at least", glassWord, sqlguard.MinReason),
		fmt.Sprintf("cancel, then SET sallyport.reason = '%s ...' with what has happened, and run it again", glassWord)
}

func (s *Session) breakGlass(ctx context.Context, req approval.Request) (*approval.Request, error) {
	if len(req.Needs) == 0 {
		req.Needs = s.gw.needs(s.gw.reviewing.BreakGlass) // somebody has to look at it
	}
	reason, _ := glassReason(s.reason)
	r, err := s.gw.approvals.BreakGlass(ctx, req, reason)
	if err != nil {
		return nil, err
	}
	s.gw.logger.Warn("the glass was broken", "request", r.ID, "principal", s.principal.Name, "connection", s.db.conf.Name)
	s.held = appendNotice(s.held, "the glass was broken: this runs without approval, and is recorded and reviewed afterwards as "+r.ID, "masks stay as they are")
	return r, nil
}

// pending is what a client is told that does not wait.
func (s *Session) pending(r *approval.Request) *access.Error {
	hint := "run the same statement again once it is approved; until then it stays as it is" + s.gw.where(r)
	used := s.usedUp()
	switch {
	case used != "":
		hint = "nothing waits within a transaction, for that would hold its locks. What ran in it under " + used + " is rolled back too, and that approval is used up: " +
			"have all of the transaction approved before it is run, or in one text, or in mode form for several uses" + s.gw.where(r)
	case s.tx != 'I':
		hint = "nothing waits within a transaction, for that would hold its locks: ROLLBACK, and run it again, alone or in its transaction, once it is approved. " +
			"What else of the transaction needs approval can be run before the ROLLBACK, and is asked for too" + s.gw.where(r)
	case s.door == access.DoorMCP:
		hint = "ask check_approval with the handle " + r.ID + "; the statement that was reviewed runs when it is approved"
	}
	if message, how := s.glassWhole(); message != "" {
		hint = message + ": " + how + ". Else " + hint
	}
	return &access.Error{Kind: access.ReviewPending, Code: "42501", Review: r.ID, Hint: hint,
		Message: fmt.Sprintf("this statement needs approval by %s: request %s is pending until %s", groupsOf(r), r.ID, r.Expires.Format(time.RFC3339))}
}

// groupsOf names who has to approve still.
func groupsOf(r *approval.Request) string {
	if who := r.WaitsFor(); who != "" {
		return who
	}
	return "nobody any more"
}

// where tells where reviewers look at a request.
func (g *Gateway) where(r *approval.Request) string {
	if url := g.reviewURL(r); url != "" {
		return ": " + url
	}
	return ""
}

// decidedAt is where for who waits and cannot decide there.
func (g *Gateway) decidedAt(r *approval.Request) string {
	if url := g.reviewURL(r); url != "" {
		return "; reviewers decide at " + url
	}
	return ""
}

// reviewURL is the page of a request, or "" where there is no such place.
func (g *Gateway) reviewURL(r *approval.Request) string {
	if g.reviewing.URL == "" {
		return ""
	}
	return g.reviewing.URL + "/reviews/" + r.ID
}

// waitFor waits until a request is approved, telling the client so. It is left pending when the time for waiting is over, and
// withdrawn when the client cancels or has gone.
func (s *Session) waitFor(ctx context.Context, w *waiter, r *approval.Request, pl *plan, sql string, sink Sink) error {
	deadline := time.NewTimer(s.gw.reviewing.Wait)
	defer deadline.Stop()
	beat := time.NewTicker(s.gw.reviewing.Heartbeat)
	defer beat.Stop()
	no := func(code, message, hint string) error {
		return refusal{plan: pl, sql: sql, why: &access.Error{Kind: access.Denied, Code: code, Message: message, Hint: hint, Review: r.ID}}
	}
	tell := func() error {
		s.held = appendNotice(s.held, fmt.Sprintf("waiting for approval by %s: request %s, until %s", groupsOf(r), r.ID, r.Expires.Format(time.RFC3339)),
			"cancel (Ctrl-C) withdraws it"+s.gw.decidedAt(r))
		return s.release(sink)
	}
	if message, hint := s.glassWhole(); message != "" {
		s.held = appendNotice(s.held, message, hint)
	}
	if err := tell(); err != nil {
		s.withdraw(ctx, r)
		return err
	}
	cancelled := func() error {
		s.withdraw(ctx, r)
		return no("57014", "canceled while waiting for approval: request "+r.ID+" is withdrawn", "nothing ran")
	}
	escalated := len(r.Escalated())
	for {
		changed := s.gw.approvals.Watch(r.ID)
		now, err := s.gw.approvals.Get(r.ID)
		if err != nil {
			why := notHeld(err)
			why.Review = r.ID
			return refusal{plan: pl, sql: sql, why: why}
		}
		switch r = now; r.State {
		case approval.Approved:
			select {
			case <-w.cancelled: // before it was seen to be approved
				return cancelled()
			default:
				s.tellWhy(r)
				return nil
			}
		case approval.Denied:
			v := r.Votes[len(r.Votes)-1]
			own := fmt.Sprintf("%s denied request %s: ", v.Reviewer, r.ID)
			return refusal{plan: pl, sql: sql, own: own, why: &access.Error{Kind: access.Denied, Code: "42501", Message: own + onALine(v.Justification),
				Hint: "nothing ran; talk to the reviewer, or ask for less", Review: r.ID}}
		case approval.Expired:
			return no("42501", "nobody decided about request "+r.ID+" in time", "nothing ran; run it again to ask again")
		case approval.Cancelled:
			return no("57014", "request "+r.ID+" was withdrawn", "nothing ran")
		case approval.Pending:
			if n := len(r.Escalated()); n != escalated { // told at once, and not at the next beat: others decide now
				escalated = n
				if err := tell(); err != nil {
					s.withdraw(ctx, r)
					return err
				}
			}
		default:
			return no("42501", fmt.Sprintf("request %s is %s", r.ID, r.State), "nothing ran here")
		}
		select {
		case <-changed:
		case <-beat.C:
			if err := tell(); err != nil {
				s.withdraw(ctx, r)
				return err
			}
		case <-deadline.C:
			return refusal{plan: pl, sql: sql, why: s.pending(r)}
		case <-s.gw.ending:
			// The request outlives this run of the gateway.
			return no("57P01", "the gateway is being stopped; request "+r.ID+" stays pending", "connect again and run the same statement once it is approved")
		case <-w.cancelled:
			return cancelled()
		case <-s.watched:
			s.withdraw(ctx, r)
			return no("57014", "the client went away while waiting for approval", "")
		}
	}
}

// tellWhy has who asked told why it was approved, with what follows.
func (s *Session) tellWhy(r *approval.Request) {
	for _, v := range r.Votes {
		if v.Verdict == approval.Approve {
			s.held = appendWord(s.held, approvedBy(r, &v))
		}
	}
}

// approvedBy is a reviewer's word for who asked.
func approvedBy(r *approval.Request, v *approval.Vote) string {
	return fmt.Sprintf("%s approved request %s: %s", v.Reviewer, r.ID, onALine(v.Justification))
}

// onALine is what a reviewer wrote as a client's terminal may have it: no zero byte ends it early, and nothing in it moves a cursor.
func onALine(text string) string {
	var b strings.Builder
	for _, c := range strings.TrimSpace(text) {
		switch {
		case unicode.IsPrint(c):
			b.WriteRune(c)
		case unicode.IsSpace(c):
			b.WriteByte(' ')
		default:
			fmt.Fprintf(&b, "\\u%04x", c)
		}
	}
	return b.String()
}

// withdraw ends a request whose asker has gone, also one that was approved at that moment. What has been claimed is its session's to end.
func (s *Session) withdraw(ctx context.Context, r *approval.Request) {
	select {
	case <-s.gw.ending:
		return
	default:
	}
	if _, err := s.gw.approvals.Cancel(ctx, r.ID, withdrawnBy(r.Binding.Principal)); err != nil && !errors.Is(err, approval.ErrEnded) && !errors.Is(err, approval.ErrClaimed) {
		s.gw.logger.Warn("a request could not be withdrawn", "request", r.ID, "error", err)
	}
}
