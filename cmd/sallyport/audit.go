package main

import (
	"encoding/json"
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
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Say what is signed of the record, and draw a sample of it",
		Args:  cobra.NoArgs,
	}
	cmd.PersistentFlags().StringVar(&o.data, "data", "", "data directory (default: the configuration's)")
	status := &cobra.Command{
		Use:   "status",
		Short: "Say what the newest signed checkpoint covers, and by which key",
		Long:  "Status reads the checkpoint, not the records: `sallyport trace --check` verifies them all.",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return o.status() },
	}
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
	cmd.AddCommand(status, sample)
	return cmd
}

func (o *auditOptions) prover() (*audit.Prover, error) {
	dir, err := o.recordDir(o.data)
	if err != nil {
		return nil, err
	}
	return audit.OpenProver(dir)
}

func (o *auditOptions) status() error {
	p, err := o.prover()
	if err != nil {
		return err
	}
	defer p.Close()
	c, _ := p.Checkpoint()
	closed, err := audit.Closed(c)
	if err != nil {
		return err
	}
	fmt.Fprintf(o.out, "log               %s\nsigned            records 1 to %d, root %s\nclosed sessions   %d, root %s\nkey               %s\n",
		c.Origin, c.Tree.N, c.Tree.Hash, closed.N, closed.Hash, p.Keys().Current().Public)
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
