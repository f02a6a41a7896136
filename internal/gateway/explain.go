package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/access"
	"sallyport/internal/gateway/internal/upstream"
	"sallyport/mask"
)

// Explanation says what the gateway would do with a statement, without doing it.
type Explanation struct {
	SQL      string
	Facts    *access.Facts
	Decision access.Decision
	Masked   []access.ColumnID // of Decision.Masked those that the statement uses
	Compiled string            // what would run; empty when refused
	Changed  bool              // Compiled differs from SQL
	Refusal  *access.Error
	// Definitions are those of the functions outside pg_catalog that it calls, by name, as @definition wants them.
	Definitions map[access.Name]string
}

// definitions finds what Explanation.Definitions tells.
func (p *plan) definitions() map[access.Name]string {
	out, cat := map[access.Name]string{}, p.scope.snap.cat
	add := func(f access.Name) {
		if d := cat.Definition(f); d != "" {
			out[f] = d
		}
	}
	for _, f := range p.facts.Functions {
		add(f.Name)
	}
	for _, use := range p.facts.Relations {
		if rel := cat.Relations[use.Name]; rel != nil && use.Action == access.ActWrite {
			for _, r := range cat.Below(rel) {
				for _, f := range r.Triggers {
					add(f)
				}
			}
		}
	}
	return out
}

// Explain judges sql for a principal, of the configuration or not, as if they sent it through door.
func (g *Gateway) Explain(_ context.Context, p access.Principal, connection string, door access.Door, sql string, reason string) ([]Explanation, error) {
	db := g.dbs[connection]
	if db == nil {
		return nil, &access.Error{Kind: access.Invalid, Message: fmt.Sprintf("there is no connection %q in the configuration", connection)}
	}
	fresh, snap := db.fresh(), db.snap.Load()
	if !fresh && snap != nil {
		return nil, errStale
	}
	if snap == nil {
		return nil, &access.Error{Kind: access.Unavailable, Code: "08001", Message: "the database behind " + connection + " cannot be reached", Hint: "sallyport check says why"}
	}
	sc := g.scope(db, snap, g.policies.Load(), p, door, []string{"pg_catalog", "public"}, "pg_catalog\x00public", reason)
	list, err := sc.plans(sql)
	if err != nil {
		var r refusal
		if !errors.As(err, &r) {
			return nil, err
		}
		e := Explanation{SQL: r.sql, Refusal: r.why}
		if r.plan != nil {
			e.Facts, e.Decision, e.Masked, e.Definitions = r.plan.facts, r.plan.decision, r.plan.masksUsed(), r.plan.definitions()
		}
		return []Explanation{e}, nil
	}
	var out []Explanation
	for _, j := range list {
		source := j.source
		if source == "" {
			source = sql
		}
		out = append(out, Explanation{SQL: source, Facts: j.plan.facts, Decision: j.plan.decision, Masked: j.plan.masksUsed(), Compiled: j.plan.sql, Changed: !j.plan.original,
			Definitions: j.plan.definitions()})
	}
	return out, nil
}

// CheckResult is what `sallyport check` tells about one connection.
type CheckResult struct {
	Connection string
	Err        error // it cannot be reached or read
	Server     string
	Relations  int
	Labels     []LabelResult
	Writers    []Writer
	Unjudged   []mask.Unjudged // only where there is a labels file
	Problems   []mask.Problem
}

// LabelResult is one labelled column.
type LabelResult struct {
	Column access.ColumnID
	Labels []access.Label
	Mask   access.MaskApplied
	Why    string // the rule, comment or lineage that gave the label
}

// Check looks at every upstream afresh and tells which labels were resolved, and what could not be. unused are
// masks that no column of any connection has; there are none while a connection cannot be read.
func (g *Gateway) Check(ctx context.Context) (out []CheckResult, unused []mask.Problem) {
	var masks *mask.Masks
	var labels []*mask.Labels
	for name, db := range g.dbs {
		r := CheckResult{Connection: name}
		snap, err := db.load()
		if err == nil {
			var conn *upstream.Conn
			if conn, err = db.dial(ctx, nil); err == nil {
				conn.Close()
			}
		}
		if err != nil {
			r.Err = err
			out = append(out, r)
			continue
		}
		r.Server = snap.server()
		r.Relations, r.Labels = snap.labelled()
		r.Writers = g.writers(db, snap)
		if snap.judged != nil {
			r.Unjudged = snap.labels.Unjudged()
		}
		r.Problems = append(snap.problems, snap.masks.Misfits(snap.cat, snap.labels)...)
		for _, m := range g.policies.Load().Missing(name, snap.cat) {
			p := mask.Problem{Message: "a policy names " + m.Entity + ", which the database does not have", Safe: m.Safe}
			if m.Nearest != "" {
				p.Hint = fmt.Sprintf("did you mean %q?", m.Nearest)
			}
			r.Problems = append(r.Problems, p)
		}
		r.Problems = append(r.Problems, g.pinProblems(ctx, db)...)
		masks, labels = snap.masks, append(labels, snap.labels)
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b CheckResult) int { return strings.Compare(a.Connection, b.Connection) })
	if masks != nil && len(labels) == len(out) {
		unused = masks.Unused(labels)
	}
	return out, unused
}

// server names what the snapshot is of.
func (s *snapshot) server() string {
	return fmt.Sprintf("PostgreSQL %d.%d, database %s", s.cat.ServerVersion/10000, s.cat.ServerVersion%10000, s.cat.Database)
}

// labelled counts the relations that hold rows and lists their labelled columns, by name.
func (s *snapshot) labelled() (relations int, out []LabelResult) {
	for _, rel := range s.cat.Relations {
		if !userRelation(rel) {
			continue
		}
		relations++
		labels := s.labels.Columns(rel.Name)
		for i := range rel.Columns {
			c := &rel.Columns[i]
			if len(labels[c.Name]) > 0 {
				out = append(out, LabelResult{Column: access.ColumnID{Relation: rel.Name, Column: c.Name}, Labels: labels[c.Name],
					Mask: s.maskOf(rel, c, nil), Why: s.labels.Why(rel.Name, c.Name)})
			}
		}
	}
	slices.SortFunc(out, func(a, b LabelResult) int {
		return strings.Compare(a.Column.Relation.String()+"."+a.Column.Column, b.Column.Relation.String()+"."+b.Column.Column)
	})
	return relations, out
}

// maskOf is the mask that a labelled column gets for those who may not see it raw, and may write under the
// labels of writable.
func (s *snapshot) maskOf(rel *access.Relation, c *access.Column, writable map[access.Label]access.ColumnID) access.MaskApplied {
	labels := s.labels.Columns(rel.Name)[c.Name]
	t := s.masks.For(c, s.cat, labels, s.labels.Derived(rel.Name, c.Name))
	for _, l := range labels {
		if _, ok := writable[l]; ok {
			t = t.ForWriter()
		}
	}
	return access.MaskApplied{Column: rel.Name.String() + "." + c.Name, Label: t.Label, Transform: t.String()}
}
