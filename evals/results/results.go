// Package results is the one writer of evals/results.json, and makes RESULTS.md from it.
//
// Programs Record figures; figures merge by name, so a program that ran again replaces its own and
// leaves the others alone. Required says which figures have a bound; a program ends with Check,
// which reports those of its figures that miss theirs.
package results

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
)

// Figure is one measured number with what it takes to measure it again.
type Figure struct {
	Name     string      `json:"name"`
	Value    float64     `json:"value"`
	Unit     string      `json:"unit"`               // share, count, ratio, us, MB ...
	N        int         `json:"n"`                  // how many observations stand behind Value
	Interval *[2]float64 `json:"interval,omitempty"` // 95%; how it was made depends on the unit, see Share and Ratio
	Command  string      `json:"command"`
	Corpus   string      `json:"corpus,omitempty"` // name and SHA-256 of what was fed in
	Seed     int64       `json:"seed,omitempty"`
	Commit   string      `json:"commit"`
	Note     string      `json:"note,omitempty"` // what the number counts, where its name does not say
}

// Dir is the evals folder, found from the working directory upwards.
func Dir() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
			return filepath.Join(d, "evals"), nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("no go.mod above %s: run this inside the project", dir)
		}
	}
}

// Read gives the recorded figures, sorted by name; none where nothing was recorded yet.
func Read() ([]Figure, error) {
	dir, err := Dir()
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(filepath.Join(dir, "results.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []Figure
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("results.json: %w", err)
	}
	return all, nil
}

// Record merges figures into results.json by name, fills in the commit, and prints each.
func Record(figures ...Figure) error {
	dir, err := Dir()
	if err != nil {
		return err
	}
	// Programs may run side by side: the lock is held from reading to renaming.
	lock, err := os.OpenFile(filepath.Join(dir, ".results.lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	all, err := Read()
	if err != nil {
		return err
	}
	byName := map[string]Figure{}
	for _, f := range all {
		byName[f.Name] = f
	}
	commit := Commit()
	for _, f := range figures {
		f.Commit = commit
		byName[f.Name] = f
		fmt.Println("figure", f)
	}
	all = all[:0]
	for _, f := range byName {
		all = append(all, f)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	b, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	tmp := filepath.Join(dir, ".results.json.new")
	if err := os.WriteFile(tmp, append(b, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(dir, "results.json"))
}

func (f Figure) String() string {
	s := fmt.Sprintf("%-42s %s %s", f.Name, number(f.Value), f.Unit)
	if f.Interval != nil {
		s += fmt.Sprintf(" [%s, %s]", number(f.Interval[0]), number(f.Interval[1]))
	}
	if f.N > 0 {
		s += fmt.Sprintf(" n=%d", f.N)
	}
	if b, ok := Required[f.Name]; ok {
		s += fmt.Sprintf(" (required %s: %s)", b, verdict(b.Holds(f.Value)))
	}
	return s
}

// Commit is the checked-out commit, marked when Go files differ from it.
func Commit() string {
	out, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	c := strings.TrimSpace(string(out))
	if dirty, err := exec.Command("git", "status", "--porcelain", "--", ":/*.go").Output(); err != nil || len(dirty) > 0 {
		c += "+changes"
	}
	return c
}
