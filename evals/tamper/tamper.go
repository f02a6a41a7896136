// Package tamper has the finished verifier, as auditors run it, look at evidence that was changed: each manipulation of
// package audit/verify/tamper on a fresh copy, one process each. The verifier has the log's public key and a checkpoint
// that was kept elsewhere. It must end with an error, and one of its sentences must say what was done, and where.
//
// The sound evidence is looked at too: a verifier that finds everything bad would find all manipulations. Start with Main.
package tamper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"sallyport/audit/verify/tamper"
	"sallyport/evals/harness"
	"sallyport/evals/results"
)

const made = "go run ./evals/cmd/tamper"

// tally counts what was found of one kind of manipulation.
type tally struct{ all, detected, named int }

// Main runs the drill and records its figures, unless dry is set.
func Main(ctx context.Context, dry bool) error {
	verifier, err := harness.Verifier()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "tamper-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	w, err := tamper.Make(dir)
	if err != nil {
		return err
	}
	ask := func(path string) (string, error) {
		out, err := exec.CommandContext(ctx, verifier, "-key", w.Key, "-checkpoint", w.Kept, path).CombinedOutput()
		return string(out), err
	}
	for _, path := range []string{w.Dir, w.Zip} {
		if out, err := ask(path); err != nil || !strings.Contains(out, "The evidence is good.") {
			return fmt.Errorf("sound evidence is not good: %w\n%s", err, out)
		}
	}
	log, err := w.Log()
	if err != nil {
		return err
	}
	bundle, err := w.Bundle()
	if err != nil {
		return err
	}
	d := drill{ask: ask, kinds: map[string]*tally{}}
	changed := filepath.Join(dir, "changed")
	for _, m := range log {
		if err := os.CopyFS(changed, os.DirFS(w.Dir)); err != nil {
			return err
		}
		if err := d.try(m, changed); err != nil {
			return err
		}
	}
	sound, err := os.ReadFile(w.Zip)
	if err != nil {
		return err
	}
	for _, m := range bundle {
		if err := os.WriteFile(changed, sound, 0o600); err != nil {
			return err
		}
		if err := d.try(m, changed); err != nil {
			return err
		}
	}
	return d.record(dry)
}

type drill struct {
	ask    func(path string) (string, error)
	kinds  map[string]*tally
	total  tally
	missed []string
}

// try does one thing to the evidence at path and asks the verifier. It deletes what is at path.
func (d *drill) try(m tamper.Manipulation, path string) error {
	defer os.RemoveAll(path)
	if err := m.Do(path); err != nil {
		return fmt.Errorf("%s: %w", m, err)
	}
	out, err := d.ask(path)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	kind := m.Kind + ": " + m.Of
	t := d.kinds[kind]
	if t == nil {
		t = new(tally)
		d.kinds[kind] = t
	}
	detected := err != nil && exit.ExitCode() == 1 && !strings.Contains(out, "The evidence is good.")
	named := detected && slices.ContainsFunc(strings.Split(out, "\n"), m.NamedIn)
	for _, t := range []*tally{t, &d.total} {
		t.all++
		if detected {
			t.detected++
		}
		if named {
			t.named++
		}
	}
	if !named {
		d.missed = append(d.missed, m.String())
		fmt.Printf("not named: %s: wanted %q in\n%s", m, m.Named, out)
	}
	return nil
}

func (d *drill) record(dry bool) error {
	figures := []results.Figure{
		results.Count("tamper.manipulations", d.total.all, d.total.all),
		results.Share("tamper.detected", d.total.detected, d.total.all),
		results.Share("tamper.named", d.total.named, d.total.all),
	}
	figures[1].Note = "sallyport-verify, with the log's public key and a checkpoint that was kept elsewhere, says that the evidence is not good"
	figures[2].Note = "and one of its sentences says what was done to what"
	for i := range figures {
		figures[i].Command = made
	}
	var kinds []string
	for k := range d.kinds {
		kinds = append(kinds, k)
	}
	slices.Sort(kinds)
	var b strings.Builder
	b.WriteString("### Manipulations by kind\n\n| what was done | times | detected | named |\n|---|---|---|---|\n")
	for _, k := range kinds {
		t := d.kinds[k]
		fmt.Fprintf(&b, "| %s | %d | %d | %d |\n", k, t.all, t.detected, t.named)
	}
	for _, m := range d.missed {
		fmt.Fprintf(&b, "\nNot named: %s\n", m)
	}
	if dry {
		fmt.Print(b.String())
		for _, f := range figures {
			fmt.Println(f)
		}
		return nil
	}
	if err := harness.Listing("tamper", b.String()); err != nil {
		return err
	}
	return results.Check(figures...)
}
