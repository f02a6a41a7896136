package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/audit"
	"sallyport/internal/access"
	"sallyport/internal/gateway"
	"sallyport/internal/web"
)

type reviewDecideOptions struct {
	*reviewOptions
	justification, purpose string
	mode, until            string
	uses                   int
	ranges                 []string
	relations, columns     []string
	yes                    bool
}

func newReviewApprove(r *reviewOptions) *cobra.Command {
	o := &reviewDecideOptions{reviewOptions: r}
	cmd := &cobra.Command{
		Use:   "approve ID",
		Short: "Approve a request as it is shown",
		Long: `Approve shows the request and asks for a yes. What is sent names the revision that was shown: a request that has
changed meanwhile is not approved. Without --mode it is approved for one time, or to the extent that the reviewer before you has.

Modes: once (this statement); form (statements of the same text with other values, --uses and --until, and --range for each
value that may differ); window (any statement of this class on the same relations, --until); reveal (columns unmasked, --until).
Ranges: N=any, N=LEAST..MOST for numbers, or N=in:VALUE, which may be given again; N is the number that show has.`,
		Example: `  sallyport review approve 20261126090000001122 --justification "checked ticket SUP-1"
  sallyport review approve 20261126090000001122 --justification "nightly clean-up" --mode form --uses 20 --until 2h --range 1=1..500`,
		Args: oneRequest,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.decide(cmd.Context(), args[0], "approve", time.Now())
		},
	}
	o.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.purpose, "purpose", "", "one of `purposes` of the gateway's configuration")
	f.StringVar(&o.mode, "mode", "", "once, form, window or reveal")
	f.IntVar(&o.uses, "uses", 0, "of mode form: how often")
	f.StringVar(&o.until, "until", "", "of the other modes than once: how long (2h) or until when (RFC 3339)")
	f.StringArrayVar(&o.ranges, "range", nil, "of mode form: what a value may be")
	f.StringArrayVar(&o.relations, "relation", nil, "of mode window: what of Touches it is for (default: all)")
	f.StringArrayVar(&o.columns, "column", nil, "of mode reveal: which column (default: all that were asked for)")
	return cmd
}

func newReviewDeny(r *reviewOptions) *cobra.Command {
	o := &reviewDecideOptions{reviewOptions: r}
	cmd := &cobra.Command{
		Use:   "deny ID",
		Short: "Deny a request; who asked reads the justification",
		Args:  oneRequest,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.decide(cmd.Context(), args[0], "deny", time.Now())
		},
	}
	o.flags(cmd)
	return cmd
}

func (o *reviewDecideOptions) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.justification, "justification", "", "why; it is recorded, and who asked reads it (required)")
	cmd.Flags().BoolVar(&o.yes, "yes", false, "do not ask for a yes")
}

func (o *reviewDecideOptions) decide(ctx context.Context, id, verdict string, now time.Time) error {
	if strings.TrimSpace(o.justification) == "" {
		return usagef("a decision is justified: give --justification")
	}
	var tty *os.File
	if !o.yes {
		var ok bool
		if tty, ok = o.terminal(); !ok {
			return usagef("nobody can be asked whether that is meant: give --yes")
		}
	}
	c, err := o.client()
	if err != nil {
		return err
	}
	r, _, err := c.find(ctx, id)
	if err != nil {
		return err
	}
	in := web.Verdict{Revision: r.Revision, Justification: o.justification, Purpose: o.purpose}
	if verdict == "approve" {
		if in.Grant, err = o.grant(r, now); err != nil {
			return err
		}
	}
	if tty != nil {
		printReview(o.err, r, now)
		fmt.Fprintln(o.err)
		if verdict == "approve" {
			fmt.Fprintln(o.err, "You approve "+audit.Clean(o.extent(r, in.Grant))+".")
		}
		yes, err := o.confirm(tty, fmt.Sprintf("Do you %s this?", verdict))
		if err != nil {
			return err
		}
		if !yes {
			return &access.Error{Kind: access.Denied, Message: "nothing was sent: that was no yes"}
		}
	}
	return o.post(ctx, c, r.ID, verdict, in)
}

// extent says what is approved.
func (o *reviewDecideOptions) extent(r *web.Review, g *gateway.ReviewGrant) string {
	switch {
	case r.Glass != nil:
		return "that the glass was broken"
	case g != nil:
		return grantText(g)
	}
	for _, v := range r.Votes {
		if v.Verdict == "approve" {
			return grantText(&v.Grant)
		}
	}
	return "this statement, once"
}

// grant is what the flags grant; nil where they say nothing.
func (o *reviewDecideOptions) grant(r *web.Review, now time.Time) (*gateway.ReviewGrant, error) {
	g := &gateway.ReviewGrant{Mode: gateway.ReviewMode(o.mode), Uses: o.uses}
	given := map[string]bool{"--uses": o.uses != 0, "--until": o.until != "", "--range": len(o.ranges) > 0, "--relation": len(o.relations) > 0, "--column": len(o.columns) > 0}
	takes := map[string][]string{"": nil, "once": nil, "form": {"--uses", "--until", "--range"}, "window": {"--until", "--relation"}, "reveal": {"--until", "--column"}}
	allowed, known := takes[o.mode]
	if !known {
		return nil, usagef("--mode is once, form, window or reveal, not %q", printable(o.mode))
	}
	for _, flag := range allowed {
		delete(given, flag)
	}
	for flag, is := range given {
		if is {
			return nil, usagef("%s means nothing with mode %q", flag, o.mode)
		}
	}
	var err error
	if g.Until, err = reviewUntil(o.until, now); err != nil {
		return nil, err
	}
	switch o.mode {
	case "":
		return nil, nil
	case "form":
		g.Ranges, err = reviewRanges(o.ranges, r.Values())
	case "window":
		g.Classes, g.Relations = []access.Class{r.Subject.Class}, o.relations
		if len(o.relations) == 0 {
			g.Relations = r.Subject.Relations
		}
	case "reveal":
		if g.Columns = o.columns; len(o.columns) == 0 {
			g.Columns = r.Subject.Columns
		}
	}
	return g, err
}

func reviewUntil(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil {
		return now.Add(d).UTC().Truncate(time.Second), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, usagef("--until is a span (2h) or a time (2027-01-31T12:00:00Z), not %q", printable(s))
	}
	return t.UTC(), nil
}

// reviewRanges reads --range; a value of which nothing is said stays as it is. None means that all do.
func reviewRanges(specs []string, values []gateway.ReviewValue) ([]gateway.ReviewRange, error) {
	if len(specs) == 0 {
		return nil, nil
	}
	out := make([]gateway.ReviewRange, len(values))
	for _, spec := range specs {
		number, what, ok := strings.Cut(spec, "=")
		n, err := strconv.Atoi(number)
		if !ok || err != nil || n < 1 || n > len(values) {
			return nil, usagef("--range is N=any, N=LEAST..MOST, N=in:VALUE or N=null, N from 1 to %d, not %q", len(values), printable(spec))
		}
		r := &out[n-1]
		value, in := strings.CutPrefix(what, "in:")
		least, most, numbers := strings.Cut(what, "..")
		switch {
		case what == "null": // beside another
			r.Null = true
		case in:
			r.In = append(r.In, value)
		case r.Any || r.Least+r.Most != "":
			return nil, usagef("two ranges are given for value %d", n)
		case what == "any":
			r.Any = true
		case numbers && least+most != "":
			r.Least, r.Most = least, most
		default:
			return nil, usagef("%q is no range: any, LEAST..MOST, in:VALUE or null", printable(what))
		}
	}
	for i := range out {
		r := &out[i]
		if len(r.In) > 0 && (r.Any || r.Least+r.Most != "") {
			return nil, usagef("two ranges are given for value %d", i+1)
		}
		if !r.Any && !r.Null && r.Least+r.Most == "" && len(r.In) == 0 {
			*r = values[i].As()
		}
	}
	return out, nil
}
