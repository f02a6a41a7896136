// Command identity attacks the proof of who is asking at every door, and measures how that proof ends; it records the figures.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"sallyport/evals/identity"
)

func main() {
	o := identity.Full
	quick := flag.Bool("quick", false, "one or two attacks of each kind and a little of the rest; records nothing")
	flag.StringVar(&o.Attacks, "attacks", o.Attacks, "regular expression of the attacks, as way/attack; \"\" leaves them out")
	flag.IntVar(&o.Flood, "flood", o.Flood, "tokens with unknown key ids; 0 leaves them out")
	flag.DurationVar(&o.Over, "over", o.Over, "time over which they come, at least")
	flag.IntVar(&o.Sessions, "sessions", o.Sessions, "live sessions whose proofs are withdrawn; 0 leaves that out")
	flag.BoolVar(&o.Withdraw, "withdraw", o.Withdraw, "have the provider withdraw a key")
	flag.BoolVar(&o.Login, "login", o.Login, "time the first log-in of a person")
	flag.DurationVar(&o.Fuzz, "fuzz", 0, "fuzz each decoder for so long, and do nothing else")
	flag.BoolVar(&o.Dry, "dry", false, "record nothing")
	flag.Parse()
	if *quick {
		o = identity.Quick
	}
	if err := identity.Main(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "identity:", err)
		os.Exit(1)
	}
}
