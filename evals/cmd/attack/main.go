// Command attack sends everything of THREATS.md at a server behind the gateway, looks at the server, and
// records the figures. With -only, -doors or -part it runs a part of it and records nothing.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"sallyport/evals/attack"
)

func main() {
	var opt attack.Options
	flag.StringVar(&opt.Only, "only", "", "attacks whose family/name contains this")
	flag.StringVar(&opt.Doors, "doors", "", "these doors of simple, extended, mcp")
	flag.StringVar(&opt.Part, "part", "", "sanity or attacks alone")
	flag.BoolVar(&opt.Whole, "whole", false, "every mutation of every attack at every door")
	flag.Parse()
	if err := attack.Main(context.Background(), opt); err != nil {
		fmt.Fprintln(os.Stderr, "attack:", err)
		os.Exit(1)
	}
}
