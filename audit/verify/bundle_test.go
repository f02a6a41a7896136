package verify

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestBundlesAreProvenAndManipulationsNamed(t *testing.T) {
	w := world(t)
	bundle := func(path string, trust Trust) (*Report, error) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return trust.Bundle(bytes.NewReader(data), int64(len(data)))
	}
	kept, err := os.ReadFile(w.Kept)
	if err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(filepath.Join(w.Old, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	trust := Trust{Key: w.Key, Kept: kept}
	r, err := bundle(w.Zip, trust)
	if err != nil || !r.Good() || !strings.Contains(fmt.Sprint(r.Proven), "7 records are in the log") || !strings.Contains(fmt.Sprint(r.Proven), "the proofs lead to the checkpoint that was kept") {
		t.Fatalf("%+v, %v", r, err)
	}
	if r, err := bundle(w.Zip, Trust{Key: w.Key, Kept: old}); err != nil || !r.Good() || !strings.Contains(fmt.Sprint(r.Unproven), "goes with the checkpoint of 280") {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := bundle(w.Cross, Trust{Kept: kept}); err != nil || r.Good() {
		t.Errorf("the checkpoint of another log is taken: %+v, %v", r, err)
	}
	all, err := w.Bundle()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "changed.zip")
	sound, err := os.ReadFile(w.Zip)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if err := os.WriteFile(path, sound, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := m.Do(path); err != nil {
			t.Fatalf("%s: %v", m, err)
		}
		r, err := bundle(path, trust)
		wantNamed(t, m, r, err)
	}
	t.Logf("%d manipulations", len(all))
}

func TestPathTellsWhatItIs(t *testing.T) {
	w := world(t)
	dir, file := w.Dir, w.Zip
	data := filepath.Join(t.TempDir(), "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(data, "log"), os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "signing", "checkpoint.pub")
	for _, path := range []string{dir, data, file} {
		r, err := Path(path, key)
		if err != nil || !r.Good() {
			t.Errorf("%s: %+v, %v", path, r, err)
			continue
		}
		var b strings.Builder
		r.Print(&b)
		if !strings.Contains(b.String(), "The evidence is good.") || !strings.Contains(b.String(), "Not proven:") {
			t.Error(b.String())
		}
	}
	if _, err := Path(dir, "nowhere"); err == nil {
		t.Error("a key that is none is taken")
	}
	var b strings.Builder
	(&Report{Problems: []string{"a \x1b[2J \u202e b"}}).Print(&b)
	if strings.ContainsAny(b.String(), "\x1b\u202e") {
		t.Errorf("%q", b.String())
	}
}

// TestVerifierStandsAlone: what auditors run is built from little.
func TestVerifierStandsAlone(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "sallyport/cmd/sallyport-verify").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range strings.Fields(string(out)) {
		switch {
		case strings.HasPrefix(p, "golang.org/x/mod/"):
		case p == "sallyport/cmd/sallyport-verify", p == "sallyport/audit/verify", p == "sallyport/audit/checkpoint", p == "sallyport/audit/proof",
			p == "sallyport/audit/cosignature", p == "sallyport/audit/internal/durable":
		default:
			t.Errorf("it is built from %s", p)
		}
	}
}
