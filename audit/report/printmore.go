package report

import (
	"fmt"

	"sallyport/audit/internal/show"
	"sallyport/internal/access"
)

func (r *PrinciplesReport) print(p *printer) {
	p.line("How the principles show in what was done (GDPR article 5)")
	a := &r.Accountability
	share := func(n int) string {
		if a.Steps == 0 {
			return "-"
		}
		return fmt.Sprintf("%d%%", 100*n/a.Steps)
	}
	rows := [][]string{}
	for _, c := range []struct {
		name string
		n    int
	}{{"ran", a.Steps}, {"with a claimed reason", a.Reason}, {"in a declared task", a.Task}, {"with a purpose", a.Purpose}, {"approved beforehand", a.Approved}, {"BEHIND BROKEN GLASS", a.Glass},
		{"used a labelled column", a.Labelled}, {"used one with neither reason, goal nor purpose", a.Unfounded}} {
		rows = append(rows, []string{c.name, number(c.n), share(c.n)})
	}
	rows = append(rows, []string{"refused, beside them", number(a.Refused), "-"}, []string{"held for approval, beside them", number(a.Held), "-"})
	p.table("Accountability: steps", []string{"steps", "number", "share"}, rows)
	for _, u := range r.Purposes {
		name := u.Purpose
		if name == "" {
			name = "no purpose"
		}
		p.heading("%s: %s, %s released", show.Clean(name), show.Plural(int64(u.Steps), "step"), show.Plural(u.Rows, "row"))
		if u.Text != "" {
			p.line("  %s", show.Clean(u.Text))
		}
		if len(u.Outside) > 0 {
			p.line("  OUTSIDE of the relations of this purpose: %s", show.CleanList(u.Outside))
		}
		var rows [][]string
		for _, c := range u.Columns {
			rows = append(rows, []string{c.Label, c.Connection, c.Column, number(c.Shown), number(c.Masked)})
		}
		p.table("  Labelled columns", []string{"label", "connection", "column", "steps that saw it as it is", "steps that saw its mask"}, rows)
	}
	p.limits(r.Limits, &r.Basis)
}

func (r *LawfulnessReport) print(p *printer) {
	p.line("What was used on which lawful basis (GDPR article 6)")
	p.line("%s used a labelled column: %d with a lawful basis, %d without; %d used none and are not looked at",
		show.Plural(int64(r.Personal), "step"), r.Grounded, r.Personal-r.Grounded, r.Unlabeled)
	var rows [][]string
	for _, u := range r.Uses {
		rows = append(rows, []string{orNone(u.LawfulBasis), u.Purpose, u.Said, number(u.Steps), number(u.Rows), list(u.Labels), orNone(list(u.Shown)), list(u.Principals)})
	}
	p.table("By lawful basis", []string{"lawful basis", "purpose", "said by", "steps", "rows released", "labels", "seen as they are", "principals"}, rows)
	rows = nil
	for _, u := range r.None {
		rows = append(rows, []string{u.Connection, u.Principal, list(u.Relations), list(u.Labels), orNone(list(u.Shown)), number(u.Steps), number(u.Rows)})
	}
	p.table("Under none that is known", []string{"connection", "principal", "relations", "labels", "seen as they are", "steps", "rows released"}, rows)
	if len(r.Unused) > 0 {
		p.line("")
		p.line("Purposes of the catalogue for which nothing was done: %s", show.CleanList(r.Unused))
	}
	p.limits(r.Limits, &r.Basis)
}

func (r *ErasureReport) print(p *printer) {
	p.line("What was erased, and what was kept from it (GDPR article 17)")
	p.line("%s; of records in this period %d have lost their content, and %d who asked too", show.Plural(int64(len(r.Erasures)), "erasure"), r.Content, r.Trace)
	columns := []string{"time", "record", "id", "by", "proposed by", "why", "scope", "records", "stayed, by hold"}
	p.table("Erasures", columns, erasureRows(r.Erasures))
	p.table("Proposals that nobody has confirmed", columns, erasureRows(r.Open))
	var rows [][]string
	for _, h := range r.Holds {
		lifted := "in force"
		if h.Lifted != nil {
			lifted = stamp(*h.Lifted) + " by " + h.LiftedBy
		}
		rows = append(rows, []string{h.ID, stamp(h.Since), h.By, orNone(h.Why), h.Scope, lifted, number(h.Stayed)})
	}
	p.table("Holds", []string{"id", "since", "by", "why", "scope", "lifted", "records kept from erasures"}, rows)
	p.settings("Retention, as configured", r.Retention)
	p.limits(r.Limits, &r.Basis)
}

func erasureRows(erasures []Erasure) [][]string {
	var rows [][]string
	for _, e := range erasures {
		rows = append(rows, []string{stamp(e.Time), number(int64(e.Position)), e.ID, e.By, orNone(e.ProposedBy), orNone(e.Why), e.Scope, number(e.Records), orNone(heldWords(e.Held))})
	}
	return rows
}

func heldWords(held []access.Held) string {
	var out []string
	for _, h := range held {
		out = append(out, fmt.Sprintf("%d by %s", h.Records, h.Hold))
	}
	return list(out)
}

func (r *DesignReport) print(p *printer) {
	p.line("Which defaults protect data, and whom they reach (GDPR article 25)")
	p.line("%s refused, %d held for approval; %s without a label hidden by the detectors, %d of them whole", show.Plural(int64(r.Refused), "statement"), r.Held, show.Plural(int64(r.Detected), "value"), r.Whole)
	p.settings("Defaults in force", r.Settings)
	var rows [][]string
	for _, c := range r.Columns {
		rows = append(rows, []string{c.Label, c.Connection, c.Column, number(len(c.Masked)), orNone(list(c.Transforms)), number(len(c.Shown)), orNone(list(c.Shown))})
	}
	p.table("Labelled columns that were used", []string{"label", "connection", "column", "masked for principals", "by", "as it is for principals", "who"}, rows)
	rows = nil
	for _, c := range r.Unjudged {
		rows = append(rows, []string{c})
	}
	p.table("Columns that were used and that nobody has judged", []string{"column"}, rows)
	p.limits(r.Limits, &r.Basis)
}

func (r *SecurityReport) print(p *printer) {
	p.line("Which measures are taken, and what shows it (GDPR article 32)")
	p.line("%s ran, %d of them in a form that reads masks", show.Plural(int64(r.Steps), "statement"), r.Compiled)
	p.settings("Measures", r.Measures)
	a := &r.Approvals
	rows := countedRows(a.States)
	if a.Glass > 0 {
		rows = append(rows, []string{"BROKEN GLASS", number(a.Glass)}, []string{"of those: nobody has looked at", number(a.Unlooked)})
	}
	p.table(fmt.Sprintf("Requests for approval: %d", a.Requests), []string{"stands at", "number"}, rows)
	p.table("Refusals", []string{"SQLSTATE", "number"}, countedRows(r.Refusals))
	p.table("Statements by door", []string{"door", "number"}, countedRows(r.Doors))
	p.table("Statements by version of the policies", []string{"version", "number"}, countedRows(r.Versions))
	p.limits(r.Limits, &r.Basis)
}

func countedRows(list []Counted) [][]string {
	var rows [][]string
	for _, c := range list {
		rows = append(rows, []string{orNone(c.Name), number(c.Count)})
	}
	return rows
}

// settings prints what is configured, or found, with what is missing in capitals.
func (p *printer) settings(title string, settings []Setting) {
	var rows [][]string
	for _, s := range settings {
		state := s.State
		if s.Missing {
			state = "NO: " + state
		}
		rows = append(rows, []string{s.Name, state})
	}
	p.table(title, []string{"what", "state"}, rows)
}
