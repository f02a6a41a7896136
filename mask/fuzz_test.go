package mask_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"sallyport/internal/access"
	"sallyport/internal/testdb"
	"sallyport/sqlguard/postgres"
)

// FuzzCompile: whatever the statement, it compiles to one that verifies, or is refused by an error that is not
// ours. That the deparser, which is C, ends the process is what it is there to find.
func FuzzCompile(f *testing.F) {
	for _, sql := range fuzzSeeds(f) {
		f.Add(sql)
	}
	w := newWorld(f, testdb.Shared(f).NewDatabase(f, read(f, "testdata/schema.sql")), goldenRules, goldenMasks)
	f.Fuzz(func(t *testing.T, sql string) {
		trees, err := postgres.Parse(sql)
		if err != nil {
			return
		}
		for _, tree := range trees {
			c, _, err := w.compileTree(tree)
			if err != nil {
				if e := access.AsError(err); e.Kind == access.Internal {
					t.Fatalf("%q: %v", sql, err)
				}
				continue
			}
			if again, err := postgres.Parse(c.SQL); err != nil || len(again) != 1 {
				t.Fatalf("%q compiles to %q: %v", sql, c.SQL, err)
			}
		}
	})
}

// fuzzSeeds are the golden statements, odd ones of every kind, and the shapes of the corpora.
func fuzzSeeds(f *testing.F) []string {
	f.Helper()
	var all []string
	files, err := filepath.Glob("testdata/compile/*.txtar")
	if err != nil || len(files) == 0 {
		f.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		ar, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, part := range ar.Files {
			if strings.HasSuffix(part.Name, ".sql") {
				all = append(all, string(part.Data))
			}
		}
	}
	odd := bufio.NewScanner(strings.NewReader(read(f, "testdata/odd.sql")))
	for odd.Scan() {
		all = append(all, odd.Text())
	}
	dir := os.Getenv("SALLYPORT_CORPORA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "corpora")
	}
	b, err := os.ReadFile(filepath.Join(dir, "leaks", "shapes.tsv"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "WARNING: fuzzing without the corpus of leak shapes:", err)
		return all
	}
	for line := range strings.Lines(string(b)) {
		if _, sql, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
			all = append(all, sql)
		}
	}
	return all
}

// TestOddStatements compiles one statement of each kind that the grammar has an odd form of.
func TestOddStatements(t *testing.T) {
	w := newWorld(t, testdb.Shared(t).NewDatabase(t, read(t, "testdata/schema.sql")), goldenRules, goldenMasks)
	for sql := range strings.Lines(read(t, "testdata/odd.sql")) {
		c, _, err := w.compile(sql)
		if err != nil && access.AsError(err).Kind == access.Internal {
			t.Errorf("%s%v", sql, err)
		}
		if testing.Verbose() {
			t.Logf("%s%s %v", sql, c.SQL, err)
		}
	}
}

// TestLockOneRelation: what fetches jobs from a queue names its only table.
func TestLockOneRelation(t *testing.T) {
	w := newWorld(t, testdb.Shared(t).NewDatabase(t, read(t, "testdata/schema.sql")), goldenRules, goldenMasks)
	for _, sql := range []string{"SELECT email FROM customers c FOR UPDATE OF c SKIP LOCKED", "SELECT id FROM plain FOR NO KEY UPDATE OF plain NOWAIT"} {
		c, _, err := w.compile(sql)
		if err != nil || strings.Contains(c.SQL, " OF ") || !strings.HasSuffix(c.SQL, sql[strings.LastIndex(sql, " "):]) {
			t.Errorf("%s compiles to %s: %v", sql, c.SQL, err)
		}
	}
}
