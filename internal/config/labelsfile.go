package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"sallyport/internal/access"
)

// LabelsFile says column by column what one database holds. `sallyport classify` proposes, people decide.
type LabelsFile struct {
	// Connection is the one that the file speaks of.
	Connection string `yaml:"connection"`
	// Labels are as those of the configuration, with exact names instead of patterns.
	Labels []LabelEntry `yaml:"labels"`
}

// LabelEntry is what is known or proposed about columns.
type LabelEntry struct {
	// Decision is proposed, accepted or rejected.
	Decision string `yaml:"decision"`
	// Label is what they hold; none says that there is nothing to mask.
	Label string `yaml:"label"`
	// Columns are written schema.table.column, quoted as in SQL.
	Columns []string `yaml:"columns"`
	// Confidence is how sure the proposal is, from 0 to 1. It has no effect.
	Confidence float64 `yaml:"confidence"`
	// Why is the evidence in words and counts. It has no effect, and never holds a value of the database.
	Why string `yaml:"why"`
}

// Decisions about an entry of a labels file.
const (
	Proposed = "proposed" // nobody has looked at it yet
	Accepted = "accepted" // it is so
	Rejected = "rejected" // it is not so: there is nothing to mask
)

// NoLabel is the label of columns that hold nothing to be masked.
const NoLabel = "none"

// LabelsPath is where the labels file of a connection is, or would be: NAME.labels.yaml beside the configuration.
func (c *Config) LabelsPath(connection string) (path string, named bool) {
	if f := c.File.Connections[connection].LabelsFile; f != "" {
		return c.abs(f), true
	}
	return c.abs(connection + ".labels.yaml"), false
}

// judgements reads the labels file of a connection; nil where it has none.
func (c *Config) judgements(d *document, name string, conn Connection) *access.Judgements {
	at := func(key string) int { return d.line("connections", name, key) }
	if !slices.Contains([]string{"", "mask", "show"}, conn.Unjudged) {
		d.add(at("unjudged"), fmt.Sprintf("`unjudged` is `mask` or `show`, not `%s`", conn.Unjudged), "")
	}
	if conn.LabelsFile == "" {
		if conn.Unjudged != "" {
			d.add(at("unjudged"), "`unjudged` without a labels file", "columns are judged in `labels_file`: `sallyport classify "+name+"` writes one")
		}
		return nil
	}
	path := c.abs(conn.LabelsFile)
	shown, err := filepath.Rel(c.Dir, path)
	if err != nil {
		shown = path
	}
	text, err := os.ReadFile(path)
	if err != nil {
		hint := "give the user of this process access to it"
		if errors.Is(err, fs.ErrNotExist) {
			hint = "to make one, leave the key out once and run `sallyport classify " + name + "`"
		}
		d.add(at("labels_file"), reason(err), hint)
		return nil
	}
	f := &document{path: shown, maker: "classify"}
	entries := f.labelsFile(text, name)
	d.problems = append(d.problems, f.problems...)
	return &access.Judgements{File: shown, Columns: entries, Show: conn.Unjudged == "show"}
}

// labelsFile reads and checks the text of a labels file.
func (d *document) labelsFile(text []byte, connection string) (out []access.Judgement) {
	var file LabelsFile
	if d.parse(text, &file); len(d.problems) > 0 {
		return nil
	}
	if file.Connection != connection {
		d.add(d.line("connection"), fmt.Sprintf("this is the labels file of `%s`, not of `%s`", file.Connection, connection), "")
	}
	if len(file.Labels) == 0 {
		d.add(d.line("labels"), "no column is judged", "`sallyport classify "+connection+"` proposes what to say; to do without, take `labels_file` out of the configuration")
	}
	first := map[access.ColumnID]int{}
	for i, e := range file.Labels {
		line := d.line("labels", fmt.Sprint(i))
		d.entry(e, line)
		for _, name := range e.Columns {
			id, err := ParseColumn(name)
			if err != nil {
				d.add(line, fmt.Sprintf("%q is not a column", name), err.Error())
				continue
			}
			if before := first[id]; before > 0 {
				d.add(line, fmt.Sprintf("%q is judged twice", name), fmt.Sprintf("it is first judged in line %d", before))
			}
			first[id] = line
			j := access.Judgement{Column: id, Label: access.Label(e.Label), Decided: e.Decision != Proposed, Source: fmt.Sprintf("%s:%d", d.path, line)}
			if e.Label == NoLabel || e.Decision == Rejected {
				j.Label = ""
			}
			out = append(out, j)
		}
	}
	return out
}

func (d *document) entry(e LabelEntry, line int) {
	if !slices.Contains([]string{Proposed, Accepted, Rejected}, e.Decision) {
		d.add(line, fmt.Sprintf("`decision` must be %s, not `%s`", quoteList([]string{Proposed, Accepted, Rejected}), e.Decision), "")
	}
	switch {
	case !labelForm.MatchString(e.Label):
		d.add(line, fmt.Sprintf("`%s` cannot be a label", e.Label), "labels are lower-case words joined by dots, e.g. pii.email; `none` says that there is nothing to mask")
	case e.Label == NoLabel && e.Decision == Rejected:
		d.add(line, "that there is nothing to mask is rejected, and no label given", "write the label that it has instead of `none`, with `decision: accepted`")
	}
	if len(e.Columns) == 0 {
		d.add(line, "an entry without columns", "for example `columns: [public.customers.email]`")
	}
	if e.Confidence < 0 || e.Confidence > 1 {
		d.add(line, "`confidence` is from 0 to 1", "")
	}
}
