package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"sallyport/audit"
	"sallyport/audit/report"
	"sallyport/internal/config"
)

type reportOptions struct {
	*app
	data, period string
	person       []string
	principal    string
	json, html   bool
	cfg          *config.Config // nil without one
	version      string         // of the policies
}

func newReport(a *app) *cobra.Command {
	o := &reportOptions{app: a}
	kind := func(use, short string, make func(context.Context, report.Options) (report.Report, error)) *cobra.Command {
		cmd := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), time.Now(), make) }}
		f := cmd.Flags()
		f.StringVar(&o.data, "data", "", "data directory (default: the configuration's)")
		f.StringVar(&o.period, "period", "", "FROM..TO, of which one may be empty; a span (2d) or a time (2027-01-31) each")
		f.BoolVar(&o.json, "json", false, "JSON instead of text")
		f.BoolVar(&o.html, "html", false, "a page instead of text, by itself and without script")
		return cmd
	}
	access := kind("access", "Who consulted a person's data, and why (GDPR article 15)", func(ctx context.Context, opt report.Options) (report.Report, error) {
		if len(o.person) == 0 {
			return nil, usagef("--person is missing: an address, a number or a name of the person")
		}
		return report.Access(opt, o.person)
	})
	access.Flags().StringArrayVar(&o.person, "person", nil, "an identifier of the person (repeatable); looked for as a whole word")
	breach := kind("breach", "What a principal has seen and done: tables, columns, rows, masked or not (GDPR article 33)", func(ctx context.Context, opt report.Options) (report.Report, error) {
		if o.principal == "" {
			return nil, usagef("--principal is missing")
		}
		opt.Source = among(ctx, opt.Dir, audit.Filter{Principal: o.principal, Since: opt.From, Until: opt.To})
		return report.Breach(opt, o.principal)
	})
	breach.Flags().StringVar(&o.principal, "principal", "", "whose name or secret was misused")
	return parent("report", "Answer questions of the GDPR from the record",
		"Report reads the record, also beside a running gateway. Each report says what it cannot tell.", access, breach,
		kind("processing", "Draft a record of processing activities from actual use (GDPR article 30)", func(_ context.Context, opt report.Options) (report.Report, error) { return report.Processing(opt) }),
		kind("principles", "Purposes, minimisation and accountability, by actual use (GDPR article 5)", func(_ context.Context, opt report.Options) (report.Report, error) {
			return report.Principles(opt)
		}),
		kind("lawfulness", "What was used on which lawful basis, and what on none (GDPR article 6)", func(_ context.Context, opt report.Options) (report.Report, error) {
			return report.Lawfulness(opt)
		}),
		kind("erasure", "What was erased, by whom and why, and what was kept (GDPR article 17)", func(_ context.Context, opt report.Options) (report.Report, error) {
			return report.Erasures(opt)
		}),
		kind("design", "Which defaults protect data, and whom they reach (GDPR article 25)", func(_ context.Context, opt report.Options) (report.Report, error) { return report.Design(opt) }),
		kind("security", "Which measures are taken, and what shows it (GDPR article 32)", func(_ context.Context, opt report.Options) (report.Report, error) {
			var err error
			if opt.Measures, err = o.measures(opt, time.Now()); err != nil {
				return nil, err
			}
			return report.Security(opt)
		}),
		kind("drift", "List tasks that touched what they do not speak of (GDPR article 5)", func(_ context.Context, opt report.Options) (report.Report, error) { return report.Drift(opt) }))
}

func (o *reportOptions) run(ctx context.Context, now time.Time, make func(context.Context, report.Options) (report.Report, error)) error {
	if o.json && o.html {
		return usagef("--json and --html exclude each other")
	}
	var opt report.Options
	var err error
	if opt.From, opt.To, err = period(o.period, now); err != nil {
		return err
	}
	cfg, err := config.Load(o.config)
	switch {
	case err != nil && o.data == "":
		return fmt.Errorf("%w\n  hint: --data DIR reads a record without a configuration; purposes are then not known", err)
	case err != nil:
		fmt.Fprintf(o.err, "no purposes: %v\n", beside(err, o.data))
	default:
		if o.data == "" {
			o.data = cfg.DataDir
		}
		set, err := loadPolicies(cfg)
		if err != nil {
			return err
		}
		o.cfg, o.version = cfg, set.Version()
		opt.Retention, opt.Defaults = retention(cfg), defaults(cfg)
		opt.Purposes, opt.ByPolicy, opt.PolicyVersion = cfg.Purposes, set.Purposes(), set.Version()
	}
	if opt.Dir, err = logDir(o.data); err != nil {
		return err
	}
	if err := o.unwrap(opt.Dir); err != nil {
		return err
	}
	r, err := make(ctx, opt)
	if err != nil {
		return err
	}
	if o.json {
		return report.JSON(o.out, r)
	}
	if o.html {
		return report.HTML(o.out, r)
	}
	return report.Text(o.out, r)
}
