// Command planning measures what statements cost before they are sent, and records the figures.
package main

import (
	"context"
	"fmt"
	"os"

	"sallyport/evals/planning"
)

func main() {
	if err := planning.Main(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "planning:", err)
		os.Exit(1)
	}
}
