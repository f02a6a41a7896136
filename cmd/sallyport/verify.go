package main

import (
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"sallyport/audit/cosignature"
	"sallyport/audit/timestamp"
	"sallyport/audit/verify"
	"sallyport/audit/vouch"
	"sallyport/internal/config"
)

func newVerify(a *app) *cobra.Command {
	var key, kept, witnesses, ca, data string
	cmd := &cobra.Command{
		Use:   "verify [BUNDLE | CERTIFICATE | DIR]",
		Short: "Say what a bundle of evidence, a certificate or a log proves and what it does not",
		Long: `Verify checks a zip of "sallyport evidence", a certificate of "sallyport erase", or the log in a data directory (default: the configuration's), offline
and without the keys of records: that it is what was signed, that of every session every record is there, and what witnesses
and time-stamping authorities have said of it. It says in sentences what is proven then and what is not. An auditor runs
the same as the small program sallyport-verify, which leaves timestamps to openssl.`,
		Example: `  sallyport verify evidence.zip --key checkpoint.pub --witnesses witnesses.policy --timestamp-ca tsa.pem
  sallyport verify /var/lib/sallyport`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			t := verify.Trust{Key: key, KeptFile: kept}
			var path string
			var roots *x509.CertPool
			switch {
			case len(args) == 1 && data != "":
				return usagef("%q and --data name two things to verify: give one", printable(args[0]))
			case len(args) == 1:
				path = args[0]
			case data != "":
				path = data
			default:
				cfg, err := config.LoadOffline(a.config)
				if err != nil {
					return err
				}
				path = cfg.DataDir
				if t.Witnesses, roots, err = a.outside(""); err != nil {
					return err
				}
			}
			var err error
			if witnesses != "" {
				if t.Witnesses, err = readPolicy(witnesses); err != nil {
					return err
				}
			}
			if ca != "" {
				if _, roots, err = stampRoots(ca); err != nil {
					return err
				}
			}
			if roots != nil {
				t.Stamp = func(token, data []byte) (time.Time, string, error) {
					s, err := timestamp.Verify(token, data, roots)
					return s.Time, s.Authority, err
				}
			}
			report, err := t.Path(path)
			if err != nil {
				return err
			}
			report.Print(a.out)
			if report.Log != "" { // for `audit status` and the page about the record
				v := vouch.Verification{Time: time.Now().UTC().Truncate(time.Second), Size: report.Size, Root: report.Root, Problems: len(report.Problems)}
				if err := vouch.KeepVerification(report.Log, v); err != nil {
					fmt.Fprintf(a.err, "that it was verified is not kept: %v\n", err)
				}
			}
			if !report.Good() {
				return errReported
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "data directory with the log to verify, as DIR")
	f.StringVar(&key, "key", "", "public key that must have signed, or a file with it (checkpoint.pub)")
	f.StringVar(&kept, "checkpoint", "", "file with a signed checkpoint of the log that was kept elsewhere: the log must go on from it")
	f.StringVar(&witnesses, "witnesses", "", "file with the witnesses that count (C2SP tlog-policy; default: the configuration's, or those that the evidence names)")
	f.StringVar(&ca, "timestamp-ca", "", "PEM file with the certificates that timestamps must lead to (default: the configuration's)")
	return cmd
}

func readPolicy(file string) (*cosignature.Policy, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	p, err := cosignature.ParsePolicy(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &p, nil
}
