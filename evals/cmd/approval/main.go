// Command approval measures how held statements are released, and tries to have some run that nobody approved; it records
// the figures.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"sallyport/evals/approval"
	"sallyport/evals/crash"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == crash.Shim {
		fmt.Fprintln(os.Stderr, "approval:", crash.Exec(os.Args[2:])) // it returns only when it failed
		os.Exit(1)
	}
	var o approval.Options
	flag.IntVar(&o.Rounds, "rounds", 300, "statements that are held and released at the PostgreSQL door; a third as many at the agents'; 0 leaves that out")
	flag.IntVar(&o.Inbox, "inbox", 1000, "requests that are pending while the inbox is looked at; 0 leaves that out")
	flag.StringVar(&o.Attacks, "attacks", ".", "regular expression of the attacks, as family/name; \"\" leaves them out")
	flag.BoolVar(&o.Model, "model", true, "explore the states of a request")
	flag.BoolVar(&o.Dry, "dry", false, "record nothing")
	flag.Parse()
	if err := approval.Main(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "approval:", err)
		os.Exit(1)
	}
}
