// Command crash kills the gateway at random points and breaks its disk, and records what that cost: nothing.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"sallyport/evals/crash"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == crash.Shim {
		fmt.Fprintln(os.Stderr, "crash:", crash.Exec(os.Args[2:])) // it returns only when it failed
		os.Exit(1)
	}
	var o crash.Options
	flag.IntVar(&o.Kills, "kills", 500, "how often the gateway is killed; 0 leaves that out")
	flag.IntVar(&o.Faults, "faults", 4, "how often at most each kind of fault is injected, each time at a later call; 0 leaves that out")
	flag.Uint64Var(&o.Seed, "seed", 1, "of the points in time")
	flag.StringVar(&o.Dir, "dir", "", "folder on the disk to use (default: evals/out/crash)")
	flag.BoolVar(&o.Dry, "dry", false, "record nothing")
	flag.Parse()
	if err := crash.Main(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		os.Exit(1)
	}
}
