// Command browser uses the door for people in headless Chromium, and records the figures.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"sallyport/evals/browser"
)

func main() {
	dry := flag.Bool("dry", false, "record nothing")
	quick := flag.Bool("quick", false, "one page of each form for each role, and no measuring; records nothing")
	only := flag.String("flow", "", "run the flows whose names begin so, and nothing else")
	pictures := flag.Bool("screenshots", false, "write pictures of all pages into evals/out/screenshots, and nothing else")
	flag.Parse()
	run := func() error { return browser.Main(context.Background(), *dry || *quick, *quick, *only) }
	if *pictures {
		run = func() error { return browser.Screenshots(context.Background()) }
	}
	err := run()
	if errors.Is(err, browser.ErrNoBrowser) && os.Getenv("CI") == "" {
		fmt.Fprintln(os.Stderr, "NOT RUN: the pages were looked at in no browser:", err)
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "browser:", err)
		os.Exit(1)
	}
}
