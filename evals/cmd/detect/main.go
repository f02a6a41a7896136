// Command detect measures the detectors on labelled texts and records the figures.
package main

import (
	"fmt"
	"os"

	"sallyport/evals/detect"
)

func main() {
	if err := detect.Main(); err != nil {
		fmt.Fprintln(os.Stderr, "detect:", err)
		os.Exit(1)
	}
}
