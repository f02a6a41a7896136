package witness

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"sallyport/audit/cosignature"
)

func TestKey(t *testing.T) {
	dir := t.TempDir()
	public, err := CreateKey(dir, "w.example")
	if err != nil {
		t.Fatal(err)
	}
	s, again, err := LoadKey(dir)
	if err != nil || again != public || s.Name() != "w.example" {
		t.Fatalf("%q, %v; want %q", again, err, public)
	}
	v, err := cosignature.NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := note.Sign(&note.Note{Text: "a\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"}, s)
	if err != nil {
		t.Fatal(err)
	}
	if all, err := cosignature.Verify(msg, v); err != nil || len(all) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := CreateKey(dir, "w.example"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second key: %v", err)
	}
	path := filepath.Join(dir, KeyFile)
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o620, 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, _, err := LoadKey(dir); err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	if err := errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, []byte("garbage"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := LoadKey(dir); err == nil {
		t.Error("loaded garbage")
	}
}

func TestParseLogs(t *testing.T) {
	a, b := newLog(t).keys.Current().Public, newLog(t).keys.Current().Public
	all, err := ParseLogs("# production\n" + a + "\n\n  " + b + "\r\n")
	if err != nil || len(all) != 2 || all[0].Name() != origin {
		t.Fatalf("%v, %v", all, err)
	}
	w := newWitness(t, "w.example", newLog(t))
	for name, text := range map[string]string{"twice": a + "\n" + a + "\n", "garbage": a + "\ngarbage\n", "a_witness": w.public, "two_on_a_line": a + " " + b} {
		if all, err := ParseLogs(text); err == nil {
			t.Errorf("%s: %v", name, all)
		}
	}
}
