package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sallyport/audit"
	"sallyport/audit/evidence"
	"sallyport/audit/office"
)

type eraseOptions struct {
	officerOptions
	trace, dry, propose, pending, due bool
	confirm, certificate              string
}

func newErase(a *app) *cobra.Command {
	o := &eraseOptions{officerOptions: officerOptions{app: a}}
	cmd := &cobra.Command{
		Use:   "erase",
		Short: "Destroy the keys of records, so that nobody can read them any more",
		Long: `Erase picks records by person, session, task or time (all that are given apply), destroys their keys, and records who
had it done and why. That something was asked, when, and in which session stays; every proof keeps holding. Records under
a hold stay. Bundles of evidence and replays in the data directory that show what is erased are destroyed too.

A person is an identifier (an address, a number) that is looked for in statements, parameters, reasons, errors and
released rows. Records in which somebody else is named too are erased as a whole. Where the detectors took the identifier
out before it was recorded, the record stays, and the key is destroyed by which it was found. Backups of the folder log/keys that
were made before can still open what was erased: destroy them.

With audit.erasure.dual_control one proposes an erasure and another confirms it within a day. What is erased then are
the records that were proposed; those that came since are counted, and stay.

` + credentials,
		Example: `  sallyport erase --person jane@example.com --by dpo --why "request of 2 May" --certificate erasure.json
  sallyport erase --person jane@example.com --by ada --why "request of 2 May" --propose
  sallyport erase --confirm e_57f5c423fa68bd1e --by bob --certificate erasure.json
  sallyport erase --before 2026-01-01 --with-trace --by dpo --why "retention: one year"
  sallyport erase --due`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return o.run() },
	}
	o.flags(cmd, true)
	f := cmd.Flags()
	f.BoolVar(&o.trace, "with-trace", false, "erase who asked, and under which policy, too")
	f.BoolVar(&o.dry, "dry-run", false, "say what would be erased, and change nothing")
	f.BoolVar(&o.propose, "propose", false, "ask for an erasure that somebody else has to confirm")
	f.StringVar(&o.confirm, "confirm", "", "carry out the proposal with this id")
	f.BoolVar(&o.pending, "pending", false, "list the proposals that can be confirmed")
	f.BoolVar(&o.due, "due", false, "erase what audit.retention says is due")
	f.StringVar(&o.certificate, "certificate", "", "file to write a certificate to, for whoever asked; it must not exist")
	return cmd
}

func (o *eraseOptions) run() error {
	if o.pending {
		return o.list()
	}
	in := office.Order{Kind: office.Erase, Trace: o.trace, Dry: o.dry}
	switch {
	case o.propose && o.confirm != "", o.due && (o.propose || o.confirm != ""):
		return usagef("--propose, --confirm and --due exclude each other")
	case (o.propose || o.due || o.dry) && o.certificate != "":
		return usagef("--certificate is for one erasure that is carried out")
	case o.due:
		in.Kind = office.Due
	case o.confirm != "":
		in.Kind, in.ID = office.Confirm, o.confirm
	case o.propose:
		in.Kind = office.Propose
	}
	if !o.dry && !o.due && o.why == "" && o.confirm == "" {
		return usagef("--by and --why are needed: they go into the record")
	}
	if o.certificate != "" { // before anything is destroyed
		if _, err := os.Stat(o.certificate); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is there already, or cannot be looked at: nothing was erased", o.certificate)
		}
	}
	a, err := o.give(in)
	if err != nil {
		return err
	}
	o.say(in.Kind, a)
	if !o.dry && in.Kind != office.Propose {
		if err := o.forget(); err != nil {
			return err
		}
	}
	if len(a.Certificate) == 0 || o.certificate == "" {
		return nil
	}
	f, err := os.OpenFile(o.certificate, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = f.Write(a.Certificate)
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err != nil {
		return fmt.Errorf("the records are erased, and the certificate could not be written: %w", plain(err))
	}
	fmt.Fprintf(o.err, "certificate in %s; out of reach were:\n", o.certificate)
	for _, what := range evidence.OutOfReach {
		fmt.Fprintln(o.err, "  "+what)
	}
	return nil
}

// forget takes what was erased out of the index as well.
func (o *eraseOptions) forget() error {
	dir, err := o.recordDir(o.data)
	if err != nil {
		return err
	}
	if err := forget(context.Background(), dir); err != nil {
		return fmt.Errorf("the records are erased, but not from the index, which holds hashes of their words: %w\n  hint: delete the folder %s; it is made anew", err, indexDir(filepath.Dir(dir)))
	}
	return nil
}

// say tells what came of an order.
func (o *eraseOptions) say(kind office.Kind, a *office.Answer) {
	if p := a.Proposal; p != nil && kind == office.Confirm {
		fmt.Fprintf(o.err, "proposed by %s at %s: %s, because %q\n", printable(p.By), p.Made.Format(time.RFC3339), scopeText(p.Scope), printable(p.Why))
	}
	verb, finds := "erased", "finds"
	if o.dry || kind == office.Propose {
		verb, finds = "would be erased", "would find"
	}
	if len(a.Erased) == 0 {
		fmt.Fprintln(o.out, "nothing is due")
	}
	for _, e := range a.Erased {
		fmt.Fprintf(o.out, "%d records of %d sessions %s; %d that match were erased before\n", e.Records, e.Sessions, verb, e.Gone)
		switch {
		case e.Untag:
			fmt.Fprintf(o.out, "%d records stay, from which the identifier was taken out before: by it nobody %s them any more\n", e.Tagged, finds)
		case e.Tagged > 0:
			fmt.Fprintf(o.out, "%d records stay, from which the identifier was taken out before, and are still found by it: that ends with an erasure of the person alone, when no hold keeps one of them\n", e.Tagged)
		}
		for _, h := range e.Held {
			fmt.Fprintf(o.out, "%d records that match stay, under hold %s\n", h.Records, h.Hold)
		}
		if e.Missed > 0 {
			fmt.Fprintf(o.out, "%d records that were proposed had been erased meanwhile, or are held\n", e.Missed)
		}
		if e.More > 0 {
			fmt.Fprintf(o.out, "%d records that match were not proposed, and stay: propose an erasure of them\n", e.More)
		}
		if e.ID != "" {
			fmt.Fprintf(o.err, "erasure %s, record %d\n", e.ID, e.Position)
		}
	}
	for _, path := range a.Copies {
		fmt.Fprintf(o.err, "destroyed %s, which showed what was erased\n", printable(path))
	}
	if p := a.Proposal; p != nil && kind == office.Propose {
		fmt.Fprintf(o.err, "somebody else can confirm it until %s:\n", p.Expires.Format(time.RFC3339))
		fmt.Fprintln(o.out, p.ID)
	}
}

func (o *eraseOptions) list() error {
	dir, err := o.recordDir(o.data)
	if err != nil {
		return err
	}
	all, err := audit.Proposals(dir, time.Now())
	if err != nil {
		return err
	}
	if len(all) == 0 {
		fmt.Fprintln(o.err, "no proposals")
		return nil
	}
	w := tabwriter.NewWriter(o.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "PROPOSAL\tUNTIL\tBY\tRECORDS\tOF\tWHY")
	for _, p := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\n", p.ID, p.Expires.Format(time.RFC3339), printable(p.By), p.Records, scopeText(p.Scope), printable(p.Why))
	}
	return w.Flush()
}
