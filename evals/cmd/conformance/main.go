// Command conformance runs mcp/conformance and records its results, scenario by scenario.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"

	"sallyport/evals/results"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run() error {
	cmd := exec.Command("go", append([]string{"run", "./mcp/conformance"}, os.Args[1:]...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return err
	}
	var figures []results.Figure
	if err := json.Unmarshal(out, &figures); err != nil {
		return err
	}
	return results.Check(figures...)
}
