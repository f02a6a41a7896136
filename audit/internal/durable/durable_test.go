package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	holds := func(want string, mode fs.FileMode) {
		t.Helper()
		b, err := os.ReadFile(path)
		info, errStat := os.Stat(path)
		if err := errors.Join(err, errStat); err != nil || string(b) != want || info.Mode().Perm() != mode {
			t.Errorf("holds %q, %v; want %q with mode %o", b, err, want, mode)
		}
	}
	if err := Create(path, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	holds("one", 0o600)
	if err := Create(path, []byte("two"), 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("created what is there: %v", err)
	}
	holds("one", 0o600)
	if err := Replace(path, []byte("three"), 0o644); err != nil {
		t.Fatal(err)
	}
	holds("three", 0o644)
	if err := Rename(path, path+"2"); err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, []byte("four"), 0o600); err != nil {
		t.Fatal(err)
	}
	holds("four", 0o600)
	if err := Replace(filepath.Join(dir, "none", "f"), nil, 0o600); err == nil {
		t.Error("wrote into a directory that is not there")
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 2 {
		t.Errorf("left behind: %v, %v", all, err)
	}
}
