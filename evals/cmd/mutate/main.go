// Command mutate leaves out one case or guard of the guard and the compiler at a time, runs the tests,
// and records how many of these mutants they kill. One that was interrupted goes on where it was.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"

	"sallyport/evals/mutate"
)

func main() {
	var opt mutate.Options
	flag.StringVar(&opt.Only, "only", "", "mutants whose key holds this; records nothing")
	flag.BoolVar(&opt.Slow, "slow", true, "let survivors meet the slow tests, and those of internal/gateway")
	flag.IntVar(&opt.Workers, "j", runtime.NumCPU(), "test binaries that run at once")
	flag.Parse()
	if err := mutate.Main(context.Background(), opt); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}
