// Command sallyport-verify checks evidence that a gateway has made, offline, without trusting the gateway: the directory of
// its log, a bundle, or the certificate of an erasure. It is built from the standard library, golang.org/x/mod and the verifier alone.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"sallyport/audit/cosignature"
	"sallyport/audit/verify"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run gives the exit code: 0 for good evidence, 1 for a problem, 2 for a wrong call.
func run(args []string, out, errw io.Writer) int {
	f := flag.NewFlagSet("sallyport-verify", flag.ContinueOnError)
	f.SetOutput(errw)
	key := f.String("key", "", "public key that must have signed, or a file with it (checkpoint.pub)")
	witnesses := f.String("witnesses", "", "file with the witnesses that count (C2SP tlog-policy); without it those that the evidence names")
	kept := f.String("checkpoint", "", "file with a signed checkpoint of the log that was kept elsewhere: the log must go on from it")
	f.Usage = func() {
		fmt.Fprintln(errw, "usage: sallyport-verify [-key KEY] [-checkpoint FILE] [-witnesses POLICY] BUNDLE.zip | CERTIFICATE.json | DATA/log")
		f.PrintDefaults()
	}
	if err := f.Parse(args); err != nil {
		return 2
	}
	if f.NArg() != 1 {
		f.Usage()
		return 2
	}
	trust := verify.Trust{Key: *key, KeptFile: *kept}
	if *witnesses != "" {
		text, err := os.ReadFile(*witnesses)
		if err == nil {
			trust.Witnesses = new(cosignature.Policy)
			*trust.Witnesses, err = cosignature.ParsePolicy(text)
		}
		if err != nil {
			fmt.Fprintln(errw, "sallyport-verify: the witnesses:", strings.ToValidUTF8(err.Error(), "\ufffd"))
			return 2
		}
	}
	report, err := trust.Path(f.Arg(0))
	if err != nil {
		fmt.Fprintln(errw, "sallyport-verify:", strings.ToValidUTF8(err.Error(), "\ufffd"))
		return 1
	}
	report.Print(out)
	if !report.Good() {
		return 1
	}
	return 0
}
