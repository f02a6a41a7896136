package postgres

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite the golden files from what the code gives")

// TestFacts runs testdata/*.txtar: each "name.sql" is a batch, the "name.facts" after it what the
// analyzer says about each of its statements under testCatalog.
func TestFacts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		ar, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var out []txtar.File
		for i, f := range ar.Files {
			name, ok := strings.CutSuffix(f.Name, ".sql")
			if !ok {
				continue
			}
			got := []byte(factsOf(t, string(f.Data)))
			out = append(out, f, txtar.File{Name: name + ".facts", Data: got})
			if *update {
				continue
			}
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar")+"/"+name, func(t *testing.T) {
				if i+1 >= len(ar.Files) || ar.Files[i+1].Name != name+".facts" {
					t.Fatalf("no facts recorded; run with -update and read them")
				}
				if want := ar.Files[i+1].Data; !bytes.Equal(want, got) {
					t.Errorf("facts differ (-want +got):\n%s", cmp.Diff(string(want), string(got)))
				}
			})
		}
		if *update {
			ar.Files = out
			if err := os.WriteFile(file, txtar.Format(ar), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func factsOf(t *testing.T, sql string) string {
	trees, err := Parse(sql)
	if err != nil {
		return render(nil, err)
	}
	var parts []string
	env := testEnv(t)
	for _, tree := range trees {
		parts = append(parts, render(Analyze(tree, env)))
	}
	return strings.Join(parts, "--\n")
}
