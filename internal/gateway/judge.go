package gateway

import (
	"encoding/binary"
	"errors"
	"strings"

	"sallyport/internal/access"
	"sallyport/internal/pgframe"
	"sallyport/sqlguard"
	"sallyport/sqlguard/postgres"
)

// judge gives the plans of all statements of a text, in order. The result is valid until the next call.
// One statement refused refuses the text.
func (s *Session) judge(sql string, sink Sink) ([]judged, error) {
	if err := s.refresh(sink); err != nil {
		return nil, err
	}
	sc := s.scope
	if s.shapes.cut(sql) && !(sc.masked && s.shapes.sentinels(sql)) {
		if t, ok := sc.shape(s.shapes.key); ok && t != nil {
			s.judged = append(s.judged[:0], judged{plan: t.plan, tmpl: t, lits: s.shapes.lits, from: sql})
			return s.judged, nil
		} else if !ok {
			defer func() { s.learnShape(sc, sql) }()
		}
	}
	list, ok := sc.text(sql)
	if !ok {
		s.heavy()
		var err error
		if list, err = sc.plans(sql); err != nil && isUnknownName(err) && s.db.refresh(minRefresh) {
			if err := s.refresh(sink); err != nil {
				return nil, err
			}
			sc = s.scope
			list, err = sc.plans(sql)
		}
		if err != nil {
			return nil, err
		}
		sc.putText(sql, list)
	}
	if len(list) > 1 && s.scope.unrestricted.Effect != access.Allow {
		if why := s.endsInTheMiddle(list); why != nil {
			return nil, refusal{sql: sql, why: why}
		}
	}
	if len(list) == 1 && list[0].plan.quiet && list[0].plan.facts.Executes == "" && list[0].plan.facts.Fetches == "" {
		return list, nil
	}
	return s.resolveNames(list, sink)
}

// learnShape decides, once a shape, whether its statements can share a plan.
func (s *Session) learnShape(sc *scope, sql string) {
	list, ok := sc.text(sql)
	if !ok || len(list) != 1 || !s.shapes.cut(sql) {
		return
	}
	sc.putShape(s.shapes.key, sc.newTemplate(strings.TrimRight(sql, "; \n"), s.shapes.lits, list[0].plan))
}

// plans plans every statement of a text.
func (sc *scope) plans(sql string) ([]judged, error) {
	trees, err := postgres.Parse(sql)
	if err != nil {
		return nil, refusal{why: access.AsError(err), sql: sql}
	}
	list := make([]judged, 0, len(trees))
	moved := ""
	for _, t := range trees {
		if moved != "" && sc.unrestricted.Effect != access.Allow {
			return nil, refusal{sql: sql, why: &access.Error{Kind: access.Unsupported, Code: "0A000",
				Message: moved + " has to come alone or last", Hint: "send it on its own: what follows is judged by it"}}
		}
		p, err := sc.newPlan(t)
		if err != nil {
			return nil, err
		}
		next, known := sc.following(p)
		if p.facts.PathChange {
			moved = "a statement that changes search_path"
		} else if !known {
			moved = "a change of " + settingReason + " other than SET to a constant"
		}
		sc = next
		j := judged{plan: p}
		if len(trees) > 1 {
			j.source = t.SQL
		}
		list = append(list, j)
	}
	return list, nil
}

// resolveNames replaces EXECUTE and FETCH by what they run, seeing names that the same batch makes.
func (s *Session) resolveNames(list []judged, sink Sink) ([]judged, error) {
	out := append([]judged(nil), list...)
	stmts, portals := map[string]*plan{}, map[string]*plan{}
	for i := range out {
		f := out[i].plan.facts
		inner := stmts[f.Executes]
		if f.Fetches != "" {
			inner = portals[f.Fetches]
		}
		out[i].within = inner != nil
		if err := inner.refuseSentinels(out[i].plan.args); err != nil {
			return nil, refusal{plan: inner, sql: out[i].plan.sql, why: err}
		}
		if inner == nil {
			p, err := s.effective(out[i].plan, sink)
			if err != nil {
				return nil, err
			}
			inner = p
		}
		if inner != out[i].plan {
			named := out[i].plan
			out[i].sql, out[i].named, out[i].plan = named.fetchText(inner), named, inner
			out[i].opened = s.cursorOpened(named) && portals[f.Fetches] == nil
			if out[i].sql == "" {
				out[i].sql = named.sql
			}
		}
		if f.Prepares != "" {
			stmts[f.Prepares] = out[i].plan.inner
		}
		if f.Declares != "" {
			portals[f.Declares] = out[i].plan.inner
		}
	}
	if err := s.movesWithin(out); err != nil {
		return nil, err
	}
	return out, nil
}

// refresh makes s.scope that of now: the newest catalog and policies, the search_path that the server
// has, a reason or none.
func (s *Session) refresh(sink Sink) error {
	if s.claims.stale && s.tx != 'E' {
		// Nothing can be asked in a failed transaction, and nothing but its end runs there.
		if err := s.askClaims(sink); err != nil {
			return err
		}
	}
	if (s.moved || s.mayMove) && s.tx != 'E' {
		if err := s.repin(sink); err != nil {
			return err
		}
	}
	policies := s.gw.policies.Load()
	if sc := s.scope; sc != nil && sc.policies == policies && sc.unrestricted.Effect == access.Allow {
		return nil // neither catalog nor path plays a part
	}
	restricted := s.scope != nil && s.scope.policies == policies // what that scope says was looked at above
	if restricted || sqlguard.Unrestricted(s.principal, s.db.conf.Name, s.door, policies).Effect != access.Allow {
		if s.db.old.Load() || s.db.snap.Load() == nil {
			s.heavy() // the catalog may be read
		}
		// Whoever sees everything raw is not judged by the catalog, so a lock that keeps it from being read
		// holds up the others only.
		if !s.db.fresh() {
			return errStale
		}
	}
	snap := s.db.snap.Load()
	if sc := s.scope; sc != nil && sc.snap == snap && sc.policies == policies && !s.pathStale && sc.revealed.current(s.gw) {
		return nil
	}
	if s.pathStale && s.tx != 'E' {
		if err := s.askPath(sink); err != nil {
			return err
		}
	}
	s.scope = s.gw.scope(s.db, snap, policies, s.principal, s.door, s.path, s.pathID, s.reason)
	if !samePins(s.scope.pins, s.pins) {
		return errRepinned
	}
	return nil
}

// askPath asks the server for search_path.
func (s *Session) askPath(sink Sink) error {
	err := s.show("search_path", sink, s.setPath)
	if err == nil {
		s.pathStale = false
	}
	return err
}

// show asks the server for a setting, in the protocol's own pipeline so that an open implicit
// transaction stays open. It is SHOW rather than a query because SHOW takes no snapshot: a transaction that
// has just begun can still be told its isolation level.
func (s *Session) show(setting string, sink Sink, take func(value string)) error {
	return s.own("SHOW "+setting, sink, take)
}

// own runs a statement of the core's own, which must not fail. take gets the first value of each row.
func (s *Session) own(sql string, sink Sink, take func(value string)) error {
	if err := s.settle(sink); err != nil {
		return err
	}
	if s.skip {
		// The server answers nothing before Sync; what comes next is skipped, as refuse will see.
		return &access.Error{Kind: access.Internal, Message: "skipped after an error"}
	}
	return s.question(sql, take)
}

// question is own where nothing is owed, or nothing was sent of what is.
func (s *Session) question(sql string, take func(value string)) error {
	const name = "sallyport own"
	at := 0
	b := pgframe.AppendParse(nil, name, sql, nil)
	b, at = pgframe.Begin(b, 'B')
	b = pgframe.AppendCString(pgframe.AppendCString(b, name), name)
	b = pgframe.End(append(b, 0, 0, 0, 0, 0, 0), at)
	b, at = pgframe.Begin(b, 'E')
	b = pgframe.End(append(pgframe.AppendCString(b, name), 0, 0, 0, 0), at)
	b, at = pgframe.Begin(b, 'C')
	b = pgframe.End(pgframe.AppendCString(append(b, 'P'), name), at)
	b, at = pgframe.Begin(b, 'C')
	b = pgframe.End(pgframe.AppendCString(append(b, 'S'), name), at)
	last := byte('S')
	if s.unsync {
		last = 'H'
	}
	if err := s.up.Write(pgframe.AppendEmpty(b, last)); err != nil {
		return err
	}
	closed := 0
	for {
		f, err := s.up.Next()
		if err != nil {
			return err
		}
		switch f.Type {
		case 'D':
			take(rowText(f.Body()))
		case 'E':
			// Nothing below the statement in hand may go on: the server is in a state that is not ours
			// to guess at, so the session ends.
			return errLostTrack
		case '3':
			if closed++; closed == 2 && s.unsync {
				return nil
			}
		case 'Z':
			return nil
		case 'S':
			if err := s.status(f); err != nil {
				return err
			}
		case 'A':
			s.notification(f)
		case 'N':
			s.notice(&owed{}, f)
		}
	}
}

// errLostTrack ends the session: refuse passes it on.
var errLostTrack = &access.Error{Kind: access.Upstream, Code: "08000", Message: "what the session is set to cannot be read"}

// setPath takes search_path as SHOW prints it.
func (s *Session) setPath(list string) {
	items := postgres.PathItems(list)
	for i, schema := range items {
		if schema == "$user" {
			if items[i] = s.up.User; s.pins.Role != "" {
				items[i] = s.pins.Role
			}
		}
	}
	s.path = postgres.EffectivePath(items)
	s.pathID = strings.Join(s.path, "\x00")
	s.scope = nil
}

// rowText is the first value of a DataRow.
func rowText(body []byte) string {
	if len(body) < 6 {
		return ""
	}
	n := int(int32(binary.BigEndian.Uint32(body[2:])))
	if n < 0 || len(body) < 6+n {
		return ""
	}
	return string(body[6 : 6+n])
}

var errMalformedBind = errors.New("malformed Bind")

// readBind reads the parameters and result formats of a Bind message for the record. It is false when its
// lengths do not add up.
func (s *Session) readBind(raw []byte, p *portal) bool {
	if len(raw) < 5 {
		return false
	}
	_, b, ok := pgframe.CString(raw[5:])
	if !ok {
		return false
	}
	if _, b, ok = pgframe.CString(b); !ok {
		return false
	}
	codes, b, err := int16s(b)
	if err != nil || len(b) < 2 {
		return false
	}
	n := int(binary.BigEndian.Uint16(b))
	b = b[2:]
	for i := range n {
		if len(b) < 4 {
			return false
		}
		size := int(int32(binary.BigEndian.Uint32(b)))
		b = b[4:]
		if size < 0 {
			p.params, p.nulls = append(p.params, "NULL"), append(p.nulls, i+1)
			continue
		}
		if len(b) < size {
			return false
		}
		format := int16(0)
		if len(codes) == 1 {
			format = codes[0]
		} else if i < len(codes) {
			format = codes[i]
		}
		oid := uint32(0)
		if i < len(p.stmt.oids) {
			oid = p.stmt.oids[i]
		}
		p.params = append(p.params, paramText(b[:size], format, oid))
		b = b[size:]
	}
	p.formats, b, err = int16s(b)
	return err == nil && len(b) == 0
}

func int16s(b []byte) ([]int16, []byte, error) {
	if len(b) < 2 {
		return nil, b, errMalformedBind
	}
	n := int(binary.BigEndian.Uint16(b))
	b = b[2:]
	if len(b) < 2*n {
		return nil, b, errMalformedBind
	}
	if n == 0 {
		return nil, b, nil
	}
	out := make([]int16, n)
	for i := range out {
		out[i] = int16(binary.BigEndian.Uint16(b[2*i:]))
	}
	return out, b[2*n:], nil
}
