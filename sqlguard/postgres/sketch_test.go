package postgres

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/pgtree"
)

// TestSketch says of one statement of each kind what is said of it unresolved.
func TestSketch(t *testing.T) {
	lines(t, "testdata/sketch.tsv", func(tree *pgtree.Tree) string { return render(Sketch(tree), nil) })
}

// TestStatements has a statement for each form that the grammar has. Where TestFacts tells stories, this is a list.
func TestStatements(t *testing.T) {
	env := testEnv(t)
	lines(t, "testdata/statements.tsv", func(tree *pgtree.Tree) string { return render(Analyze(tree, env)) })
}

// lines holds a file whose lines are a statement, a tab, and what say says of it; -update fills in what follows the tab.
// Lines that begin with # are comments.
func lines(t *testing.T, file string, say func(*pgtree.Tree) string) {
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for line := range strings.Lines(string(want)) {
		sql, _, _ := strings.Cut(strings.TrimRight(line, "\n"), "\t")
		if strings.HasPrefix(sql, "#") {
			b.WriteString(sql + "\n")
			continue
		}
		trees, err := Parse(sql)
		said := ""
		if err != nil {
			said = render(nil, err)
		} else if len(trees) == 1 {
			said = say(trees[0])
		}
		said = strings.TrimSuffix(said, "\n")
		b.WriteString(sql + "\t" + strings.ReplaceAll(said, "\n", "; ") + "\n")
	}
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(b.String(), "\n")); d != "" {
		t.Errorf("said otherwise (-want +got):\n%s", d)
	}
}
