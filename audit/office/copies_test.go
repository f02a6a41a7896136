package office

import (
	"archive/zip"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"sallyport/audit"
	"sallyport/internal/access"
)

// Bundles and replays in the data directory go with what they show; others, and files that are none, stay.
func TestCopiesInTheDataDirectoryGo(t *testing.T) {
	data := t.TempDir()
	l, err := audit.Open(filepath.Join(data, "log"), audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for i := range 6 {
		if _, err := l.Append(&access.Record{Time: time.Now(), Kind: access.RecordRefused, SQL: fmt.Sprintf("select 'canary%d'", i+1)}); err != nil {
			t.Fatal(err)
		}
	}
	bundle := func(name, trace string) {
		f, err := os.Create(filepath.Join(data, name))
		if err != nil {
			t.Fatal(err)
		}
		z := zip.NewWriter(f)
		w, err := z.Create("trace.json")
		if err == nil {
			_, err = w.Write([]byte(trace))
		}
		if err != nil || z.Close() != nil || f.Close() != nil {
			t.Fatal(err)
		}
	}
	file := func(name, text string) {
		if err := os.WriteFile(filepath.Join(data, name), []byte(text), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(data, "out"), 0o700); err != nil {
		t.Fatal(err)
	}
	bundle("out/shows.zip", `{"records":[{"position":2},{"position":3}]}`)
	bundle("out/other.zip", `{"records":[{"position":2},{"position":5}]}`)
	bundle("out/after.zip", `{"records":[{"position":3,"erased":true},{"position":5}]}`)
	bundle("out/strange.zip", `{"records":7}`)
	if err := os.Chmod(filepath.Join(data, "out/other.zip"), 0o400); err != nil {
		t.Fatal(err)
	}
	file("out/no.zip", "not a zip")
	file("canary.txt", "no copy of ours")
	file("another.cast", `{"version":3}`+"\n")
	if err := os.WriteFile(filepath.Join(data, "shows.cast"), []byte(`{"version":3,"sallyport":{"first":1,"last":4}}`+"\ncanary3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file("other.cast", `{"version":3,"sallyport":{"first":5,"last":6}}`+"\n")

	o := New(l, Rules{}, people)
	a, err := o.Do(Order{Kind: Erase, Scope: access.Scope{Person: "canary3"}, By: "ada", Why: "request"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{filepath.Join(data, "out/shows.zip"), filepath.Join(data, "shows.cast")}
	if slices.Sort(a.Copies); !slices.Equal(a.Copies, want) {
		t.Errorf("%v", a.Copies)
	}
	for _, path := range want {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is there", path)
		}
	}
	for _, name := range []string{"out/other.zip", "out/after.zip", "out/strange.zip", "out/no.zip", "canary.txt", "another.cast", "other.cast"} {
		if _, err := os.Stat(filepath.Join(data, name)); err != nil {
			t.Error(err)
		}
	}
}
