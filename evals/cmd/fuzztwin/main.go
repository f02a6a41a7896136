// Command fuzztwin runs random statements on the twins: for a time, or so many. A failing statement is made small
// and kept as a test. The same seed and number give the same statements.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"sallyport/evals/fuzztwin"
	"sallyport/evals/twin"
)

func main() {
	names := make([]string, len(fuzztwin.Kinds))
	for i, k := range fuzztwin.Kinds {
		names[i] = string(k)
	}
	opt := fuzztwin.Options{}
	flag.IntVar(&opt.N, "n", 0, "statements; 0 for as many as there is time for")
	flag.DurationVar(&opt.For, "time", 0, "how long; 0 for as long as it takes")
	flag.Int64Var(&opt.Seed, "seed", time.Now().Unix(), "seed of the statements")
	flag.IntVar(&opt.Workers, "workers", 3, "statements at the same time")
	flag.BoolVar(&opt.Record, "record", false, "record the figures")
	kinds := flag.String("kinds", strings.Join(names, ","), "kinds of principal")
	flag.Parse()
	for k := range strings.SplitSeq(*kinds, ",") {
		opt.Kinds = append(opt.Kinds, twin.Kind(k))
	}
	if opt.N == 0 && opt.For == 0 {
		opt.For = time.Minute
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := fuzztwin.Main(ctx, opt); err != nil {
		fmt.Fprintln(os.Stderr, "fuzztwin:", err)
		os.Exit(1)
	}
}
