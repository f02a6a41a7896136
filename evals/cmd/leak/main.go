// Command leak runs the leak benchmark and records its figures.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"

	"sallyport/evals/leak"
)

func main() {
	var opt leak.Options
	flag.StringVar(&opt.Part, "part", "", "run one part: "+strings.Join(leak.Parts, ", "))
	flag.StringVar(&opt.Only, "only", "", "statements whose name holds this; records nothing")
	flag.BoolVar(&opt.Listing, "v", false, "print each leak as it is found")
	flag.Parse()
	if err := leak.Main(context.Background(), opt); err != nil {
		fmt.Fprintln(os.Stderr, "leak:", err)
		os.Exit(1)
	}
}
