// Command benign runs everyday SQL of others' corpora through the door and records its figures.
package main

import (
	"context"
	"fmt"
	"os"

	"sallyport/evals/benign"
)

func main() {
	if err := benign.Main(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "benign:", err)
		os.Exit(1)
	}
}
