package report

import (
	"fmt"

	"sallyport/audit/internal/show"
)

func (r *AccessReport) print(p *printer) {
	p.line("Who consulted the data of %s, and why (GDPR article 15)", show.Clean(list(r.Person)))
	p.line("%s, %d looked at", show.Plural(int64(len(r.Entries)), "step"), r.Steps)
	var rows [][]string
	for _, e := range r.Entries {
		who := e.Principal
		if e.Actor != "" {
			who += " through " + e.Actor
		}
		rows = append(rows, []string{stamp(e.Time), number(int64(e.Position)), who, e.Outcome, list(e.Found), list(e.Relations), orNone(list(e.Purposes)), orNone(e.Goal), orNone(e.Reason)})
	}
	p.table("Steps", []string{"time", "record", "who", "outcome", "found in", "relations", "purposes", "goal (claimed)", "reason (claimed)"}, rows)
	p.limits(r.Limits, &r.Basis)
}

func (r *BreachReport) print(p *printer) {
	p.line("What %s has seen and done (GDPR article 33)", show.Clean(r.Principal))
	p.line("%s ran, %d refused; %s released (%s), %d of them by steps that saw a labelled column as it is; %s hidden by the detectors",
		show.Plural(int64(r.Steps), "step"), r.Refused, show.Plural(r.Rows, "row"), show.Size(r.Bytes), r.Unmasked, show.Plural(int64(r.Detected), "value"))
	var rows [][]string
	for _, c := range r.Columns {
		how := "AS IT IS"
		if c.Masked {
			how = "masked"
		}
		rows = append(rows, []string{how, c.Label, c.Connection, c.Column, number(c.Steps), number(c.Rows)})
	}
	p.table("Labelled columns", []string{"seen", "label", "connection", "column", "steps", "rows"}, rows)
	rows = nil
	for _, t := range r.Relations {
		rows = append(rows, []string{t.Connection, t.Relation, t.Action, number(t.Steps), number(t.Rows)})
	}
	p.table("Relations", []string{"connection", "relation", "action", "steps", "rows released"}, rows)
	rows = nil
	for _, s := range r.Sessions {
		rows = append(rows, []string{s.ID, stamp(s.From), stamp(s.To), s.Door, s.Connection, orNone(s.Actor), orNone(s.Client), orNone(s.Proof)})
	}
	p.table("Sessions", []string{"session", "from", "to", "door", "connection", "actor", "client", "proven by"}, rows)
	p.limits(r.Limits, &r.Basis)
}

func (r *ProcessingReport) print(p *printer) {
	p.line("Draft of a record of processing activities, from actual use (GDPR article 30)")
	for _, a := range r.Activities {
		p.heading("%s: %s", show.Clean(a.Connection), show.Clean(orNone(a.Purpose)))
		facts := [][2]string{{"purpose", a.Text}, {"lawful basis", a.LawfulBasis}, {"categories", list(a.Categories)}, {"relations", list(a.Relations)}, {"measures", list(a.Measures)},
			{"use", fmt.Sprintf("%s, %s released, %s to %s", show.Plural(int64(a.Steps), "step"), show.Plural(a.Rows, "row"), stamp(a.First), stamp(a.Last))}}
		if a.Purpose == "" {
			facts[0][1] = "not stated by the policies"
		}
		for _, f := range facts {
			p.line("  %-14s%s", f[0], show.Clean(orNone(f[1])))
		}
		var rows [][]string
		for _, to := range a.Recipients {
			rows = append(rows, []string{to.Principal, orNone(list(to.Actors)), number(to.Steps), orNone(list(to.Unmasked))})
		}
		p.table("  Recipients", []string{"principal", "actors", "steps", "labels seen as they are"}, rows)
	}
	if len(r.Activities) == 0 {
		p.heading("nothing was read or written")
	}
	p.items("To be added by you", r.Missing)
	p.limits(r.Limits, &r.Basis)
}

func (r *DriftReport) print(p *printer) {
	p.line("Tasks that touched what they do not speak of: %d of %d (GDPR article 5(1)(b))", len(r.Tasks), r.Seen)
	for _, t := range r.Tasks {
		p.heading("%s  %s", show.Clean(t.Task), show.Clean(t.Principal))
		p.line("  goal      %s", show.Clip(show.Clean(orNone(t.Goal)), mostCell))
		p.line("  ticket    %s", show.Clip(show.Clean(orNone(t.Ticket)), mostCell))
		p.line("  purposes  %s", show.Clean(orNone(list(t.Purposes))))
		var rows [][]string
		for _, d := range t.Relations {
			rows = append(rows, []string{d.Relation, d.Why, number(d.Steps), number(d.Tried), fmt.Sprintf("%d of %d", d.Tasks, r.Seen), orNone(list(d.Labels))})
		}
		p.table("  Relations", []string{"relation", "why", "steps", "refused", "touched by tasks", "labels"}, rows)
	}
	p.limits(r.Limits, &r.Basis)
}
