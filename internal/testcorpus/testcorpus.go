// Package testcorpus finds the corpora that tests read and the project does not contain. It is for tests only.
// Start with Path.
package testcorpus

import (
	"os"
	"path/filepath"
)

// TB is what Path needs of a test.
type TB interface {
	Helper()
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Path gives the path of name within the folder that SALLYPORT_CORPORA names, or within ../shared/corpora beside the
// project. A test is skipped where that folder is not there, and fails where somebody named one and name is not in it.
func Path(t TB, name string) string {
	t.Helper()
	dir := os.Getenv("SALLYPORT_CORPORA")
	named := dir != ""
	if !named {
		dir = filepath.Join("..", "shared", "corpora")
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(root(), dir)
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err == nil {
		return path
	} else if named {
		t.Fatalf("SALLYPORT_CORPORA is set, and %v", err)
	} else {
		t.Skipf("CORPUS ABSENT: %v; set SALLYPORT_CORPORA", err)
	}
	return ""
}

// root is the project's, found from the working directory upwards.
func root() string {
	dir, err := os.Getwd()
	for err == nil && dir != filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	return dir
}
