package gateway

import (
	"slices"
	"strings"

	"sallyport/internal/access"
	"sallyport/sqlguard"
)

// What an approval is bound to is read at one moment: the server is asked for settings, the catalog has a version. What a session runs can change
// either where that reading does not see it: it is queued in front and not sent, its transaction has not ended, or what was parsed before it
// keeps the values that constants and parameters were given then. So this is followed, and looked at where a statement is held.

// alters says what running something may change of that which gives other statements their meaning.
type alters uint8

const (
	altersSettings alters = 1 << iota // settings, whatever they are
	altersMeaning                     // ... by which constants and parameters are read
	altersCatalog                     // definitions, or who may do what
	altersUnseen                      // code of the database's own users runs, which may do either
	altersEnd                         // a transaction ends, and with it what was SET LOCAL, or all that was set in it
	altersPart                        // a part of one is taken back
)

// alteredBy tells of a plan's run. What is prepared or declared is not run yet.
func alteredBy(p *plan) (a alters) {
	f := p.facts
	if f.Prepares != "" || f.Declares != "" {
		return 0
	}
	if len(f.Settings) > 0 || f.PathChange {
		a |= altersSettings
	}
	if f.PathChange || slices.ContainsFunc(f.Settings, func(name string) bool { return !sqlguard.Indifferent(name) }) {
		a |= altersMeaning
	}
	switch {
	case f.Class == access.ClassDDL, f.Class == access.ClassRole, f.Transaction == "commit prepared":
		a |= altersCatalog
	case f.Tag == "DISCARD": // temporary tables, or all settings
		a |= altersCatalog | altersSettings | altersMeaning
	case f.Class == access.ClassMisc && f.Tag == "": // not known
		a |= altersCatalog | altersSettings | altersMeaning | altersUnseen
	}
	if p.userCode || f.Class == access.ClassFunction || f.Tag == "LOAD" {
		a |= altersUnseen
	}
	switch {
	case f.Transaction == "rollback to":
		a |= altersPart
	case endsTransaction(f):
		a |= altersEnd
	}
	return a
}

// alter notes that something is about to be run that may change what the next is judged by. It counts from here on, whatever becomes of it.
func (s *Session) alter(a alters) {
	s.altered |= a
	if s.altered&(altersMeaning|altersUnseen) != 0 {
		s.sampled = nil
	}
}

// unaltered notes that no transaction is open any more, which may have taken settings back and made definitions known to everybody.
func (s *Session) unaltered() {
	if s.altered&(altersMeaning|altersUnseen) != 0 {
		s.sampled = nil
	}
	if s.altered&altersCatalog != 0 {
		s.db.stale()
	}
	s.altered = 0
}

// moment is what a statement was parsed under, or a portal bound: constants and parameters keep the values that they were given then. The zero moment is
// none, for it was not looked at.
type moment struct {
	settings string // of which they depend, and the search_path
	catalog  string // its version
}

// moment is that of now, for a plan that is current. Settings are as of the last sample, which is of now if there is one.
func (s *Session) moment(p *plan) moment {
	if s.sampled == nil || p.scope == nil {
		return moment{}
	}
	return moment{settings: *s.sampled + "\n" + s.pathID, catalog: p.scope.snap.cat.Version}
}

// heldLater reports whether running what is parsed or bound by a plan may need an approval.
func (p *plan) heldLater() bool {
	return p.decision.Effect == access.Review || len(p.decision.Obligations.Probes) > 0
}

// sample makes sure that it is known what settings are now, for something that may need an approval when it is executed. It settles what may change them,
// after which s.skip may be set.
func (s *Session) sample(sink Sink) error {
	if s.tx == 'E' || s.sampled != nil && !s.unsettled() {
		return nil
	}
	if s.begun || s.unsettled() {
		if err := s.settle(sink); err != nil || s.skip || s.copyIn {
			return err
		}
	}
	return s.askMeaning(nil, sink)
}

// unsettled reports whether something is queued, or not answered, that may change what is judged now.
func (s *Session) unsettled() bool {
	if s.altered == 0 {
		return false
	}
	for _, o := range s.owed[s.next:] {
		for _, r := range s.runs[o.run : o.run+o.runs] {
			if r.plan.alters != 0 {
				return true
			}
		}
	}
	return false
}

// errRedefined refuses to hold, or to run as approved, what would be judged by definitions that nobody else sees.
var errRedefined = &access.Error{Kind: access.Unsupported, Code: "0A000", Message: "a statement that needs approval follows a change of the schema, or of rights, in its transaction or burst: what it would mean there is not what can be approved",
	Hint: "COMMIT the change first, and send what waits for approval on its own, after Sync"}

// errMadeBefore is PostgreSQL's own text for a plan that is not good any more: drivers know it and prepare again.
var errMadeBefore = &access.Error{Kind: access.Invalid, Code: "0A000", Message: "cached plan must not change result type",
	Hint: "settings or the schema may have changed since this was prepared or bound, and it needs approval: prepare and bind it again"}

// redefined refuses what is wanted where definitions have changed that no snapshot of the catalog shows. Nothing that may do that is unanswered.
func (s *Session) redefined(sink Sink) error {
	const left = altersUnseen | altersEnd
	if s.altered&altersCatalog != 0 || s.altered&left == left {
		return errRedefined
	}
	if s.altered&altersUnseen == 0 || s.tx == 'E' {
		return nil
	}
	changed := false
	if err := s.own(catalogChanged, sink, func(string) { changed = true }); err != nil {
		return err
	}
	if changed {
		return errRedefined
	}
	return nil
}

// madeBefore refuses what is wanted where something that it runs was parsed, or bound, at another moment than that of now, which was just asked for.
func (s *Session) madeBefore(w wanted) error {
	for i := range w.list {
		j := &w.list[i]
		if !j.waits() || j.within {
			continue
		}
		now := s.moment(j.plan)
		if j.named == nil {
			if w.portal != nil && w.portal.before(now) {
				return errMadeBefore
			}
			continue
		}
		if st := s.stmtOf(j.named); st != nil && st.of != now {
			return errMadeBefore
		}
		if c := s.cursorOf(j.named); c != nil && c.before(now) {
			return errMadeBefore
		}
	}
	return nil
}

// before reports whether a portal, or its statement, is of another moment than now.
func (p *portal) before(now moment) bool { return p.of != now || p.stmt != nil && p.stmt.of != now }

// catalogChanged gives a row where the transaction under way has changed the catalog, which no other connection sees. What was dropped is seen by its
// lock, and what was made by the transaction of its row: age counts from the transaction's own number, and those of its parts are higher.
// Operators are named in full, for the session's search_path is its client's.
var catalogChanged = func() string {
	q := "SELECT 'changed' FROM (SELECT pg_catalog.txid_current_if_assigned() AS top OFFSET 0) t WHERE t.top IS NOT NULL AND (EXISTS (SELECT FROM pg_catalog.pg_locks l " +
		"WHERE l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() AND l.mode OPERATOR(pg_catalog.=) 'AccessExclusiveLock'::pg_catalog.text " +
		"AND l.locktype OPERATOR(pg_catalog.=) ANY (ARRAY['relation', 'object']::pg_catalog.text[]))"
	for _, c := range strings.Fields("class attribute attrdef proc aggregate rewrite trigger policy constraint index inherits type enum range operator opclass cast collation namespace description default_acl") {
		q += " OR EXISTS (SELECT FROM pg_catalog.pg_" + c + " x WHERE CASE WHEN pg_catalog.age(x.xmin) OPERATOR(pg_catalog.<=) 0 " +
			"THEN pg_catalog.txid_status(t.top OPERATOR(pg_catalog.-) pg_catalog.age(x.xmin)::pg_catalog.int8) OPERATOR(pg_catalog.=) 'in progress'::pg_catalog.text ELSE false END)"
	}
	return q + ")"
}()
