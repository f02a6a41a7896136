package gateway

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/access"
	"sallyport/internal/approval"
	"sallyport/internal/pgframe"
	"sallyport/sqlguard"
	"sallyport/sqlguard/registry"
)

// What is wanted, in the words of a request: what an approval is bound to, and what a reviewer is shown.

// askMeaning asks the server for the settings of the session that what a statement finds and writes may depend on: '01/02/2026' is one day
// under one DateStyle and another under the next. Those of an approval's own are part of what was approved.
func (s *Session) askMeaning(list []judged, sink Sink) error {
	s.meaning, s.settings = nil, []string{}
	var named []string
	every := false
	for i := range list {
		names, all := list[i].settingsRead()
		every = every || all
		if slices.Contains(names, "") {
			return &access.Error{Kind: access.Unsupported, Code: "0A000", Message: "a statement that needs approval reads a setting whose name is not known beforehand",
				Hint: "name it as a constant: current_setting('my.setting'), for what it is belongs to what is approved"}
		}
		named = append(named, names...)
	}
	// Functions and operators are named in full, for search_path is the client's. Of the sources, those are left out that are the same for all sessions.
	settings := "SELECT pg_catalog.concat('s', pg_catalog.lower(name), '=', setting) FROM pg_catalog.pg_settings " +
		"WHERE source OPERATOR(pg_catalog.=) ANY (ARRAY['client', 'session', 'user', 'database', 'database user', 'global']::pg_catalog.text[])"
	for _, name := range named {
		settings += " UNION SELECT " + quoteLiteral("n"+name+"=") + " OPERATOR(pg_catalog.||) pg_catalog.current_setting(" + quoteLiteral(name) + ", true)"
	}
	take := func(v string) {
		// What is read is part of the meaning, whatever it is called.
		if name, _, ok := strings.Cut(v[min(1, len(v)):], "="); ok && (every || v[0] == 'n' || !sqlguard.Indifferent(name)) {
			s.meaning = append(s.meaning, v[1:])
			if v[0] == 's' && !sqlguard.Indifferent(name) {
				s.settings = append(s.settings, v[1:])
			}
		}
	}
	var err error
	if s.begun {
		err = s.own(settings, sink, take)
	} else {
		// What is queued stays so: sent before an approval, it would hold locks for as long as that takes.
		unsync := s.unsync
		s.unsync = false
		err = s.question(settings, take)
		s.unsync = unsync
	}
	slices.Sort(s.meaning)
	slices.Sort(s.settings)
	s.meaning = slices.Compact(s.meaning)
	if err == nil {
		sample := strings.Join(s.settings, "\n")
		s.sampled = &sample
	}
	return err
}

// asRefusal words an error of the core's own as the refusal of a statement; others end the session as they do.
func asRefusal(err error, pl *plan, sql string) error {
	var e *access.Error
	if errors.As(err, &e) && (e.Kind == access.Unsupported || e == errMadeBefore) {
		return refusal{plan: pl, sql: sql, why: e}
	}
	return err
}

// request puts what is wanted in the words of a request.
func (s *Session) request(w wanted) approval.Request {
	r := approval.Request{Binding: approval.Binding{Principal: s.principal.Name, Issuer: s.principal.Proof.Issuer, Actors: s.principal.Chain(), Door: s.door, Session: s.id, Connection: s.db.conf.Name,
		SQL: w.sql, Bound: boundDigest(w), Role: s.pins.Role, Path: slices.Clone(s.path), Settings: s.meaning},
		Subject: approval.Subject{Kind: approval.SubjectStatement, Who: s.principal.Kind, Account: accountOf(s.principal), Groups: s.principal.Groups, Asker: approval.AskerOf(s.principal), Client: s.client, Reason: s.reason, Task: s.task.ID, Goal: s.task.Goal, Ticket: s.task.Ticket}}
	if s.door == access.DoorMCP {
		r.Binding.Session = s.task.ID // calls of a task have no session in common
	}
	var cat *access.Catalog
	if s.scope != nil && s.scope.snap != nil {
		cat = s.scope.snap.cat
	}
	r.Binding.Params = w.sent(cat)
	for _, t := range w.types {
		r.Binding.Types = append(r.Binding.Types, fmt.Sprint(t))
	}
	r.Subject.Overlap, r.Subject.Earlier = s.gw.memory.Recall(s.task.ID, w.sql+" "+strings.Join(w.params, " ")+" "+s.reason)
	var groups []string
	var why []string
	for i := range w.list {
		j := &w.list[i]
		d := j.plan.decision
		if j.plan.scope != nil {
			r.Binding.PolicyVersion, r.Binding.CatalogVersion = j.plan.scope.policies.Version(), j.plan.scope.snap.cat.Version
		}
		if n := d.Obligations.Rows; n > 0 && (r.Binding.Rows == 0 || n < r.Binding.Rows) {
			r.Binding.Rows = n
		}
		if n := d.Obligations.Affected; n > 0 && (r.Subject.Affected == 0 || n < r.Subject.Affected) {
			r.Subject.Affected = n
		}
		describeSubject(&r.Subject, j.plan)
		r.Binding.Hide(j.plan.hidden()...)
		if !j.within {
			r.Binding.Inner = append(r.Binding.Inner, s.innerOf(j.named)...)
		}
		if !j.waits() {
			continue
		}
		deciders := slices.Clone(d.Obligations.Review)
		if j.guessed != "" {
			deciders = append(deciders, s.gw.reviewing.Guesses...)
			why = append(why, j.guessed)
		}
		for _, g := range deciders {
			if !slices.Contains(groups, g) {
				groups = append(groups, g)
			}
		}
	}
	slices.Sort(groups)
	r.Needs, r.Subject.Why = s.gw.needs(groups), strings.Join(why, "; ")
	if len(w.list) == 1 {
		f := w.list[0].plan.facts
		r.Subject.Class, r.Subject.Tag, r.Subject.Fingerprint = f.Class, f.Tag, f.Fingerprint
		var cut shapeBuffer
		if cut.cut(w.sql) {
			r.Subject.Normal = string(cut.key)
			for _, l := range cut.lits {
				r.Subject.Constants = append(r.Subject.Constants, constantOf(w.sql[l.from:l.to]))
			}
		} else if len(w.params) > 0 {
			r.Subject.Normal = w.sql
		}
	}
	return r
}

// innerOf is what EXECUTE or FETCH stand for, which their text does not say.
func (s *Session) innerOf(named *plan) []string {
	if named == nil {
		return nil
	}
	if st := s.stmtOf(named); st != nil {
		return append([]string{st.sql}, st.typesText()...)
	}
	if c := s.cursorOf(named); c != nil {
		inner := []string{c.sql(), hex.EncodeToString(c.values)}
		if c.stmt != nil {
			inner = append(inner, c.stmt.typesText()...)
		}
		return append(inner, c.params...)
	}
	return nil
}

// typesText says of what types the parameters were declared, where they were: the same bytes are another value of another type.
func (st *prepared) typesText() []string {
	var declared []string
	for i, oid := range st.oids {
		if oid != 0 {
			declared = append(declared, fmt.Sprintf("$%d of type %d", i+1, oid))
		}
	}
	if declared == nil {
		return nil
	}
	return []string{"parameters: " + strings.Join(declared, ", ")}
}

// settingsRead is sqlguard.SettingsRead of what runs, and of the arguments that it is given.
func (j *judged) settingsRead() (names []string, every bool) {
	for _, p := range []*plan{j.plan, j.named} {
		if p == nil {
			continue
		}
		var cat *access.Catalog
		if p.scope != nil {
			cat = p.scope.snap.cat
		}
		more, all := sqlguard.SettingsRead(p.facts, cat)
		names, every = append(names, more...), every || all
	}
	return names, every
}

// effectless are the classes of built-ins that leave nothing behind: a window need not name them.
var effectless = []string{registry.Pure, registry.Catalog, registry.Volatile}

// describeSubject adds what a plan touches to what a reviewer is shown.
func describeSubject(sub *approval.Subject, p *plan) {
	var rec access.PlanRecord
	if json.Unmarshal(p.record, &rec) != nil { // of our own making
		return
	}
	add := func(list []string, more ...string) []string {
		for _, m := range more {
			if !slices.Contains(list, m) {
				list = append(list, m)
			}
		}
		return list
	}
	for _, use := range p.facts.Relations {
		verb := use.Verb
		if verb == "" {
			verb = string(use.Action)
		}
		sub.Relations = add(sub.Relations, verb+" "+use.Name.String())
		sub.EveryRow = sub.EveryRow || use.Every
	}
	sub.CopyIn = sub.CopyIn || p.facts.CopyIn
	for _, f := range p.facts.Functions {
		if !f.Builtin || !slices.Contains(effectless, f.Class) { // nextval moves a sequence, whatever relation the statement names
			sub.Relations = add(sub.Relations, "call "+f.Name.String())
		}
	}
	if p.scope != nil { // what waits was judged; those that only permit do not say why
		sub.Policies = add(sub.Policies, p.scope.policies.Reviewing(rec.Policies)...)
		sub.NoPreview = add(sub.NoPreview, p.scope.policies.WithoutPreview(rec.Policies)...)
	}
	for _, l := range rec.Labels {
		if !slices.Contains(sub.Labels, l) {
			sub.Labels = append(sub.Labels, l)
		}
	}
	for _, m := range rec.Masks {
		sub.Masked = add(sub.Masked, m.Column)
	}
}

// constantOf is the value of a plain constant.
func constantOf(text string) string {
	if strings.HasPrefix(text, "'") {
		return strings.ReplaceAll(text[1:len(text)-1], "''", "'")
	}
	return text
}

// boundValues is a Bind without the names of its portal and statement.
func boundValues(raw []byte) []byte {
	_, b, _ := pgframe.CString(raw[5:]) // readBind has looked at it
	_, b, _ = pgframe.CString(b)
	return slices.Clone(b)
}

// boundDigest is over the bytes of a Bind, whose text in the record may leave something out.
func boundDigest(w wanted) string {
	if len(w.raw) == 0 {
		return ""
	}
	h := sha256.New()
	var n [4]byte
	for _, t := range w.types {
		binary.BigEndian.PutUint32(n[:], t)
		h.Write(n[:])
	}
	h.Write([]byte{0})
	h.Write(w.raw)
	return hex.EncodeToString(h.Sum(nil))
}
