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
	quick := flag.Bool("quick", false, "two short rounds; records nothing")
	reads := flag.Bool("reads", false, "three rounds of the large reads; records nothing")
	flag.Parse()
	if err := bench.Main(context.Background(), *quick, *reads); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
