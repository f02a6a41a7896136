package main

import (
	"github.com/spf13/cobra"

	"sallyport/audit/verify"
	"sallyport/internal/config"
)

func newVerify(a *app) *cobra.Command {
	var key, kept string
	cmd := &cobra.Command{
		Use:   "verify [BUNDLE | DIR]",
		Short: "Say what a bundle of evidence, or a log, proves and what it does not",
		Long: `Verify checks a zip of "sallyport evidence", or the log in a data directory (default: the configuration's), offline
and without the keys of records: that it is what was signed, and that of every session every record is there. It says in
sentences what is proven then and what is not. An auditor runs the same as the small program sallyport-verify.`,
		Example: `  sallyport verify evidence.zip --key checkpoint.pub
  sallyport verify /var/lib/sallyport`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			var path string
			if len(args) == 1 {
				path = args[0]
			} else {
				cfg, err := config.LoadOffline(a.config)
				if err != nil {
					return err
				}
				path = cfg.DataDir
			}
			report, err := verify.Path(path, key, kept)
			if err != nil {
				return err
			}
			report.Print(a.out)
			if !report.Good() {
				return errReported
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "public key that must have signed, or a file with it (checkpoint.pub)")
	cmd.Flags().StringVar(&kept, "checkpoint", "", "file with a signed checkpoint of the log that was kept elsewhere: the log must go on from it")
	return cmd
}
