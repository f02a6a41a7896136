// Command soak watches the gateway's memory while large results pass.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"sallyport/evals/soak"
)

func main() {
	n := flag.Int("rows", 10_000_000, "rows of the result")
	flag.Parse()
	if err := soak.Main(context.Background(), *n); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}
