package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"sallyport/internal/access"
)

// LabelsEditor adds proposals to a labels file and decides about those that are there. Like Editor it works on the
// text: what people wrote stays, byte for byte, and a text that does not say exactly what was meant is never saved.
type LabelsEditor struct {
	path  string
	lines []string
	file  LabelsFile
}

const labelsHeader = `# What the columns of %[1]s hold: proposed by ` + "`sallyport classify %[1]s`" + `, decided by people.
#
#   decision: proposed   nobody has looked yet: a proposed label masks; columns proposed as none that may hold
#                        text stay hidden too, as "unjudged"
#             accepted   it is so (change the label first, if it should be another)
#             rejected   it is not so: the column is shown
#   label: none          there is nothing to mask
#
# Run classify again after a change of the schema: it adds what is new and leaves all else as it is. To have a
# column looked at again, delete its line. ` + "`sallyport classify %[1]s --accept PATTERN`" + ` decides about many.
connection: %[1]s
labels:
`

// EditLabels opens a labels file, or begins one where there is none yet. It has to be sound.
func EditLabels(path, connection string) (*LabelsEditor, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		text = fmt.Appendf(nil, labelsHeader, connection)
		return &LabelsEditor{path: path, lines: lines(text), file: LabelsFile{Connection: connection}}, nil
	}
	if err != nil {
		return nil, err
	}
	d := &document{path: filepath.Base(path), maker: "classify"}
	if d.labelsFile(text, connection); len(d.problems) > 0 {
		return nil, d.problems.sorted()
	}
	e := &LabelsEditor{path: path, lines: lines(text)}
	e.file, err = e.parse()
	return e, err
}

// Entries are those of the file, with what was added and decided.
func (e *LabelsEditor) Entries() []LabelEntry { return e.file.Labels }

// Add appends entries.
func (e *LabelsEditor) Add(entries []LabelEntry) error {
	if len(entries) == 0 {
		return nil
	}
	at, indent := len(e.lines), 2
	if len(e.file.Labels) > 0 {
		list, err := e.list()
		if err != nil {
			return err
		}
		if list.Style&yaml.FlowStyle != 0 {
			return e.layout()
		}
		at, indent = lastLine(list), list.Column-1
	}
	e.file.Labels = append(slices.Clip(e.file.Labels), entries...)
	added := make([]string, len(entries))
	for i, entry := range entries {
		added[i] = strings.Repeat(" ", indent) + "- " + entry.line()
	}
	e.lines = slices.Insert(slices.Clone(e.lines), at, added...)
	return e.verify()
}

// Decide turns proposals about columns that match into a decision and gives how many columns that were. An entry of which
// only some columns match is an error.
func (e *LabelsEditor) Decide(decision string, match func(access.ColumnID) bool) (n int, err error) {
	list, err := e.list()
	if err != nil {
		return 0, err
	}
	e.file.Labels = slices.Clone(e.file.Labels)
	for i := range e.file.Labels {
		entry := &e.file.Labels[i]
		hit := 0
		for _, name := range entry.Columns {
			if id, err := ParseColumn(name); err == nil && match(id) {
				hit++
			}
		}
		switch {
		case entry.Decision != Proposed || hit == 0:
			continue
		case hit < len(entry.Columns):
			return 0, fmt.Errorf("%s:%d: the pattern matches some columns of this entry only: give each an entry of its own", e.path, list.Content[i].Line)
		case decision == Rejected && entry.Label == NoLabel:
			return 0, fmt.Errorf("%s:%d: %q is proposed to hold nothing to mask: to say that it does, write its label there, with `decision: accepted`",
				e.path, list.Content[i].Line, entry.Columns[0])
		}
		entry.Decision = decision
		n += hit
		if !e.put(child(list.Content[i], "decision"), decision) {
			return 0, e.layout()
		}
	}
	return n, e.verify()
}

// put writes a plain word in the place of another.
func (e *LabelsEditor) put(n *yaml.Node, word string) bool {
	if n == nil || n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return false
	}
	line := []rune(e.lines[n.Line-1])
	from, to := n.Column-1, n.Column-1+utf8.RuneCountInString(n.Value)
	if to > len(line) || string(line[from:to]) != n.Value {
		return false
	}
	e.lines[n.Line-1] = string(line[:from]) + word + string(line[to:])
	return true
}

// Save writes the file in one step.
func (e *LabelsEditor) Save() error { return replaceFile(e.path, e.text(), 0o644) }

func (e *LabelsEditor) text() string { return strings.Join(e.lines, "\n") + "\n" }

func (e *LabelsEditor) parse() (f LabelsFile, err error) {
	d := &document{path: e.path}
	if d.parse([]byte(e.text()), &f); len(d.problems) > 0 {
		return f, d.problems.sorted()
	}
	return f, nil
}

func (e *LabelsEditor) verify() error {
	if got, err := e.parse(); err != nil || !reflect.DeepEqual(got, e.file) {
		return e.layout()
	}
	return nil
}

func (e *LabelsEditor) layout() error {
	return fmt.Errorf("cannot edit %s as it is laid out: keep `labels` a list of lines that begin with -", e.path)
}

// list is the node of the entries.
func (e *LabelsEditor) list() (*yaml.Node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(e.text()), &doc); err != nil {
		return nil, err
	}
	if n := child(doc.Content[0], "labels"); n != nil {
		return n, nil
	}
	return &yaml.Node{}, nil
}

func child(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// line writes an entry in one line, so that a diff of a review shows one line a column. Names are quoted unless they
// are plain: a database may call a column anything.
func (e LabelEntry) line() string {
	columns := make([]string, len(e.Columns))
	for i, c := range e.Columns {
		if columns[i] = c; strings.Trim(c, "abcdefghijklmnopqrstuvwxyz0123456789_.") != "" {
			columns[i] = strconv.Quote(c)
		}
	}
	return fmt.Sprintf("{decision: %s, label: %s, columns: [%s], confidence: %s, why: %s}", e.Decision, e.Label, strings.Join(columns, ", "),
		strconv.FormatFloat(e.Confidence, 'g', 2, 64), strconv.Quote(e.Why))
}

func lines(text []byte) []string { return strings.Split(strings.TrimRight(string(text), "\n"), "\n") }
