package harness

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
)

// Corpora is the folder with data and SQL made by others: SALLYPORT_CORPORA, or ../shared/corpora
// beside the project.
func Corpora() (string, error) {
	dir := os.Getenv("SALLYPORT_CORPORA")
	if dir == "" {
		root, err := Root()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(root, "..", "shared", "corpora")
	}
	if _, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("corpora not found (%w): set SALLYPORT_CORPORA", err)
	}
	return dir, nil
}

// Hash names a file or folder of files with its SHA-256, for Figure.Corpus. A folder's hash covers
// each file's path and content, in order.
func Hash(name, path string) (string, error) {
	h := sha256.New()
	var files []string
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, p)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	sort.Strings(files)
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return "", err
		}
		if f != path {
			rel, _ := filepath.Rel(path, f)
			fmt.Fprintf(h, "%s %d\n", rel, len(b))
		}
		h.Write(b)
	}
	return name + " sha256:" + hex.EncodeToString(h.Sum(nil))[:16], nil
}

// Out makes and gives a folder under evals/out (not committed) for per-item listings.
func Out(name string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "evals", "out", name)
	return dir, os.MkdirAll(dir, 0o755)
}

// Listing writes evals/listings/NAME.md, which RESULTS.md includes in the section of that name.
func Listing(name, text string) error {
	root, err := Root()
	if err != nil {
		return err
	}
	dir := filepath.Join(root, "evals", "listings")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name+".md"), []byte(text), 0o644)
}
