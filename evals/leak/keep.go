package leak

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sallyport/evals/harness"
	"sallyport/evals/results"
)

// save keeps what a part found under evals/out, and a listing of it to read. A part of a part is listed only.
func (b *bench) save(part string, whole bool) error {
	dir, err := harness.Out("leak")
	if err != nil {
		return err
	}
	var full strings.Builder
	for _, name := range sortedKeys(b.Outcomes) {
		for _, o := range b.Outcomes[name] {
			find := ""
			if o.Find != nil {
				find = fmt.Sprintf("%s (%s: %s)", o.Find.Cell, o.Find.Form, o.Find.Part)
			}
			fmt.Fprintf(&full, "%s\t%s\t%s\trefused=%t\t%s %s\t%s\t%s\t%s\n", name, o.Door, o.Name, o.Refused, o.Code, oneLine(o.Message), find, oneLine(o.Why), oneLine(o.SQL))
		}
	}
	for _, f := range append(b.State, b.Record...) {
		fmt.Fprintln(&full, oneLine(f))
	}
	if err := os.WriteFile(filepath.Join(dir, part+".tsv"), []byte(full.String()), 0o644); err != nil || !whole {
		return err
	}
	b.Commit = results.Commit()
	kept, err := json.Marshal(b.found)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, part+".json"), kept, 0o644)
}

// merged is what all parts found.
type merged struct {
	found
	reads map[string]bool // by SQL: its direct answer shows a labelled value, or that it makes a difference
}

// merge puts the parts together; nil where one is missing or of another commit.
func merge() (*merged, error) {
	dir, err := harness.Out("leak")
	if err != nil {
		return nil, err
	}
	b := &merged{reads: map[string]bool{}}
	b.Outcomes = map[string][]Outcome{}
	for _, part := range Parts {
		text, err := os.ReadFile(filepath.Join(dir, part+".json"))
		if errors.Is(err, fs.ErrNotExist) {
			fmt.Printf("not recorded: part %s has not run\n", part)
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		var f found
		if err := json.Unmarshal(text, &f); err != nil {
			return nil, fmt.Errorf("%s.json: %w", part, err)
		}
		if f.Commit != results.Commit() {
			fmt.Printf("not recorded: part %s is of commit %s\n", part, f.Commit)
			return nil, nil
		}
		for name, list := range f.Outcomes {
			b.Outcomes[name] = append(b.Outcomes[name], list...)
		}
		b.State, b.Record, b.Entries = append(b.State, f.State...), append(b.Record, f.Record...), b.Entries+f.Entries
	}
	for _, o := range b.Outcomes[rivals[0].Name] {
		b.reads[o.SQL] = o.Leaks()
	}
	return b, nil
}

// report writes the table that RESULTS.md includes, and records the figures.
func (b *merged) report() error {
	root, err := harness.Root()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, "evals", "listings", "leak.md"), []byte(b.table()), 0o644); err != nil {
		return err
	}
	figures, err := b.figures()
	if err != nil {
		return err
	}
	return results.Check(figures...)
}
