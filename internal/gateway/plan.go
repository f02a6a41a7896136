package gateway

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
	"sallyport/mask"
	"sallyport/sqlguard"
	"sallyport/sqlguard/postgres"
	"sallyport/sqlguard/registry"
)

// plan is what was decided about one statement for one scope, and what will run. It is immutable but for
// fields, and shared by all sessions of its scope.
type plan struct {
	scope    *scope
	sql      string // what runs
	original bool   // sql is what was sent, unchanged
	facts    *access.Facts
	decision access.Decision
	record   json.RawMessage // a PlanRecord
	outputs  [][]access.MaskApplied

	masked   bool // the principal may not see all of this database: messages are filtered
	detects  bool // the detectors watch what it returns
	userCode bool // code of the database's own users may run: what it says is not trusted
	pure     bool // may be sent before its record is durable
	quiet    bool // its success changes nothing for the session
	shared   bool // a constant of this package
	rounds   bool // EXPLAIN whose estimates are rounded
	weighed  bool // its answer decides whether it may stand, see weigh.go

	guarded  []mask.Guarded       // parameters that must not hold a masked value
	copied   *mask.CopiedTokens   // COPY FROM STDIN whose tokens are stored as values
	resolved []access.TokenSource // where values of tokens are looked for
	probes   mask.Probes          // guesses at masked values that a run answers
	args     []string             // EXECUTE: its arguments, "" for what is no constant
	fetches  *pg.FetchStmt        // FETCH of a number of rows
	inner    *plan                // PREPARE, DECLARE: what EXECUTE or FETCH will run
	holds    bool                 // DECLARE ... WITH HOLD
	forgets  func(*Session)       // DEALLOCATE, CLOSE, DISCARD, the end of a transaction
	alters   alters               // what its run may change for what follows
	claims   bool                 // it may change sallyport.reason or sallyport.task
	sets     map[string]string    // ... to these, until its transaction says otherwise

	costing

	copy   *copyFormat            // COPY TO STDOUT, where the detectors watch
	fields atomic.Pointer[fields] // the columns that it returns, once the upstream has told
}

// emptyPlan is that of an empty statement; maskedNobody stands for "no statement" where messages must be
// filtered all the same.
var (
	emptyPlan    = &plan{facts: &access.Facts{}, pure: true, quiet: true, shared: true, original: true}
	maskedNobody = &plan{facts: &access.Facts{}, masked: true, userCode: true, shared: true, original: true}
)

// turns reports whether success changes by what the next operation is judged: what a name means, the
// search_path, the reason given. Nothing is judged until it is known to have succeeded.
func (p *plan) turns() bool {
	return p.inner != nil || p.forgets != nil || p.claims || p.moves() || p.facts.Transaction != "" || p.facts.PathChange
}

// newPlan judges and compiles one statement. A denial is a refusal, with the plan for its record.
func (sc *scope) newPlan(t *pgtree.Tree) (*plan, error) {
	p := &plan{scope: sc, original: true, sql: t.SQL, masked: sc.masked}
	p.ours(t.Stmt)
	if sc.unrestricted.Effect == access.Allow {
		p.facts, p.decision = postgres.Sketch(t), sqlguard.WithReason(sc.unrestricted, sc.door, sc.hasReason)
		p.pure = p.facts.Pure || harmless(p.facts)
		if p.decision.Effect != access.Allow && p.facts.Class != access.ClassMiscSet {
			return nil, p.denied(t.SQL)
		}
		if why := changesPinned(t.Stmt); why != nil {
			p.describe(nil)
			return nil, refusal{plan: p, sql: t.SQL, why: why}
		}
		p.userCode = true
		p.claims = changesClaims(p.facts, true, t.SQL)
		return p.finish(nil)
	}
	var err error
	p.facts, err = postgres.Analyze(t, postgres.Env{Catalog: sc.snap.cat, Path: sc.path, Registry: sc.snap.registry, Bodies: sc.snap.bodies, Secured: sc.pins.Role != ""})
	if err != nil {
		return nil, refusal{why: access.AsError(err), sql: t.SQL}
	}
	p.claims = changesClaims(p.facts, false, "")
	p.decision = sqlguard.Decide(sqlguard.Input{Principal: sc.principal, Door: sc.door, Connection: sc.db.conf.Name,
		Facts: p.facts, Catalog: sc.snap.cat, Labels: sc.snap.labels.Columns, Refused: sc.snap.labels.Refused, Reads: sc.snap.labels.Reads,
		Policies: sc.policies, Writable: sc.writable, Revealed: sc.revealed.columns, HasReason: sc.hasReason, Reason: sc.reason})
	p.pure = p.facts.Pure || harmless(p.facts)
	for _, f := range p.facts.Functions {
		p.userCode = p.userCode || f.Class == ""
	}
	for _, r := range p.facts.Relations {
		if rel := sc.snap.cat.Relations[r.Name]; rel != nil && r.Action != access.ActRead && (len(rel.Triggers) > 0 || rel.Rules) {
			p.userCode = true
		}
	}
	if p.decision.Effect == access.Deny {
		return nil, p.denied(t.SQL)
	}
	if p.facts.Executes != "" && acts(p.facts) {
		p.describe(nil)
		return nil, refusal{plan: p, sql: t.SQL, why: errArgumentsAct}
	}
	if why := changesPinned(t.Stmt); why != nil {
		p.describe(nil)
		return nil, refusal{plan: p, sql: t.SQL, why: why}
	}
	if !sc.masked && !mask.Withholds(p.facts) {
		if err := p.costs(t); err != nil {
			p.describe(nil)
			return nil, refusal{plan: p, sql: t.SQL, why: access.AsError(err)}
		}
		return p.finish(nil)
	}
	allowed := p.decision
	if allowed.Effect == access.Review {
		allowed.Effect = access.Allow // what is compiled here does not run without an approval: waits
	}
	c, err := mask.Compile(mask.Input{Tree: t, Facts: p.facts, Catalog: sc.snap.cat, Labels: sc.snap.labels, Masks: sc.snap.masks, Decision: allowed})
	if err != nil {
		p.describe(nil)
		return nil, refusal{plan: p, sql: t.SQL, why: access.AsError(err)}
	}
	p.original, p.sql, p.outputs = c.SQL == t.SQL, c.SQL, c.OutputMasks
	p.guarded, p.probes, p.rounds = c.Guarded, c.Probes, c.Rounded
	p.detects, p.resolved = sc.masked, c.Resolved
	if p.copied = c.Copied; p.copied != nil {
		if _, err := readCopyFormat(p.copied.Options); err != nil {
			p.describe(nil)
			return nil, refusal{plan: p, sql: t.SQL, why: access.AsError(err)}
		}
	}
	if p.facts.CopyOut && sc.masked {
		if p.copy, err = newCopyFormat(t, p.facts); err != nil {
			p.describe(nil)
			return nil, refusal{plan: p, sql: t.SQL, why: access.AsError(err)}
		}
	}
	if err := p.costs(t); err != nil {
		p.describe(nil)
		return nil, refusal{plan: p, sql: t.SQL, why: access.AsError(err)}
	}
	return p.finish(c.Applied)
}

// denied is the refusal that the decision asks for.
func (p *plan) denied(sql string) refusal {
	p.describe(nil)
	d := p.decision
	if d.Code == "" {
		d.Code = "42501"
	}
	return refusal{plan: p, sql: sql, why: &access.Error{Kind: access.Denied, Code: d.Code, Message: d.Message, Hint: d.Hint, Scopes: d.Scopes}}
}

// finish fills in what follows from the rest.
func (p *plan) finish(applied []access.MaskApplied) (*plan, error) {
	p.describe(applied)
	f := p.facts
	p.weighed, p.alters = p.weigh(), alteredBy(p)
	if f.Prepares != "" || f.Declares != "" {
		inner := *f
		inner.Prepares, inner.Declares = "", ""
		p.inner = &plan{scope: p.scope, sql: p.sql, original: p.original, facts: &inner, decision: p.decision, record: p.record, outputs: p.outputs,
			masked: p.masked, detects: p.detects, userCode: p.userCode, claims: p.claims, pure: inner.Pure && f.Class == access.ClassRead}
		p.inner.guarded, p.inner.probes, p.inner.planned = p.guarded, p.probes, p.planned
		p.inner.weighed, p.inner.alters = p.inner.weigh(), alteredBy(p.inner)
		p.inner.quiet = !p.moves() && !f.PathChange && !p.claims && len(f.Channels) == 0
	}
	p.quiet = p.inner == nil && len(p.sets) == 0 && !p.moves() && p.forgets == nil && !p.claims && f.Transaction == "" && !f.PathChange &&
		f.Class != access.ClassDDL && f.Class != access.ClassRole && len(f.Channels) == 0
	return p, nil
}

// describe makes the part of a record that is the same for each run.
func (p *plan) describe(applied []access.MaskApplied) {
	f := p.facts
	r := access.PlanRecord{Class: f.Class, Tag: f.Tag, Fingerprint: f.Fingerprint, Effect: p.decision.Effect.String(),
		Policies: p.decision.Policies, PolicyVersion: p.scope.policies.Version(), CatalogVersion: p.scope.snap.cat.Version,
		Masks: p.usedMasks(applied), Compiled: !p.original, Revealed: p.scope.revealed.requests}
	for _, t := range p.resolved {
		r.Resolved = append(r.Resolved, t.Target.Relation.String()+"."+t.Target.Column+" from "+t.Source.Relation.String()+"."+t.Source.Column)
	}
	seen, shown := map[access.Label]bool{}, map[string]bool{}
	masked := map[string]bool{}
	for _, id := range p.decision.Masked {
		masked[id.Relation.String()+"."+id.Column] = true
	}
	for _, rel := range f.Relations {
		r.Relations = append(r.Relations, string(rel.Action)+" "+rel.Name.String())
		columns := p.scope.snap.labels.Columns(rel.Name)
		for _, c := range p.columnsOf(rel) {
			labels := columns[c]
			for _, l := range labels {
				if !seen[l] {
					seen[l] = true
					r.Labels = append(r.Labels, l)
				}
			}
			if name := rel.Name.String() + "." + c; len(labels) > 0 && !masked[name] && !shown[name] && p.decision.Effect != access.Deny {
				shown[name] = true
				r.Shown = append(r.Shown, access.ColumnShown{Column: name, Labels: labels})
			}
		}
	}
	if o := p.decision.Obligations; !reflect.ValueOf(o).IsZero() {
		r.Obligations = &o
	}
	if !f.Explain {
		r.Outputs = outputMasks(p.outputs, r.Masks)
	}
	p.record, _ = json.Marshal(r) // strings and numbers only: cannot fail
}

// usedMasks leaves out masks of columns that the statement does not use: a masked relation is read through
// all of its masks, but a record is about what was asked.
func (p *plan) usedMasks(applied []access.MaskApplied) []access.MaskApplied {
	used := p.usedColumns()
	return slices.DeleteFunc(slices.Clone(applied), func(m access.MaskApplied) bool { return !used[m.Column] })
}

// outputMasks says for each output which of masks its value goes through, or nil where none does.
func outputMasks(outputs [][]access.MaskApplied, masks []access.MaskApplied) [][]int {
	out, any := make([][]int, len(outputs)), false
	for i, applied := range outputs {
		out[i] = []int{}
		for _, m := range applied {
			if n := slices.Index(masks, m); n >= 0 {
				out[i], any = append(out[i], n), true
			}
		}
	}
	if !any {
		return nil
	}
	return out
}

// masksUsed is the decision's Masked, which speaks of whole relations, less what the statement does not use.
func (p *plan) masksUsed() []access.ColumnID {
	used := p.usedColumns()
	return slices.DeleteFunc(slices.Clone(p.decision.Masked), func(id access.ColumnID) bool { return !used[id.Relation.String()+"."+id.Column] })
}

func (p *plan) usedColumns() map[string]bool {
	used := map[string]bool{}
	for _, rel := range p.facts.Relations {
		for _, c := range p.columnsOf(rel) {
			used[rel.Name.String()+"."+c] = true
		}
	}
	return used
}

// columnsOf lists the columns of a relation that are used; with whole rows, all.
func (p *plan) columnsOf(rel access.RelationUse) []string {
	var out []string
	for _, c := range rel.Columns {
		out = append(out, c.Name)
	}
	if r := p.scope.snap.cat.Relations[rel.Name]; rel.Whole && r != nil {
		for _, c := range r.Columns {
			out = append(out, c.Name)
		}
	}
	return out
}

// harmless reports whether a statement that is not a read changes nothing but the session itself, so that
// its record may follow it.
func harmless(f *access.Facts) bool {
	if len(f.Functions) > 0 || len(f.Relations) > 0 {
		return false
	}
	switch f.Transaction {
	case "begin", "start", "savepoint", "release", "rollback", "rollback to":
		return true
	}
	return f.Class == access.ClassMiscSet
}

// ours notes what a statement does to the session's names and to our own settings.
func (p *plan) ours(stmt *pg.Node) {
	switch n := stmt.GetNode().(type) {
	case *pg.Node_DeallocateStmt:
		name := n.DeallocateStmt.GetName()
		p.forgets = func(s *Session) { forget(s.stmts, name) }
	case *pg.Node_ClosePortalStmt:
		name := n.ClosePortalStmt.GetPortalname()
		p.forgets = func(s *Session) { forget(s.portals, name) }
	case *pg.Node_ExecuteStmt:
		for _, n := range n.ExecuteStmt.GetParams() {
			p.args = append(p.args, constantText(n))
		}
	case *pg.Node_DiscardStmt:
		if n.DiscardStmt.GetTarget() == pg.DiscardMode_DISCARD_ALL {
			p.forgets = func(s *Session) {
				clear(s.stmts)
				clear(s.portals)
				s.pathStale = true
				s.moved = !s.pins.None()
			}
		}
	case *pg.Node_FetchStmt:
		d := n.FetchStmt.GetDirection()
		if !n.FetchStmt.GetIsmove() && (d == pg.FetchDirection_FETCH_FORWARD || d == pg.FetchDirection_FETCH_BACKWARD) {
			p.fetches = n.FetchStmt
		}
	case *pg.Node_DeclareCursorStmt:
		const cursorHold = 0x0020 // CURSOR_OPT_HOLD, src/include/nodes/parsenodes.h
		p.holds = n.DeclareCursorStmt.GetOptions()&cursorHold != 0
	case *pg.Node_VariableSetStmt:
		p.setsOurs(n.VariableSetStmt)
	}
}

func (p *plan) setsOurs(v *pg.VariableSetStmt) {
	name := strings.ToLower(v.GetName())
	if (name != settingReason && name != settingTask && name != settingReveal) || v.GetKind() != pg.VariableSetKind_VAR_SET_VALUE || len(v.GetArgs()) != 1 {
		return
	}
	if c := v.GetArgs()[0].GetAConst().GetSval(); c != nil {
		p.sets = map[string]string{name: c.GetSval()}
	}
}

// forget drops a name, or all of them for an empty one (DEALLOCATE ALL, CLOSE ALL).
func forget[T any](m map[string]T, name string) {
	if name == "" {
		clear(m)
	} else {
		delete(m, name)
	}
}

// errArgumentsAct refuses an EXECUTE that would do more than what was prepared, which is all that it is judged, recorded and approved as.
var errArgumentsAct = &access.Error{Kind: access.Unsupported, Code: "0A000", Message: "arguments of EXECUTE that read or change anything, or call functions of the database's own, are not available through the gateway",
	Hint: "run what the argument does as a statement of its own, and write its value"}

// acts reports whether expressions do more than compute: the arguments of EXECUTE, whose facts have nothing else.
func acts(f *access.Facts) bool {
	return len(f.Settings) > 0 || f.PathChange || slices.ContainsFunc(f.Functions, func(u access.FunctionUse) bool {
		return !slices.Contains([]string{registry.Pure, registry.Catalog, registry.Volatile}, u.Class)
	})
}

// effective is the plan that EXECUTE or FETCH really runs: that of what was prepared or declared.
func (s *Session) effective(p *plan, sink Sink) (*plan, error) {
	var inner *plan
	switch f := p.facts; {
	case f.Executes != "":
		st := s.stmts[f.Executes]
		if st == nil && p.scope.unrestricted.Effect == access.Allow {
			return p, nil // prepared or opened by code of the database's own
		}
		if st == nil {
			return nil, noStatement(f.Executes)
		}
		if err := s.current(st, sink); err != nil {
			return nil, err
		}
		inner = st.plan
		if err := inner.refuseSentinels(p.args); err != nil {
			return nil, refusal{plan: inner, sql: p.sql, why: err}
		}
	case f.Fetches != "":
		c := s.portals[f.Fetches]
		if c == nil && p.scope.unrestricted.Effect == access.Allow {
			return p, nil
		}
		if c == nil {
			return nil, &access.Error{Kind: access.Invalid, Code: "34000", Message: "cursor \"" + f.Fetches + "\" does not exist"}
		}
		if c.stmt != nil {
			if err := s.current(c.stmt, sink); err != nil {
				return nil, err
			}
		}
		if inner = c.plan; c.stmt != nil {
			inner = c.stmt.plan // as it is judged now
		}
	default:
		return p, nil
	}
	if p.pure || !inner.pure {
		return inner, nil
	}
	// The arguments of EXECUTE do more than what was prepared.
	return &plan{scope: inner.scope, sql: inner.sql, original: inner.original, facts: inner.facts, decision: inner.decision,
		record: inner.record, outputs: inner.outputs, masked: inner.masked, detects: inner.detects, userCode: p.userCode || inner.userCode, claims: p.claims || inner.claims,
		quiet: inner.quiet && !p.claims && !p.moves(), weighed: inner.weighed, alters: p.alters | inner.alters, probes: inner.probes, costing: costing{planned: inner.planned}}, nil
}

// current makes sure that what was prepared would be decided and compiled the same now.
func (s *Session) current(st *prepared, sink Sink) error {
	if st.plan.shared {
		return nil
	}
	if err := s.refresh(sink); err != nil {
		return err
	}
	if st.plan.scope == s.scope {
		return nil
	}
	list, err := s.judge(st.sql, sink)
	if err != nil {
		return err
	}
	if len(list) == 1 {
		now := list[0].itself()
		if now.inner != nil && st.plan.facts.Prepares == "" {
			now = now.inner
		}
		if list[0].text() == st.text {
			st.plan = now
			return nil
		}
	}
	// The text is PostgreSQL's own for this case: drivers know it and prepare again.
	return &access.Error{Kind: access.Invalid, Code: "0A000", Message: "cached plan must not change result type",
		Hint: "policy, masks or schema changed since this statement was prepared: prepare it again"}
}

func isUnknownName(err error) bool {
	var ae *access.Error
	if !errors.As(err, &ae) {
		return false
	}
	switch ae.Code {
	case "42P01", "42703", "42883", "42704", "3F000":
		return true
	}
	return false
}
