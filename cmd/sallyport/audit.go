package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"sallyport/audit"
)

type auditOptions struct {
	*app
	data string
	n    int
	seed string
	json bool
}

func newAudit(a *app) *cobra.Command {
	o := &auditOptions{app: a}
	cmd := parent("audit", "Say what is signed of the record, and draw a sample of it", "")
	cmd.PersistentFlags().StringVar(&o.data, "data", "", "data directory (default: the configuration's)")
	status := &cobra.Command{
		Use:   "status",
		Short: "Say how much of the record is signed, witnessed and timestamped, and by whom",
		Long: `Status reads the newest checkpoint and what others have said of it, not the records: sallyport verify checks them all. Whom to
trust is in the configuration; with --data alone it is what the gateway has kept beside the record.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return o.status(time.Now()) },
	}
	status.Flags().BoolVar(&o.json, "json", false, "as one JSON object")
	sample := &cobra.Command{
		Use:   "sample",
		Short: "Draw sessions by chance from all that have ended, with proofs",
		Long: `Sample draws from the sessions whose close records the newest checkpoint signs. Which ones is decided by the
seed, so that who audits names it: the first eight bytes of SHA-256(seed, line break, counter), as a big-endian number,
modulo the number of sessions; what was drawn before is passed over.

With --json each session comes with the head of its close record and the RFC 6962 proof that it is in the tree.`,
		Example: `  sallyport audit sample --seed "$(openssl rand -hex 16)" -n 25
  sallyport audit sample --seed q3-2027 --json | jq -r .session`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return o.sample() },
	}
	sample.Flags().IntVarP(&o.n, "number", "n", 25, "how many sessions")
	sample.Flags().StringVar(&o.seed, "seed", "", "what decides which ones")
	sample.Flags().BoolVar(&o.json, "json", false, "one session a line, with its proof")
	rotate := &cobra.Command{
		Use:   "rotate-key",
		Short: "Replace the key that signs the record",
		Long: `Rotate-key has the signing key introduce a new one, which signs from then on, and be destroyed. Whoever trusts the first key
(checkpoint.pub) follows from there; give the new one to the operators of your witnesses. A gateway that runs does it with
its next checkpoint, within ten seconds, and is not restarted.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.rotate(cmd.Context()) },
	}
	cmd.AddCommand(status, sample, rotate, o.rewrap())
	return cmd
}

func (o *auditOptions) prover() (*audit.Prover, error) {
	dir, err := o.recordDir(o.data)
	if err != nil {
		return nil, err
	}
	return audit.OpenProver(dir)
}

// rotateWait is how long a gateway that runs has for it: it looks every ten seconds.
const rotateWait = 30 * time.Second

func (o *auditOptions) rotate(ctx context.Context) error {
	dir, err := o.recordDir(o.data)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, rotateWait)
	defer cancel()
	keys, err := audit.RotateKey(ctx, dir)
	if errors.Is(err, audit.ErrPending) {
		return fmt.Errorf("%w: the gateway that holds %s takes it up with its next checkpoint, or at its next start; its log says why it cannot", err, dir)
	}
	if err != nil {
		return err
	}
	k := keys.Current()
	fmt.Fprintf(o.out, "%s\n", k.Public)
	fmt.Fprintf(o.err, "signs from record %d on; give it to the operators of your witnesses, who add it to their list beside the old one\n", k.From+1)
	return nil
}

func (o *auditOptions) sample() error {
	switch {
	case o.seed == "":
		return usagef("--seed is needed: it decides which sessions are drawn, and whoever audits names it")
	case o.n < 1:
		return usagef("-n is at least 1")
	}
	p, err := o.prover()
	if err != nil {
		return err
	}
	defer p.Close()
	all, list, err := p.Sample(o.n, o.seed)
	if err != nil {
		return err
	}
	for _, s := range list {
		if o.json {
			b, err := json.Marshal(s)
			if err != nil {
				return err
			}
			fmt.Fprintln(o.out, string(b))
			continue
		}
		fmt.Fprintf(o.out, "%8d  %s  %s  %4d records, closed by record %d\n", s.Index, s.Time.Format(time.RFC3339), s.Session, s.Records, s.Position)
	}
	fmt.Fprintf(o.err, "%d of %d sessions that have ended; tree %s\n", len(list), all.N, all.Hash)
	return nil
}
