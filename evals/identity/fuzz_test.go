package identity

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// A decoder whose target has another name by now would stop a run in its middle.
func TestFuzzTargetsExist(t *testing.T) {
	for _, d := range decoders {
		files, _ := filepath.Glob(filepath.Join("..", "..", d.dir, "*_test.go"))
		found := false
		for _, file := range files {
			text, err := os.ReadFile(file)
			found = found || err == nil && regexp.MustCompile(`(?m)^func `+d.target+`\(`).Match(text)
		}
		if !found {
			t.Errorf("%s: there is no %s in %s", d.name, d.target, d.dir)
		}
	}
}

func TestWhatFuzzingPrints(t *testing.T) {
	const ran = "fuzz: elapsed: 0s, gathering baseline coverage: 0/9 completed\nfuzz: elapsed: 3s, execs: 100 (33/sec), new interesting: 0 (total: 9)\nfuzz: elapsed: 10m1s, execs: 250 (33/sec), new interesting: 0 (total: 9)\n"
	for name, c := range map[string]struct {
		out     string
		ok      bool
		inputs  int
		crashed bool
		failed  bool
	}{
		"through":            {ran + "PASS\n", true, 250, false, false},
		"end_of_time":        {ran + "--- FAIL: FuzzX (600.01s)\n    context deadline exceeded\nFAIL\n", false, 250, false, false},
		"crash":              {ran + "--- FAIL: FuzzX (3.00s)\n    Failing input written to testdata/fuzz/FuzzX/0123\n", false, 250, true, false},
		"crash_with_a_limit": {ran + "context deadline exceeded\n    Failing input written to testdata/fuzz/FuzzX/0123\n", false, 250, true, false},
		"hang":               {ran + "--- FAIL: FuzzX (3.00s)\n    fuzzing process hung or terminated unexpectedly: exit status 2\n", false, 250, true, false},
		"seed":               {"failure while testing seed corpus entry: FuzzX/seed#0\n", false, 0, true, false},
		"not_built":          {"x.go:1: undefined: y\nFAIL\n", false, 0, false, true},
		"nothing":            {"testing: warning: no fuzz tests to fuzz\nPASS\n", true, 0, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			took, inputs, crashed, err := fuzzed(c.out, c.ok)
			if (err != nil) != c.failed || inputs != c.inputs || crashed != c.crashed {
				t.Errorf("%s, %d, %t, %v", took, inputs, crashed, err)
			}
			if inputs > 0 && took != 10*time.Minute+time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}
