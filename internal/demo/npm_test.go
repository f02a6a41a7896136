package demo

import (
	"context"
	"os"
	"testing"

	"sallyport/internal/testdb"
)

// The third choice of PostgreSQL, for machines without apt. It downloads 24 MB, so it only runs on demand.
func TestNpmPostgresStarts(t *testing.T) {
	if os.Getenv("SALLYPORT_TEST_NPM") == "" {
		t.Skip("SALLYPORT_TEST_NPM is not set")
	}
	dir, err := os.MkdirTemp("", "sallyport-npm-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	bin, err := byNpm(context.Background(), dir, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	s := testdb.Run(t, testdb.Options{BinDir: bin, Password: "x"})
	if err := s.Exec(context.Background(), "postgres", shopSQL+seedSQL(people(customers))); err != nil {
		t.Fatal(err)
	}
}
