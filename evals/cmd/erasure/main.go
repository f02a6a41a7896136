// Command erasure erases one of several people and looks for what is left; it records the figures.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"sallyport/evals/erasure"
)

func main() {
	dry := flag.Bool("dry", false, "record nothing")
	flag.Parse()
	if err := erasure.Main(context.Background(), *dry); err != nil {
		fmt.Fprintln(os.Stderr, "erasure:", err)
		os.Exit(1)
	}
}
