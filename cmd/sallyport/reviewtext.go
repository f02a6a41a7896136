package main

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"sallyport/audit"
	"sallyport/internal/access"
	"sallyport/internal/gateway"
	"sallyport/internal/web"
)

// printReview prints a request in full. Nothing in it is cut: what a reviewer did not see they did not approve.
func printReview(w io.Writer, r *web.Review, now time.Time) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%-12s  %s\n", name, audit.Clean(value))
		}
	}
	lines := func(name string, list []string) {
		for i, s := range list {
			if i > 0 {
				name = ""
			}
			fmt.Fprintf(w, "%-12s  %s\n", name, audit.Clean(s))
		}
	}
	line("Request", r.ID)
	line("State", fmt.Sprintf("%s, revision %d", r.State, r.Revision))
	line("Digest", r.Digest)
	line("Page", r.URL)
	fmt.Fprintln(w)
	b, s := &r.Binding, &r.Subject
	line("Who asks", asker(r))
	line("Proven by", r.Proven)
	line("Groups", strings.Join(s.Groups, ", "))
	line("Client", s.Client)
	line("Asked", stamp(r.Created)+" ("+howOld(now.Sub(r.Created))+" ago)")
	line("Until", stamp(r.Expires))
	line("Task", s.Task)
	line("Goal", claimed(s.Goal))
	line("Reason", claimed(s.Reason))
	line("Ticket", claimed(s.Ticket))
	if r.Glass != nil {
		line("BROKEN GLASS", "at "+stamp(r.Glass.At)+" nobody was asked: "+claimed(r.Glass.Reason))
	}
	fmt.Fprintln(w)
	line("Connection", b.Connection)
	line("Door", string(b.Door))
	line("Session", b.Session)
	line("Role", b.Role)
	line("search_path", strings.Join(b.Path, ", "))
	line("Class", string(s.Class))
	line("Command", s.Tag)
	lines("Touches", s.Relations)
	lines("Reveals", s.Columns)
	line("Labels", joinLabels(s.Labels))
	lines("Masked", s.Masked)
	for _, h := range b.Hidden {
		lines("Kept back", h.What)
	}
	line("Why it waits", s.Why)
	line("Policies", strings.Join(s.Policies, ", "))
	if len(s.NoPreview) > 0 {
		line("Preview", "none, by policy "+strings.Join(s.NoPreview, ", "))
	}
	var most []string
	if b.Rows > 0 {
		most = append(most, strconv.FormatInt(b.Rows, 10)+" released")
	}
	if s.Affected > 0 {
		most = append(most, strconv.FormatInt(s.Affected, 10)+" changed")
	}
	line("Most rows", strings.Join(most, ", "))
	line("Versions", "policy "+b.PolicyVersion+", catalog "+b.CatalogVersion)
	if b.SQL != "" {
		fmt.Fprintln(w, "\nStatement")
		printSQL(w, b.SQL)
	}
	for _, inner := range b.Inner {
		fmt.Fprintln(w, "\nStands for")
		printSQL(w, inner)
	}
	printValues(w, r)
	printLook(w, r.Look, now)
	fmt.Fprintln(w)
	for i, n := range r.Needs {
		name := "Needs"
		if i > 0 {
			name = ""
		}
		fmt.Fprintf(w, "%-12s  %s\n", name, audit.Clean(needText(n)))
	}
	line("Missing", strings.Join(r.Missing, ", "))
	for _, n := range r.Escalated() {
		line("Escalated", fmt.Sprintf("at %s: %s had not decided in %s, and %s may in their place", stamp(n.Escalated), n.Group, n.After, strings.Join(n.Escalate, ", ")))
	}
	for _, v := range r.Votes {
		line("Vote", voteText(&v))
	}
	for _, v := range r.Lapsed {
		line("Vote lapsed", fmt.Sprintf("%s's approval counts no longer since %s: %s", v.Reviewer, stamp(v.Since), v.Why))
	}
	if r.Grant != nil {
		granted := grantText(r.Grant)
		if r.State.Ended() {
			granted += " (it has ended: nothing is allowed any more)"
		}
		line("Granted", granted)
		line("Used", used(r))
	}
	line("Outcome", r.Outcome)
	switch {
	case r.MayDecide && unseen(r):
		line("You", "have not looked at it: approve or deny, with a justification, says that you have")
	case r.MayDecide:
		line("You", "may decide")
	default:
		line("You", "may not decide: "+cmp.Or(r.WhyNot, "there is nothing to decide"))
	}
}

// used says how often a grant was used, and of how many times.
func used(r *web.Review) string {
	if r.Grant.Mode == "form" {
		return fmt.Sprintf("%d of %d", r.Uses, r.Grant.Uses)
	}
	return plural(r.Uses, "time", "times")
}

// claimed marks what nobody has verified.
func claimed(s string) string {
	if s == "" {
		return ""
	}
	return s + "   (claimed, not verified)"
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

const mostEmpty = 3

// printSQL prints a text line by line. Only blanks in front of a line are shown as such; other white space than a blank is
// an escape, for in a literal it counts. Many empty lines, which would push the rest out of sight, are one that says how many.
func printSQL(w io.Writer, sql string) {
	empty := 0
	ended := func() {
		if empty > mostEmpty {
			fmt.Fprintf(w, "  ⋮ %d empty lines\n", empty)
		} else {
			fmt.Fprint(w, strings.Repeat("  | \n", empty))
		}
		empty = 0
	}
	defer ended()
	for line := range strings.SplitSeq(sql, "\n") {
		if strings.Trim(line, " \t") == "" {
			empty++
			continue
		}
		ended()
		text := strings.TrimLeft(line, " \t")
		indent := strings.ReplaceAll(line[:len(line)-len(text)], "\t", "    ")
		fmt.Fprintf(w, "  | %s%s\n", indent, audit.Clean(text))
	}
}

// printValues prints constants and parameters with the numbers that --range knows them by.
func printValues(w io.Writer, r *web.Review) {
	values := r.Values()
	if len(values) == 0 {
		return
	}
	fmt.Fprintln(w, "\nValues")
	for i, v := range values {
		what, text := "constant", audit.Clean(v.Text)
		if n := i - len(r.Subject.Constants); n >= 0 {
			p := r.Binding.Params[n]
			what = fmt.Sprintf("parameter $%d", n+1)
			if p.Named != "" {
				what += " (" + audit.Clean(p.Named) + ")"
			}
			switch {
			case p.Null: // in front, where no text stands
				what, text = "NULL for "+what, ""
			case p.Opaque:
				what = "bytes, that cannot be told for certain, for " + what
			case p.Binary:
				what += " in binary"
			}
		}
		fmt.Fprintf(w, "  %d  %s\n", i+1, strings.TrimRight(fmt.Sprintf("%-14s %s", what, text), " "))
	}
}

// printLook prints what a reviewer may want to look at twice.
func printLook(w io.Writer, l *web.Look, now time.Time) {
	if l == nil {
		return
	}
	if len(l.Notes) > 0 {
		fmt.Fprintln(w, "\nTo look at")
	}
	for _, n := range l.Notes {
		mark := "·"
		if n.Serious {
			mark = "!"
		}
		fmt.Fprintf(w, "  %s %s\n", mark, audit.Clean(n.Text))
	}
	if l.Preview != nil {
		fmt.Fprintln(w, "\nPreview, made by itself")
		printPreview(w, l.Preview)
	}
	if len(l.Similar) > 0 {
		fmt.Fprintln(w, "\nAlike, before")
	}
	for _, o := range l.Similar {
		text := fmt.Sprintf("%s  %s  %s ago", o.ID[:min(len(o.ID), idShown)], o.State, howOld(now.Sub(o.Asked)))
		if o.Reason != "" {
			text += "  " + claimed(o.Reason)
		}
		if o.Outcome != "" {
			text += "  " + o.Outcome
		}
		fmt.Fprintf(w, "  %s\n", audit.Clean(text))
	}
}

// printPreview prints what a request would do.
func printPreview(w io.Writer, p *web.Preview) {
	if p.Plan != "" {
		printSQL(w, strings.TrimRight(p.Plan, "\n"))
	}
	if p.Rows != nil {
		fmt.Fprintf(w, "it would change %s (found at %s in a transaction that was rolled back)\n", count(int(*p.Rows), "row"), stamp(p.At))
	}
	if p.Why != "" {
		fmt.Fprintln(w, audit.Clean(p.Why))
	}
}

func needText(n gateway.ReviewNeed) string {
	text := fmt.Sprintf("%d of %s", max(n.Quorum, 1), n.Group)
	if n.After > 0 && len(n.Escalate) > 0 {
		stand := strings.Join(n.Escalate, ", ")
		if n.Escalated.IsZero() {
			text += fmt.Sprintf("; after %s without a decision also %s", n.After, stand)
		} else {
			text += "; now also " + stand
		}
	}
	return text
}

func voteText(v *gateway.ReviewVote) string {
	who := v.Reviewer
	if len(v.Instead) > 0 {
		who += " in the place of " + strings.Join(v.Instead, ", ")
	}
	how := v.Channel
	if v.Proven != "" {
		how += ", proven by " + v.Proven
	}
	if !v.Authenticated.IsZero() {
		how += ", who they are proven at " + stamp(v.Authenticated)
	}
	text := fmt.Sprintf("%s by %s at %s (%s): %s", v.Verdict, who, stamp(v.At), how, v.Justification)
	if v.Purpose != "" {
		text += "; purpose " + v.Purpose
	}
	if v.LawfulBasis != "" {
		text += " (" + v.LawfulBasis + ")"
	}
	if v.Grant.Mode != "" {
		text += "; " + grantText(&v.Grant)
	}
	return text
}

// grantText says what is granted, for a reviewer to read before they do.
func grantText(g *gateway.ReviewGrant) string {
	until := ""
	if !g.Until.IsZero() {
		until = " until " + stamp(g.Until)
	}
	switch g.Mode {
	case "once":
		return "this statement, once" + until
	case "form":
		text := fmt.Sprintf("statements of this form, %d times%s", g.Uses, until)
		for i, r := range g.Ranges {
			text += fmt.Sprintf("; value %d: %s", i+1, rangeText(r))
		}
		return text
	case "window":
		classes := make([]string, len(g.Classes))
		for i, c := range g.Classes {
			classes[i] = string(c)
		}
		return fmt.Sprintf("any %s of these%s: %s", strings.Join(classes, " or "), until, strings.Join(g.Relations, ", "))
	case "reveal":
		return fmt.Sprintf("to see unmasked%s: %s", until, strings.Join(g.Columns, ", "))
	}
	return fmt.Sprintf("nothing that is known: %q", g.Mode)
}

func rangeText(r gateway.ReviewRange) string {
	switch {
	case r.Any && r.Null:
		return "any, and NULL"
	case r.Null:
		return "NULL"
	case r.Any:
		return "any but NULL"
	case len(r.In) > 0:
		quoted := make([]string, len(r.In))
		for i, v := range r.In {
			quoted[i] = strconv.Quote(v)
		}
		return strings.Join(quoted, " or ")
	}
	return cmp.Or(r.Least, "…") + " to " + cmp.Or(r.Most, "…")
}

func joinLabels(labels []access.Label) string {
	out := make([]string, len(labels))
	for i, l := range labels {
		out[i] = string(l)
	}
	return strings.Join(out, ", ")
}
