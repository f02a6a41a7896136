// Command report makes evals/RESULTS.md from evals/results.json.
package main

import (
	"fmt"
	"os"

	"sallyport/evals/results"
)

func main() {
	if err := results.Report(); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}
