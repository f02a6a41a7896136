package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
)

// decision is the form of a reviewer's word, as it was filled in.
type decision struct {
	Revision, Justification, Purpose string
	Mode, Uses, Until                string
	Ranges                           []rangeForm
	Relations, Columns               []string
}

// rangeForm says what one value may be: "" as it was, "any", "in" (one of In, a line each) "range", or "any-null": anything, and NULL too.
type rangeForm struct{ Kind, In, Least, Most string }

// IsRelation and IsColumn tell which boxes are checked.
func (d decision) IsRelation(s string) bool { return slices.Contains(d.Relations, s) }
func (d decision) IsColumn(s string) bool   { return slices.Contains(d.Columns, s) }

// formOf reads the form of a request.
func (v *visit) formOf(r *gateway.ReviewRequest) decision {
	f := v.r.PostForm
	d := decision{Revision: f.Get("revision"), Justification: strings.TrimSpace(f.Get("justification")), Purpose: f.Get("purpose"), Mode: f.Get("mode"), Uses: f.Get("uses"),
		Until: f.Get("until"), Relations: f["relation"], Columns: f["column"]}
	for i := range r.Values() {
		n := strconv.Itoa(i)
		d.Ranges = append(d.Ranges, rangeForm{Kind: f.Get("range" + n), In: f.Get("in" + n), Least: strings.TrimSpace(f.Get("least" + n)), Most: strings.TrimSpace(f.Get("most" + n))})
	}
	return d
}

// grant puts a form in the words of the core, which checks it.
func (d decision) grant(r *gateway.ReviewRequest, now time.Time) (g gateway.ReviewGrant, err error) {
	until := func() error {
		length, err := time.ParseDuration(d.Until)
		if err != nil || length <= 0 || length > gateway.MostReviewTime {
			return fmt.Errorf("say until when it holds: at most %s", span(gateway.MostReviewTime))
		}
		g.Until = now.Add(length).UTC().Truncate(time.Second)
		return nil
	}
	switch d.Mode {
	case "", "once":
		g.Mode = "once"
		return g, nil
	case "form":
		g.Mode = "form"
		if g.Uses, err = strconv.Atoi(strings.TrimSpace(d.Uses)); err != nil {
			return g, fmt.Errorf("say how often it may be used, from 1 to %d", gateway.MostReviewUses)
		}
		if g.Ranges, err = d.ranges(r.Values()); err != nil {
			return g, err
		}
		return g, until()
	case "window":
		g.Mode, g.Relations = "window", d.Relations
		g.Classes = []access.Class{r.Subject.Class}
		return g, until()
	case "reveal":
		g.Mode, g.Columns = "reveal", d.Columns
		return g, until()
	}
	return g, fmt.Errorf("there is no mode %q", d.Mode)
}

// ranges are those of a grant: none where every value stays as it was.
func (d decision) ranges(values []gateway.ReviewValue) ([]gateway.ReviewRange, error) {
	out := make([]gateway.ReviewRange, len(values))
	free := false
	for i, f := range d.Ranges {
		switch f.Kind {
		case "":
			out[i] = values[i].As()
			continue
		case "any":
			out[i].Any = true
		case "any-null":
			out[i].Any, out[i].Null = true, true
		case "in":
			for _, line := range strings.Split(f.In, "\n") {
				if line = strings.TrimSuffix(line, "\r"); line != "" {
					out[i].In = append(out[i].In, line)
				}
			}
			if len(out[i].In) == 0 {
				return nil, fmt.Errorf("name the values that value %d may have, one a line", i+1)
			}
		case "range":
			if f.Least == "" && f.Most == "" {
				return nil, fmt.Errorf("say from where to where value %d may be", i+1)
			}
			out[i].Least, out[i].Most = f.Least, f.Most
		default:
			return nil, fmt.Errorf("there is no range of kind %q", f.Kind)
		}
		free = true
	}
	if !free {
		return nil, nil
	}
	return out, nil
}

func (v *visit) approve() error { return v.decide("approve") }
func (v *visit) deny() error    { return v.decide("deny") }

// decide hands a form's word to the core. What is wrong with it comes back with the form as it was filled in.
func (v *visit) decide(verdict string) error {
	r, err := v.ask()
	if err != nil {
		return err
	}
	form := v.formOf(r)
	again := func(status int, why string) error {
		now, err := v.ask()
		if err != nil {
			return err
		}
		d, err := v.reviewData(now)
		if err != nil {
			return err
		}
		d.fill(form)
		d.Error = why
		return v.showAs(status, "review", "Request "+now.ID, "reviews", d)
	}
	vote := gateway.ReviewVote{Justification: form.Justification, Channel: "web"}
	if verdict == "deny" {
		vote.Verdict = "deny"
	} else {
		if err := v.prove(r.ID); err != nil {
			p := asProblem(err)
			return again(p.status, p.text)
		}
		vote.Verdict, vote.Purpose = "approve", form.Purpose
		if r.Glass == nil {
			if vote.Grant, err = v.granted(r, form); err != nil {
				return again(422, err.Error())
			}
		}
	}
	vote.Authenticated, vote.ACR, vote.Proven = v.session.authenticated.UTC(), v.who.Proof.ACR, v.who.Proof.Brief()
	revision, err := strconv.ParseUint(form.Revision, 10, 64)
	if err != nil || revision == 0 {
		return again(422, "the form does not say what was looked at: look at it again")
	}
	if err := v.stands(); err != nil { // to check a password may have taken a while
		return err
	}
	if _, err := v.s.core.Decide(v.recorded(), v.who, r.ID, revision, vote); err != nil {
		p := v.notDecided(err)
		return again(p.status, p.text)
	}
	v.s.sessions.change(v.r, func(o *session) { o.draft, o.proved = nil, "" })
	v.s.log.Info("decided", "door", "web", "request", r.ID, "reviewer", v.who.Name, "verdict", verdict)
	return v.redirect("/reviews/" + r.ID)
}

// recorded is a context that does not end when the browser goes: a step is made whole.
func (v *visit) recorded() context.Context { return context.WithoutCancel(v.r.Context()) }

// granted is what the form grants, or where somebody has approved already the same as they have.
func (v *visit) granted(r *gateway.ReviewRequest, form decision) (gateway.ReviewGrant, error) {
	if first := firstGrant(r); first != nil {
		return *first, nil
	}
	return form.grant(r, v.now)
}

// firstGrant is what the first reviewer has granted: those who follow grant the same, or deny.
func firstGrant(r *gateway.ReviewRequest) *gateway.ReviewGrant {
	for i := range r.Votes {
		if r.Votes[i].Verdict == "approve" && !r.Votes[i].Review {
			return &r.Votes[i].Grant
		}
	}
	return nil
}

// prove is the step-up: proved a short time ago, by password or at the provider, or a password given now.
func (v *visit) prove(id string) error {
	if v.session.provider != "" {
		if v.fresh(id) {
			return nil
		}
		return &problem{status: 401, text: "prove at " + v.session.provider + " that it is still you, then approve: nothing was approved"}
	}
	password := v.r.PostForm.Get("password")
	if password == "" {
		if v.fresh(id) {
			return nil
		}
		return &problem{status: 401, text: "give your password to approve"}
	}
	p, err := v.s.check(v.r, v.who.Name, password)
	if err != nil || p.Name != v.who.Name || p.Proof.Method == access.BySecret {
		if pr := asProblem(err); err != nil && pr != nil && pr.status != 403 {
			return pr
		}
		return &problem{status: 401, text: "that is not your password: nothing was approved"}
	}
	v.now = v.s.now()
	v.s.sessions.change(v.r, func(o *session) { o.authenticated = v.now })
	v.session.authenticated = v.now
	return nil
}

// notDecided puts an error of the core's in words for the reviewer. What is none of theirs (a full disk, a log that takes nothing) keeps its
// cause for the operator.
func (v *visit) notDecided(err error) *problem {
	if p := asProblem(err); p.status != http.StatusInternalServerError {
		return p
	}
	if bad := gateway.BadReviewVote(""); errors.As(err, &bad) {
		return &problem{status: http.StatusUnprocessableEntity, text: err.Error()}
	}
	if no := (gateway.RefusedReview{}); errors.As(err, &no) {
		return &problem{status: http.StatusConflict, text: err.Error()}
	}
	v.s.log.Error("step not made", "door", "web", "request", v.r.PathValue("id"), "error", err)
	return &problem{http.StatusInternalServerError, "the gateway could not make this step: nothing was changed", "its operator finds the cause in its log; try again later"}
}

// withdraw ends a request that the visitor sees, if it was asked in their name.
func (v *visit) withdraw(r *gateway.ReviewRequest) (*gateway.ReviewRequest, error) {
	after, err := v.s.core.WithdrawReview(v.recorded(), v.who, r.ID)
	switch {
	case errors.Is(err, gateway.ErrNoReview) && !gateway.Asked(v.who, r):
		return nil, &problem{http.StatusForbidden, "only " + r.Binding.Principal + " can withdraw this request: it was asked in their name", "who may decide about it can deny it"}
	case err != nil:
		return nil, v.notDecided(err)
	}
	return after, nil
}

func (v *visit) cancel() error {
	r, err := v.ask()
	if err != nil {
		return err
	}
	if _, err := v.withdraw(r); err != nil {
		return err
	}
	return v.redirect("/reviews/" + r.ID)
}
