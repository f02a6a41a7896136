package identity

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"sallyport/evals/harness"
	"sallyport/evals/results"
)

// decoders are the packages that read what strangers send before anybody is proven. Their fuzz targets are found by name.
var decoders = []string{"internal/identity/oidc", "internal/identity/credential", "internal/balancer", "proxy/pgwire"}

var (
	target = regexp.MustCompile(`(?m)^func (Fuzz[A-Za-z0-9_]+)\(`)
	execs  = regexp.MustCompile(`execs: (\d+)`)
)

// fuzz runs every fuzz target of the decoders for a while.
func fuzz(ctx context.Context, each time.Duration) ([]results.Figure, error) {
	root, err := harness.Root()
	if err != nil {
		return nil, err
	}
	var figures []results.Figure
	var crashes int
	var found []error
	least := 0.0
	for _, dir := range decoders {
		names, err := targets(filepath.Join(root, dir))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			fmt.Printf("== %s in %s\n", name, dir)
			began := time.Now()
			cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-fuzz", "^"+name+"$", "-fuzztime", each.String(), "./"+dir)
			cmd.Dir = root
			out, err := cmd.CombinedOutput()
			text := string(out)
			crashed := 0
			if err != nil {
				fmt.Println(text)
				if !strings.Contains(text, "Failing input written to") && !strings.Contains(text, "--- FAIL") {
					return nil, fmt.Errorf("%s in %s could not be fuzzed: %w", name, dir, err)
				}
				crashed = 1
				found = append(found, fmt.Errorf("%s in %s", name, dir))
			}
			crashes += crashed
			runs := 0
			if all := execs.FindAllStringSubmatch(text, -1); len(all) > 0 {
				runs, _ = strconv.Atoi(all[len(all)-1][1])
			}
			if runs == 0 && crashed == 0 {
				return nil, fmt.Errorf("%s in %s ran nothing: %s", name, dir, text)
			}
			minutes := min(time.Since(began), each).Minutes()
			if least == 0 || minutes < least {
				least = minutes
			}
			f := results.Figure{Name: "identity.fuzz." + strings.ToLower(strings.TrimPrefix(name, "Fuzz")) + ".inputs", Value: float64(runs), Unit: "count", N: runs,
				Note: fmt.Sprintf("%s of %s, for %.1f minutes, %d crashes", name, dir, minutes, crashed)}
			figures = append(figures, f)
		}
	}
	if len(figures) == 0 {
		return nil, errors.New("no fuzz targets")
	}
	minutes := results.Figure{Name: "identity.fuzz.minutes", Value: least, Unit: "min", N: len(figures), Note: "that each decoder was fuzzed for, at least; n is decoders"}
	crash := results.Count("identity.fuzz.crashes", crashes, len(figures))
	crash.Note = "decoders of tokens, certificate requests, startup packets, SASL messages and PROXY headers that crashed"
	for _, err := range found {
		fmt.Println("CRASH", err)
	}
	return append(figures, minutes, crash), nil
}

// targets are the fuzz targets of a folder.
func targets(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		for _, m := range target.FindAllStringSubmatch(string(text), -1) {
			out = append(out, m[1])
		}
	}
	return out, nil
}
