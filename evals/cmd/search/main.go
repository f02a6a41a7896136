// Command search measures searches of the record over an index of 10 million records, and records the figures.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"sallyport/evals/search"
)

func main() {
	o := search.Options{}
	flag.IntVar(&o.Records, "n", 10_000_000, "records in the index")
	flag.IntVar(&o.Queries, "queries", 400, "of each kind")
	flag.StringVar(&o.Dir, "dir", "", "folder for the index, some 600 MB (default: a temporary one)")
	flag.Parse()
	if err := search.Main(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "search:", err)
		os.Exit(1)
	}
}
