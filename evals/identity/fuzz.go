package identity

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"sallyport/evals/harness"
	"sallyport/evals/results"
)

// decoder reads what strangers send before anybody is proven.
type decoder struct {
	name, what  string
	dir, target string
}

var decoders = []decoder{
	{"token", "tokens of providers", "internal/identity/oidc", "FuzzToken"},
	{"handshake", "whole log-ins at the PostgreSQL door, by SCRAM and OAUTHBEARER", "proxy/pgwire", "FuzzHandshake"},
	{"sasl", "first SASL messages", "proxy/pgwire", "FuzzInitialResponse"},
	{"bearer", "messages of OAUTHBEARER", "proxy/pgwire", "FuzzBearer"},
	{"startup", "startup packets", "proxy/pgwire", "FuzzStartup"},
	{"proxy_header", "PROXY headers of load balancers", "internal/balancer", "FuzzProxyHeader"},
	{"certificate_request", "certificate requests", "internal/identity/credential", "FuzzRequest"},
}

// progress is the line that says how long a target was fuzzed for, and with how many inputs.
var progress = regexp.MustCompile(`fuzz: elapsed: (\S+), execs: (\d+)`)

// fuzzed reads what `go test -fuzz` printed, which ended with status 0 or not.
func fuzzed(out string, ok bool) (took time.Duration, inputs int, crashed bool, err error) {
	if all := progress.FindAllStringSubmatch(out, -1); len(all) > 0 {
		last := all[len(all)-1]
		took, _ = time.ParseDuration(last[1])
		inputs, _ = strconv.Atoi(last[2])
	}
	for _, sign := range []string{"Failing input written to", "failure while testing seed corpus entry", "hung or terminated unexpectedly"} {
		crashed = crashed || strings.Contains(out, sign)
	}
	switch {
	case crashed:
		return took, inputs, true, nil
	case !ok && !strings.Contains(out, "context deadline exceeded"): // which is how the end of its time may look
		return 0, 0, false, errors.New("it could not be fuzzed")
	case inputs == 0:
		return 0, 0, false, errors.New("it was given no input")
	}
	return took, inputs, false, nil
}

// fuzz runs every decoder's fuzz target for a while, one after another.
func fuzz(ctx context.Context, each time.Duration) ([]results.Figure, error) {
	root, err := harness.Root()
	if err != nil {
		return nil, err
	}
	var figures []results.Figure
	crashes, least := 0, each
	for _, d := range decoders {
		fmt.Printf("== %s in %s\n", d.target, d.dir)
		cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-fuzz", "^"+d.target+"$", "-fuzztime", each.String(), "./"+d.dir)
		cmd.Dir = root
		out, failed := cmd.CombinedOutput()
		took, inputs, crashed, err := fuzzed(string(out), failed == nil)
		if err != nil {
			return nil, fmt.Errorf("%s in %s: %w: %s", d.target, d.dir, err, out)
		}
		crash := results.Count("identity.fuzz."+d.name+".crashes", 0, inputs)
		crash.Note = fmt.Sprintf("of the decoder of %s (%s of %s); n is inputs", d.what, d.target, d.dir)
		if crashed {
			fmt.Printf("CRASH\n%s\n", out)
			crash.Value = 1
			crashes++
		}
		took = min(took, each) // the clock is read a little late
		least = min(least, took)
		figures = append(figures, crash, results.Figure{Name: "identity.fuzz." + d.name + ".minutes", Value: took.Minutes(), Unit: "min", N: inputs, Note: "for which it was fuzzed; n is inputs"})
	}
	minutes := results.Figure{Name: "identity.fuzz.minutes", Value: least.Minutes(), Unit: "min", N: len(decoders), Note: "that each decoder was fuzzed for, at least; n is decoders"}
	crash := results.Count("identity.fuzz.crashes", crashes, len(decoders))
	crash.Note = "decoders that crashed; n is decoders"
	figures = append(figures, minutes, crash)
	for i := range figures {
		figures[i].Command = "make fuzz-identity FUZZTIME=" + each.String()
	}
	return figures, nil
}
