package gateway

import (
	"slices"
	"strings"

	"sallyport/internal/access"
	"sallyport/sqlguard"
)

// What a wire client claims, why it asks and what it works on, stands in two settings of the server's own making.
// The server says what they are, for it alone knows what SET LOCAL, a savepoint or a failed transaction leaves.
const (
	settingReason = "sallyport.reason"
	settingTask   = "sallyport.task"
)

// claims says what has become of the claims since the server was asked.
type claims struct {
	open  bool // changed in a transaction, explicit or implicit, that has not ended
	stale bool // they must be asked for again before the next judgement
}

// after notes the success of a statement.
func (c *claims) after(pl *plan) {
	c.open = c.open || pl.claims
	c.stale = c.stale || pl.claims || c.open && endsTransaction(pl.facts)
}

// ready notes that no transaction is open any more: its end takes SET LOCAL back, and SET too where it failed.
func (c *claims) ready() {
	c.stale, c.open = c.stale || c.open, false
}

// changesClaims reports whether a statement may change them. Of a statement that is not resolved, only its text
// is known.
func changesClaims(f *access.Facts, unresolved bool, sql string) bool {
	if slices.ContainsFunc(f.Settings, func(name string) bool {
		return name == settingReason || name == settingTask || name == "all" || name == ""
	}) {
		return true
	}
	sql = strings.ToLower(sql)
	return unresolved && (strings.Contains(sql, "set_config") || strings.Contains(sql, "sallyport."))
}

// askClaims asks the server for both.
func (s *Session) askClaims(sink Sink) error {
	err := s.show(settingReason, sink, func(v string) { s.reason, s.scope = claimedReason(v), nil })
	if err == nil {
		err = s.show(settingTask, sink, func(v string) { s.task = s.gw.claimedTask(v) })
	}
	if err == nil {
		s.claims.stale = false
	}
	return err
}

// following is the scope of what follows a statement in the same text. A change of the reason that is not simply
// a constant is known only once it was made.
func (sc *scope) following(p *plan) (next *scope, known bool) {
	if !p.claims {
		return sc, true
	}
	if p.sets == nil {
		return sc, false
	}
	reason, ok := p.sets[settingReason]
	if !ok {
		return sc, true
	}
	reason = claimedReason(reason)
	next = &scope{db: sc.db, snap: sc.snap, policies: sc.policies, principal: sc.principal, door: sc.door, path: sc.path,
		hasReason: sqlguard.SufficientReason(reason), masked: sc.masked, pins: sc.pins, writable: sc.writable, unrestricted: sc.unrestricted, revealed: sc.revealed,
		texts: map[string][]judged{}, shapes: map[string]*template{}}
	if sc.policies.UsesReason() {
		next.reason = reason
	}
	return next, true
}

// endsInTheMiddle refuses a text in which a transaction ends before the last statement, once there was a change
// in it that its end may take back.
func (s *Session) endsInTheMiddle(list []judged) *access.Error {
	what := ""
	if s.pathMoved {
		what = "search_path"
	} else if s.claims.open {
		what = settingReason
	}
	for _, j := range list[:max(len(list)-1, 0)] {
		if j.plan.claims && what == "" {
			what = settingReason
		}
		if what != "" && endsTransaction(j.plan.facts) {
			return &access.Error{Kind: access.Unsupported, Code: "0A000",
				Message: "the end of a transaction has to come alone or last once " + what + " was changed", Hint: "send it on its own: what follows is judged by the " + what + " that it leaves"}
		}
	}
	return nil
}
