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
	json         bool
}

func newReport(a *app) *cobra.Command {
	o := &reportOptions{app: a}
	kind := func(use, short string, make func(context.Context, report.Options) (report.Report, error)) *cobra.Command {
		cmd := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), time.Now(), make) }}
		f := cmd.Flags()
		f.StringVar(&o.data, "data", "", "data directory (default: the configuration's)")
		f.StringVar(&o.period, "period", "", "FROM..TO, of which one may be empty; a span (2d) or a time (2027-01-31) each")
		f.BoolVar(&o.json, "json", false, "JSON instead of text")
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
		kind("processing", "Draft a record of processing activities from actual use (GDPR article 30)", func(ctx context.Context, opt report.Options) (report.Report, error) { return report.Processing(opt) }),
		kind("drift", "List tasks that touched what they do not speak of (GDPR article 5)", func(ctx context.Context, opt report.Options) (report.Report, error) { return report.Drift(opt) }))
}

func (o *reportOptions) run(ctx context.Context, now time.Time, make func(context.Context, report.Options) (report.Report, error)) error {
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
		fmt.Fprintf(o.err, "no purposes: %v\n", err)
	default:
		if o.data == "" {
			o.data = cfg.DataDir
		}
		set, err := loadPolicies(cfg)
		if err != nil {
			return err
		}
		opt.Purposes, opt.ByPolicy, opt.PolicyVersion = cfg.Purposes, set.Purposes(), set.Version()
	}
	if opt.Dir, err = logDir(o.data); err != nil {
		return err
	}
	r, err := make(ctx, opt)
	if err != nil {
		return err
	}
	if o.json {
		return report.JSON(o.out, r)
	}
	return report.Text(o.out, r)
}
