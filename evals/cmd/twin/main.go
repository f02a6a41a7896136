// Command twin runs the twin check and records its figures. With -direct it only runs the shapes
// around the gateway and lists those that fail there.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"

	"sallyport/evals/twin"
)

func main() {
	kinds := flag.String("kinds", "redact,token,partial,generalise", "kinds of principal")
	direct := flag.Bool("direct", false, "only try the shapes directly on the twins")
	only := flag.String("only", "", "run shapes whose name contains this; records nothing")
	door := flag.String("door", "", "run this door only; records nothing")
	flag.Parse()
	if err := twin.Main(context.Background(), strings.Split(*kinds, ","), *direct, *only, *door); err != nil {
		fmt.Fprintln(os.Stderr, "twin:", err)
		os.Exit(1)
	}
}
