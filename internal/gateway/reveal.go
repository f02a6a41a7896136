package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/approval"
	"sallyport/sqlguard"
)

// A reveal shows columns as they are for some time, where a policy permits "reveal" under @review and its reviewers have
// approved. It is asked for by naming columns, not by a statement, and is part of what a session's plans depend on: it begins
// and ends between two statements. A session that is shown something counts as masked all the same.

// settingReveal names columns that a PostgreSQL client wants to see: SET sallyport.reveal = 'customers.email, customers.phone'.
const settingReveal = "sallyport.reveal"

// reveals are the columns that approvals show to a principal at a connection, at one time.
type reveals struct {
	columns  map[access.ColumnID][][]string // with the groups that were asked, of each approval
	requests []string
	until    time.Time // the first of them ends; zero where there are none
	epoch    uint64    // of Gateway.revealing, when they were looked up
	key      string    // all of columns, for the cache of plans
}

// current reports whether nothing has been approved, and nothing has ended, since r was looked up.
func (r *reveals) current(g *Gateway) bool {
	return r.epoch == g.revealing.Load() && (r.until.IsZero() || time.Now().Before(r.until))
}

// reveals looks up what approvals show. Where that cannot be said, nothing is shown.
func (g *Gateway) reveals(p access.Principal, door access.Door, connection string) reveals {
	r := reveals{epoch: g.revealing.Load()}
	if r.epoch == 0 || g.approvals == nil {
		return r // none is in force
	}
	list, err := g.approvals.Revealed(context.Background(), approval.Binding{Principal: p.Name, Issuer: p.Proof.Issuer, Actors: p.Chain(), Door: door, Connection: connection}, accountOf(p))
	if err != nil {
		g.logger.Warn("what is approved to be shown is not: a vote counts no longer, and that could not be recorded", "principal", p.Name, "error", err)
		return r
	}
	var key parts
	for _, a := range list {
		asked := g.asked(a)
		key.add(a.ID)
		key.add(a.Grant.Columns...)
		r.requests = append(r.requests, a.ID)
		if r.until.IsZero() || a.Grant.Until.Before(r.until) {
			r.until = a.Grant.Until
		}
		for _, c := range a.Grant.Columns {
			if id, ok := columnID(c); ok {
				if r.columns == nil {
					r.columns = map[access.ColumnID][][]string{}
				}
				r.columns[id] = append(r.columns[id], asked)
			}
		}
	}
	r.key = key.String()
	return r
}

// asked are the groups of which a request asked as many as would have to approve now.
func (g *Gateway) asked(r *ReviewRequest) (out []string) {
	for _, n := range r.Needs {
		if r.Answers(g.needs([]string{n.Group})) {
			out = append(out, n.Group)
		}
	}
	return out
}

// columnID reads schema.table.column. Names that hold a dot cannot be asked for.
func columnID(text string) (access.ColumnID, bool) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 || slices.Contains(parts, "") {
		return access.ColumnID{}, false
	}
	return access.ColumnID{Relation: access.Name{Schema: parts[0], Name: parts[1]}, Column: parts[2]}, true
}

// AskReveal makes a request to see columns and gives its id. It fails with an *access.Error, or with ErrEnded.
func (s *Session) AskReveal(ctx context.Context, q RevealQuery) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return "", ErrEnded
	}
	s.stopIdle()
	s.watch(ctx)
	s.bring(q.Task, q.Reason, q.Traceparent)
	r, err := s.askReveal(q.Columns)
	if err == nil {
		return r.ID, nil
	}
	var ae *access.Error
	if !errors.As(err, &ae) || errors.Is(err, errRepinned) || errors.Is(err, errLostTrack) {
		s.gw.logger.Warn("session lost", "session", s.id, "error", err)
		s.close("the connection to the database was lost")
		return "", ErrEnded
	}
	s.notRevealed(strings.Join(q.Columns, ", "), ae)
	if err := s.durable(); err != nil {
		return "", err
	}
	return "", ae
}

// notRevealed records a wish to see columns of which no request was made.
func (s *Session) notRevealed(columns string, why *access.Error) {
	s.recordRefused(refusal{why: why, sql: "SET " + settingReveal + " = " + quoteLiteral(columns)})
}

// askReveal makes a request to see columns, named as table.column or schema.table.column, and gives it.
func (s *Session) askReveal(names []string) (*approval.Request, error) {
	if err := s.refresh(nopSink{}); err != nil {
		return nil, err
	}
	sc := s.scope
	in := sqlguard.Input{Principal: s.principal, Door: s.door, Connection: s.db.conf.Name, Facts: &access.Facts{Class: access.ClassRead, Tag: "SELECT"}, Catalog: sc.snap.cat,
		Labels: sc.snap.labels.Columns, Refused: sc.snap.labels.Refused, Policies: sc.policies, Revealed: sc.revealed.columns, HasReason: sc.hasReason, Reason: sc.reason}
	req := s.request(wanted{})
	req.Subject.Kind = approval.SubjectReveal
	req.Binding.PolicyVersion, req.Binding.CatalogVersion = sc.policies.Version(), sc.snap.cat.Version
	var groups, shown []string
	for _, name := range names {
		id, err := sc.columnNamed(strings.TrimSpace(name))
		if err != nil {
			return nil, err
		}
		d := sqlguard.Revealable(in, id)
		switch d.Effect {
		case access.Allow:
			shown = append(shown, id.Relation.String()+"."+id.Column)
			continue
		case access.Review:
		default:
			return nil, &access.Error{Kind: access.Denied, Code: "42501", Message: d.Message, Hint: d.Hint, Scopes: d.Scopes}
		}
		groups = append(groups, d.Obligations.Review...)
		req.Subject.Columns = append(req.Subject.Columns, id.Relation.String()+"."+id.Column)
		req.Subject.Labels = append(req.Subject.Labels, sc.snap.labels.Columns(id.Relation)[id.Column]...)
		req.Subject.Policies = append(req.Subject.Policies, sc.policies.Reviewing(d.Policies)...)
	}
	if len(req.Subject.Columns) == 0 {
		return nil, s.shownAlready(shown)
	}
	slices.Sort(req.Subject.Columns)
	slices.Sort(req.Subject.Labels)
	slices.Sort(groups)
	req.Subject.Columns, req.Subject.Labels = slices.Compact(req.Subject.Columns), slices.Compact(req.Subject.Labels)
	req.Needs, req.Subject.Why = s.gw.needs(slices.Compact(groups)), "to see "+strings.Join(req.Subject.Columns, ", ")+" as they are"
	req.Binding.Columns = req.Subject.Columns
	r, err := s.gw.approvals.Request(context.Background(), req)
	if err != nil {
		return nil, notHeld(err)
	}
	return r, nil
}

// shownAlready is why nothing was asked for: reviewers are not to decide about what they have approved.
func (s *Session) shownAlready(columns []string) *access.Error {
	var until time.Time // that all of them are shown
	for i, c := range columns {
		var last time.Time
		for _, id := range s.scope.revealed.requests {
			if r, err := s.gw.approvals.Get(id); err == nil && r.Grant != nil && slices.Contains(r.Grant.Columns, c) && r.Grant.Until.After(last) {
				last = r.Grant.Until
			}
		}
		if i == 0 || last.Before(until) {
			until = last
		}
	}
	return &access.Error{Kind: access.Invalid, Code: "55000", Message: fmt.Sprintf("statements show %s as it is already, until %s", strings.Join(columns, ", "), until.Format(time.RFC3339)),
		Hint: "ask again once that is over"}
}

// columnNamed finds a column that the principal may know of by its relation's name, along the search_path.
func (sc *scope) columnNamed(name string) (access.ColumnID, error) {
	parts := strings.Split(strings.ToLower(name), ".")
	schemas := sc.path
	if len(parts) == 3 {
		schemas, parts = parts[:1], parts[1:]
	}
	if len(parts) == 2 {
		for _, schema := range schemas {
			rel := sc.snap.cat.Relations[access.Name{Schema: schema, Name: parts[0]}]
			if rel == nil {
				continue
			}
			if rel.Column(parts[1]) == nil || !sc.mayRead(rel) {
				break
			}
			return access.ColumnID{Relation: rel.Name, Column: parts[1]}, nil
		}
	}
	return access.ColumnID{}, &access.Error{Kind: access.Invalid, Code: "42703", Message: fmt.Sprintf("there is no column %q", name),
		Hint: "name columns as table.column or schema.table.column, with commas between"}
}

// revealSet answers SET sallyport.reveal, once it has succeeded.
func (s *Session) revealSet(columns string) {
	if strings.TrimSpace(columns) == "" {
		return
	}
	s.heavy()
	r, err := s.askReveal(strings.Split(columns, ","))
	if err != nil {
		e := access.AsError(err)
		s.notRevealed(columns, e)
		s.held = appendNotice(s.held, "nothing was asked for: "+e.Message, e.Hint)
		return
	}
	s.held = appendNotice(s.held, fmt.Sprintf("asked %s for approval: request %s, until %s", groupsOf(r), r.ID, r.Expires.Format(time.RFC3339)),
		"once it is approved, statements show the columns as they are"+s.gw.where(r))
}
