package evidence

import "fmt"

// limits says what a bundle does not prove.
func limits(d *Document) []string {
	out := []string{
		"Reasons, goals and tickets are what somebody claimed. Nobody has checked that they are true, and they never granted access.",
		"Who is named is who logged in with that name's secret or token. That it was this person who sat there is not proven.",
		"What the database answered, and what was released of it, is recorded. What it did besides (triggers, functions, other sessions, its own logs) is not.",
		"Only what went through the gateway is recorded. That there is no other way to the database rests on who knows its passwords.",
		"Texts of statements are recorded as the detectors left them: what they took for personal data is replaced by its kind in brackets.",
		"Values of parameters are not here. A commitment proves a value to those who know it; values of a small set (yes and no, a year) can be found by trying all.",
		"Released rows are not in the trace; a replay, where there is one in extra/, shows the first of them as the client saw them. The digest proves them to those who have them; the operator's record holds the first of them for as long as it is kept.",
		"Times are those of the gateway's clock.",
		"The texts of policies and labels are those in force when the bundle was made. A step was judged by them only where its policy version is marked as included.",
		"Labels say what a column is meant to hold. A value in a column without a label was shown as it is, unless the detectors hid it.",
	}
	if len(d.Approvals) > 0 {
		out = append(out,
			"A reviewer is who logged in with that name. That they read what they approved is not proven; justifications are what they wrote, as the detectors left it.",
			"The digest of a request is over the exact statement with its parameters, which an approval is bound to. It proves them to those who have them; the text here is as the detectors left it.")
	}
	unlooked := 0
	for _, a := range d.Approvals {
		if a.Glass != nil && !a.Glass.Looked {
			unlooked++
		}
	}
	if n := d.Summary.BrokenGlass; n > 0 {
		out = append(out, fmt.Sprintf("%d requests were made by breaking the glass: these statements ran before anybody had agreed. At %d of them nobody has looked, as far as this bundle knows.", n, unlooked))
	}
	if d.Summary.Previews > 0 {
		out = append(out, "Previews ran in transactions that were rolled back. What code of the database did that a rollback does not undo (numbers of sequences) is not recorded; the reviewer saw the plan and the count, and nobody a row.")
	}
	if d.Log.Proven > 0 {
		out = append(out,
			"The proofs show that the records named here are in the log under the checkpoint, unchanged. That trace.json tells what these records say is stated by the signature alone, unless somebody with the keys opens them.",
			"That no other log was shown to somebody else is proven only as far as witnesses have signed the checkpoint.")
	}
	switch n := d.Log.Records - d.Log.Proven; {
	case d.Log.Proven == 0:
		out = append(out, "There are no proofs in this bundle: that the records are those that were written at the time, and all of them, is stated by the signature alone.")
	case n > 0:
		out = append(out, fmt.Sprintf("The last %d records were newer than the checkpoint when the bundle was made and have no proof: a bundle made later proves them.", n))
	}
	switch d.Scope.Kind {
	case "session":
		if len(d.Sessions) > 0 && !d.complete() {
			out = append(out, "The session is not complete in this bundle: it had not ended when the bundle was made, or the period leaves a part out.")
		}
	default:
		out = append(out, fmt.Sprintf("The scope picks records by %s; of the sessions that they belong to, other records may exist that are not here.", d.Scope.Kind))
	}
	if n := d.Summary.Erased; n > 0 {
		out = append(out, fmt.Sprintf("The outcome of %d steps was erased and cannot be told any more, by anybody.", n))
	}
	for _, r := range d.Records {
		if r.Erased {
			out = append(out, "Some records were erased. What is left of them are position, session, number, kind and time; where only their content went, decision and counts too.")
			break
		}
	}
	return out
}

func (d *Document) complete() bool {
	for _, s := range d.Sessions {
		if s.ID == d.Scope.ID {
			return s.Complete
		}
	}
	return false
}
