// Command bundle measures how long evidence of a long session takes to make and to verify, and records the figures.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"sallyport/evals/bundle"
)

func main() {
	dry := flag.Bool("dry", false, "record nothing")
	flag.Parse()
	if err := bundle.Main(context.Background(), *dry); err != nil {
		fmt.Fprintln(os.Stderr, "bundle:", err)
		os.Exit(1)
	}
}
