// Command bench measures direct connections, pgbouncer and sallyport side by side.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"sallyport/evals/bench"
)

func main() {
	var o bench.Options
	flag.BoolVar(&o.Quick, "quick", false, "two short rounds; records nothing")
	flag.BoolVar(&o.ReadsOnly, "reads", false, "three rounds of the large reads; records nothing")
	flag.IntVar(&o.Rounds, "rounds", 0, "how many rounds, of two minutes each (7)")
	flag.Parse()
	if err := bench.Main(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
