package twin

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sallyport/evals/doors"
)

//go:embed shapes/*.tsv
var shapeFiles embed.FS

// Shape is a statement, or a few in a row, to run on both twins.
type Shape struct {
	Name   string
	Source string // file it comes from
	doors.Statement
	Refuse bool // DESIGN and THREATS want it refused: to answer it is a mistake
	Corpus bool
}

// OwnShapes are the shapes of this package.
func OwnShapes() ([]Shape, error) {
	entries, err := shapeFiles.ReadDir("shapes")
	if err != nil {
		return nil, err
	}
	var all []Shape
	for _, e := range entries {
		b, err := shapeFiles.ReadFile("shapes/" + e.Name())
		if err != nil {
			return nil, err
		}
		s, err := parseShapes(e.Name(), string(b))
		if err != nil {
			return nil, err
		}
		all = append(all, s...)
	}
	return all, nil
}

// CorpusShapes are those of corpora/leaks.
func CorpusShapes(corpora string) ([]Shape, error) {
	b, err := os.ReadFile(filepath.Join(corpora, "leaks", "shapes.tsv"))
	if err != nil {
		return nil, err
	}
	s, err := parseShapes("leaks/shapes.tsv", string(b))
	for i := range s {
		s[i].Corpus = true
		s[i].Name = "corpus-" + s[i].Name
	}
	return s, err
}

func parseShapes(file, text string) ([]Shape, error) {
	var all []Shape
	var last *Shape
	for n, line := range strings.Split(text, "\n") {
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, " "): // a statement that goes on with a new line
			if last == nil {
				return nil, fmt.Errorf("%s:%d: continues nothing", file, n+1)
			}
			last.Steps[len(last.Steps)-1] += "\n" + line
		default:
			f := strings.Split(line, "\t")
			if len(f) < 2 || len(f) > 3 || f[0] == "" || f[1] == "" {
				return nil, fmt.Errorf("%s:%d: want name, tab, SQL, and flags at most", file, n+1)
			}
			s := Shape{Name: f[0], Source: file, Statement: doors.Statement{Steps: strings.Split(f[1], " ;; ")}}
			if len(f) == 3 {
				for _, flag := range strings.Split(f[2], ",") {
					switch flag {
					case "nt":
						s.NoTx = true
					case "refuse":
						s.Refuse = true
					default:
						return nil, fmt.Errorf("%s:%d: unknown flag %q", file, n+1, flag)
					}
				}
			}
			all = append(all, s)
			last = &all[len(all)-1]
		}
	}
	seen := map[string]bool{}
	for _, s := range all {
		if seen[s.Name] {
			return nil, fmt.Errorf("%s: two shapes are called %s", file, s.Name)
		}
		seen[s.Name] = true
	}
	return all, nil
}
