// Command regress runs PostgreSQL's regression suite directly and through the PostgreSQL door.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"sallyport/evals/regress"
)

func main() {
	direct := flag.Bool("direct", false, "only the direct run")
	flag.Parse()
	if err := regress.Main(context.Background(), *direct); err != nil {
		fmt.Fprintln(os.Stderr, "regress:", err)
		os.Exit(1)
	}
}
