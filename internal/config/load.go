package config

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"sallyport/internal/access"
)

// Config is a file that has been read and found sound, in the words of the core.
type Config struct {
	File File   // as written
	Path string // the file
	Dir  string // its folder, absolute

	DataDir     string // absolute
	Connections []access.Connection
	Principals  []access.LocalPrincipal
	Providers   []access.Provider // with their secrets
	Labels      []access.LabelRule
	Masks       []access.Mask
	Policies    []Policy
	Exports     []Export // with secrets in Secret and Token, and absolute paths
	Channels    []Notify // with secrets in URL, Secret, Token and Password, and absolute paths
	Purposes    []access.Purpose
	// Warnings are what works but should not stay.
	Warnings Problems

	// Absent are secrets that are named and not there: only LoadOffline leaves any.
	Absent Problems

	offline bool   // commands are not run
	text    []byte // of the file
}

// Policy is the text of a policy file. Name is its path as the configuration gives it.
type Policy struct{ Name, Text string }

// ErrNone says that there is no file where a configuration was looked for.
var ErrNone = errors.New("no configuration")

// DefaultName is the file that the commands look for.
const DefaultName = "sallyport.yaml"

// Load reads and validates a configuration file. Problems in it come back as Problems, all at once;
// any other error means that the file could not be read.
func Load(path string) (*Config, error) {
	return whole(read(path, false))
}

// whole refuses a configuration with secrets that are not there.
func whole(c *Config, err error) (*Config, error) {
	if err == nil && len(c.Absent) > 0 {
		return nil, c.Absent.sorted()
	}
	return c, err
}

// LoadOffline is Load for what connects to nothing and lets nobody in: secrets that are not there are left empty, and no command is run
// for one.
func LoadOffline(path string) (*Config, error) { return read(path, true) }

func read(path string, offline bool) (*Config, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w at %s: `sallyport init` writes one, --config names another", ErrNone, path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	return parse(path, dir, text, offline)
}

// Parse is Load on a text; relative paths in it are relative to dir.
func Parse(path, dir string, text []byte) (*Config, error) {
	return whole(parse(path, dir, text, false))
}

func parse(path, dir string, text []byte, offline bool) (*Config, error) {
	c := &Config{Path: path, Dir: dir, offline: offline, text: text}
	d := &document{path: path}
	d.parse(text, &c.File)
	if len(d.problems) == 0 {
		c.resolve(d)
	}
	if len(d.problems) > 0 {
		return nil, append(d.problems, c.Absent...).sorted()
	}
	c.Warnings = c.Warnings.sorted()
	return c, nil
}

// resolve validates section by section and fills the fields of Config from those of File.
func (c *Config) resolve(d *document) {
	if c.File.DataDir == "" {
		d.add(d.line("data_dir"), "`data_dir` is missing", "it is where the record is kept, e.g. `data_dir: data`")
	}
	c.DataDir = c.abs(c.File.DataDir)
	c.doors(d)
	c.connections(d)
	c.principals(d)
	c.identity(d)
	c.labels(d)
	c.masks(d)
	c.purposes(d)
	c.policies(d)
	c.detectors(d)
	c.exports(d)
	c.audit(d)
	c.approvals(d)
	c.erasure(d)
	c.keyEncryption(d)
	c.notify(d)
	if c.File.Limits.Clients < 0 || c.File.Limits.MessageBytes < 0 {
		d.add(d.line("limits"), "limits cannot be negative", "leave a limit out for its default")
	}
}

func (c *Config) policies(d *document) {
	if len(c.File.Policies) == 0 {
		d.add(d.line("policies"), "no policy file is named", "without a permit nothing is allowed: `policies: [policy.cedar]`")
	}
	for i, pattern := range c.File.Policies {
		line := d.line("policies", fmt.Sprint(i))
		files, err := filepath.Glob(c.abs(pattern))
		if err != nil || len(files) == 0 {
			d.add(line, fmt.Sprintf("no policy file at `%s`", pattern), "paths are relative to "+c.Dir)
			continue
		}
		for _, file := range files { // Glob sorts
			text, err := os.ReadFile(file)
			if err != nil {
				d.add(line, "policy file: "+reason(err), "")
				continue
			}
			name, err := filepath.Rel(c.Dir, file)
			if err != nil {
				name = file
			}
			c.Policies = append(c.Policies, Policy{Name: name, Text: string(text)})
		}
	}
}

// Lost lists the policy files of before that c still speaks of and that are not there any more. A file that
// vanishes may take a forbid with it, so a reload must not take that for an order. Emptying it is one.
func (c *Config) Lost(before []Policy) []string {
	var lost []string
	for _, old := range before {
		if strings.TrimSpace(old.Text) == "" || slices.ContainsFunc(c.Policies, func(p Policy) bool { return p.Name == old.Name }) {
			continue
		}
		spoken := slices.ContainsFunc(c.File.Policies, func(pattern string) bool {
			ok, err := filepath.Match(c.abs(pattern), c.abs(old.Name))
			return ok && err == nil
		})
		if spoken {
			lost = append(lost, old.Name)
		}
	}
	return lost
}

// secret gives the value of a setting that may stand in the file, in the environment, in a file of its own, or be what a
// command prints. ok is false when none of them is given, or something is wrong (then it is reported).
func (c *Config) secret(d *document, path []string, key, literal, env, file string, command ...string) (value string, ok bool) {
	at := func(suffix string) int { return d.line(append(path[:len(path):len(path)], key+suffix)...) }
	given := 0
	for _, v := range []bool{literal != "", env != "", file != "", len(command) > 0} {
		if v {
			given++
		}
	}
	switch {
	case given == 0:
		return "", false
	case given > 1:
		d.add(d.line(path...), fmt.Sprintf("`%s` has more than one of `%s`, `%s_env`, `%s_file` and `%s_command`", strings.Join(path, "."), key, key, key, key), "keep one")
		return "", false
	case env != "":
		if value = os.Getenv(env); value == "" {
			c.lacks(d, at("_env"), fmt.Sprintf("the environment variable `%s` is not set", env), "export it before starting, or use `"+key+"_file`")
			return "", false
		}
		return value, true
	case file != "":
		value, err := readSecretFile(c.abs(file))
		if err != nil {
			c.lacks(d, at("_file"), err.Error(), "")
		}
		return value, err == nil
	case len(command) > 0 && c.offline:
		c.lacks(d, at("_command"), "the command was not run", "")
		return "", false
	case len(command) > 0:
		run := d.run
		if run == nil {
			run = func(dir string, command []string) (string, error) {
				return runCommand(context.Background(), dir, command)
			}
		}
		value, err := run(c.Dir, command)
		if err != nil {
			c.lacks(d, at("_command"), fmt.Sprintf("`%s` gives no secret: %v", command[0], err), "run it by hand, as the gateway's user: it has to print the secret and exit with 0")
		}
		return value, err == nil
	}
	return literal, true
}

// lacks notes a secret that is not there.
func (c *Config) lacks(d *document, line int, message, hint string) {
	c.Absent = append(c.Absent, Problem{File: d.path, Line: line, Message: message, Hint: hint})
}

func (c *Config) abs(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(c.Dir, path)
}

func (c *Config) warn(line int, message, hint string) {
	c.Warnings = append(c.Warnings, Problem{File: c.Path, Line: line, Message: message, Hint: hint})
}

// reason is an I/O error as "path: what".
func reason(err error) string {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return fmt.Sprintf("cannot read `%s`: %v", pe.Path, pe.Err)
	}
	return err.Error()
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
