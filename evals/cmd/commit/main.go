// Command commit measures what a durable record costs, beside bbolt and SQLite, and records the figures.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"sallyport/evals/commit"
)

func main() {
	var o commit.Options
	flag.StringVar(&o.Dir, "dir", "", "folder on the disk to measure (default: evals/out/commit)")
	flag.DurationVar(&o.Time, "time", 1500*time.Millisecond, "how long each store is measured with each number of callers, in each round")
	flag.IntVar(&o.Rounds, "rounds", 7, "rounds")
	flag.BoolVar(&o.Dry, "dry", false, "record nothing")
	flag.Parse()
	if err := commit.Main(o); err != nil {
		fmt.Fprintln(os.Stderr, "commit:", err)
		os.Exit(1)
	}
}
