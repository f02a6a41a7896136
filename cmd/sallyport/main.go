// Command sallyport is the gate: `sallyport serve` opens the doors, the other subcommands write, check
// and explain its configuration and read its record. Each subcommand has a file of its own; root.go
// has what they share and the exit codes.
package main

import "os"

// version is set by the linker (Makefile).
var version = ""

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
