// Command tamper runs the drill with manipulated evidence and records its figures.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"sallyport/evals/tamper"
)

func main() {
	dry := flag.Bool("dry", false, "record nothing")
	flag.Parse()
	if err := tamper.Main(context.Background(), *dry); err != nil {
		fmt.Fprintln(os.Stderr, "tamper:", err)
		os.Exit(1)
	}
}
