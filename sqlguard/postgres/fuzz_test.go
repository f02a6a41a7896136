package postgres

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
)

// FuzzAnalyze: whatever the text, each statement ends in facts or in an error that is not ours, its
// bytes are its own, and every relation that a read names is one that the tree refers to.
func FuzzAnalyze(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.txtar")
	for _, file := range files {
		ar, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, part := range ar.Files {
			if strings.HasSuffix(part.Name, ".sql") {
				f.Add(string(part.Data))
			}
		}
	}
	env := testEnv(f)
	f.Fuzz(func(t *testing.T, sql string) {
		trees, err := Parse(sql)
		if err != nil {
			if e := access.AsError(err); e.Kind == access.Internal {
				t.Fatalf("%q: %v", sql, err)
			}
			return
		}
		for _, tree := range trees {
			if !strings.Contains(sql, tree.SQL) {
				t.Fatalf("%q is not part of %q", tree.SQL, sql)
			}
			facts, err := Analyze(tree, env)
			if err != nil {
				if e := access.AsError(err); e.Kind == access.Internal {
					t.Fatalf("%q: %v", sql, err)
				}
				continue
			}
			for _, r := range facts.Relations {
				if !refersTo(tree, r.Name) {
					t.Fatalf("%q: %s is in the facts but no RangeVar means it", sql, r.Name)
				}
			}
			for _, ref := range tree.Refs {
				if !inFacts(facts, ref.Relation.Name) {
					t.Fatalf("%q: %s is referred to but not in the facts", sql, ref.Relation.Name)
				}
			}
		}
	})
}

func refersTo(tree *pgtree.Tree, name access.Name) bool {
	for _, ref := range tree.Refs {
		if ref.Relation.Name == name {
			return true
		}
	}
	return false
}

func inFacts(f *access.Facts, name access.Name) bool {
	for _, r := range f.Relations {
		if r.Name == name {
			return true
		}
	}
	return false
}
