package leak

import (
	"embed"
	"fmt"
	"strings"

	"sallyport/evals/doors"
)

//go:embed shapes/*.txt
var shapeFiles embed.FS

//go:embed threats.tsv
var threatsTSV string

// Threat is one item of the project's list of what an attacker tries.
type Threat struct {
	ID, Paragraph, Words string
	// Where says what tries it, each "shapes", "test PACKAGE NAME", "identity NAME OF AN ATTACK", or "none: reason".
	Where []string
}

// Threats are all of them.
func Threats() ([]Threat, error) {
	var all []Threat
	for n, line := range strings.Split(threatsTSV, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 4 {
			return nil, fmt.Errorf("threats.tsv:%d: want paragraph, id, words, where", n+1)
		}
		all = append(all, Threat{Paragraph: f[0], ID: f[1], Words: f[2], Where: strings.Split(f[3], "; ")})
	}
	return all, nil
}

// Shape is a hand-written attack.
type Shape struct {
	doors.Statement
	Name   string // its threat's id, and a number
	Threat string
	File   string
	Refuse bool // to answer it would be a mistake
}

// Shapes are all hand-written ones.
func Shapes() ([]Shape, error) {
	entries, err := shapeFiles.ReadDir("shapes")
	if err != nil {
		return nil, err
	}
	var all []Shape
	for _, e := range entries {
		text, err := shapeFiles.ReadFile("shapes/" + e.Name())
		if err != nil {
			return nil, err
		}
		list, err := parseShapes(e.Name(), string(text))
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

// parseShapes reads a file: "@id" begins the shapes of a threat, every other line is one: flags and ">" at
// most, then statements parted by " ;; ".
func parseShapes(file, text string) ([]Shape, error) {
	var all []Shape
	threat, n := "", 0
	for i, line := range strings.Split(text, "\n") {
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
			continue
		case strings.HasPrefix(line, "@"):
			threat, n = line[1:], 0
			continue
		case threat == "":
			return nil, fmt.Errorf("%s:%d: a shape of no threat", file, i+1)
		}
		n++
		s := Shape{Name: fmt.Sprintf("%s-%d", threat, n), Threat: threat, File: file}
		if flag, rest, ok := strings.Cut(line, "> "); ok && (flag == "nt" || flag == "refuse") {
			s.NoTx, s.Refuse, line = flag == "nt", flag == "refuse", rest
		}
		s.Steps = strings.Split(line, " ;; ")
		all = append(all, s)
	}
	return all, nil
}
