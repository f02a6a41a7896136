package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"sallyport/audit"
)

type eraseOptions struct {
	*app
	data, before string
	erasure      audit.Erasure
	by, why      string
	dry          bool
}

func newErase(a *app) *cobra.Command {
	o := &eraseOptions{app: a}
	cmd := &cobra.Command{
		Use:   "erase",
		Short: "Destroy the keys of records, so that nobody can read them any more",
		Long: `Erase picks records by person, session or time (all that are given apply), destroys their keys, and records who
had it done and why. That something was asked, when, and in which session stays; every proof keeps holding.

A person is an identifier (an address, a number) that is looked for in statements, parameters, reasons, errors and
released rows. Records in which somebody else is named too are erased as a whole. The gateway must not run
meanwhile. Backups of the folder log/keys that were made before can still open what was erased: destroy them.`,
		Example: `  sallyport erase --person jane@example.com --by dpo --why "request of 2 May" --dry-run
  sallyport erase --before 2026-01-01 --with-trace --by dpo --why "retention: one year"`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return o.run(time.Now()) },
	}
	f := cmd.Flags()
	f.StringVar(&o.data, "data", "", "data directory (default: the configuration's)")
	f.StringVar(&o.erasure.Person, "person", "", "records that hold this identifier of somebody")
	f.StringVar(&o.erasure.Session, "session", "", "records of this session (the whole id)")
	f.StringVar(&o.before, "before", "", "records before: a span (365d) or a time (2026-01-01)")
	f.BoolVar(&o.erasure.Trace, "with-trace", false, "erase who asked, and under which policy, too")
	f.StringVar(&o.by, "by", "", "who has it done")
	f.StringVar(&o.why, "why", "", "why; it stays in the record, so it must not name the person")
	f.BoolVar(&o.dry, "dry-run", false, "say what would be erased, and change nothing")
	return cmd
}

func (o *eraseOptions) run(now time.Time) error {
	if !o.dry && (o.by == "" || o.why == "") {
		return usagef("--by and --why are needed: they go into the record")
	}
	var err error
	if o.erasure.Before, err = moment("--before", o.before, now); err != nil {
		return err
	}
	dir, err := o.recordDir(o.data)
	if err != nil {
		return err
	}
	log, err := audit.Open(dir, audit.Options{})
	if err != nil {
		return err
	}
	out, err := log.Erase(o.erasure, o.by, o.why, o.dry)
	if closed := log.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	verb := "erased"
	if o.dry {
		verb = "would be erased"
	}
	if !o.dry {
		if err := forget(context.Background(), dir); err != nil {
			return fmt.Errorf("the records are erased, but not from the index, which holds hashes of their words: %w\n  hint: delete the folder %s; it is made anew", err, indexDir(filepath.Dir(dir)))
		}
	}
	fmt.Fprintf(o.out, "%d records of %d sessions %s; %d that match were erased before\n", out.Records, len(out.Sessions), verb, out.Gone)
	return nil
}
