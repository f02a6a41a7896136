// Command sqlsmith runs fuzzed statements on the twins and records its figures.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"sallyport/evals/sqlsmith"
)

func main() {
	n := flag.Int("n", 2000, "statements")
	seed := flag.Int64("seed", 20261123, "seed of the generator")
	flag.Parse()
	if err := sqlsmith.Main(context.Background(), *n, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "sqlsmith:", err)
		os.Exit(1)
	}
}
