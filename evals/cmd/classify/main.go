// Command classify measures what `sallyport classify` proposes and records its figures.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"sallyport/evals/classify"
)

func main() {
	dry := flag.Bool("n", false, "print the figures and each miss, record nothing")
	flag.Parse()
	if err := classify.Main(context.Background(), *dry); err != nil {
		fmt.Fprintln(os.Stderr, "classify:", err)
		os.Exit(1)
	}
}
